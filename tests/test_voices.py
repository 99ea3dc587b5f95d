"""The list of voices, their samples, and the choice on the page."""

from __future__ import annotations

import io
import threading
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.voices import _distance, _units
from pipeline import messages
from pipeline.avatars.store import AvatarStore
from pipeline.errors import NotFound, Unavailable
from pipeline.jobs.request import default_engine, parse
from pipeline.jobs.studio import Studio, make_studio, warm_up
from pipeline.jobs.voices import VoiceSamples, sample_url, voices_of
from pipeline.live.session_parser import parse_session
from pipeline.settings import Settings
from pipeline.speech_types import Voice
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.finish import LOUDNESS, loudness
from pipeline.tts.hibari import HibariEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from tests.fakes import FakeEngine, FakeTTS, make_pack
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
        rate, spoken = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert 1.5 < len(spoken) / rate < 10
    assert loudness([spoken.astype(np.float32)], rate) == pytest.approx(LOUDNESS, abs=1)


@pytest.mark.parametrize(
    ("engine", "voice"),
    [("hibari", "nobody"), ("hibari", "Custom"), ("nobody", "heart"), ("unreachable", "alto"), ("espeak", "../ko")],
)
def test_what_is_no_local_voice_has_no_sample(studio: Studio, engine: str, voice: str) -> None:
    with pytest.raises(NotFound, match="/api/voices"):
        VoiceSamples(studio).of(engine, voice)


def test_addresses_of_samples_are_escaped() -> None:
    assert sample_url("espeak", "en/us x") == "/assets/voices/espeak/en%2Fus%20x.wav"


@pytest.mark.slow
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
    ("text", "transcript", "language", "wrong"),
    [
        ("Hello, you there!", "hello you there", "en", 0),
        ("one two three", "one three", "en", 1),
        ("one two", "one two two three", "en", 2),
        ("안녕 하세요.", "안녕하시요", "ko", 1),
        ("네", "", "ko", 1),
        ("2024년 3월, CEO가", "이천이십사 년 삼월 씨이오가.", "ko", 0),
        ("3시 30분", "세 시 이십 분", "ko", 1),
    ],
)
def test_the_benchmark_counts_words_and_korean_letters(text: str, transcript: str, language: str, wrong: int) -> None:
    assert _distance(_units(text, language), _units(transcript, language)) == wrong


class Person(FakeTTS):
    """Speaks some languages with some voices; `pace` and `least_pace` as measured."""

    def __init__(self, name: str, languages: str, *genders: str, pace: float | None = None, least: float = 0.0) -> None:
        self.name = name
        self._languages = languages.split()
        self._genders = genders
        self.pace = pace
        self.least_pace = least

    def voices(self) -> list[Voice]:
        return [Voice(f"{self.name}_{gender}", gender, gender=gender) for gender in self._genders]

    def speaks(self, language: str) -> bool:
        return not self._languages or language in self._languages


def choose(studio: Studio, language: str, gender: str, pace: float | None, named: str = "auto") -> tuple[str, str, str]:
    """Return engine, voice and note where `kokoro` has a measured pace."""
    kokoro = Person("kokoro", "ko en-us", "female", "male", pace=pace, least=1.5)
    engines: list[FakeTTS] = [Person("hibari", "en-us", "female"), kokoro, Person("espeak", "")]
    tts: dict[str, TTSEngine] = {engine.name: engine for engine in engines}
    asked = replace(studio, tts=tts, settings=replace(studio.settings, tts_engine=named))
    engine, note = default_engine(asked, language, gender)
    return engine.name, engine.voice_for(gender), "" if note is None else note.en


