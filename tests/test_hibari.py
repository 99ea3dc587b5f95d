"""The English voice: its times, its words, what it reads, and what happens where it is damaged."""

from __future__ import annotations

import builtins
import importlib.util
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest, Cancelled, NothingToSay, Unavailable
from pipeline.jobs.events import TtsDone, TtsStarted, describe
from pipeline.jobs.request import parse
from pipeline.jobs.studio import Studio
from pipeline.settings import Settings
from pipeline.text.clauses import clauses
from pipeline.text.reading import read_aloud
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.hibari import RATE, HibariEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE
from pipeline.tts.symbol_times import phoneme_marks
from tests.fakes import FakeEngine

TEXT = "Bob, pay me more! In 2024, Dr. Kim sold it for $3.5M."


@pytest.fixture(scope="module")
def hibari() -> HibariEngine:
    return HibariEngine()


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A copy of the package's weights, to be damaged."""
    found = importlib.util.find_spec("hibari")
    assert found is not None and found.origin is not None
    folder = tmp_path / "assets"
    shutil.copytree(Path(found.origin).parent / "assets", folder)
    return folder


def test_phonemes_and_words_have_the_times_of_the_sound(hibari: HibariEngine) -> None:
    pieces = list(hibari.stream(TEXT, CUSTOM_VOICE, CancelToken()))
    assert "".join(piece.text for piece in pieces) == TEXT
    assert [piece.text.strip() for piece in pieces] == ["Bob, pay me more!", "In 2024, Dr. Kim sold it for $3.5M."]
    for piece in pieces:
        marks = piece.marks
        assert marks[0].start == 0 and marks[-1].end == pytest.approx(piece.duration)
        assert all(one.end == pytest.approx(other.start) for one, other in pairwise(marks))
        assert "".join(word.text for word in piece.words) == piece.text
        sounds = [mark for mark in marks if mark.text]
        assert piece.words[0].start == sounds[0].start and piece.words[-1].end == sounds[-1].end
        for pause in (mark for mark in marks if not mark.text):
            quiet = piece.samples[round((pause.start + 0.02) * RATE) : max(0, round((pause.end - 0.08) * RATE))]
            assert np.abs(quiet).max(initial=0) < 0.02  # nothing is said in a pause
    names = [mark.text for mark in pieces[0].marks if mark.text]
    assert names[:3] == ["b", "ɑ", "b"] and "eɪ" in names and "ˈ" not in "".join(names)


@pytest.mark.parametrize("word", ["Bob", "pop", "baby", "apple"])
def test_the_sound_is_softer_where_the_lips_are_closed(hibari: HibariEngine, word: str) -> None:
    speech = hibari.synthesize(f"Say {word} again.", CUSTOM_VOICE, CancelToken())

    def level(mark: Any) -> float:
        part = speech.samples[round(mark.start * RATE) : round(mark.end * RATE)]
        return float(np.sqrt(np.mean(part**2)))

    vowels = [level(mark) for mark in speech.marks if mark.text in ("ɑ", "æ", "eɪ", "ɛ")]
    closed = [level(mark) for mark in speech.marks if mark.text in ("p", "b")]
    assert closed and max(closed) < max(vowels)


@pytest.mark.parametrize("speed", [0.7, 1.3])
def test_speed_scales_the_sound_and_its_marks(hibari: HibariEngine, speed: float) -> None:
    usual, other = (hibari.synthesize(TEXT, "heart", CancelToken(), speed=pace) for pace in (1.0, speed))
    assert other.duration == pytest.approx(usual.duration / speed, rel=0.1)
    assert other.marks[-1].end == pytest.approx(other.duration)
    assert [m.text for m in other.marks if m.text] == [m.text for m in usual.marks if m.text]


def test_the_same_text_sounds_the_same(hibari: HibariEngine) -> None:
    one, other = (hibari.synthesize(TEXT, "heart", CancelToken()) for _ in range(2))
    assert np.array_equal(one.samples, other.samples)


@pytest.mark.parametrize("text", ["a", "A", "I", "x", "7", "Hm.", "OK!", "é", "¿x?", "2"])
def test_one_letter_is_spoken(hibari: HibariEngine, text: str) -> None:
    speech = hibari.synthesize(text, "heart", CancelToken())
    assert any(mark.text for mark in speech.marks) and 0.3 < speech.duration < 2
    assert "".join(word.text for word in speech.words) == text


