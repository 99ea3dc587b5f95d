"""Mouth shapes from sound alone, and the files that sound may come in."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest
from pipeline.settings import ROOT
from pipeline.speech.articulate import UNITS, articulate
from pipeline.speech.listen import listen
from pipeline.speech.recording import load_audio
from pipeline.speech_types import Mark, Speech
from pipeline.tts.espeak import EspeakEngine
from tests.media import add_audio, encode_audio

TEXTS = [
    ("안녕하세요, 면접에 오신 것을 환영합니다. 자기소개를 부탁드립니다.", "ko"),
    ("오늘 회의는 오후 세 시에 시작합니다, 늦지 마세요. 뭐라고요?", "ko"),
    ("The quick brown fox jumps over the lazy dog, and then it sleeps for an hour.", "en-us"),
]
GRID = ROOT / "tests" / "clips" / "grid_swwp2s.mp4"


def say(text: str, language: str, variant: str = "") -> Speech:
    rendering = EspeakEngine(170, 50, variant).render(text, language, CancelToken())
    return Speech(
        samples=rendering.samples.astype(np.float32) / 32768,
        rate=rendering.rate,
        text=text,
        language=language,
        marks=rendering.phonemes,
    )


def curve(marks: tuple[Mark, ...], speech: Speech, unit: str) -> np.ndarray:
    mouth = articulate(marks, speech, round(speech.duration * 25), 25.0)
    return mouth.weights[:, UNITS.index(unit)]


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_mouth_opens_rounds_and_closes_with_the_sound(noise: float) -> None:
    opening, rounding, closed, meant = [], [], [], []
    for variant, (text, language) in product(["f3", "m7", "Annie", "Michael"], TEXTS):
        speech = say(text, language, variant)
        hiss = np.random.default_rng(0).standard_normal(len(speech.samples)) * noise * speech.samples.std()
        marks = listen((speech.samples + hiss).astype(np.float32), speech.rate)
        opening.append(np.corrcoef(curve(marks, speech, "jawOpen"), curve(speech.marks, speech, "jawOpen"))[0, 1])
        if language == "ko":
            ours, theirs = (curve(which, speech, "mouthPucker") for which in (marks, speech.marks))
            rounding.append(np.corrcoef(ours, theirs)[0, 1])
        asked = [mark for mark in speech.marks if mark.text[:1] in tuple("pbm")]
        found = [mark for mark in marks if mark.text == "p"]
        closed += [any(overlap(one, other) for other in found) for one in asked]
        meant += [any(overlap(one, other) for other in asked) for one in found]
    assert np.mean(opening) > 0.85
    assert np.mean(rounding) > 0.7
    assert np.mean(closed) > 0.65
    assert np.mean(meant) > 0.55


def overlap(one: Mark, other: Mark) -> bool:
    """Return whether ONE and OTHER sound at the same time, or nearly so."""
    return one.start < other.end + 0.02 and one.end > other.start - 0.02


def test_vowels_are_distinguished() -> None:
    # espeak-ng is never twice the same: its 아 lies now nearer to a, now to ʌ, both open and unrounded
    for vowel, expected in {"아": "aʌ", "이": "i", "우": "uo", "오": "ou", "에": "eɛ"}.items():
        speech = say(f"{vowel} {vowel} {vowel}", "ko")
        marks = listen(speech.samples, speech.rate)
        seconds = {m.text: 0.0 for m in marks if m.text}
        for mark in (m for m in marks if m.text):
            seconds[mark.text] += mark.end - mark.start
        assert max(seconds, key=lambda symbol: seconds[symbol]) in expected, vowel


@pytest.mark.parametrize("level", [0.001, 0.1])
def test_a_steady_noise_moves_no_mouth(level: float) -> None:
    rng = np.random.default_rng(0)
    hiss = rng.standard_normal(4 * 22050) * level
    low = np.fft.irfft(np.fft.rfft(hiss) / np.sqrt(np.arange(len(hiss) // 2 + 1) + 1), len(hiss))
    fan = low / low.std() * level
    for noise in (hiss, fan, np.sin(np.arange(4 * 22050) * 0.1) * level):
        assert [mark.text for mark in listen(noise.astype(np.float32), 22050)] == [""]


def test_silence_is_a_pause() -> None:
    speech = say("안녕하세요", "ko")
    gap = np.zeros(speech.rate, np.float32)
    marks = listen(np.concatenate([gap, speech.samples, gap, speech.samples, gap]), speech.rate)
    pauses = [mark for mark in marks if not mark.text and mark.end - mark.start > 0.8]
    assert len(pauses) == 3
    assert marks[0].start == 0
    assert all(one.end == two.start for one, two in pairwise(marks))


@pytest.mark.parametrize("samples", [np.zeros(16000, np.float32), np.zeros(10, np.float32)])
def test_nothing_audible_is_one_pause(samples: np.ndarray) -> None:
    (mark,) = listen(samples, 16000)
    assert (mark.text, mark.start, mark.end) == ("", 0.0, len(samples) / 16000)


def test_noise_around_a_real_voice_is_silence() -> None:
    marks = listen(*load_audio(GRID))
    sounds = [mark for mark in marks if mark.text]
    assert sounds[0].start == pytest.approx(0.49, abs=0.12)
    assert sounds[-1].end == pytest.approx(2.21, abs=0.15)


def write(path: Path, samples: np.ndarray, rate: int, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = rate
        encode_audio(container, add_audio(container, codec, rate), [frame])
    return path


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.wav", "pcm_s16le", 22050),
        ("a.mp3", "libmp3lame", 44100),
        ("a.m4a", "aac", 44100),
        ("a.ogg", "libopus", 48000),
        ("b.wav", "pcm_s16le", 96000),
    ],
)
def test_every_usual_kind_of_file(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    samples, loaded = load_audio(write(tmp_path / name, tone, rate, codec))
    assert loaded == min(rate, 48000)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert len(samples) / loaded == pytest.approx(1, abs=0.08)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.fft.rfftfreq(len(samples), 1 / loaded)[spectrum.argmax()] == pytest.approx(440, abs=3)


def test_files_that_are_not_speech_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is not sound")
    (tmp_path / "empty.mp3").touch()
    silence, short = np.zeros(22050, np.float32), np.full(100, 0.5, np.float32)
    write(tmp_path / "silence.wav", silence, 22050, "pcm_s16le")
    write(tmp_path / "short.wav", short, 22050, "pcm_s16le")
    write(tmp_path / "long.wav", np.tile(short, 1000), 22050, "pcm_s16le")
    for name, reason in {
        "text.wav": "cannot be read",
        "empty.mp3": "cannot be read",
        "missing.wav": "no such file",
        "silence.wav": "nothing can be heard",
        "short.wav": "shorter than",
        "long.wav": "longer than 2 s",
    }.items():
        with pytest.raises(BadRequest, match=reason) as refused:
            load_audio(tmp_path / name, max_seconds=2)
        assert refused.value.message.ko.startswith("audio:")