@pytest.mark.parametrize(
    ("language", "gender", "pace", "named", "chosen", "note"),
    [
        ("ko", "female", 2.0, "auto", "kokoro kokoro_female", ""),
        ("ko", "male", 2.0, "auto", "kokoro kokoro_male", ""),
        ("ko", "", 2.0, "auto", "kokoro Custom", ""),
        ("ko", "male", 1.4, "auto", "espeak Custom", "too slow"),
        ("ko", "male", None, "auto", "espeak Custom", "not measured"),
        ("ko", "male", None, "kokoro", "kokoro kokoro_male", ""),
        ("en-us", "female", 2.0, "auto", "hibari hibari_female", ""),
        ("en-us", "", 2.0, "auto", "hibari Custom", ""),
        ("en-us", "male", 2.0, "auto", "kokoro kokoro_male", ""),
        ("en-us", "male", 1.4, "auto", "hibari Custom", ""),  # and no complaint
        ("en-us", "male", None, "auto", "hibari Custom", ""),
        ("en-us", "male", 2.0, "hibari", "hibari Custom", ""),
        ("fr", "male", 2.0, "auto", "espeak Custom", ""),
    ],
)
def test_the_voice_suits_the_person_where_it_keeps_up(  # noqa: PLR0913 - the rows of a table
    studio: Studio, language: str, gender: str, pace: float | None, named: str, chosen: str, note: str
) -> None:
    engine, voice, message = choose(studio, language, gender, pace, named)
    assert f"{engine} {voice}" == chosen
    assert note in message if note else not message


def test_a_request_gets_the_voice_of_its_avatar(studio: Studio, tmp_path: Path) -> None:
    make_pack(tmp_path, "her", "480p", gender="female")
    two = Person("two", "", "female", "male")
    asked = replace(studio, avatars=AvatarStore(tmp_path), tts={"two": two})
    body = {"text": "Hello.", "avatar": "her", "resolution": "480p", "engine": "fake"}
    assert parse(body, asked).tts_voice == "two_female"
    assert parse({**body, "tts_engine": "two"}, asked).tts_voice == "two_female"
    assert parse({**body, "tts_voice": "alto"}, asked).tts_voice == "alto"


def test_the_server_measures_voices_though_no_avatar_can_be_loaded(studio: Studio, tmp_path: Path) -> None:
    class Measured(Person):
        def warm_up(self) -> None:
            self.pace = 1.6

    voice = Measured("kokoro", "ko", least=1.5)
    broken = tmp_path / "480p" / "x_480p_precomputed.pkl"
    broken.parent.mkdir()
    broken.write_bytes(b"nothing")
    for store in (AvatarStore(tmp_path), AvatarStore(tmp_path / "none")):
        voice.pace = None
        warm_up(replace(studio, avatars=store, tts={"kokoro": voice}))
        assert voice.pace == 1.6 and voice.slowness() is None


@pytest.mark.parametrize(("paces", "measured"), [((0.4, 1.6), 2), ((0.4, 0.5), 2), ((1.6, 9.9), 1)])
def test_a_machine_that_was_busy_at_the_start_is_measured_once_more(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paces: tuple[float, ...], measured: int
) -> None:
    given = iter(paces)

    class Measured(Person):
        def warm_up(self) -> None:
            self.pace = next(given)

    monkeypatch.setattr("pipeline.jobs.studio.MEASURED_AGAIN", 0.0)
    voice = Measured("kokoro", "ko", least=1.5)
    warm_up(replace(studio, avatars=AvatarStore(tmp_path), tts={"kokoro": voice}), threading.Event())
    assert voice.pace == paces[measured - 1]


@pytest.mark.slow
def test_a_live_session_may_choose_any_voice_before_its_language_is_known() -> None:
    studio = make_studio(Settings())
    ready = [name for name, engine in studio.tts.items() if engine.available()]
    assert "espeak" in ready
    for name in ("auto", *ready):
        asked = parse_session({"avatar": "talk_short", "resolution": "360p", "tts_engine": name}, studio)
        assert asked.tts_engine == ("" if name == "auto" else name)


@pytest.mark.parametrize("gender", ["", "female", "male"])
def test_an_avatar_never_speaks_with_the_voice_of_another_language(gender: str) -> None:
    assert EspeakEngine().voice_for(gender) == CUSTOM_VOICE