@pytest.mark.parametrize("text", ["...", "?!", "😀😀", " \n ", "→ ★", "***"])
def test_symbols_alone_are_nothing_to_say(hibari: HibariEngine, text: str) -> None:
    with pytest.raises(NothingToSay):
        hibari.synthesize(text, "heart", CancelToken())


@pytest.mark.slow
@pytest.mark.parametrize("text", ["word " * 100, "x" * 500, "1234567890" * 40, "Really? " * 60, "a,b;" * 100])
def test_long_texts_of_any_kind_are_spoken_in_clauses(hibari: HibariEngine, text: str) -> None:
    pieces = list(hibari.stream(text, "heart", CancelToken()))
    assert "".join(piece.text for piece in pieces) == text and len(pieces) > 1
    assert all(0 < piece.duration < 200 and piece.marks and piece.words for piece in pieces)


def test_it_stops_between_two_clauses(hibari: HibariEngine) -> None:
    token = CancelToken()
    pieces = hibari.stream("One. Two. Three.", CUSTOM_VOICE, token)
    assert next(pieces).text == "One. "
    token.cancel()
    with pytest.raises(Cancelled):
        next(pieces)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("C++, C# and .NET", "C plus plus, C sharp and dot net"),
        ("£1.5bn or ₩50,000", "1.5 billion pounds or 50,000 won"),
        ("at https://www.example.com/jobs.", "at W W W dot example dot com slash jobs."),
        ("to jobs@example.com", "to jobs at example dot com"),
        ("Call 010-1234-5678 or (555) 123-4567.", "Call 0 1 0, 1 2 3 4, 5 6 7 8 or 5 5 5, 1 2 3, 4 5 6 7."),
        ("v2.0.1 on 192.168.0.1", "version 2 point 0 point 1 on 1 9 2 dot 1 6 8 dot 0 dot 1"),
        ("agent 007, open 24/7", "agent 0 0 7, open twenty-four seven"),
        ("5 * 3 = 15, 2^10", "5 times 3 = 15, 2 to the power of 10"),
        ("~100 of 10~20", "about 100 of 10 to 20"),
        ("It is 9:30 on 2024-12-25, 3.14 and 1,000.05.", "It is 9:30 on 2024-12-25, 3.14 and 1,000.05."),
    ],
)
def test_codes_and_sums_are_read_as_people_read_them(written: str, spoken: str) -> None:
    assert read_aloud(written, "en-us") == spoken


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Dr. Kim met J. K. Rowling. They left.", ["Dr. Kim met J. K. Rowling. ", "They left."]),
        ('He said "Go!" She went.', ['He said "Go!" ', "She went."]),
        ("e.g. this. And 3.5 that", ["e.g. this. ", "And 3.5 that"]),
        ("제목\n첫 문장입니다. 둘째!", ["제목\n", "첫 문장입니다. ", "둘째!"]),
        ("今日は。元気？はい", ["今日は。", "元気？", "はい"]),
        ("... Hello ... !", ["... Hello ... !"]),
        ("one two, three four five", ["one two, ", "three four ", "five"]),
    ],
)
def test_texts_are_split_where_voices_pause(text: str, parts: list[str]) -> None:
    assert clauses(text, 12 if text.startswith("one") else 100) == parts


def test_it_speaks_english_alone_but_takes_names_of_other_scripts(hibari: HibariEngine) -> None:
    assert hibari.speaks("en-us") and hibari.speaks("en-gb") and not hibari.speaks("ko")
    with pytest.raises(BadRequest, match="hibari"):
        hibari.synthesize("안녕하세요.", CUSTOM_VOICE, CancelToken())
    with pytest.raises(BadRequest, match="heart"):
        hibari.synthesize("Hello.", "nobody", CancelToken())
    named = hibari.synthesize("My name is 김철수.", "heart", CancelToken(), "ko")
    assert named.words[-1].text == "김철수." and named.words[-1].end - named.words[-1].start > 0.4


