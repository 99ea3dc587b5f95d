"""The sessions as the server sees them, and the processes that run them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import shutil
import sys
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import AS_FILMED as BEHIND_AS_FILMED
from pipeline.avatars.background import Background
from pipeline.core.notifier import Notifier, woken_by
from pipeline.errors import BadRequest, SessionClosed, SessionFailed, SessionNotFound, SessionsFull
from pipeline.jobs.look import AS_FILMED, Look
from pipeline.live.clock import LEAD_SECONDS, Load
from pipeline.live.events import Closed, Interrupted, Problem, SessionEvent, unpacked
from pipeline.live.messages import NO_SESSION, Kind, Packed, fragment_in, of_json, of_sound, receive
from pipeline.live.voice_input import AHEAD_SECONDS, pcm
from pipeline.live.worker import settings_to_json
from pipeline.messages import Message
from pipeline.settings import ROOT, Settings
from pipeline.speech.expression_track import NEUTRAL, USUAL_LIVELINESS
from pipeline.speech_types import Mark
from pipeline.text.pronunciations import Pronunciations

logger = logging.getLogger(__name__)

VIEWER_SECONDS = 3.0
"""Seconds of stream that wait for a viewer; a slower one misses what is older."""
BEGUN_FRAGMENTS = 2
"""Newest fragments with which a viewer begins."""
UNSEEN_SECONDS = 30.0
"""Seconds that a session goes on without a viewer or a socket."""
KEPT_EVENTS = 2000
"""Events of a session that a client can still follow."""
KEPT_CLOSED = 1000
"""Sessions that have ended and are remembered."""
REMEMBERED_SECONDS = 600.0
"""Seconds for which a session that was deleted is remembered as such."""
SPEAKING_SHARE = 0.5
"""Share of their time that sessions are expected to speak: an interviewer speaks a third of it."""
FULL = 0.85
"""Share of a core that sessions may take."""
FIRST_GUESS = 0.006
"""Seconds of CPU time that a frame is thought to take until one was measured."""
RETRY_SECONDS = 10
"""When to try again if there is no room for a session."""
WORKER = "pipeline.live.worker"
"""The module that a process runs."""
LATE_SHARE = 0.1
"""Share of the fragments of a second from which a process counts as behind."""
BEHIND_FACTOR = 3
"""How much more a frame then counts than it costs."""
HANGS_SECONDS = 60.0
"""Seconds without a report after which a process is ended."""
IDLE_SECONDS = 60.0
"""Seconds after which a process without a session ends."""


@dataclass(frozen=True, kw_only=True)
class SessionRequest:
    """What a client asked for.

    Attributes:
        pack: The avatar's pack.
        avatar: The same, loaded.
        engine: What moves the mouth, a key of `Studio.engines`.
        devices: Devices that draw for the engine, each for one process; 0 if the processes draw themselves.
        tts_engine: A key of `Studio.tts`; "" chooses by the language of the text.
        tts_voice: One of its voices, or "Custom".
        tts_speed, tts_pitch: As in ``GenerateRequest``.
        language: Language of the texts, as eSpeak NG calls it; None detects it.
        record: Whether to keep the session as a video.
        mood, liveliness: As in ``GenerateRequest``.
        eye_contact: Whether the eyes look at the camera where that is safe.
        note: Why they cannot although that was asked for; None if they can.
        fps: The frame rate that is asked for; None is that of the clip.
        look: How the pictures are cropped and marked.
        background: What is behind the person.
        pronunciations: What is spoken for some words of the texts.
        paces: How fast speech engines are here, as far as it was measured; see `TTSEngine.pace`.
    """

    pack: Path
    avatar: Avatar
    engine: str
    tts_engine: str
    tts_voice: str
    tts_speed: float = 1.0
    tts_pitch: float = 0.0
    language: str | None = None
    record: bool = False
    mood: str = NEUTRAL
    liveliness: float = USUAL_LIVELINESS
    eye_contact: bool = False
    note: Message | None = None
    fps: int | None = None
    look: Look = AS_FILMED
    background: Background = BEHIND_AS_FILMED
    pronunciations: Pronunciations = field(default_factory=Pronunciations)
    devices: int = 0
    paces: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class NumberedEvent:
    """An event of a session and its number, from 1 on."""

    number: int
    event: SessionEvent


class _Viewer:
    """What waits to be sent to one viewer."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[bytes, float]] = deque()
        self.arrived = asyncio.Event()

    def add(self, data: bytes, duration: float) -> None:
        self.waiting.append((data, duration))
        if sum(seconds for _, seconds in self.waiting) > VIEWER_SECONDS:  # every fragment begins with a key frame
            while len(self.waiting) > 1:
                self.waiting.popleft()
        self.arrived.set()


