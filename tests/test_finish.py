"""The loudness of all voices, peaks, clicks, pitch and speed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest
from pipeline.jobs.generate import speech_of
from pipeline.jobs.request import parse
from pipeline.jobs.studio import Studio
from pipeline.settings import Settings
from pipeline.speech_types import Mark, Speech, joined
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.finish import LOUDNESS, finished, loudness
from pipeline.tts.hibari import HibariEngine
from pipeline.tts.kokoro import KokoroEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE
from tests.fakes import FakeEngine

ENGLISH = "Welcome to the interview. Could you tell me about your strengths? Take your time, please. Go!"
KOREAN = "안녕하세요, 면접에 오신 것을 환영합니다. 네. 자기소개를 부탁드립니다. 지원 동기는 무엇입니까?"


@pytest.fixture(scope="module")
def studio(fake_packs: Path) -> Studio:
    espeak = EspeakEngine()
    return Studio(
        settings=Settings(),
        avatars=AvatarStore(fake_packs),
        tts={"hibari": HibariEngine(), "espeak": espeak},
        espeak=espeak,
        engines={"fake": FakeEngine()},
    )


def speak(studio: Studio, text: str, **more: object) -> list[Speech]:
    body = {"text": text, "avatar": "solo", "resolution": "480p", "engine": "fake", **more}
    return list(speech_of(parse(body, studio), studio, CancelToken()))


def tone(seconds: float, level: float, rate: int = 24000, pitch: float = 200) -> np.ndarray:
    return np.asarray(level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate), np.float32)


def pieces(*sounds: np.ndarray) -> Iterator[Speech]:
    for sound in sounds:
        marks = (Mark("phoneme", "a", 0.0, len(sound) / 24000),)
        yield Speech(samples=sound, rate=24000, text="a", language="en-us", marks=marks)


def true_peak(sound: np.ndarray) -> float:
    return float(np.abs(resample_poly(sound, 8, 1)).max())


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (ENGLISH, {"tts_speed": 1.3, "tts_pitch": 4}),
        (ENGLISH, {"tts_engine": "espeak"}),
        (KOREAN, {"tts_pitch": -4}),
        pytest.param(ENGLISH, {}, marks=pytest.mark.slow),
        pytest.param(ENGLISH, {"tts_speed": 0.7}, marks=pytest.mark.slow),
        pytest.param(KOREAN, {}, marks=pytest.mark.slow),
        ("Guten Tag, wie geht es Ihnen heute? Bitte nehmen Sie Platz.", {"language": "de"}),
        ("こんにちは、面接へようこそ。", {}),
        ("你好，欢迎参加面试。", {}),
    ],
)
def test_every_voice_is_equally_loud_and_never_clips(studio: Studio, text: str, more: dict[str, object]) -> None:
    speech = joined(speak(studio, text, **more))
    level = loudness([speech.samples], speech.rate)
    assert level == pytest.approx(LOUDNESS, abs=1.0)
    assert true_peak(speech.samples) < 10 ** (-0.8 / 20)
    assert speech.samples[0] == speech.samples[-1] == 0


def test_clauses_keep_their_levels_among_each_other() -> None:
    loud, soft = tone(1, 0.2), tone(1, 0.05)
    for level in (None, -26.0):
        one, other = finished(pieces(loud, soft), level, 0)
        assert np.abs(one.samples).max() / np.abs(other.samples).max() == pytest.approx(4, rel=0.01)
        assert one.marks == next(pieces(loud)).marks
    measured = loudness([next(finished(pieces(loud), None, 0)).samples], 24000)
    assert measured == pytest.approx(LOUDNESS, abs=0.1)


def test_silence_and_single_sounds_have_a_level() -> None:
    quiet, short, usual = finished(pieces(tone(1, 0), tone(0.05, 0.1), tone(1, 0.1)), None, 0)
    assert not quiet.samples.any()
    assert np.abs(short.samples).max() == pytest.approx(np.abs(usual.samples).max(), rel=0.05)
    assert loudness([], 24000) is None
    assert not next(finished(pieces(np.zeros(0, np.float32)), None, 2)).samples.size


def test_peaks_are_lowered_without_a_step() -> None:
    sound = tone(1, 0.1)
    sound[12000:12010] = 0.99
    done = next(finished(pieces(sound), -23.0, 0)).samples
    assert true_peak(done) < 10 ** (-0.8 / 20)
    assert np.abs(done[2000:10000]).max() == pytest.approx(0.1 * 10 ** (5 / 20), rel=0.01)  # the rest stays as it is


@pytest.mark.parametrize("pitch", [-4, -1.5, 0.5, 4])
def test_pitch_moves_by_semitones_and_keeps_the_time(pitch: float) -> None:
    sound = tone(1, 0.1)
    done = next(finished(pieces(sound), None, pitch)).samples
    assert len(done) == len(sound)
    spectrum = np.abs(np.fft.rfft(done * np.hanning(len(done))))
    assert np.argmax(spectrum) == pytest.approx(200 * 2 ** (pitch / 12), abs=2)


@pytest.mark.parametrize("engine", ["hibari", "espeak"])
@pytest.mark.parametrize("speed", [0.7, 1.3])
def test_lips_follow_another_speed(studio: Studio, engine: str, speed: float) -> None:
    usual, other = (joined(speak(studio, ENGLISH, tts_engine=engine, tts_speed=pace)) for pace in (1, speed))
    assert other.duration == pytest.approx(usual.duration / speed, rel=0.12)
    assert other.marks[-1].end == pytest.approx(other.duration, abs=0.01)
    assert [word.text for word in other.words] == [word.text for word in usual.words]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *product(["tts_speed"], [0.69, 1.31, 0, -1, "1", True, [1], {}, math.nan, math.inf, 10**400]),
        *product(["tts_pitch"], [-4.1, 5, "high", False, [0], math.nan, -math.inf]),
    ],
)
def test_values_out_of_range_are_refused_with_the_range(studio: Studio, field: str, value: object) -> None:
    low, high = {"tts_speed": ("0.7", "1.3"), "tts_pitch": ("-4.0", "4.0")}[field]
    with pytest.raises(BadRequest, match=f"{field}: .*{low}.*{high}"):
        speak(studio, ENGLISH, **{field: value})


def test_usual_values_may_be_named(studio: Studio) -> None:
    usual = speak(studio, "Hello.")[0].samples
    for more in ({"tts_speed": 1, "tts_pitch": 0}, {"tts_speed": None, "tts_pitch": None}, {"tts_speed": 1.0}):
        assert np.array_equal(speak(studio, "Hello.", **more)[0].samples, usual)


def test_short_words_of_a_known_voice_are_not_blown_up() -> None:
    engine = HibariEngine()
    word, text = (
        joined(finished(engine.stream(text, CUSTOM_VOICE, CancelToken()), engine.loudness("heart", "en-us"), 0))
        for text in ("Hm.", ENGLISH)
    )
    levels = [loudness([one.samples], one.rate) or 0.0 for one in (word, text)]
    assert levels[0] < levels[1] + 3


@pytest.fixture(scope="module")
def kokoro() -> KokoroEngine:
    return KokoroEngine()


@pytest.mark.slow
@pytest.mark.parametrize("voice", [CUSTOM_VOICE, "nezumi"])
def test_korean_voices_are_as_loud(voice: str, kokoro: KokoroEngine) -> None:
    text = "네, 알겠습니다. 다음 질문을 드리겠습니다."
    pieces = kokoro.stream(text, voice, CancelToken(), "ko")
    speech = joined(finished(pieces, kokoro.loudness(voice, "ko"), 0.0))
    assert loudness([speech.samples], speech.rate) == pytest.approx(LOUDNESS, abs=1.2)
    assert true_peak(speech.samples) < 10 ** (-0.8 / 20)
