"""Sessions whose process is lost: what another one is told to say, and the stream that comes of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Hashable
from contextlib import ExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.avatars.store import AvatarStore
from pipeline.live import workers as live_workers
from pipeline.live.pipe_messages import Kind, Packed, of_json, of_sound, sound_in
from pipeline.live.processes import Link, ThisMachine
from pipeline.live.session_events import Closed, Interrupted, Problem, SessionEvent, TurnEnded, TurnStarted, Word
from pipeline.live.session_request import SessionRequest
from pipeline.live.sound_packets import PACKET, SoundPackets
from pipeline.live.unsaid import Unsaid, rest_of
from pipeline.live.workers import RemoteSession, Workers
from pipeline.settings import Settings
from pipeline.video.writer import AUDIO_RATE
from tests.fakes import FPS

ID = "0" * 32
SSML = '<speak>Hello <emphasis level="strong">big world</emphasis>, <prosody rate="slow">how are you</prosody>?</speak>'


@pytest.mark.parametrize(
    ("text", "said", "left"),
    [
        ("One two. Three four.", [], "One two. Three four."),
        ("One two. Three four.", ["One ", "two. "], "Three four."),
        ("One two. Three four.", ["One ", "two. ", "Three ", "four."], ""),
        ("안녕하세요, 여러분. 반갑습니다!", ["안녕하세요, ", "여러분. "], "반갑습니다!"),
        ("the cat and the dog and the bird", ["the ", "cat ", "and ", "the "], "dog and the bird"),
        ("[smile] Good **morning** to you. [nod] And you?", ["Good ", "morning ", "to ", "you. "], "[nod] And you?"),
        ("Read https://example.com/a now", ["Read "], "https://example.com/a now"),
        ("It costs 5 € (or 6 $) there", ["It ", "costs "], "5 € (or 6 $) there"),
        (SSML, ["Hello "], SSML.replace("Hello", "")),
        (SSML, ["Hello ", "big "], SSML.replace("Hello ", "").replace("big", "")),
        (SSML, ["Hello ", "big ", "world, ", "how "], '<speak><prosody rate="slow"> are you</prosody>?</speak>'),
        ('<speak><sub alias="World Wide Web">WWW</sub> is here</speak>', ["WWW "], "<speak> is here</speak>"),
    ],
)
def test_what_is_left_of_a_text_follows_the_words_that_were_said(text: str, said: list[str], left: str) -> None:
    assert rest_of(text, said) == left


def do(what: str, **arguments: object) -> Packed:
    return of_json(Kind.DO, ID, {"do": what, **arguments})


def say(text: str, tag: str | None = None) -> Packed:
    return do("say", text=text, tag=tag)


def words(turn: int, *texts: str, begin: float = 0.0) -> list[SessionEvent]:
    """Return words of half a second each."""
    return [Word(turn, text, begin + n / 2, begin + n / 2 + 0.5) for n, text in enumerate(texts)]


def follow(*steps: Packed | SessionEvent, time: float = 0.0) -> tuple[Unsaid, list[SessionEvent]]:
    """Return what is left after commands and events, and all events as a client gets them."""
    unsaid, told = Unsaid(), list[SessionEvent]()
    for step in steps:
        if isinstance(step, Packed):
            told += unsaid.note(step, time)
        elif (event := unsaid.take(step)) is not None:
            told.append(event)
    return unsaid, told


def asked_of(unsaid: Unsaid) -> list[Any]:
    return [one.json() if one.kind is Kind.DO else sound_in(one) for one in unsaid.commands(ID)]


def test_a_turn_that_was_cut_off_goes_on_after_the_last_whole_word() -> None:
    turn = (TurnStarted(1, 0.0, "a"), *words(1, "One ", "two ", "three "))
    unsaid, _ = follow(say("One two ", "a"), say("three four", "a"), do("flush"), say("five"), *turn)
    assert unsaid.lost(1.2, 0.0) == []
    assert asked_of(unsaid) == [
        {"do": "say", "text": "three four", "tag": "a"},
        {"do": "flush"},
        {"do": "say", "text": "five", "tag": None},
    ]
    assert unsaid.turns == 0  # so that the next process calls it the first turn, too
    assert unsaid.take(TurnStarted(1, 1.4, "a")) is None  # the client knows
    for word in words(1, "three ", "four", begin=1.4):
        assert unsaid.take(word) is word
    assert unsaid.take(TurnEnded(1, 2.4, "three four", "a")) == TurnEnded(1, 2.4, "One two three four", "a")
    started = TurnStarted(2, 2.4)
    assert unsaid.take(started) is started and unsaid.turns == 1


def test_a_turn_that_was_said_but_not_ended_ends() -> None:
    unsaid, _ = follow(say("One two.", "a"), do("flush"), TurnStarted(1, 0.0, "a"), *words(1, "One ", "two."))
    assert unsaid.lost(1.0, 0.0) == [TurnEnded(1, 1.0, "One two.", "a")]
    assert asked_of(unsaid) == [] and unsaid.turns == 1


@pytest.mark.parametrize("more", [True, False])
def test_a_turn_whose_text_still_comes_keeps_its_number(more: bool) -> None:
    unsaid, _ = follow(say("One two. "), TurnStarted(1, 0.0), *words(1, "One ", "two. "))
    assert unsaid.lost(1.0, 0.0) == [] and asked_of(unsaid) == [] and unsaid.turns == 0
    if more:
        assert unsaid.note(say("Three."), 2.0) == [] and unsaid.take(TurnStarted(1, 2.0)) is None
        assert unsaid.take(TurnEnded(1, 3.0, "Three.")) == TurnEnded(1, 3.0, "One two. Three.")
    else:
        assert unsaid.note(do("flush"), 2.0) == [TurnEnded(1, 2.0, "One two. ")]
        assert unsaid.turns == 1


def test_an_interruption_of_which_no_event_came_is_told_and_nothing_is_said_again() -> None:
    unsaid, _ = follow(say("One two three", "a"), TurnStarted(1, 0.0, "a"), *words(1, "One ", "two "), do("interrupt"))
    assert unsaid.lost(0.7, 0.0) == [Interrupted(1, 0.7, "One two ", "a")]
    assert asked_of(unsaid) == [] and unsaid.turns == 1
    unsaid, told = follow(say("One"), do("interrupt"), Interrupted(None, 0.1, ""), say("two"))
    assert told == [Interrupted(None, 0.1, "")] and unsaid.lost(0.2, 0.0) == []
    assert [one["text"] for one in asked_of(unsaid)] == ["two"]


def test_an_interruption_of_a_turn_that_went_on_names_all_that_was_said() -> None:
    unsaid, _ = follow(say("One two three", "a"), TurnStarted(1, 0.0, "a"), *words(1, "One "))
    unsaid.lost(0.5, 0.0)
    unsaid.note(do("interrupt", at=None), 0.9)
    assert unsaid.take(Interrupted(None, 1.0, "")) == Interrupted(1, 1.0, "One ", "a")


def test_sound_that_was_not_spoken_is_pushed_once_more() -> None:
    sound = np.arange(32_000, dtype="<i2").tobytes()
    pieces = [of_sound(ID, sound[i : i + 6400], 16_000) for i in range(0, len(sound), 6400)]
    given = do("push_words", words=[["a ", 0.0, 0.4], ["b ", 1.5, 1.9]], language="en")
    unsaid, _ = follow(given, *pieces, TurnStarted(1, 0.0))
    assert unsaid.lost(1.0, 0.75) == []
    first, *rest = asked_of(unsaid)
    assert first["words"] == [["b ", pytest.approx(0.25), pytest.approx(0.65)]]
    assert b"".join(data for data, rate in rest if rate == 16_000) == sound[-24_000:]


@pytest.mark.parametrize("frames", [0, 3, 5, 137, 1000])
def test_sound_of_another_process_follows_without_a_gap(frames: int) -> None:
    samples = round(frames * AUDIO_RATE / 25)
    first, second = SoundPackets(), SoundPackets(samples)
    first.add(samples)
    assert second.count == first.count
    tone = np.sin(np.arange(8 * PACKET, dtype=np.float32) / 9)
    assert list(map(len, first.add(tone))) == list(map(len, second.add(tone))) and second.count == first.count


class Losing(ThisMachine):
    """A machine on which processes are lost as nodes are."""

    go_on = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, cores=1)
        self.links: list[Link] = []

    async def start(self, place: Hashable, module: str) -> Link:
        self.links.append(await super().start(place, module))
        return self.links[-1]


@asynccontextmanager
async def opened(packs: Path, folder: Path) -> AsyncIterator[tuple[Losing, RemoteSession]]:
    machines = Losing(Settings(results=folder, precomputed=packs))
    workers = Workers(machines._settings, "tests.fake_worker", machines=machines)
    store = AvatarStore(packs)
    pack = store.find("solo", "720p")
    request = SessionRequest(pack=pack, avatar=store.load(pack), engine="fake", tts_engine="fake", tts_voice="Custom")
    try:
        yield machines, await workers.open(request)
    finally:
        await workers.close()


@pytest.mark.slow
def test_one_process_without_a_session_stays_for_whoever_comes_next(
    fake_packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_workers, "IDLE_SECONDS", 0.0)
    settings = Settings(results=tmp_path, precomputed=fake_packs)
    store = AvatarStore(fake_packs)
    pack = store.find("solo", "720p")
    request = SessionRequest(pack=pack, avatar=store.load(pack), engine="fake", tts_engine="fake", tts_voice="Custom")

    async def run() -> None:
        workers = Workers(settings, "tests.fake_worker", machines=ThisMachine(settings, cores=2))
        async with asyncio.timeout(100):
            sessions = [await workers.open(request) for _ in range(2)]
            both = [*workers._processes]
            assert len(both) == 2
            for session in sessions:
                workers.delete(session, "deleted")
            while len(workers._processes) == 2:
                await asyncio.sleep(0.1)
            (left,) = workers._processes
            await asyncio.sleep(2.5)  # in which it is looked at twice
            assert workers._processes == [left]
            again = await workers.open(request)
            assert workers._processes == [left]
            workers.forget(["solo_720p"])
            await asyncio.sleep(1.5)
            assert workers._processes == [left], "it has a session"
            workers.delete(again, "deleted")
            while left.sessions:
                await asyncio.sleep(0.1)
            workers.forget(["solo_720p"])
            for process in both:
                await process.link.wait()
            assert not workers._processes
            await workers.close()

    asyncio.run(run())


@pytest.mark.slow
def test_a_session_goes_on_in_another_process(fake_packs: Path, tmp_path: Path) -> None:
    """The stream is one without a gap, and each word is said once, or once more if the stream ended before it did."""
    text = "one two three four five six seven eight nine ten. "
    stream, told = io.BytesIO(), list[SessionEvent]()

    async def run() -> RemoteSession:
        watching = ExitStack()
        async with asyncio.timeout(100), opened(fake_packs, tmp_path) as (machines, session):
            session.on_fragment = stream.write
            watching.enter_context(session.present())
            session.listeners.append(told.append)
            session.say(text, "count")
            while not any(isinstance(event, Word) and "four" in event.text for event in told):
                await asyncio.sleep(0.02)
            machines.links[0].kill()
            while session.lost == 0:
                await asyncio.sleep(0.02)
            session.say("eleven.", "count")  # while there is no process
            session.flush()
            while not any(isinstance(event, TurnEnded) for event in told):
                await asyncio.sleep(0.02)
            assert len(machines.links) == 2
            return session

    session = asyncio.run(run())
    assert [type(event) for event in told if not isinstance(event, Word)] == [TurnStarted, TurnEnded, Closed]
    [ended] = [event for event in told if isinstance(event, TurnEnded)]
    assert ended.said.split() == [*text.split(), "eleven."] and ended.tag == "count"
    heard = [event for event in told if isinstance(event, Word)]
    assert 11 <= len(heard) <= 13 and all(a.stream < b.stream for a, b in pairwise(heard))
    stream.seek(0)
    with av.open(stream, "r") as container:
        times = [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.pts is not None]
    assert times == pytest.approx(np.arange(round(session.time * FPS)) / FPS)
    stream.seek(0)
    with av.open(stream, "r") as container:
        packets = [packet.pts for packet in container.demux(audio=0) if packet.pts is not None]
    assert set(np.diff(packets)) == {PACKET}


@pytest.mark.slow
def test_a_session_that_ends_its_processes_fails(fake_packs: Path, tmp_path: Path) -> None:
    told: list[SessionEvent] = []

    async def run() -> None:
        async with asyncio.timeout(100), opened(fake_packs, tmp_path) as (machines, session):
            session.listeners.append(told.append)
            while session.closed is None:
                machines.links[-1].kill()
                await asyncio.sleep(0.02)

    asyncio.run(run())
    assert [type(event) for event in told] == [Problem, Closed]