class RemoteSession:
    """A session that runs in a worker process; use it from the event loop.

    Attributes:
        id: 32 hex digits that cannot be guessed.
        token: Allows a client without an API key to use this session.
        request: What was asked for.
        expires: When it ends at the latest, in seconds since 1970.
    """

    def __init__(self, request: SessionRequest, seconds: float, send: Callable[[Packed], object]) -> None:
        self.id = secrets.token_hex(16)
        self.token = secrets.token_hex(16)
        self.request = request
        self.expires = time.time() + seconds
        self.closed: Closed | None = None
        self.sound_ahead = 0.0
        self.time = 0.0
        """Seconds of stream so far."""
        self.on_fragment: Callable[[bytes], object] | None = None
        self.listeners: list[Callable[[SessionEvent], object]] = []
        """Called with each event before anybody else gets it."""
        self._fragment_at = 0.0
        self._clock = 0.0
        self._send = send
        self._header = b""
        self._latest: deque[tuple[bytes, float]] = deque(maxlen=BEGUN_FRAGMENTS)
        self._viewers: set[_Viewer] = set()
        self._present = 0
        self._unseen_since = time.monotonic()
        self._events: deque[NumberedEvent] = deque(maxlen=KEPT_EVENTS)
        self._number = 0
        self._changes = Notifier()

    # --- what may be done with it; see ``Session``

    def say(self, text: str, tag: str | None = None) -> None:
        """Speak a text, or the next piece of it; `flush` ends the turn. See ``Session.say``."""
        self._do("say", text=text, tag=tag)

    def flush(self) -> None:
        """End the turn."""
        self._do("flush")

    def listen(self) -> None:
        """Show that the avatar listens."""
        self._do("listen")

    def idle(self) -> None:
        """Show that it does nothing in particular."""
        self._do("idle")

    def interrupt_soon(self, at: float | None = None) -> None:
        """Stop speaking; the event `Interrupted` reports what was said. See ``Session.interrupt``."""
        self._do("interrupt", at=at)

    async def interrupt(self, at: float | None = None) -> NumberedEvent | None:
        """Stop speaking, and return the event `Interrupted` with what was said; None if the session ends instead.

        Args:
            at: See ``Session.interrupt``.
        """
        after = self._number
        self.interrupt_soon(at)
        async for entry in self.follow(after):
            if isinstance(entry.event, Interrupted):
                return entry
        return None

    async def push_audio(self, data: bytes, rate: int) -> None:
        """Speak sound as it arrives: 16-bit little-endian mono PCM. Waits while 30 s of it are ahead of the clock.

        Raises:
            BadRequest: It is not such sound.
        """
        seconds = len(pcm(data, rate)) / rate
        if seconds > AHEAD_SECONDS:
            raise BadRequest(messages.live.SOUND_TOO_LONG(limit=AHEAD_SECONDS, seconds=seconds))
        with woken_by(self._changes) as woken:
            while self.sound_ahead + seconds > AHEAD_SECONDS and self.closed is None:
                woken.clear()
                await woken.wait()
        self._check()
        self.sound_ahead += seconds
        self._send(of_sound(self.id, data, rate))

    def push_words(self, words: Sequence[Mark], language: str | None = None) -> None:
        """Take words of the sound that is pushed. See ``Session.push_words``."""
        self._do("push_words", words=[(word.text, word.start, word.end) for word in words], language=language)

    # --- what comes of it

    @contextlib.contextmanager
    def present(self) -> Iterator[None]:
        """Count a client that is there while the block lasts; without one, a session ends after a while."""
        self._present += 1
        try:
            yield
        finally:
            self._present -= 1
            self._unseen_since = time.monotonic()

    @property
    def clock(self) -> float:
        """The moment of the stream that a viewer without any delay sees now, in seconds."""
        ahead = LEAD_SECONDS + (self._latest[-1][1] if self._latest else 0.0)
        now = self.time - ahead + time.monotonic() - self._fragment_at
        self._clock = max(self._clock, min(now, self.time))
        return self._clock

    @property
    def watched(self) -> bool:
        """Whether a client gets the stream."""
        return bool(self._viewers)

    @property
    def unseen_seconds(self) -> float:
        """Seconds since the last client left; 0 while one is there."""
        return 0.0 if self._present else time.monotonic() - self._unseen_since

    async def video(self) -> AsyncGenerator[bytes]:
        """Yield the stream from now on: the header, then fragments. A slow viewer misses fragments."""
        with self.present(), woken_by(self._changes) as woken:
            while not self._header and self.closed is None:
                woken.clear()
                await woken.wait()
            if not self._header:
                return
            yield self._header
            viewer = _Viewer()
            for data, duration in self._latest:
                viewer.add(data, duration)
            self._viewers.add(viewer)
            try:
                while viewer.waiting or self.closed is None:
                    viewer.arrived.clear()
                    while viewer.waiting:
                        yield viewer.waiting.popleft()[0]
                    if self.closed is None:
                        await viewer.arrived.wait()
            finally:
                self._viewers.discard(viewer)

    async def follow(self, after: int = 0) -> AsyncGenerator[NumberedEvent]:
        """Yield the events after a number, to the last."""
        with woken_by(self._changes) as woken:
            while True:
                woken.clear()
                closed = self.closed is not None
                for entry in list(self._events):
                    if entry.number > after:
                        after = entry.number
                        yield entry
                if closed:
                    return
                await woken.wait()

    @property
    def state(self) -> str:
        """Return "loading", "open" or "closed"."""
        return "closed" if self.closed is not None else "open" if self._header else "loading"

    @property
    def last_number(self) -> int:
        """Number of the latest event; 0 without one."""
        return self._number

    def emit(self, event: SessionEvent) -> None:
        """Add an event; nothing is added after the last one."""
        if self.closed is not None:
            return
        self._number += 1
        self._events.append(NumberedEvent(self._number, event))
        for listener in self.listeners:
            listener(event)
        if isinstance(event, Closed):
            self.closed = event
            self._latest.clear()
            for viewer in self._viewers:
                viewer.arrived.set()
        self._changes.notify()

    def take(self, message: Packed) -> None:
        """Take what the worker sends."""
        match message.kind:
            case Kind.HEADER:
                self._header = message.content
                self._deliver(message.content)
                self._changes.notify()
            case Kind.FRAGMENT:
                data, start, duration, ahead = fragment_in(message)
                self.time = start + duration
                self._fragment_at = time.monotonic()
                waits = self.sound_ahead
                self.sound_ahead = ahead
                self._latest.append((data, duration))
                self._deliver(data)
                for viewer in self._viewers:
                    viewer.add(data, duration)
                if waits:
                    self._changes.notify()
            case Kind.EVENT:
                self.emit(unpacked(message.json()))

    def close(self, reason: str) -> None:
        """End the session."""
        if self.closed is None:
            self._send(of_json(Kind.DO, self.id, {"do": "close", "reason": reason}))
            self.emit(Closed(reason))

    def _deliver(self, data: bytes) -> None:
        if self.on_fragment is not None:
            self.on_fragment(data)

    def _do(self, what: str, **arguments: object) -> None:
        self._check()
        self._send(of_json(Kind.DO, self.id, {"do": what, **arguments}))

    def _check(self) -> None:
        if self.closed is not None:
            raise SessionClosed


