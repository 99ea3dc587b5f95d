"""Texts that nobody would call texts: over REST and in sessions they are spoken, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.avatars.store import AvatarStore
from pipeline.live.pictures import Pictures
from pipeline.live.session import Session
from pipeline.live.session_events import Problem, SessionEvent, TurnEnded
from pipeline.live.turn import Voice
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.hibari import HibariEngine
from pipeline.tts.kokoro import KokoroEngine
from pipeline.tts.speech_engine import TTSEngine
from tests.fakes import FakeEngine
from tests.servers import Server, running, wait_for

pytestmark = pytest.mark.slow

SPOKEN = (
    "안녕 Hello, こんにちは 你好 Привет 3.5%",
    "שלום עולם",
    "abc مرحبا 123",
    "\u202etext from the right\u202c",
    "e\u0301" + "\u0301" * 50,
    "Donaudampfschifffahrtsgesellschaftskapitän" * 2,
    "가나다라" * 8,
    "x <speak>half open",
    "<speak><sub alias='five'>5</sub><break time='10ms'/></speak>",
    "[smile][nod] yes",
)
REFUSED = (
    "🙂👍🏽",
    "\u200b\u200d\ufeff",
    "[smile]",
    "...?!",
    "<speak>half open",
    "<speak><sub alias='a'>b</speak>",
    "<speak></speak>",
    "<speak/>",
    "<speak>a</speak> b",
)
REFUSALS = {"field_invalid", "nothing_to_say"}


@pytest.fixture(scope="module")
def voices(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with the voices that come with the program."""
    with running(["-m", "tests.real_voices", str(fake_packs)], tmp_path_factory.mktemp("voices")) as server:
        yield server


@pytest.mark.parametrize("text", [*SPOKEN, *REFUSED], ids=ascii)
def test_over_rest_they_are_spoken_or_refused(voices: Server, text: str) -> None:
    for engine in ("espeak", "hibari", "kokoro"):
        reply = voices.post("/api/v2/lipsync", {"text": text, "avatar": "solo", "tts_engine": engine, "tts_speed": 1.3})
        said = reply.json()
        if reply.status_code == 400:
            assert said["code"] in REFUSALS and said["error"]
            assert text in REFUSED or engine != "espeak"  # the others have few languages
        else:
            assert reply.status_code == 200 and said["audio_duration"] > 0.2 and text in SPOKEN
            assert voices.get(said["captions_url"]).text.startswith("WEBVTT")


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (EspeakEngine, REFUSED),
        (HibariEngine, REFUSED),
        (KokoroEngine, REFUSED[:4]),  # a session reads markup aloud: to a slow voice it is text like any other
    ],
)
def test_in_a_session_they_are_spoken_or_passed_over(
    fake_packs: Path, tmp_path: Path, make: Callable[[], TTSEngine], refused: tuple[str, ...]
) -> None:
    store, engine = AvatarStore(fake_packs), make()
    pictures = Pictures(store.load(store.find("solo", "720p")), FakeEngine(), tmp_path / "clip.yuv")
    voice = Voice(choose=lambda language: engine, name="Custom", language=None, espeak=EspeakEngine(), speed=1.3)
    events: list[SessionEvent] = []
    session = Session(pictures, voice, events.append)
    for number, text in enumerate((*SPOKEN, *refused)):
        session.say(text)
        session.flush()
        wait_for(lambda: session.advance() and not session.speaking, 120)
        ends = [event for event in events if isinstance(event, TurnEnded)]
        assert [end.turn for end in ends] == list(range(1, number + 2))  # whatever it was, the session goes on
        problems = [event for event in events if isinstance(event, Problem)]
        assert {problem.code for problem in problems} <= REFUSALS, text
    session.close()
