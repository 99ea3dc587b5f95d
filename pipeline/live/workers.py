"""The sessions as the server sees them, and the processes that run them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import astuple, dataclass, field
from typing import Any

from pipeline import messages
from pipeline.core.notifier import Notifier, woken_by
from pipeline.errors import BadRequest, PipelineError, SessionClosed, SessionFailed, SessionNotFound, SessionsFull
from pipeline.live.clock import LEAD_SECONDS, Load
from pipeline.live.pipe_messages import Kind, Packed, fragment_in, of_json, of_sound
from pipeline.live.processes import Files, Link, Machines, ThisMachine
from pipeline.live.session_events import Closed, Interrupted, Problem, SessionEvent, unpacked
from pipeline.live.session_request import SessionRequest
from pipeline.live.unsaid import Unsaid
from pipeline.live.voice_input import AHEAD_SECONDS, pcm
from pipeline.settings import Settings
from pipeline.speech_types import Mark

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
LAST_SECONDS = 3600.0
"""The same of the last one on this machine: a client after a quiet minute would wait for its start and pictures."""
ELSEWHERE_SECONDS = 20.0
"""Seconds in which there must be a place for a session whose process was lost."""
AGAIN_SECONDS = 0.2
"""Seconds between two attempts to find one."""
MOST_LOST = 3
"""Processes that a session may lose; it may be what ends them."""


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
        unsaid: What is left to be said if its process is lost; None if it then ends.
        while_open: Closed when it has ended.

    Args:
        mark: What its id ends with.
    """

    def __init__(
        self,
        request: SessionRequest,
        seconds: float,
        send: Callable[[Packed], object],
        unsaid: Unsaid | None = None,
        mark: str = "",
    ) -> None:
        self.id = secrets.token_hex(16)[len(mark) :] + mark
        self.token = secrets.token_hex(16)
        self.request = request
        self.expires = time.time() + seconds
        self.closed: Closed | None = None
        self.sound_ahead = 0.0
        self.time = 0.0
        """Seconds of stream so far."""
        self.on_fragment: Callable[[bytes], object] | None = None
        self.listeners: list[Callable[[SessionEvent], object]] = []
        """Called with each event before its clients get it."""
        self.unsaid = unsaid
        self.while_open = AsyncExitStack()
        self.lost = 0
        """Processes that it has lost."""
        self.paused = False
        """Whether it waits for a process."""
        self.voice_seconds = request.voice_seconds
        """CPU seconds that a second of its speech takes: none while a client sends the sound."""
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
        self.voice_seconds = self.request.voice_seconds

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
        self.voice_seconds = 0.0
        self.sound_ahead += seconds
        self._ask(of_sound(self.id, data, rate))

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
            case Kind.HEADER if self._header:
                if message.content != self._header:  # another encoder: players cannot go on
                    self.emit(Problem.of(SessionFailed()))
                    self.close("failed")
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
                event: SessionEvent | None = unpacked(message.json())
                assert event is not None
                if self.unsaid is not None:
                    event = self.unsaid.take(event)
                if event is not None:
                    self.emit(event)

    def pause(self) -> None:
        """Note that it has no process: what is asked for meanwhile is for the next one."""
        assert self.unsaid is not None
        self.paused = True
        self._send = lambda message: None
        for event in self.unsaid.lost(self.time, self.sound_ahead):
            self.emit(event)

    def resume(self, send: Callable[[Packed], object]) -> None:
        """Go on with a process that has been asked to open it."""
        assert self.unsaid is not None
        self.paused = False
        self._send = send
        for message in self.unsaid.commands(self.id):
            send(message)

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
        self._ask(of_json(Kind.DO, self.id, {"do": what, **arguments}))

    def _ask(self, message: Packed) -> None:
        if self.unsaid is not None:
            for event in self.unsaid.note(message, self.time):
                self.emit(event)
        self._send(message)

    def _check(self) -> None:
        if self.closed is not None:
            raise SessionClosed


def _nowhere(_message: Packed) -> None:
    """Send a message of a session that has no process yet; what it asks for is kept for that."""


@dataclass(eq=False)
class _Process:
    """A worker process.

    Attributes:
        link: The way to it.
        place: Where it runs; see ``Machines``.
    """

    link: Link
    place: Hashable = None
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

    def load_with(self, request: SessionRequest) -> float:
        """Return the share of a core that sessions are expected to take once another one has come."""
        frame = (self.load.frame_seconds or FIRST_GUESS) * (BEHIND_FACTOR if self.behind else 1)
        sessions = self.sessions.values()
        pictures = sum(float(one.avatar.fps) for one in (request, *(session.request for session in sessions)))
        voices = request.voice_seconds + sum(session.voice_seconds for session in sessions)
        return SPEAKING_SHARE * (frame * pictures + voices)