@dataclass(eq=False)
class _Process:
    """A worker process."""

    process: asyncio.subprocess.Process
    device: tuple[str, int] | None = None
    """Engine and number of the device that draws; None if the process draws itself."""
    sessions: dict[str, RemoteSession] = field(default_factory=dict)
    load: Load = field(default_factory=Load)
    empty_since: float = field(default_factory=time.monotonic)
    reported: float = field(default_factory=time.monotonic)
    """When it reported its load last."""
    behind: bool = False
    """Whether it was late in the last second: other programs take the time that it needs."""

    def note(self, load: Load) -> None:
        """Take a report of its load."""
        fragments, late = load.fragments - self.load.fragments, load.late - self.load.late
        self.behind = late > LATE_SHARE * fragments
        self.load, self.reported = load, time.monotonic()

    def send(self, message: Packed) -> None:
        assert self.process.stdin is not None
        if not self.process.stdin.is_closing():
            self.process.stdin.write(message.to_bytes())

    def load_with(self, fps: float) -> float:
        """Return the share of a core that sessions are expected to take once another one has come."""
        frame = (self.load.frame_seconds or FIRST_GUESS) * (BEHIND_FACTOR if self.behind else 1)
        rates = [float(session.request.avatar.fps) for session in self.sessions.values()]
        return frame * SPEAKING_SHARE * (sum(rates) + fps)


