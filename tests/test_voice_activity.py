"""When somebody speaks into a microphone: words and what is none, and how soon it is detected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.conversation.microphone import LOST_SECONDS, Microphone
from pipeline.conversation.voice_activity import RATE, VoiceActivity, VoiceChange
from tests.voices import spoken

SILENCE = 0.7
BEFORE = 1.0
"""Seconds before what is tested."""
WORDS = ("안녕하세요, 저는 개발자 김민수입니다.", "네.", "아니요, 잠깐만요.", "그만!", "저기요",
         "Hello, my name is Anna.", "Wait, stop.", "No.", "Yes.", "Guten Tag, ich heiße Peter.")  # fmt: skip


def changes(sound: np.ndarray, silence: float = SILENCE) -> list[tuple[VoiceChange, float]]:
    """Return what changes, and after how many seconds of sound that was known."""
    activity = VoiceActivity(silence)
    step = RATE // 50
    return [
        (change, (begin + step) / RATE)
        for begin in range(0, len(sound), step)
        for change in activity.push(sound[begin : begin + step].astype(np.float32))
    ]


def around(sound: np.ndarray, noise: float, after: float = 1.5, seed: int = 0) -> np.ndarray:
    """Return a sound with background around it and in it."""
    whole = np.concatenate([np.zeros(round(BEFORE * RATE)), sound, np.zeros(round(after * RATE))])
    return np.asarray(whole + np.random.default_rng(seed).normal(size=len(whole)) * noise)


def voiced(text: str, loudness: float = 1.0) -> np.ndarray:
    return spoken(text) / 32768 * loudness


@pytest.mark.parametrize(("loudness", "noise"), [(1.0, 0.0), (0.1, 0.001), (1.0, 0.01), (1.0, 0.03)])
@pytest.mark.parametrize("text", WORDS)
def test_speech_is_detected_with_its_times(text: str, loudness: float, noise: float) -> None:
    sound = voiced(text, loudness)
    found = changes(around(sound, noise))
    assert [change.speaking for change, _ in found] == [True, False]
    (begun, known), (ended, ended_known) = found
    end = BEFORE + len(sound) / RATE
    assert abs(begun.time - BEFORE) < 0.3 and abs(ended.time - end) < 0.35
    assert known - begun.time <= 0.27, "what was said so far is short"
    assert known - BEFORE < 0.45, "voiceless sounds before the first vowel included"
    assert ended_known - ended.time == pytest.approx(SILENCE, abs=0.06)


def test_half_of_all_words_are_detected_within_a_fifth_of_a_second() -> None:
    delays = [changes(around(voiced(text), 0.003))[0][1] - BEFORE for text in WORDS]
    assert np.median(delays) <= 0.24 and np.mean(delays) <= 0.28


def cough(length: float, shape: str, seed: int) -> np.ndarray:
    """Return a short piece of a voice, or a burst of noise, with a voice's loudness."""
    count, generator = round(length * RATE), np.random.default_rng(seed)
    source = voiced("아 오 우 이 에 안녕하세요 저는 개발자입니다")
    begin = int(generator.integers(1000, len(source) - count - 1000))
    burst = generator.normal(size=count) * 0.2
    mixed = {"voice": source[begin : begin + count], "noise": burst, "both": source[begin : begin + count] + burst}
    return np.asarray(mixed[shape] * np.hanning(count) ** 0.5)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("shape", ["voice", "noise", "both"])
def test_a_cough_of_a_tenth_of_a_second_is_no_speech(shape: str, noise: float) -> None:
    for seed in range(8):
        assert not changes(around(cough(0.1, shape, seed), noise, 0.8, seed)), seed