class Workers:
    """Opens sessions, spreads them over processes, and ends them.

    Args:
        settings: Uses `live_max_sessions`, `live_max_seconds` and what the voices need.
        module: What a process runs.
        cores: Most processes on this machine.
        full: Share of a core that sessions may take.
        machines: Where the processes run; on this machine by default.
        mark: What the ids of sessions end with.
    """

    def __init__(
        self,
        settings: Settings,
        module: str = WORKER,
        cores: int | None = None,
        full: float = FULL,
        machines: Machines | None = None,
        mark: str = "",
    ) -> None:
        self._settings = settings
        self._module = module
        self._machines = machines or ThisMachine(settings, cores)
        self._machines.waiting = self._waiting
        self._full = full
        self._mark = mark
        self._processes: list[_Process] = []
        self._open: dict[str, RemoteSession] = {}
        self._closed: OrderedDict[str, tuple[float, RemoteSession]] = OrderedDict()
        self._starting = asyncio.Lock()
        self.draining = False
        """Whether no more sessions are opened: the server is to end."""
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
        return {one.link.pid: one.load for one in self._processes}

    @property
    def by_machine(self) -> Counter[Hashable]:
        """How many sessions run on each machine; see ``Machines``."""
        counted: Counter[Hashable] = Counter()
        for process in list(self._processes):
            counted[self._machines.machine_of(process.place)] += len(process.sessions)
        return counted

    async def open(self, request: SessionRequest) -> RemoteSession:
        """Open a session; its stream begins as soon as its avatar is loaded.

        Raises:
            SessionsFull: There is no room for another one.
        """
        unsaid = Unsaid() if self._machines.go_on else None
        seconds = self._settings.live_max_seconds or float("inf")
        most = self._settings.live_max_sessions
        async with self._starting:
            if self.draining or (most and self.count >= most):
                raise SessionsFull(RETRY_SECONDS)
            process = await self._room_or_none(request)
            session = RemoteSession(request, seconds, process.link.send if process else _nowhere, unsaid, self._mark)
            if process is not None:
                process.sessions[session.id] = session
            self._open[session.id] = session
            self._look_after()
        if unsaid is None:
            assert process is not None
            files = await process.link.files(request, session.while_open)
            process.link.send(of_json(Kind.OPEN, session.id, self._asked(session, files)))
        else:
            session.pause()
            self._do(self._bring(session, process))
            self._do(self._spare(request))
        logger.info("session %s opens: %d are open", session.id[:8], self.count)
        return session

    def _asked(self, session: RemoteSession, files: Files) -> dict[str, Any]:
        """Return the message that opens a session in a process, or continues it there."""
        request, unsaid = session.request, session.unsaid
        return {
            "pack": files.pack,
            "decoded": files.decoded,
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
            "background": [request.background.kind, list(request.background.color), files.picture],
            "pronunciations": request.pronunciations.entries,
            "max_text": self._settings.max_text,
            "frame": round(session.time * request.avatar.fps),
            "turns": unsaid.turns if unsaid is not None else 0,
        }

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
        sessions = list(self._open.values())
        for session in sessions:
            self.delete(session, "server_ends")
        for session in sessions:  # after all have ended: the store may hang
            await session.while_open.aclose()
        if self._watching is not None:
            self._watching.cancel()
        processes = list(self._processes)
        for process in processes:
            self._end(process)
        for process in processes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await process.link.wait()
        for chore in list(self._chores):
            chore.cancel()
        self._machines.clean()

    def _waiting(self) -> int:
        """Return how many sessions have no process, or one on a machine that is to be left."""
        placed = [one for one in self._processes if not self._machines.leaves(one.place)]
        return len(self._open) - sum(len(one.sessions) for one in placed)

    async def _room_or_none(self, request: SessionRequest) -> _Process | None:
        """Return a process for a new session; None if it can wait for another machine.

        Raises:
            SessionsFull: There is no room, and there will be none.
        """
        try:
            return await self._room(request)
        except SessionsFull:
            if not self._machines.coming_seconds:
                raise
            return None

    async def _room(self, request: SessionRequest, again: bool = False) -> _Process:
        """Return the process with most room, a new one if all are full.

        Args:
            request: What was asked for.
            again: Whether it is for a session that has lost its process, which finds room if there is any process.

        Raises:
            SessionsFull: There is no room.
        """
        places = self._machines.places(request)
        alike = [one for one in self._processes if one.place in places]
        best = min(alike, key=lambda one: one.load_with(request), default=None)
        if again and best is not None:
            return best
        # another core is better than a full one, and a process that runs is better than one that must be started;
        # on a device, one process draws for as many as it can, in common batches
        wanted = best is None or (best.load_with(request) > self._full if request.devices else bool(best.sessions))
        if len(alike) < len(places) and wanted:
            taken = {one.place for one in alike}
            return await self._start(next((one for one in places if one not in taken), None))
        if best is None or best.load_with(request) > self._full:
            raise SessionsFull(RETRY_SECONDS)
        return best

    async def _start(self, place: Hashable) -> _Process:
        process = _Process(await self._machines.start(place, self._module), place)
        self._processes.append(process)
        self._do(self._relay(process))
        self._look_after()
        return process

    def _look_after(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _spare(self, request: SessionRequest) -> None:
        """Have a process on a second machine: to start one when the first is lost would take too long."""
        machine_of = self._machines.machine_of
        async with self._starting:
            used = {machine_of(one.place) for one in self._processes}
            others = [one for one in self._machines.places(request) if machine_of(one) not in used]
            if len(used) == 1 and others:
                await self._start(others[0])

    async def _bring(self, session: RemoteSession, process: _Process | None = None) -> None:
        """Open a session, which may have lost its process, and let it go on.

        Args:
            session: The session, which is paused.
            process: Where to try first.
        """
        until = time.monotonic() + max(ELSEWHERE_SECONDS, self._machines.coming_seconds)
        last = ""
        while session.closed is None and session.lost <= MOST_LOST and time.monotonic() < until:
            try:
                if process is None:
                    async with self._starting:
                        process = await self._room(session.request, again=bool(session.lost))
                        process.sessions[session.id] = session
                files = await process.link.files(session.request, session.while_open)
            except PipelineError as error:
                if str(error) != last:
                    logger.warning("session %s finds no process: %s", session.id[:8], error)
                last = str(error)
                await asyncio.sleep(AGAIN_SECONDS)  # a machine may come, or come back
            else:
                if process in self._processes and session.closed is None:
                    process.sessions[session.id] = session
                    process.link.send(of_json(Kind.OPEN, session.id, self._asked(session, files)))
                    session.resume(process.link.send)
                    return
            if process is not None:
                process.sessions.pop(session.id, None)
            process = None
        if session.closed is None:
            self._fail(session)

    def _fail(self, session: RemoteSession) -> None:
        session.emit(Problem.of(SessionFailed()))
        session.emit(Closed("failed"))
        self._forget(session)

    def _leave(self) -> None:
        """End processes on machines that are to be left; their sessions go on on others, as soon as there are any."""
        for process in [one for one in self._processes if self._machines.leaves(one.place)]:
            session = next(iter(process.sessions.values()), None)
            if session is None:
                self._end(process)
            elif self._machines.places(session.request):
                process.link.kill()

    async def _relay(self, process: _Process) -> None:
        """Pass on what a process sends, until it ends."""
        while (message := await process.link.receive()) is not None:
            if message.kind is Kind.LOAD:
                process.note(Load(**message.json()))
                continue
            session = process.sessions.get(message.session)
            if session is not None:
                session.take(message)
                if session.closed is not None:
                    self._forget(session)
        if process in self._processes:
            self._processes.remove(process)
        sessions, process.sessions = list(process.sessions.values()), {}
        for session in sessions:
            if session.paused:
                continue  # its process was lost before it had it
            if self._machines.go_on and session.closed is None:
                logger.warning("session %s lost its process", session.id[:8])
                session.lost += 1
                session.pause()
                self._do(self._bring(session))
        status = await process.link.wait()
        if sessions:
            logger.error("a process of sessions ended with status %s", status)
        for session in sessions:
            if not self._machines.go_on:
                self._fail(session)

    async def _watch(self) -> None:
        """End sessions whose time is over or that have no viewer, and processes without a session."""
        while self._processes or self._open:
            await asyncio.sleep(1)
            for session in list(self._open.values()):
                if time.time() > session.expires:
                    self.delete(session, "time_limit")
                elif session.unseen_seconds > UNSEEN_SECONDS:
                    self.delete(session, "no_viewer")
            now = time.monotonic()
            self._leave()
            for process in list(self._processes):
                if process.sessions or (self._machines.go_on and self._open):
                    process.empty_since = now
                elif self._is_spare(process, now):
                    self._end(process)
                if now - process.reported > HANGS_SECONDS:
                    logger.error("a process of sessions hangs")
                    process.link.kill()  # its sessions are notified as soon as its output ends
            while self._closed and now - next(iter(self._closed.values()))[0] > REMEMBERED_SECONDS:
                self._closed.popitem(last=False)
        self._machines.clean()

    def forget(self, ids: Sequence[str]) -> None:
        """Delete what is kept of avatars that were deleted; sessions that are open keep what they have mapped."""
        self._machines.forget(ids)
        for process in list(self._processes):  # they may have pictures of them
            if not process.sessions:
                process.empty_since = -math.inf

    def _is_spare(self, process: _Process, now: float) -> bool:
        """Return whether a process has been without a session for so long that it ends."""
        last = len(self._processes) == 1 and not self._machines.go_on  # a node that has nothing to do is let go
        return now - process.empty_since > (LAST_SECONDS if last else IDLE_SECONDS)

    def _end(self, process: _Process) -> None:
        """End a process, and give it no more sessions."""
        if process in self._processes:
            self._processes.remove(process)
        process.link.end()

    def _forget(self, session: RemoteSession) -> None:
        self._open.pop(session.id, None)
        for process in self._processes:
            process.sessions.pop(session.id, None)
        self._do(session.while_open.aclose())
        self._closed[session.id] = time.monotonic(), session
        while len(self._closed) > KEPT_CLOSED:
            self._closed.popitem(last=False)
        logger.info("session %s ends (%s): %d are open", session.id[:8], session.closed and session.closed.reason,
                    self.count)  # fmt: skip

    def _do(self, chore: Any) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