def test_pauses_are_found_in_the_sound_and_blanks_are_none() -> None:
    rate = 24000
    tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(rate) / rate).astype(np.float32)
    samples = np.concatenate([0 * tone[:6000], tone[:12000], 0 * tone[:6000], tone[:12000], 0 * tone[:6000]])
    symbols = ["", "ˈ", "a", ":", " ", "b", "o", " ", "m", "ː", ""]
    durations = np.array([12, 1, 25, 3, 1, 2, 6, 2, 4, 6, 8], np.float32)  # "a" lasts into the pause
    marks, begins = phoneme_marks(symbols, durations, samples, rate)
    assert [mark.text for mark in marks] == ["", "a", "", "b", "o", "mː", ""]
    assert marks[1].end == pytest.approx(0.75, abs=0.011)
    assert marks[3].start == pytest.approx(0.94, abs=0.02)  # lips close before the sound is heard
    assert marks[-1].start == pytest.approx(1.5, abs=0.011)
    assert begins[0] is begins[3] is begins[4] is None and begins[1] == begins[2] == marks[1].start


def studio_of(packs: Path, hibari: HibariEngine) -> Studio:
    espeak = EspeakEngine()
    return Studio(
        settings=Settings(),
        avatars=AvatarStore(packs),
        tts={"hibari": hibari, "espeak": espeak},
        espeak=espeak,
        engines={"fake": FakeEngine()},
    )


def _cut(folder: Path) -> None:
    weights = folder / "hibari.onnx"
    weights.write_bytes(weights.read_bytes()[:100_000])


def _gone(folder: Path) -> None:
    (folder / "hibari.onnx").unlink()


def _other(folder: Path) -> None:
    shutil.copy(folder / "oov_gb.onnx", folder / "hibari.onnx")


def _words(folder: Path) -> None:
    (folder / "vocab.json").write_text("{")


def _letters(folder: Path) -> None:
    (folder / "oov.onnx").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, "hibari.onnx"),
        (_gone, "hibari.onnx"),
        (_other, "hibari.onnx"),
        (_words, "damaged"),
        (_letters, "damaged"),
    ],
)
def test_damaged_weights_are_reported_and_the_next_engine_speaks(
    assets: Path, fake_packs: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(assets)
    engine = HibariEngine(assets)
    studio = studio_of(fake_packs, engine)
    body = {"text": "Hello there.", "avatar": "solo", "resolution": "480p", "engine": "fake"}
    request = parse(body, studio)
    assert request.tts_engine == "espeak" and not engine.available()
    assert request.tts_note is not None and says in request.tts_note.en and "espeak" in request.tts_note.ko
    for event in (
        TtsStarted("/v", "/c", request.tts_note),
        TtsDone(audio_url="/a", captions_url="/c", duration=1.0, elapsed=0.1, note=request.tts_note),
    ):
        assert request.tts_note.en in describe(event).en and request.tts_note.ko in describe(event).ko
    with pytest.raises(Unavailable, match=r"requirements\.txt") as refused:
        parse({**body, "tts_engine": "hibari"}, studio)
    assert str(assets) not in str(refused.value) and refused.value.status == 503
    assert parse({**body, "text": "안녕."}, studio).tts_note is None  # it is not expected to speak Korean


def test_without_onnxruntime_the_next_engine_speaks(fake_packs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    studio = studio_of(fake_packs, HibariEngine())
    request = parse({"text": "Hello there.", "avatar": "solo", "engine": "fake", "resolution": "480p"}, studio)
    assert request.tts_engine == "espeak" and request.tts_note and "onnxruntime" in request.tts_note.en


def test_the_default_follows_the_language_and_a_voice_finds_its_engine(fake_packs: Path, hibari: HibariEngine) -> None:
    studio = studio_of(fake_packs, hibari)

    def chosen(text: str, **more: str) -> tuple[str, str]:
        request = parse({"text": text, "avatar": "solo", "engine": "fake", "resolution": "480p", **more}, studio)
        assert request.tts_note is None
        return request.tts_engine, request.tts_voice

    assert chosen("Hello there.") == chosen("Hello there.", tts_engine="auto") == ("hibari", "Custom")
    assert chosen("안녕하세요.") == chosen("안녕하세요.", tts_engine="auto") == ("espeak", "Custom")
    assert chosen("Hello there.", tts_voice="de") == ("espeak", "de")
    assert chosen("My name is 김철수.", tts_voice="heart") == ("hibari", "heart")
    with pytest.raises(BadRequest, match="hibari"):
        chosen("안녕하세요.", tts_engine="hibari")
    with pytest.raises(BadRequest, match="heart"):
        chosen("Hello there.", tts_voice="nobody")