def clicks() -> np.ndarray:
    sound = np.zeros(3 * RATE)
    sound[:: RATE // 5] = 0.9
    return sound


def typing() -> np.ndarray:
    sound, generator = np.zeros(3 * RATE), np.random.default_rng(1)
    for begin in range(2000, len(sound) - 400, 2400):
        sound[begin : begin + 300] += generator.normal(size=300) * 0.3 * np.exp(-np.arange(300) / 60)
    return sound


def music() -> np.ndarray:
    notes = []
    for frequency in (262, 294, 330, 349, 392, 440, 494, 523):
        time = np.arange(round(0.4 * RATE)) / RATE
        overtones = sum(np.sin(2 * np.pi * frequency * number * time) / number for number in range(1, 6))
        notes.append(0.3 * overtones * np.exp(-3 * time))
    return np.concatenate(notes)


TIME = np.arange(3 * RATE) / RATE
NO_SPEECH = {
    "silence": np.zeros(3 * RATE),
    "quiet noise": np.random.default_rng(1).normal(size=3 * RATE) * 0.01,
    "loud noise": np.random.default_rng(2).normal(size=3 * RATE) * 0.2,
    "hum": 0.2 * np.sin(2 * np.pi * 50 * TIME) + 0.1 * np.sin(2 * np.pi * 150 * TIME),
    "tone": 0.3 * np.sin(2 * np.pi * 440 * TIME),
    "chord": sum(np.sin(2 * np.pi * one * TIME) for one in (261.6, 329.6, 392.0)) * 0.1,
    "clicks": clicks(),
    "typing": typing(),
    "music": music(),
    "too loud": np.ones(3 * RATE),
}


@pytest.mark.parametrize("name", NO_SPEECH)
def test_what_is_no_speech(name: str) -> None:
    assert not changes(np.asarray(NO_SPEECH[name]))


def test_a_pause_shorter_than_the_silence_is_part_of_what_is_said() -> None:
    word = voiced("저는 개발자입니다")
    for pause, count in ((0.4, 1), (1.2, 2)):
        sound = np.concatenate([word, np.zeros(round(pause * RATE)), word])
        assert [one.speaking for one, _ in changes(around(sound, 0.001))] == [True, False] * count


def test_a_cough_does_not_lengthen_an_answer() -> None:
    word = voiced("저는 개발자입니다")
    sound = np.concatenate([word, np.zeros(round(0.45 * RATE)), cough(0.1, "voice", 3), np.zeros(RATE)])
    ended = changes(around(sound, 0.0))[-1]
    assert not ended[0].speaking and ended[1] < BEFORE + len(word) / RATE + SILENCE + 0.2


def test_who_speaks_on_after_a_cut_begins_anew_after_a_pause() -> None:
    activity, word = VoiceActivity(SILENCE), voiced("저는 개발자 김민수입니다").astype(np.float32)
    half = len(word) // 2
    assert [one.speaking for one in activity.push(word[:half])] == [True]
    activity.cut()
    assert not list(activity.push(word[half:])) and not activity.speaking
    assert not list(activity.push(np.zeros(RATE // 2, np.float32)))
    assert [one.speaking for one in activity.push(word)] == [True]


def pcm(sound: np.ndarray) -> bytes:
    return bytes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_microphone_of_any_rate_gives_stream_times_and_what_was_said(rate: int) -> None:
    microphone, word = Microphone(SILENCE, records=True), voiced("저는 개발자 김민수입니다")
    sound = around(word, 0.001)
    sound = np.interp(np.arange(0, len(sound) - 1, RATE / rate), np.arange(len(sound)), sound)
    found = []
    step = rate // 25
    for begin in range(0, len(sound), step):
        now = 100 + (begin + step) / rate  # the stream is 100 s old when the microphone begins
        found += list(microphone.push(pcm(sound[begin : begin + step]), rate, now))
    begun, ended = found
    assert begun.time == pytest.approx(100 + BEFORE, abs=0.15)
    assert ended.time == pytest.approx(100 + BEFORE + len(word) / RATE, abs=0.25)
    utterance = microphone.take()
    assert utterance.dtype == np.int16 and len(word) / RATE < len(utterance) / RATE < len(word) / RATE + 1.1
    loud = np.abs(utterance) > 1000
    assert loud.any() and not loud[: round(0.15 * RATE)].any() and not loud[-round(0.1 * RATE) :].any()
    assert not len(microphone.take())


def test_a_microphone_that_falls_silent_ends_what_is_said() -> None:
    microphone, word = Microphone(SILENCE, records=True), voiced("저는 개발자 김민수입니다")
    assert [one.speaking for one in microphone.push(pcm(word), RATE, 5.0)] == [True]
    assert microphone.lost(5.0 + LOST_SECONDS / 2) is None
    ended = microphone.lost(5.0 + LOST_SECONDS)
    assert ended is not None and not ended.speaking and ended.time == pytest.approx(5.0, abs=0.2)
    assert microphone.deadline is None and len(microphone.take()) > 0


def test_a_microphone_forgets_what_is_no_speech() -> None:
    microphone = Microphone(SILENCE, records=True)
    for number in range(40):
        list(microphone.push(bytes(RATE), RATE, number / 2))
    assert sum(len(part) for part in microphone._kept) < 2 * RATE


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "import numpy as np; from pipeline.conversation.voice_activity import VoiceActivity as V;"
        " list(V(0.5).push(np.zeros(4000, np.float32)))",
        "from pipeline.jobs.studio import make_studio; from pipeline.settings import Settings; make_studio(Settings());"
        " import onnxruntime; onnxruntime.InferenceSession('pipeline/conversation/models/silero_vad_16k.onnx',"
        " providers=['CPUExecutionProvider'])",
    ],
    ids=["voice activity", "a server's libraries"],
)
def test_a_network_reports_to_nobody(program: str, tmp_path: Path) -> None:
    """ONNX Runtime reports to its makers where nobody refuses, and keeps the session of its reports in a file."""
    kept = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    program += "; import os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    subprocess.run([sys.executable, "-c", program], env={**kept, "TMPDIR": str(tmp_path)}, check=True, timeout=120)
    assert not list(tmp_path.iterdir())
