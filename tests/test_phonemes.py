"""Phoneme times from what an engine knows: phonemes, characters, words, or nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.renderings import Renderings
from pipeline.speech.spoken_words import words_of
from pipeline.speech.timeline import MIN_PAUSE, gapless
from pipeline.speech_types import Mark, Speech
from pipeline.text.language import language_of
from pipeline.tts.espeak import EspeakEngine


@pytest.fixture(scope="module")
def espeak() -> EspeakEngine:
    return EspeakEngine()


def timed(text: str, words: list[tuple[str, float, float]], seconds: float = 4.0) -> Speech:
    marks = tuple(Mark("word", *word) for word in words)
    return Speech(
        samples=np.zeros(round(seconds * 24000), np.float32),
        rate=24000,
        text=text,
        language=language_of(text),
        marks=marks,
    )


def test_phoneme_marks_are_taken_as_they_are(espeak: EspeakEngine) -> None:
    speech = espeak.synthesize("안녕하세요", "ko", CancelToken())
    assert phonemes_of(speech, espeak) is speech.marks


def test_phonemes_stay_inside_their_word(espeak: EspeakEngine) -> None:
    words = [("Papa", 0.2, 0.9), ("kicks", 0.9, 1.4), ("balls", 2.4, 3.0)]
    marks = phonemes_of(timed("Papa kicks balls", words), espeak)
    inside = {word: "".join(m.text for m in marks if start <= m.start < end and m.text) for word, start, end in words}
    assert "p" in inside["Papa"] and "k" not in inside["Papa"]
    assert inside["kicks"].startswith("k") and inside["kicks"].endswith("s")
    assert inside["balls"].startswith("b")
    (pause,) = [m for m in marks if not m.text and 0.9 < m.start < 3]
    assert (pause.start, pause.end) == pytest.approx((1.4, 2.4))


def test_words_that_espeak_joins_share_their_time(espeak: EspeakEngine) -> None:
    words = [("in", 0.0, 0.3), ("the", 0.3, 0.5), ("end", 0.5, 1.0)]
    marks = [m for m in phonemes_of(timed("in the end", words, 1.0), espeak) if m.text]
    assert [m.text[-1] for m in marks][:4] == ["ɪ", "n", "ð", "ɪ"]
    assert next(m.start for m in marks if m.text.endswith("ɛ")) == pytest.approx(0.5)


def test_first_word_of_a_clause_is_found_although_espeak_does_not_report_it(espeak: EspeakEngine) -> None:
    text = "안녕하세요, 면접에 오신 것을 환영합니다."
    words = [(word, float(n), n + 0.5) for n, word in enumerate(text.split())]
    marks = [m for m in phonemes_of(timed(text, words, 6.0), espeak) if m.text]
    assert next(m.start for m in marks if m.text == "m") == pytest.approx(1.0)
    assert next(m.start for m in marks if m.text == "w") == pytest.approx(4.0, abs=0.1)


def test_numbers_take_the_time_of_their_digits(espeak: EspeakEngine) -> None:
    marks = phonemes_of(timed("사과 3개", [("사과", 0.0, 0.5), ("3개", 1.0, 1.6)], 2.0), espeak)
    number = "".join(m.text for m in marks if 1.0 <= m.start < 1.6)
    assert number.startswith("s") and "ɡ" in number


@pytest.mark.parametrize(
    "text",
    ["안녕 hello 3개 😀!", "1", "\n안녕\n\n하세요 ", "가" * 300, "Mr. Smith's 3.5 km/h — ok?", "你好 世界", "..."],
)
@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_marks_always_cover_the_speech(espeak: EspeakEngine, text: str, seconds: float) -> None:
    characters = tuple(Mark("character", c, n * seconds, (n + 1) * seconds) for n, c in enumerate(text))
    speech = Speech(
        samples=np.zeros(48000, np.float32), rate=24000, text=text, language=language_of(text), marks=characters
    )
    marks = phonemes_of(speech, espeak)
    assert (marks[0].start, marks[-1].end) == (0, 2)
    assert all(one.end == two.start and one.end > one.start for one, two in pairwise(marks))


def test_speech_without_a_text_is_listened_to(espeak: EspeakEngine) -> None:
    spoken = espeak.synthesize("아 아 아", "ko", CancelToken())
    marks = phonemes_of(Speech(samples=spoken.samples, rate=spoken.rate, text="", language="ko"), espeak)
    assert "a" in [mark.text for mark in marks]
    assert (marks[0].start, marks[-1].end) == (0, spoken.duration)


def test_short_gaps_belong_to_the_sound_before() -> None:
    sounds = [
        Mark("phoneme", "a", 0.1, 0.2),
        Mark("phoneme", "b", 0.2 + MIN_PAUSE / 2, 0.4),
        Mark("phoneme", "c", 0.3, 0.5),
    ]
    marks = gapless(sounds, 1.0)
    assert [(m.text, m.start, m.end) for m in marks] == [
        ("", 0.0, 0.1),
        ("a", 0.1, 0.2 + MIN_PAUSE / 2),
        ("b", 0.2 + MIN_PAUSE / 2, 0.4),
        ("c", 0.4, 0.5),
        ("", 0.5, 1.0),
    ]


def test_a_language_that_no_voice_speaks_is_listened_to(espeak: EspeakEngine) -> None:
    spoken = espeak.synthesize("Papa kicks balls", "en-us", CancelToken())
    speech = Speech(samples=spoken.samples, rate=spoken.rate, text="សួស្តី", language="km")
    assert any(mark.text for mark in phonemes_of(speech, espeak))
    assert words_of(speech, phonemes_of(speech, espeak), Renderings(espeak), CancelToken()) == ()
