"""The list of voices, their samples, and the choice on the page."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from benchmarks.voices import _distance, _units
from pipeline import messages
from pipeline.avatars.store import AvatarStore
from pipeline.errors import NotFound, Unavailable
from pipeline.jobs.studio import Studio
from pipeline.jobs.voices import VoiceSamples, sample_url, voices_of
from pipeline.settings import Settings
from pipeline.speech_types import Voice
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.finish import LOUDNESS, loudness
from pipeline.tts.hibari import HibariEngine
from tests.fakes import FakeEngine, FakeTTS
from tests.servers import Server


class Unreachable(FakeTTS):
    name = "unreachable"
    remote = True

    def voices(self) -> list[Voice]:
        raise Unavailable(messages.tts.ELEVENLABS_SILENT())


@pytest.fixture(scope="module")
def studio(fake_packs: Path) -> Studio:
    espeak = EspeakEngine()
    return Studio(
        settings=Settings(),
        avatars=AvatarStore(fake_packs),
        tts={"unreachable": Unreachable(), "hibari": HibariEngine(), "espeak": espeak},
        espeak=espeak,
        engines={"fake": FakeEngine()},
    )


def test_the_voices_are_listed_by_preference_and_a_silent_service_has_none(studio: Studio) -> None:
    listed = [(engine.name, voice) for engine, voice in voices_of(studio)]
    assert listed[0] == ("hibari", Voice("heart", "Heart", "en-us", "female"))
    assert {engine for engine, _ in listed} == {"hibari", "espeak"} and len(listed) > 80
    assert [engine.name for engine, _ in voices_of(studio, "hibari")] == ["hibari"]


@pytest.mark.parametrize("name", ["hibari/heart", "espeak/ko", "espeak/sw", "espeak/ar"])
def test_a_sample_is_a_sentence_as_loud_as_all_speech(studio: Studio, name: str) -> None:
    engine, voice = name.split("/")
    samples = VoiceSamples(studio)
    sound = samples.of(engine, voice)
    assert samples.of(engine, voice) is sound  # spoken once
    with wave.open(io.BytesIO(sound)) as file:
        rate, heard = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert 1.5 < len(heard) / rate < 10
    assert loudness([heard.astype(np.float32)], rate) == pytest.approx(LOUDNESS, abs=1)


@pytest.mark.parametrize(
    ("engine", "voice"),
    [("hibari", "nobody"), ("hibari", "Custom"), ("nobody", "heart"), ("unreachable", "alto"), ("espeak", "../ko")],
)
def test_what_is_no_local_voice_has_no_sample(studio: Studio, engine: str, voice: str) -> None:
    with pytest.raises(NotFound, match="/api/voices"):
        VoiceSamples(studio).of(engine, voice)


def test_addresses_of_samples_are_escaped() -> None:
    assert sample_url("espeak", "en/us x") == "/assets/voices/espeak/en%2Fus%20x.wav"


def test_rest_lists_voices_and_plays_their_samples(server: Server) -> None:
    voices = server.get("/api/voices").json()["voices"]
    heart = next(one for one in voices if one["id"] == "heart")
    assert heart == {
        "engine": "hibari",
        "id": "heart",
        "name": "Heart",
        "language": "en-us",
        "gender": "female",
        "sample": "/assets/voices/hibari/heart.wav",
    }
    sample = server.get(heart["sample"])
    assert sample.status_code == 200 and sample.headers["content-type"] == "audio/wav" and sample.content[:4] == b"RIFF"
    unknown = server.get("/assets/voices/hibari/nobody.wav", headers={"Accept-Language": "en"})
    assert unknown.status_code == 404 and "GET /api/voices" in unknown.json()["error"]


@pytest.mark.parametrize(
    ("said", "heard", "language", "wrong"),
    [
        ("Hello, you there!", "hello you there", "en", 0),
        ("one two three", "one three", "en", 1),
        ("one two", "one two two three", "en", 2),
        ("안녕 하세요.", "안녕하시요", "ko", 1),
        ("네", "", "ko", 1),
    ],
)
def test_the_benchmark_counts_words_and_korean_letters(said: str, heard: str, language: str, wrong: int) -> None:
    assert _distance(_units(said, language), _units(heard, language)) == wrong
