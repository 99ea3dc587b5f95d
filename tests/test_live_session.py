"""A live session without a server: turns, interruptions, pushed sound, and the stream that comes of them."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
import soxr

from pipeline.avatars.framing import at_rate
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.core.priority import AWAITED, NOT_URGENT, give_way
from pipeline.engines.lipsync_engine import LiveFrames
from pipeline.errors import BadRequest
from pipeline.jobs.look import Look
from pipeline.live.clock import Clock, Load
from pipeline.live.fragments import Fragment, length_prefixed
from pipeline.live.pictures import Pictures
from pipeline.live.pipe_messages import Kind, Packed, fragment_in, of_fragment, of_json, of_sound, read, sound_in
from pipeline.live.sentences import Sentences
from pipeline.live.session import Next, Session
from pipeline.live.session_events import (
    Closed,
    Interrupted,
    Listening,
    Problem,
    SessionEvent,
    TurnEnded,
    TurnStarted,
    Word,
    packed,
    unpacked,
)
from pipeline.live.session_parser import parse_session
from pipeline.live.session_request import SessionRequest
from pipeline.live.sound_packets import PACKET, SoundPackets
from pipeline.live.turn import SpokenTurn, Voice
from pipeline.live.voice_input import VoiceTurn, pcm, phonemes_within
from pipeline.live.worker import Worker
from pipeline.live.workers import RemoteSession, _Process
from pipeline.settings import Settings
from pipeline.speech.articulate import articulate
from pipeline.speech.expression import resting
from pipeline.speech.expression_track import UNITS as FACE
from pipeline.speech.expression_track import ExpressionOptions
from pipeline.speech.listen import listen
from pipeline.speech.renderings import Renderings
from pipeline.speech.spoken_words import words_of
from pipeline.speech_types import Mark, Speech
from pipeline.text import pronunciations
from pipeline.tts.elevenlabs import ElevenLabsEngine
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.speech_engine import TTSEngine
from pipeline.video.crop import Box
from pipeline.video.writer import AUDIO_RATE
from tests.fakes import CLIP_FRAMES, FPS, FakeEngine, FakeTTS, make_fake_studio
from tests.servers import wait_for
from tests.stub_elevenlabs import KEY, ElevenLabsStub


class Watched(Pictures):
    """Pictures that note which mouths they draw."""

    def __init__(self, root: Path, packs: Path) -> None:
        store = AvatarStore(packs)
        super().__init__(store.load(store.find("solo", "720p")), FakeEngine(), root / "clip.yuv")
        self.drawn: list[np.ndarray] = []

    def changes(self, frames: LiveFrames) -> bool:
        changes = super().changes(frames)
        if changes:
            self.drawn.append(frames.mouth[frames.lead :])
        return changes


class Stage:
    """A session, and all that came of it."""

    def __init__(self, pictures: Watched) -> None:
        self.pictures = pictures
        self.events: list[SessionEvent] = []
        self.voice = Voice(choose=lambda language: FakeTTS(), name="Custom", language="en-us", espeak=EspeakEngine())
        self.session = Session(pictures, self.voice, self.events.append, max_text=500)
        self.stream = io.BytesIO(self.session.header)
        self.stream.seek(0, io.SEEK_END)
        pictures.idle(0)
        pictures.drawn.clear()

    def run(self, seconds: float) -> None:
        until = self.session.time + seconds
        while self.session.time < until - 1e-9:
            self.stream.write(self.session.advance().data)

    def run_until(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if done():
                return
            self.run(0.2)
            time.sleep(0.002)
        raise AssertionError("this did not happen")

    def of(self, kind: type) -> list[SessionEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def spoken(self) -> bool:
        """Whether all that was given is ready to be said."""
        return all(one.turn._spoken for one in self.session._queue)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def pictures(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("live"), fake_packs)


@pytest.fixture
def stage(pictures: Watched) -> Iterator[Stage]:
    stage = Stage(pictures)
    yield stage
    stage.session.close()


def decoded(stream: io.BytesIO) -> tuple[list[float], np.ndarray]:
    """Return the times of the pictures and the sound of a stream."""
    stream.seek(0)
    with av.open(stream, "r") as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    stream.seek(0)
    with av.open(stream, "r") as container:
        sound = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return times, np.concatenate(sound)


def test_the_stream_goes_on_through_speech_interruption_and_rest(stage: Stage) -> None:
    stage.run(0.6)
    stage.session.say("one two three four five six. ")
    stage.session.flush()
    wait_for(stage.spoken)
    stage.run(1.2)
    stage.session.interrupt()
    stage.run(1.0)
    stage.session.say("seven eight.")
    stage.session.flush()
    wait_for(stage.spoken)
    stage.run(2.2)
    times, sound = decoded(stage.stream)
    assert times == pytest.approx(np.arange(round(stage.session.time * FPS)) / FPS)
    assert abs(len(sound) / AUDIO_RATE - stage.session.time) < 0.07  # the encoder's own delay
    loud = np.abs(sound) > 0.05
    assert not loud[: round(0.65 * AUDIO_RATE)].any() and loud[round(0.8 * AUDIO_RATE) : round(1.7 * AUDIO_RATE)].any()
    cut = stage.of(Interrupted)[0]
    assert isinstance(cut, Interrupted) and cut.stream == pytest.approx(1.82)
    assert not loud[round((cut.stream + 0.05) * AUDIO_RATE) : round(2.75 * AUDIO_RATE)].any()
    assert [type(event) for event in stage.events if not isinstance(event, Word)] == [
        TurnStarted,
        Interrupted,
        TurnStarted,
        TurnEnded,
    ]


def test_sound_and_picture_stay_together_whatever_the_frame_rate(stage: Stage) -> None:
    stage.run(30)
    times, sound = decoded(stage.stream)
    assert times[-1] == pytest.approx(30 - 1 / FPS) and 0 <= 30 - len(sound) / AUDIO_RATE < 0.07


@pytest.mark.parametrize("words", [1, 4, 9])
def test_interrupting_tells_what_was_said_and_drops_the_rest(stage: Stage, words: int) -> None:
    text = "a b c d e f g h i j k l."
    stage.session.say(text)
    stage.session.flush()
    wait_for(stage.spoken)
    stage.run_until(lambda: len(stage.of(Word)) >= words)
    spoken = "".join(event.text for event in stage.events if isinstance(event, Word))
    stage.session.interrupt()
    stage.run(2)
    (cut,) = stage.of(Interrupted)
    assert isinstance(cut, Interrupted) and cut.said == spoken and text.startswith(spoken.strip())
    assert len(spoken.split()) == words and not stage.of(TurnEnded) and not stage.session.speaking


def test_what_a_listener_did_not_reach_was_not_said(stage: Stage) -> None:
    stage.session.say("a b c d e f.")
    stage.session.flush()
    wait_for(stage.spoken)
    stage.run_until(lambda: len(stage.of(Word)) >= 4)
    second = stage.of(Word)[1]
    assert isinstance(second, Word)
    stage.session.interrupt(at=second.stream + 0.1)
    stage.run(0.2)
    (cut,) = stage.of(Interrupted)
    assert isinstance(cut, Interrupted) and cut.said == "a b "


def test_an_interrupted_mouth_comes_to_rest_without_a_jump(stage: Stage) -> None:
    stage.session.say("a b c d e f g h.")
    stage.session.flush()
    wait_for(stage.spoken)
    stage.run(1.4)
    stage.session.interrupt()
    stage.run(1.0)
    rows = np.concatenate(stage.pictures.drawn)
    steps = np.abs(np.diff(rows, axis=0)).max(axis=1)
    uncut = Stage(stage.pictures)
    uncut.session.say("a b c d e f g h.")
    uncut.session.flush()
    wait_for(uncut.spoken)
    uncut.run_until(lambda: bool(uncut.of(TurnEnded)))
    ordinary = np.abs(np.diff(np.concatenate(uncut.pictures.drawn), axis=0)).max()
    assert rows[-1].max() == 0 and rows.max() > 0.2
    assert steps.max() <= ordinary + 1e-6
    resting = next(number for number in range(len(rows)) if not rows[number:].any())
    assert 33 <= resting <= 40  # four frames after the 35th, in which it was cut


def test_interrupting_silence_is_told_as_such(stage: Stage) -> None:
    stage.session.interrupt()
    stage.run(0.4)
    assert stage.events == [Interrupted(None, 0.0, "")]


def test_a_new_turn_begins_after_an_interruption(stage: Stage) -> None:
    for text in ("a b c d e f.", "g h."):
        stage.session.say(text)
        stage.session.flush()
    wait_for(stage.spoken)
    stage.run(1)
    stage.session.interrupt()
    stage.session.say("new words.")
    stage.session.flush()
    stage.run_until(lambda: bool(stage.of(TurnEnded)))
    ended = stage.of(TurnEnded)[0]
    assert isinstance(ended, TurnEnded) and ended.said.split() == ["new", "words."] and ended.turn == 3


def test_pieces_are_spoken_as_soon_as_a_sentence_is_complete(stage: Stage) -> None:
    for piece in ("one ", "two. ", "thr"):
        stage.session.say(piece)
    stage.run_until(lambda: len(stage.of(Word)) == 2)
    stage.run(1)
    assert [event.text.strip() for event in stage.events if isinstance(event, Word)] == ["one", "two."]
    stage.session.say("ee four")
    stage.session.flush()
    stage.run_until(lambda: bool(stage.of(TurnEnded)))
    ended = stage.of(TurnEnded)[0]
    assert isinstance(ended, TurnEnded) and ended.said.split() == ["one", "two.", "three", "four"]
    assert len(stage.of(TurnStarted)) == 1


def test_texts_with_different_tags_are_turns_of_their_own(stage: Stage) -> None:
    stage.session.say("one ", tag="first")
    stage.session.say("two.", tag="first")
    stage.session.say("three.", tag="second")
    stage.session.say("four.")
    stage.session.flush()
    stage.run_until(lambda: len(stage.of(TurnEnded)) == 3)
    ended = [(one.tag, one.said.split()) for one in stage.events if isinstance(one, TurnEnded)]
    assert ended == [("first", ["one", "two."]), ("second", ["three."]), (None, ["four."])]
    assert [one.tag for one in stage.events if isinstance(one, TurnStarted)] == ["first", "second", None]


def test_words_come_in_order_within_their_turn(stage: Stage) -> None:
    stage.session.say("one two. three four. five.")
    stage.session.flush()
    stage.run_until(lambda: bool(stage.of(TurnEnded)))
    words = [event for event in stage.events if isinstance(event, Word)]
    assert all(one.stream < other.stream for one, other in pairwise(words)) and len(words) == 5
    started, ended = stage.of(TurnStarted)[0], stage.of(TurnEnded)[0]
    assert isinstance(started, TurnStarted) and isinstance(ended, TurnEnded)
    assert started.stream <= words[0].stream < words[-1].end <= ended.stream + 1e-6
    assert "".join(word.text for word in words) == ended.said


@pytest.mark.parametrize("text", ["busy", "dropped", "crash", "one. busy now. two."])
def test_a_voice_that_fails_ends_its_turn_and_no_more(stage: Stage, text: str) -> None:
    stage.session.say(text)
    stage.session.flush()
    stage.run_until(lambda: bool(stage.of(TurnEnded)))
    (problem,) = stage.of(Problem)
    assert isinstance(problem, Problem) and problem.ko and problem.en and "secret" not in problem.en
    stage.session.say("all is well.")
    stage.session.flush()
    stage.run_until(lambda: len(stage.of(TurnEnded)) == 2)
    last = stage.of(TurnEnded)[1]
    assert isinstance(last, TurnEnded) and last.said.split() == ["all", "is", "well."]


# --- a service that takes sentences while they arrive


@pytest.fixture(scope="module")
def service() -> Iterator[ElevenLabsStub]:
    with ElevenLabsStub() as stub:
        yield stub


@pytest.fixture
def remote(pictures: Watched, service: ElevenLabsStub) -> Iterator[Stage]:
    """A session whose voice is that of the service."""
    service.mode, service.connected = "ok", 0
    service.sent.clear()
    settings = Settings(elevenlabs_api_key=KEY, elevenlabs_base_url=service.url, elevenlabs_timeout=1.0)
    speaker = ElevenLabsEngine(settings)
    stage = Stage(pictures)
    stage.session._voice = replace(stage.voice, choose=lambda language: speaker)
    yield stage
    stage.session.close()


def test_text_of_a_language_model_is_spoken_over_one_socket_while_it_arrives(
    remote: Stage, service: ElevenLabsStub
) -> None:
    for piece in ("Good mor", "ning. ", "**Please", "**"):
        remote.session.say(piece)
    remote.run_until(lambda: len(remote.of(Word)) == 2)  # while the second sentence is not complete
    remote.session.say(" sit down.")
    remote.run_until(lambda: len(remote.of(Word)) == 5)  # no piece follows: the sentence must be over
    remote.session.flush()
    remote.run_until(lambda: bool(remote.of(TurnEnded)))
    ended = remote.of(TurnEnded)[0]
    assert isinstance(ended, TurnEnded) and ended.said == "Good morning. Please sit down."
    assert service.connected == 1
    assert [message["text"] for message in service.sent] == [" ", "Good morning. ", "Please sit down. ", ""]
    wait_for(lambda: not service.open)


@pytest.mark.parametrize("mode", ["ok", "hang", "stall"])
def test_interrupting_closes_the_socket_of_the_voice(remote: Stage, service: ElevenLabsStub, mode: str) -> None:
    service.mode = mode
    remote.session.say("Good morning to everybody. ")
    wait_for(lambda: len(service.sent) == 2)
    remote.session.interrupt()
    wait_for(lambda: not service.open)
    service.mode = "ok"
    remote.session.say("Once more.")
    remote.session.flush()
    remote.run_until(lambda: bool(remote.of(TurnEnded)))
    ended = remote.of(TurnEnded)[0]
    assert isinstance(ended, TurnEnded) and ended.said == "Once more." and not remote.of(Problem)


@pytest.mark.parametrize(
    ("mode", "words"),
    [("401", "ELEVENLABS_API_KEY"), ("quota", "50 of 10,000"), ("drop", "broke off"), ("garbage", "cannot be read")],
)
def test_a_socket_that_fails_ends_its_turn_and_no_more(
    remote: Stage, service: ElevenLabsStub, mode: str, words: str
) -> None:
    service.mode = mode
    remote.session.say("Good morning to everybody. And ")  # the turn is open: more is awaited
    remote.run_until(lambda: bool(remote.of(TurnEnded)))
    (problem,) = remote.of(Problem)
    assert isinstance(problem, Problem) and words in problem.en
    wait_for(lambda: not service.open)
    service.mode = "ok"
    remote.session.say("All is well.")
    remote.session.flush()
    remote.run_until(lambda: len(remote.of(TurnEnded)) == 2)
    last = remote.of(TurnEnded)[1]
    assert isinstance(last, TurnEnded) and last.said == "All is well."


def test_a_turn_that_fails_leaves_no_thread_behind(remote: Stage, service: ElevenLabsStub) -> None:
    service.mode = "401"
    before = {thread.ident for thread in threading.enumerate()}
    remote.session.say("Good morning. And ")
    remote.run_until(lambda: bool(remote.of(TurnEnded)))

    def left() -> list[str]:
        names = ("turn", "pushed", "asyncio")
        threads = [thread for thread in threading.enumerate() if thread.ident not in before]
        return [thread.name for thread in threads if thread.name.startswith(names)]

    wait_for(lambda: not left())


@pytest.mark.parametrize("text", ["...", "  ", "🙂", "\n\n"])
def test_a_text_without_a_sound_is_a_turn_without_one(stage: Stage, text: str) -> None:
    stage.session.say(text)
    stage.session.flush()
    stage.run_until(lambda: bool(stage.of(TurnEnded)))
    assert not stage.of(Problem) and not stage.pictures.drawn


def test_too_much_text_is_refused_and_what_waits_is_kept(stage: Stage) -> None:
    stage.session.say("one " * 100)
    with pytest.raises(BadRequest):
        stage.session.say("two " * 100)
    stage.session.flush()
    stage.run_until(lambda: bool(stage.of(TurnStarted)))


def test_a_session_that_is_closed_tells_so_once(stage: Stage) -> None:
    stage.session.say("one two three")
    stage.session.close("time_limit")
    stage.session.close()
    stage.run(0.4)
    assert stage.events == [Closed("time_limit")]


# --- pushed sound


def sound(seconds: float, rate: int, pitch: float = 200) -> bytes:
    """Return a tone that swells four times a second, about as speech does."""
    times = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * pitch * times) * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * times))
    return (wave * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
def test_pushed_sound_comes_out_as_it_went_in(stage: Stage, rate: int) -> None:
    stage.session.push_audio(sound(1.5, rate), rate)
    stage.session.flush()
    stage.run(2.4)
    _, output = decoded(stage.stream)
    loud = np.flatnonzero(np.abs(output) > 0.02) / AUDIO_RATE
    assert loud[0] < 0.05 and 1.4 < loud[-1] < 1.55
    given = np.frombuffer(sound(1.5, rate), "<i2") / 32768
    power, expected = np.sqrt(np.mean(output[:60000] ** 2)), np.sqrt(np.mean(given[: round(1.25 * rate)] ** 2))
    assert power == pytest.approx(expected, rel=0.1)
    assert [type(event) for event in stage.events] == [TurnStarted, TurnEnded]


@pytest.mark.parametrize("phase", range(10))
def test_sound_that_arrives_in_real_time_is_drawn_a_quarter_of_a_second_later(phase: int) -> None:
    """Whenever it begins: a session looks for sound every 0.2 s, and pieces of 20 ms come in between."""
    now = 0.0
    turn = VoiceTurn(1, fps=Fraction(FPS), rate=48000, now=lambda: now)
    sound = np.random.default_rng(1).uniform(0.1, 0.5, 96000).astype(np.float32)
    spoken, waits = 0, []
    for tick in range(90):
        now = tick * 0.02
        turn.add(sound[960 * tick : 960 * (tick + 1)])
        if tick % 10 == phase and turn.ready(5):
            taken = turn.take(5, 9600).sound
            begin = np.flatnonzero(taken)[0]
            assert (taken[begin:] > 0).all()  # no gap in what is spoken
            waits.append(now + 0.02 - spoken / 48000)  # since the first of it arrived
            spoken += len(taken) - begin
    assert len(waits) >= 8 and max(waits) <= 0.26 + 1e-6


def test_pushed_sound_that_stops_ends_the_turn(stage: Stage) -> None:
    stage.session.push_audio(sound(0.3, 16000), 16000)
    stage.run_until(lambda: bool(stage.of(TurnStarted)))
    until = time.monotonic() + 5
    while not stage.of(TurnEnded) and time.monotonic() < until:
        stage.run(0.2)
        time.sleep(0.05)
    assert stage.of(TurnEnded)


def test_pushed_sound_can_be_interrupted(stage: Stage) -> None:
    stage.session.push_audio(sound(4, 16000), 16000)
    stage.run(1)
    stage.session.interrupt()
    stage.run(1)
    (cut,) = stage.of(Interrupted)
    assert isinstance(cut, Interrupted) and cut.turn == 1
    _, output = decoded(stage.stream)
    assert not (np.abs(output[round((cut.stream + 0.05) * AUDIO_RATE) :]) > 0.02).any()


@pytest.mark.parametrize("text", ["아버지가 방에 들어가십니다. 오늘은 날씨가 좋습니다.", "My father is in the room."])
def test_sound_in_real_time_moves_the_mouth_as_sound_that_is_all_there(text: str) -> None:
    spoken = EspeakEngine().synthesize(text, "Custom", CancelToken())
    sound = soxr.resample(spoken.samples, spoken.rate, 16000)
    tracks = []
    for step in (3200, len(sound)):  # a session looks every 0.2 s
        turn = VoiceTurn(1, Fraction(FPS), 16000, now=lambda: 0.0)
        rows, given = [], 0
        while not turn.over:
            if given < len(sound):
                turn.add(sound[given : given + step])
                given += step
            else:
                turn.finish()
            while turn.ready(5):
                rows.append(turn.take(5, 9600).weights)
        tracks.append(np.concatenate(rows))
    # the first group begins with what of it is silent, so that the sound need not wait for the next one
    shift = next(number for number, row in enumerate(tracks[0]) if row.any()) - next(
        number for number, row in enumerate(tracks[1]) if row.any()
    )
    assert 0 <= shift < 5
    tracks[0] = tracks[0][shift:]
    live, known = (track[: min(map(len, tracks)), 0] for track in tracks)
    assert live.max() > 0.25 and np.corrcoef(live, known)[0, 1] > 0.85
    video = articulate(
        listen(sound, 16000), Speech(samples=sound, rate=16000, text="", language=""), len(tracks[1]), FPS
    ).weights
    ordinary = np.abs(np.diff(video, axis=0)).max()
    for track in tracks:  # a jump is several times as large; eSpeak NG sounds a little different every time
        assert np.abs(np.diff(track, axis=0, prepend=0)).max() < 1.5 * ordinary


@pytest.mark.parametrize(
    ("data", "rate"), [(b"\0", 16000), (b"\0" * 5, 48000), (b"\0\0", 0), (b"\0\0", 7999), (b"\0\0", 96001)]
)
def test_what_is_no_such_sound_is_refused(stage: Stage, data: bytes, rate: int) -> None:
    with pytest.raises(BadRequest):
        stage.session.push_audio(data, rate)
    stage.run(0.4)
    assert not stage.events


def test_pcm_is_little_endian() -> None:
    assert pcm(b"\x00\x40\x00\x80", 16000).tolist() == [0.5, -1.0]


def _spoken_words(text: str) -> tuple[Speech, list[Mark]]:
    """Return a sentence as eSpeak NG speaks it, at 16 kHz, and its words."""
    espeak = EspeakEngine()
    speech = espeak.synthesize(text, "Custom", CancelToken())
    words = words_of(speech, speech.marks, Renderings(espeak), CancelToken())
    samples = soxr.resample(speech.samples, speech.rate, 16000)
    return replace(speech, samples=samples, rate=16000), list(words)


@pytest.mark.parametrize("text", ["아버지가 방에 들어가십니다. 오늘은 날씨가 좋습니다.", "My father is in the room."])
def test_words_along_with_the_sound_move_the_mouth_as_their_phonemes_do(text: str) -> None:
    """The mouth is that of the phonemes, in noise, too, where the sound alone does not say as much."""
    speech, words = _spoken_words(text)
    noise = np.random.default_rng(2).normal(0, 0.5 * speech.samples.std(), len(speech.samples))
    noisy = (speech.samples + noise).astype(np.float32)
    frames = round(speech.duration * FPS)
    true = articulate(speech.marks, speech, frames, FPS).weights[:, 0]
    found = {}
    for known in (True, False):
        turn = VoiceTurn(1, Fraction(FPS), 16000, now=lambda: 0.0)
        rows: list[float] = []
        spoken: list[Mark] = []
        for given in range(0, len(noisy), 3200):
            now = [word for word in words if given <= word.start * 16000 < given + 3200]
            if known and now:
                turn.add_words(now)
                turn.add_phonemes(phonemes_within(now, speech.language, EspeakEngine()))
            turn.add(noisy[given : given + 3200])
            if turn.ready(5):
                taken = turn.take(5, 9600)
                spoken += [word.later(len(rows) / FPS) for word in taken.words]
                rows += list(taken.weights[:, 0])
        turn.finish()
        while turn.ready(5):
            rows += list(turn.take(5, 9600).weights[:, 0])
        found[known] = max(np.corrcoef(rows[lag : lag + frames - 6], true[: frames - 6])[0, 1] for lag in range(5))
        if known:
            assert [word.text for word in spoken] == [word.text for word in words][: len(spoken)]
            assert all(0 <= one.start - word.start < 0.21 for one, word in zip(spoken, words, strict=False))
    assert found[True] > 0.93 and found[True] > found[False]


def test_words_of_pushed_sound_become_events_and_what_was_said(stage: Stage) -> None:
    words = [
        Mark("word", text, 0.3 * number, 0.3 * number + 0.25) for number, text in enumerate(["one ", "two ", "six "])
    ]
    stage.session.push_words(words[:1], "en-us")  # before their sound, or after it began
    stage.session.push_audio(sound(1.0, 16000), 16000)
    stage.session.push_words(words[1:], "en-us")
    stage.session.flush()
    stage.run(2)
    times = [(event.text, round(event.stream, 2)) for event in stage.events if isinstance(event, Word)]
    assert times == [("one ", 0.0), ("two ", 0.3), ("six ", 0.6)]
    (ended,) = stage.of(TurnEnded)
    assert isinstance(ended, TurnEnded) and ended.said == "one two six "
    stage.session.push_words(words, "en-us")
    stage.session.push_audio(sound(1.0, 16000), 16000)
    stage.run(0.4)
    stage.session.interrupt()
    stage.run(0.4)
    (cut,) = stage.of(Interrupted)
    assert isinstance(cut, Interrupted) and cut.said == "one two "


# --- sentences


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["Hello", " there. How", " are you? Fine"], ["Hello there. ", "How are you? "]),
        (["안녕하세요. ", "반갑습니다! 오늘은"], ["안녕하세요. ", "반갑습니다! "]),
        (["It costs 3", ".", "50 dollars. Next"], ["It costs 3.50 dollars. "]),
        (["See example.", "com for more. Yes"], ["See example.com for more. "]),
        (["Dr. Kim and Mr. Lee met J. Park. They"], ["Dr. Kim and Mr. Lee met J. Park. "]),
        (["1. First\n2. Second\n"], ["1. First\n", "2. Second\n"]),
        (['He said "Stop!" Then'], ['He said "Stop!" ']),
        (["今日は。明日は！"], ["今日は。", "明日は！"]),
        (["Wait... what? Yes"], ["Wait... ", "what? "]),
        (["no end"], []),
    ],
)
def test_sentences(pieces: list[str], expected: list[str]) -> None:
    for split in (pieces, list("".join(pieces))):
        text = Sentences()
        found = [sentence for piece in split for sentence in text.add(piece)]
        assert [one.strip() for one in found if one.strip()] == [one.strip() for one in expected]
        assert "".join(found) + text.rest() == "".join(pieces)


def test_a_text_without_an_end_is_not_waited_for_for_ever() -> None:
    text = Sentences()
    found = text.add("word " * 100)
    assert found and all(len(one) <= 240 and one.endswith(" ") for one in found)


# --- the pieces of the stream


def test_silence_has_the_bytes_that_the_encoder_would_give_it() -> None:
    quick = SoundPackets()
    packets = quick.add(30 * PACKET)
    assert len(set(packets)) == 1 and quick.count == len(packets)
    with_sound = SoundPackets()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * PACKET).astype(np.float32)
    given = with_sound.add(10 * PACKET) + with_sound.add(noise) + with_sound.add(30 * PACKET)
    assert given[:8] == packets[:8] and given[-8:] == packets[:8] and len(set(given)) > 4


def test_length_prefixed() -> None:
    stream = b"\0\0\0\1\x09\xf0\0\0\1\x65abc\0\0\0\1\x41\0\0\3\1"
    assert length_prefixed(stream) == b"\0\0\0\2\x09\xf0\0\0\0\4\x65abc\0\0\0\5\x41\0\0\3\1"


def test_the_last_group_takes_what_is_left_so_that_the_clip_loops_without_a_jump(pictures: Watched) -> None:
    assert sum(pictures.lengths) == CLIP_FRAMES and pictures.clips == {"": range(len(pictures.lengths))}
    assert all(length >= 5 for length in pictures.lengths)


def test_events_survive_their_way_to_another_process() -> None:
    for event in (Word(1, "가 ", 1.5, 2.0), Interrupted(None, 1.0, ""), Problem("x", "가", "a"), Listening(2.0)):
        assert unpacked(packed(event)) == event


# --- the clock


def test_the_clock_keeps_every_stream_in_time(pictures: Watched) -> None:
    clock = Clock()
    got: dict[str, list[tuple[float, float]]] = {name: [] for name in "abc"}
    begun = time.monotonic()
    for name, seen in got.items():
        session = Session(pictures, Stage(pictures).voice, lambda event: None)

        def deliver(fragment: Fragment, seen: list[tuple[float, float]] = seen) -> None:
            seen.append((fragment.start, time.monotonic() - begun))

        clock.add(name, session, deliver, lambda: None)
    thread = threading.Thread(target=clock.run)
    thread.start()
    wait_for(lambda: all(len(seen) >= 6 for seen in got.values()))
    clock.remove("a")
    clock.stop()
    thread.join()
    for seen in got.values():
        starts = [start for start, _ in seen]
        assert starts == pytest.approx(np.arange(len(starts)) * 0.2)
        assert all(at >= start - 0.31 for start, at in seen), "none is ahead of its time"


def test_a_session_that_raises_is_removed_and_the_others_go_on(pictures: Watched) -> None:
    clock = Clock()
    bad = Session(pictures, Stage(pictures).voice, lambda event: None)

    def broken(may_cross: bool = True) -> Next:
        raise ZeroDivisionError

    bad.prepare = broken  # type: ignore[method-assign]
    good = Session(pictures, Stage(pictures).voice, lambda event: None)
    failed = threading.Event()
    seen: list[Fragment] = []
    clock.add("bad", bad, lambda fragment: None, failed.set)
    clock.add("good", good, seen.append, lambda: None)
    thread = threading.Thread(target=clock.run)
    thread.start()
    wait_for(lambda: failed.is_set() and len(seen) >= 3)
    clock.stop()
    thread.join()


def test_sessions_that_speak_at_once_do_not_all_go_over_into_another_clip_at_once(pictures: Watched) -> None:
    now = 0.0
    clock = Clock(lambda: now)
    asked: list[bool] = []

    def slow(session: Session, may_cross: bool) -> Next:
        nonlocal now
        now += 0.06
        asked.append(may_cross)
        if len(asked) == 5:
            clock.stop()
        return Session.prepare(session, may_cross)

    for name in "abcde":
        session = Session(pictures, Stage(pictures).voice, lambda event: None)
        session.prepare = partial(slow, session)  # type: ignore[method-assign]
        clock.add(name, session, lambda fragment: None, lambda: None)
    clock.run()
    assert asked == [True, True, False, False, False]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux alone")
@pytest.mark.parametrize("niceness", [AWAITED, NOT_URGENT])
def test_giving_way_holds_for_a_thread_and_those_it_starts(niceness: int) -> None:
    found = {}

    def note(name: str) -> None:
        found[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work() -> None:
        give_way(niceness)
        note("task")
        helper = threading.Thread(target=note, args=("helper",))
        helper.start()
        helper.join()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    note("server")
    assert found["task"] == found["helper"] == niceness + found["server"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux alone")
def test_a_voice_gives_way_to_the_pictures_of_sessions(pictures: Watched) -> None:
    found = []

    def choose(language: str) -> TTSEngine:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return FakeTTS()

    voice = replace(Stage(pictures).voice, choose=choose)
    turn = SpokenTurn(1, voice, Fraction(25), lambda error: None)
    turn.add("one two.")
    turn.finish()
    assert wait_for(lambda: turn.over or turn.ready(1))
    assert found == [AWAITED + os.getpriority(os.PRIO_PROCESS, 0)]


# --- the server's side


def test_a_slow_viewer_misses_fragments_and_goes_on_with_the_newest() -> None:
    sent: list[Packed] = []

    async def watch() -> list[bytes]:
        session = RemoteSession(SessionRequest.__new__(SessionRequest), 60, sent.append)
        session.take(Packed(Kind.HEADER, session.id, b"header"))
        stream = session.video()
        seen = [await anext(stream)]
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for number in range(40):  # eight seconds, of which it reads nothing
            session.take(of_fragment(session.id, b"%d" % number, number * 0.2, 0.2, 0.0))
        session.emit(Closed("deleted"))
        seen.append(await first)
        seen += [data async for data in stream]
        return seen

    seen = asyncio.run(watch())
    numbers = [int(data) for data in seen[1:]]
    assert seen[0] == b"header" and numbers[-1] == 39 and numbers == sorted(numbers)
    assert len(numbers) <= 16, "what waits for a viewer is bounded"


def test_sound_is_accepted_up_to_thirty_seconds_ahead() -> None:
    sent: list[Packed] = []

    async def push() -> tuple[int, int]:
        session = RemoteSession(SessionRequest.__new__(SessionRequest), 60, sent.append)
        second = b"\0\0" * 16000
        chore = asyncio.ensure_future(_push(session, second, 40))
        await asyncio.sleep(0.05)
        before = len(sent)
        session.take(of_fragment(session.id, b"", 0, 0.2, 25.0))  # five seconds of it were spoken
        await asyncio.sleep(0.05)
        after = len(sent)
        chore.cancel()
        return before, after

    assert asyncio.run(push()) == (30, 35)


async def _push(session: RemoteSession, data: bytes, times: int) -> None:
    for _ in range(times):
        await session.push_audio(data, 16000)


def test_messages_between_processes_survive_their_way() -> None:
    packed_ = [of_fragment("a" * 32, b"data", 1.5, 0.2, 3.0), of_sound("b" * 32, b"\0\1", 24000)]
    stream = io.BytesIO(b"".join(message.to_bytes() for message in packed_))
    one, other = read(stream), read(stream)
    assert one is not None and fragment_in(one) == (b"data", 1.5, 0.2, 3.0) and one.session == "a" * 32
    assert other is not None and sound_in(other) == (b"\0\1", 24000)
    assert read(stream) is None


def test_a_process_that_is_late_has_less_room() -> None:
    process, request = _Process(cast(Any, None)), _asked_of(fps=25)
    process.note(Load(frame_seconds=0.004, fragments=100, late=3))
    assert process.load_with(request) == pytest.approx(0.004 * 0.5 * 25)
    process.note(Load(frame_seconds=0.004, fragments=200, late=30))
    assert process.load_with(request) == pytest.approx(0.004 * 0.5 * 25 * 3)
    process.note(Load(frame_seconds=0.004, fragments=300, late=30))
    assert process.load_with(request) == pytest.approx(0.004 * 0.5 * 25)


def test_voices_take_room_unless_the_client_sends_the_sound() -> None:
    process, request = _Process(cast(Any, None)), _asked_of(fps=25, voice_seconds=0.4)
    process.note(Load(frame_seconds=0.004))
    one, other = (RemoteSession(request, 60, lambda message: None) for _ in range(2))
    process.sessions = {"one": one, "other": other}
    assert process.load_with(request) == pytest.approx(0.5 * 3 * (0.004 * 25 + 0.4))
    asyncio.run(one.push_audio(bytes(640), 16000))
    assert process.load_with(request) == pytest.approx(0.5 * (3 * 0.004 * 25 + 2 * 0.4))
    one.say("다시 글로.")
    assert process.load_with(request) == pytest.approx(0.5 * 3 * (0.004 * 25 + 0.4))


def _asked_of(fps: int, voice_seconds: float = 0.0) -> SessionRequest:
    return cast(SessionRequest, SimpleNamespace(avatar=SimpleNamespace(fps=fps), voice_seconds=voice_seconds))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, 0.5),  # of the languages that are likely, the dearest voice
        ({"language": "en"}, 0.125),
        ({"tts_engine": "slow", "language": "en"}, 0.5),
        ({"tts_engine": "quick"}, 0.125),
        ({"tts_engine": "unmeasured"}, 0.0),
    ],
)
def test_what_a_voice_takes_is_known_before_it_speaks(
    asked: dict[str, str], expected: float, fake_packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make_fake_studio(Settings(precomputed=fake_packs))
    slow, quick, unmeasured = FakeTTS(), FakeTTS(), FakeTTS()
    slow.pace, quick.pace = 2.0, 8.0
    monkeypatch.setattr(quick, "speaks", lambda language: language.startswith("en"))
    studio = replace(studio, tts={"quick": quick, "slow": slow, "unmeasured": unmeasured})
    for name, engine in studio.tts.items():
        monkeypatch.setattr(engine, "name", name)
    request = parse_session({"avatar": "solo", "resolution": "720p", **asked}, studio)
    assert request.voice_seconds == pytest.approx(expected)


def test_cues_move_the_face_and_are_neither_spoken_nor_words(pictures: Watched) -> None:
    stage = Stage(pictures)
    looks: list[np.ndarray] = []
    stage.voice = replace(stage.voice, expression=ExpressionOptions(mood="serious", liveliness=0))
    stage.session = Session(pictures, stage.voice, stage.events.append)
    frames = pictures.frames
    pictures.frames = lambda *given: (looks.append(given[3]), frames(*given))[1]  # type: ignore
    try:
        for piece in ("[smi", "le] one two. [no", "d] ", "three four."):
            stage.session.say(piece)
        stage.session.flush()
        stage.run_until(lambda: bool(stage.of(TurnEnded)))
    finally:
        del pictures.frames
        stage.session.close()
    texts = [event.text for event in stage.events if isinstance(event, Word)]
    assert "".join(texts).split() == ["one", "two.", "three", "four."]
    ended = stage.of(TurnEnded)[0]
    assert isinstance(ended, TurnEnded) and ended.said.split() == ["one", "two.", "three", "four."]
    shown = np.concatenate([one for one in looks if one is not None])
    smile, brows, lids = (shown[:, FACE.index(unit)] for unit in ("mouthSmileLeft", "browDownLeft", "eyeBlinkLeft"))
    assert smile.max() > 0.2 and lids.max() > 0.3 and lids.argmax() > smile.argmax()
    assert brows.max() == pytest.approx(resting(stage.voice.expression)[FACE.index("browDownLeft")])
    assert brows[smile.argmax()] < 0.05  # a cue takes the mood's place


class NamedVoice(FakeTTS):
    """A voice that notes what it says."""

    def __init__(self, name: str, languages: tuple[str, ...], remote: bool = False) -> None:
        self.name, self.remote, self.languages = name, remote, languages
        self.texts: list[str] = []

    def speaks(self, language: str) -> bool:
        return language in self.languages

    def stream(self, text: str, *arguments: Any, **options: Any) -> Iterator[Speech]:
        self.texts.append(text)
        return super().stream(text, *arguments, **options)


def test_the_first_turn_of_a_session_finds_its_voices_loaded_but_no_service_is_asked(
    fake_packs: Path, tmp_path: Path
) -> None:
    local, service = NamedVoice("local", ("ja", "ko")), NamedVoice("service", ("ja", "ko"), remote=True)
    english = NamedVoice("english", ("en-us",))
    studio = make_fake_studio(replace(Settings(), precomputed=fake_packs))
    worker = Worker(replace(studio, tts={"local": local, "service": service, "english": english}), io.BytesIO())

    def open_session(session: str, engine: str, language: str | None) -> None:
        asked: dict[str, Any] = {
            "pack": str(studio.avatars.find("solo", "720p")),
            "decoded": str(tmp_path / "clip.yuv"),
        }
        asked |= {"engine": "fake", "tts_engine": engine, "tts_voice": "Custom", "paces": {}, "language": language}
        asked |= {
            "speed": 1.0,
            "pitch": 0.0,
            "mood": "neutral",
            "liveliness": 0.5,
            "eye_contact": False,
            "max_text": 100,
            "frame": 0,
            "turns": 0,
            "pronunciations": {},
            "fps": None,
            "box": None,
            "label": "",
            "background": ["source", [0, 0, 0], None],
        }
        worker.handle(of_json(Kind.OPEN, session * 32, asked))
        wait_for(lambda: session * 32 in worker._sessions)

    open_session("a", "service", "ja")
    open_session("b", "local", "ja")
    wait_for(lambda: local.texts)
    open_session("c", "local", None)
    open_session("d", "service", "ja")
    open_session("e", "english", None)
    wait_for(lambda: english.texts)
    assert local.texts == ["1."] and english.texts == ["Yes, it is ready."] and not service.texts


def test_ssml_and_pronunciations_are_spoken_and_words_are_as_written(pictures: Watched) -> None:
    stage, voice = Stage(pictures), NamedVoice("voice", ("en-us",))
    words = pronunciations.parse({"SQL": "see quell"})
    stage.voice = replace(stage.voice, choose=lambda language: voice, pronunciations=words)
    stage.session = Session(pictures, stage.voice, stage.events.append)
    for piece in ("I know S", "QL. ", "<speak>one <break time='1s'/><sub alias='duo'>two</sub></speak>", " <speak> x"):
        stage.session.say(piece)
    stage.session.flush()
    stage.run_until(lambda: bool(stage.of(TurnEnded)))
    stage.session.close()
    assert [text.strip() for text in voice.texts] == ["I know see quell.", "one", "duo", "<speak> x"]
    shown = [event for event in stage.events if isinstance(event, Word)]
    assert "".join(word.text for word in shown if isinstance(word, Word)).split() == [
        "I",
        "know",
        "SQL.",
        "one",
        "two",
        "<speak>",
        "x",
    ]
    one, two = (
        next(word for word in shown if isinstance(word, Word) and word.text.strip() == text) for text in ("one", "two")
    )
    assert isinstance(one, Word) and isinstance(two, Word) and two.stream - one.end > 0.7


def test_a_session_is_cropped_and_marked(fake_packs: Path, tmp_path: Path) -> None:
    store = AvatarStore(fake_packs)
    avatar = at_rate(store.load(store.find("solo", "720p")), 30)
    look = Look(Box(8, 6, 40, 36), "AI")
    pictures = Pictures(avatar, FakeEngine(), tmp_path / "clip.yuv", look)
    voice = Voice(choose=lambda language: FakeTTS(), name="Custom", language="en-us", espeak=EspeakEngine())
    session = Session(pictures, voice, lambda event: None)
    stream = io.BytesIO(session.header + b"".join(session.advance().data for _ in range(4)))
    session.close()
    with av.open(stream, "r") as container:
        assert container.streams.video[0].average_rate == 30
        shown = [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]
    assert len(shown) >= 20 and {picture.shape for picture in shown} == {(36, 40)}
    assert all(picture[:14, 20:].max() > 180 for picture in shown)  # the letters
