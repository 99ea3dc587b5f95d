"""The sentences for people: each has a code, both languages and the same placeholders, and all of them are there."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from functools import cache
from inspect import signature
from pathlib import Path
from string import Formatter
from types import ModuleType

import pytest

import pipeline
from pipeline import messages
from pipeline.errors import KINDS, BadRequest, PipelineError
from pipeline.messages import Message, Sentence

ROOT = Path(pipeline.__file__).parent
ROOMS = [module for module in vars(messages).values() if isinstance(module, ModuleType)]
SENTENCES = {
    f"messages.{room.__name__.rpartition('.')[2]}.{name}": sentence
    for room in ROOMS
    for name, sentence in vars(room).items()
    if isinstance(sentence, Sentence)
}
DATA = ("messages", "text", "server/page/words.py")
"""Where Korean stands outside of code: the sentences, the rules of reading, and the labels of the page."""
PARTICLE = re.compile(r"\}['*]*(?:을|를|이|가|은|는|과|와|로|으로|이나|나)(?![가-힣(])")


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


@cache
def trees() -> dict[str, ast.Module]:
    """Return the code of all modules that say something to people."""
    paths = {path.relative_to(ROOT).as_posix(): path for path in ROOT.rglob("*.py")}
    return {
        name: ast.parse(path.read_text("utf-8")) for name, path in paths.items() if not name.startswith("messages/")
    }


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for name, tree in trees().items():
        yield from ((name, node) for node in ast.walk(tree))


def test_every_sentence_has_its_own_code() -> None:
    codes = [sentence.code for sentence in SENTENCES.values()]
    assert len(ROOMS) >= 11 and len(codes) > 170
    assert sorted(codes) == sorted(set(codes))
    for name, sentence in SENTENCES.items():
        assert re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", sentence.code)
        assert name.rpartition(".")[2] == sentence.code.upper()


@pytest.mark.parametrize("name", SENTENCES)
def test_both_languages_have_the_same_placeholders(name: str) -> None:
    sentence = SENTENCES[name]
    assert placeholders(sentence.ko) == placeholders(sentence.en)
    assert all(one.isidentifier() for one in placeholders(sentence.ko))
    assert "\n" not in sentence.ko + sentence.en
    assert re.search("[가-힣]", sentence.ko) or not re.sub(r"\{.*?\}", "", sentence.ko).strip()
    assert not re.search("[가-힣]", sentence.en)
    assert not PARTICLE.search(sentence.ko), "a particle that only some values take"


@pytest.mark.slow
def test_every_sentence_is_used_and_filled() -> None:
    used = {ast.unparse(node) for _, node in nodes() if isinstance(node, ast.Attribute) and node.attr.isupper()}
    assert not SENTENCES.keys() - used
    filled = 0
    for name, call in nodes():
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr.isupper()):
            continue
        sentence = SENTENCES.get(ast.unparse(call.func))
        if sentence is not None:
            given = {one.arg for one in call.keywords}
            assert given == placeholders(sentence.ko) and not call.args, f"{name}: {ast.unparse(call)}"
            filled += 1
    assert filled > 150


@pytest.mark.slow
def test_sentences_stand_nowhere_else() -> None:
    described = {
        node.body[0].value
        for _, node in nodes()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for name, node in nodes():
        data = any(name == one or name.startswith(f"{one}/") for one in DATA)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in described and not data:
            words_to_find = "|" in node.value  # a pattern of the language, no sentence for people
            assert words_to_find or not re.search("[가-힣].*[가-힣]", node.value), f"{name}: {node.value}"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Message" and not data:
            texts = (ast.Constant, ast.JoinedStr, ast.BinOp)
            assert not any(isinstance(one, texts) for one in node.args), f"{name}: {ast.unparse(node)}"
    for script in (ROOT / "server/page").glob("*.js"):
        assert not re.search("[가-힣]", script.read_text("utf-8")), script.name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("{limit} {0} {{}} %s", "{limit} {0} {{}} %s"),
        ("a\nb\r\tc\0", r"a\u000ab\u000d\u0009c\u0000"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\u0085d"),
        ("\ud800", r"\ud800"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        (Path("밥/a\n.mp4"), r"밥/a\u000a.mp4"),
        (OSError("no\nspace"), r"no\u000aspace"),
        (Message("자막\n", "captions\n"), None),
        ("가 'é' 𠀀", "가 'é' 𠀀"),
    ],
    ids=ascii,
)
def test_values_come_out_in_one_line(value: object, shown: str | None) -> None:
    message = Sentence("test", ko="{value}이(가) {{가}} 없습니다.", en="There is no {value}, {{yes}}.")(value=value)
    ko, en = (shown, shown) if shown is not None else (r"자막\u000a", r"captions\u000a")
    assert message == Message(f"{ko}이(가) {{가}} 없습니다.", f"There is no {en}, {{yes}}.")


def test_values_are_formatted_before_they_are_escaped() -> None:
    sentence = Sentence("test", ko="{seconds:.1f}초 {name:.3} {name!r}", en="{seconds:.1f} s {name:.3} {name!r}")
    assert sentence(seconds=1.25, name="\n123").en == r"1.2 s \u000a12 '\n123'"


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        messages.jobs.TEXT_TOO_LONG(limit=5)


def test_an_error_has_its_message_in_both_languages() -> None:
    error = BadRequest(messages.jobs.TEXT_TOO_LONG(limit=5000, length=6001))
    assert error.to_json("ko")["error"] == "text: 5,000자를 넘을 수 없습니다 (현재 6,001자). 나누어 요청하세요."
    assert error.to_json("en")["error"] == str(error)
    assert str(error) == "text: must not be longer than 5,000 characters (it has 6,001). Split it up."
    assert str(error.message) == f"{error.message.ko}\n{error.message.en}"
    copy = error.afresh()
    assert isinstance(copy, PipelineError) and copy.message == error.message and str(copy) == str(error)


def made(kind: type[PipelineError]) -> PipelineError:
    """An error of KIND with whatever its constructor takes."""
    values = {"message": Message("한국어", "English"), "retry_after": 7, "seconds": 2.5}
    names = list(signature(kind).parameters)
    return kind(**{name: values.get(name, name) for name in names})  # type: ignore[arg-type]  # by their names


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_survives_pickling(kind: type[PipelineError]) -> None:
    error = made(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind and vars(copy) == vars(error) and str(copy) == str(error)
    assert copy.to_json("ko") == error.to_json("ko")


@pytest.mark.parametrize(
    ("sentence", "count", "ko", "en"),
    [("ONE_FRAME", 1, "1프레임, 0.1초", "1 frame (0.1 s)"), ("FRAMES", 12, "12프레임, 0.1초", "12 frames (0.1 s)")],
)
def test_a_message_within_a_message_keeps_to_its_language(sentence: str, count: int, ko: str, en: str) -> None:
    part = getattr(messages.preparing, sentence)(count=count, seconds=0.1)
    for whole in (messages.preparing.HIDDEN_PART(part=part), messages.preparing.LOST_PART(part=part)):
        assert f"부분({ko})은" in whole.ko and whole.en.endswith(f"left out: {en}.")