class Workers:
    """Opens sessions, spreads them over processes, and ends them.

    Args:
        settings: Uses `live_max_sessions`, `live_max_seconds` and what the voices need.
        module: What a process runs.
        cores: Most processes.
        full: Share of a core that sessions may take.
    """

    def __init__(self, settings: Settings, module: str = WORKER, cores: int | None = None, full: float = FULL) -> None:
        self._settings = settings
        self._module = module
        self._cores = cores or _cores()
        self._full = full
        self._processes: list[_Process] = []
        self._open: dict[str, RemoteSession] = {}
        self._closed: OrderedDict[str, tuple[float, RemoteSession]] = OrderedDict()
        self._starting = asyncio.Lock()
        self._chores: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """Open sessions."""
        return len(self._open)

    @property
    def late(self) -> int:
        """Fragments that came after their time, of all processes that run."""
        return sum(one.load.late for one in self._processes)

    @property
    def loads(self) -> dict[int, Load]:
        """What each process has measured, by its id in the system."""
        return {one.process.pid: one.load for one in self._processes}

    async def open(self, request: SessionRequest) -> RemoteSession:
        """Open a session; its stream begins as soon as its avatar is loaded.

        Raises:
            SessionsFull: There is no room for another one.
        """
        async with self._starting:
            process = await self._room(request)
            session = RemoteSession(request, self._settings.live_max_seconds or float("inf"), process.send)
            process.sessions[session.id] = session
            self._open[session.id] = session
        asked = {
            "pack": str(request.pack),
            "decoded": str(self._decoded(request)),
            "engine": request.engine,
            "tts_engine": request.tts_engine,
            "tts_voice": request.tts_voice,
            "paces": dict(request.paces),
            "language": request.language,
            "speed": request.tts_speed,
            "pitch": request.tts_pitch,
            "mood": request.mood,
            "liveliness": request.liveliness,
            "eye_contact": request.eye_contact,
            "fps": request.fps,
            "box": request.look.box and list(astuple(request.look.box)),
            "label": request.look.label,
            "background": _packed(request.background),
            "pronunciations": request.pronunciations.entries,
            "max_text": self._settings.max_text,
        }
        process.send(of_json(Kind.OPEN, session.id, asked))
        logger.info("session %s opens: %d are open", session.id[:8], self.count)
        return session

    def find(self, session_id: str) -> RemoteSession:
        """Return an open session.

        Raises:
            SessionNotFound: There is none, or it has ended by itself.
            SessionClosed: It was deleted.
        """
        session = self._open.get(session_id)
        if session is not None:
            return session
        if session_id in self._closed:
            closed = self._closed[session_id][1].closed
            if closed is not None and closed.reason == "deleted":
                raise SessionClosed
        raise SessionNotFound(session_id)

    def known(self, session_id: str) -> RemoteSession | None:
        """Return a session that is open, or has ended and is remembered."""
        return self._open.get(session_id) or self.ended(session_id)

    def ended(self, session_id: str) -> RemoteSession | None:
        """Return a session that has ended and is remembered, for its last events."""
        return self._closed.get(session_id, (0.0, None))[1]

    def delete(self, session: RemoteSession, reason: str = "deleted") -> None:
        """End a session."""
        session.close(reason)
        self._forget(session)

    async def close(self) -> None:
        """End all sessions and processes."""
        for session in list(self._open.values()):
            self.delete(session, "server_ends")
        if self._watching is not None:
            self._watching.cancel()
        processes = list(self._processes)
        for process in processes:
            self._end(process)
        for process in processes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await process.process.wait()
        for chore in list(self._chores):
            chore.cancel()
        self._clean()

    def _decoded(self, request: SessionRequest) -> Path:
        """Return where the decoded clip of an avatar is kept, for all processes."""
        stamp, behind = request.pack.stat(), request.background
        other = f"-{uuid.uuid5(uuid.NAMESPACE_OID, repr(behind)).hex}" if behind else ""
        return self._settings.live_cache / f"{request.avatar.id}-{stamp.st_mtime_ns:x}-{stamp.st_size:x}{other}.yuv"

    async def _room(self, request: SessionRequest) -> _Process:
        """Return the process with most room, a new one if all are full.

        Raises:
            SessionsFull: There is no room.
        """
        most, fps = self._settings.live_max_sessions, float(request.avatar.fps)
        devices: list[tuple[str, int] | None] = [(request.engine, number) for number in range(request.devices)]
        devices = devices or [None] * self._cores
        alike = [one for one in self._processes if one.device in devices]
        best = min(alike, key=lambda one: one.load_with(fps), default=None)
        if most and self.count >= most:
            raise SessionsFull(RETRY_SECONDS)
        # another core is better than a full one, and a process that runs is better than one that must be started;
        # on a device, one process draws for as many as it can, in common batches
        wanted = best is None or (best.load_with(fps) > self._full if request.devices else bool(best.sessions))
        if len(alike) < len(devices) and wanted:
            taken = {one.device for one in alike}
            return await self._start(next((one for one in devices if one not in taken), None))
        if best is None or best.load_with(fps) > self._full:
            raise SessionsFull(RETRY_SECONDS)
        return best

    async def _start(self, device: tuple[str, int] | None) -> _Process:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environ = {**os.environ, **dict.fromkeys(names, "1")}
        if device is not None:
            visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
            environ["CUDA_VISIBLE_DEVICES"] = (visible or list(map(str, range(device[1] + 1))))[device[1]]
        process = _Process(
            await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", self._module),
                cwd=ROOT,
                env=environ,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 20,
            ),
            device,
        )
        self._processes.append(process)
        process.send(of_json(Kind.SETTINGS, NO_SESSION, settings_to_json(self._settings)))
        self._do(self._relay(process))
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._watch())
        return process

    async def _relay(self, process: _Process) -> None:
        """Pass on what a process sends, until it ends."""
        assert process.process.stdout is not None
        while (message := await receive(process.process.stdout)) is not None:
            if message.kind is Kind.LOAD:
                process.note(Load(**message.json()))
                continue
            session = process.sessions.get(message.session)
            if session is not None:
                session.take(message)
                if session.closed is not None:
                    self._forget(session)
        status = await process.process.wait()
        if process in self._processes:
            self._processes.remove(process)
        if process.sessions:
            logger.error("a process of sessions ended with status %s", status)
        for session in list(process.sessions.values()):
            session.emit(Problem.of(SessionFailed()))
            session.emit(Closed("failed"))
            self._forget(session)

    async def _watch(self) -> None:
        """End sessions whose time is over or that have no viewer, and processes without a session."""
        while self._processes:
            await asyncio.sleep(1)
            for session in list(self._open.values()):
                if time.time() > session.expires:
                    self.delete(session, "time_limit")
                elif session.unseen_seconds > UNSEEN_SECONDS:
                    self.delete(session, "no_viewer")
            now = time.monotonic()
            for process in list(self._processes):
                if process.sessions:
                    process.empty_since = now
                elif now - process.empty_since > IDLE_SECONDS:
                    self._end(process)
                if now - process.reported > HANGS_SECONDS:
                    logger.error("a process of sessions hangs")
                    with contextlib.suppress(ProcessLookupError):
                        process.process.kill()  # its sessions are told as soon as its output ends
            while self._closed and now - next(iter(self._closed.values()))[0] > REMEMBERED_SECONDS:
                self._closed.popitem(last=False)
        self._clean()

    def forget(self, ids: Sequence[str]) -> None:
        """Delete the decoded clips of avatars that were deleted; sessions that are open keep what they have mapped."""
        for path in self._settings.live_cache.glob("*.yuv"):
            if any(re.fullmatch(rf"{re.escape(one)}-[0-9a-f]+-[0-9a-f]+(-\w+)?\.yuv", path.name) for one in ids):
                path.unlink(missing_ok=True)

    def _clean(self) -> None:
        """Delete the decoded clips, which nobody needs without a process: those of 720p take 35 MB a second."""
        shutil.rmtree(self._settings.live_cache, ignore_errors=True)

    def _end(self, process: _Process) -> None:
        """End a process, and give it no more sessions."""
        if process in self._processes:
            self._processes.remove(process)
        assert process.process.stdin is not None
        process.process.stdin.close()

    def _forget(self, session: RemoteSession) -> None:
        self._open.pop(session.id, None)
        for process in self._processes:
            process.sessions.pop(session.id, None)
        self._closed[session.id] = time.monotonic(), session
        while len(self._closed) > KEPT_CLOSED:
            self._closed.popitem(last=False)
        logger.info("session %s ends (%s): %d are open", session.id[:8], session.closed and session.closed.reason,
                    self.count)  # fmt: skip

    def _do(self, chore: Any) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _packed(background: Background) -> list[Any]:
    """Return a background for a process."""
    return [background.kind, list(background.color), str(background.picture or "")]


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
