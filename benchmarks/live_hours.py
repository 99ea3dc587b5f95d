"""Visitors of live sessions for hours: they talk, interrupt, lose their connection, come back, and leave.

``python -m benchmarks.live_session --hours 1`` runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import statistics
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pipeline.live.clock import LEAD_SECONDS
from pipeline.live.workers import BEGUN_FRAGMENTS, WORKER
from pipeline.video.writer import AUDIO_RATE

SESSIONS = "/api/v2/sessions"
TEXTS = (
    "네, 좋습니다.",
    "안녕하세요, 면접에 오신 것을 환영합니다. 먼저 간단한 자기소개를 부탁드립니다.",
    "지금까지 하신 일 가운데 가장 어려웠던 문제는 무엇이었고, 그것을 어떻게 해결하셨나요? 천천히 말씀해 주세요.",
    "What was the most difficult problem you have solved, and how did you solve it? Take your time.",
)
FIRST_SECONDS = 1.0
"""Seconds of a session's stream in which fragments may be late: the avatar may still be loaded."""
WINDOW_SECONDS = 60.0
"""Seconds over which arrivals say where a stream's clock is."""
EARLY = 10
"""Percentile of the arrivals that counts: an interruption hurries one, others wait for a core."""
PAUSES = 4.0, 28.0
"""Shortest and longest pause between two turns in seconds: visitors let the avatar speak a third of the time."""
AWAY = 1.0, 25.0
"""Shortest and longest time without a connection; the server waits for 30 s."""
INTERRUPTED, LOST, LEFT = 0.25, 0.12, 0.06
"""Share of the turns that are interrupted, in which the connection is lost, and after which the visitor leaves."""
PATIENCE = 60.0
"""Seconds after which a turn counts as lost."""
WORST = 12
"""Late fragments that are listed in the end."""
GONE_SECONDS = 100.0
"""Seconds for which worker processes may wait for another session before they end."""


@dataclass
class Stream:
    """When the fragments of one session arrived.

    Attributes:
        offsets: Arrival less time in the stream, of the last `WINDOW_SECONDS`.
        first: Where the clock was in the first window; None until it is over.
        late: Of the fragments that came after their time: seconds of the stream, and by how many seconds.
        apart: Most seconds by which sound ended before the picture, and after it.
    """

    offsets: deque[tuple[float, float]] = field(default_factory=deque)
    first: float | None = None
    late: list[tuple[float, float]] = field(default_factory=list)
    fragments: int = 0
    apart: tuple[float, float] = (0.0, 0.0)
    rate: int = 0
    """Units of the video track in a second."""
    gaps: int = 0
    """Fragments after which the next one did not follow, on one connection."""
    next: float | None = None
    """When the next one begins; None at the beginning of a connection."""
    arrived: int = 0
    """Fragments on this connection; it begins with some that were there already."""

    def header(self, data: bytes) -> None:
        """Take the beginning of the stream."""
        self.rate = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
        self.next = None
        self.arrived = 0

    def fragment(self, data: bytes, now: float) -> None:
        """Take a fragment that arrived at a time of the monotonic clock."""
        video, audio = _tracks(data)
        start, end = video[0] / self.rate, video[1] / self.rate
        if self.next is not None and abs(start - self.next) > 1e-3:
            self.gaps += 1
        self.next = end
        self.arrived += 1
        self.fragments += 1
        if audio is not None:
            apart = audio[1] / AUDIO_RATE - end
            self.apart = min(self.apart[0], apart), max(self.apart[1], apart)
        offset = now - start
        self.offsets.append((now, offset))
        while now - self.offsets[0][0] > WINDOW_SECONDS:
            self.offsets.popleft()
            if self.first is None:
                self.first = self.clock
        late = offset - self.clock - LEAD_SECONDS
        if late > 0 and start > FIRST_SECONDS and self.arrived > BEGUN_FRAGMENTS:
            self.late.append((start, late))

    @property
    def clock(self) -> float:
        """When the stream began, as the arrivals of the last window have it."""
        return float(np.percentile([offset for _, offset in self.offsets], EARLY))

    @property
    def drift(self) -> float | None:
        """Seconds by which the stream has left the clock since its first window; None for a short one."""
        return None if self.first is None or not self.offsets else self.clock - self.first


def _tracks(data: bytes) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Return begin and end of the pictures of a fragment in units of their track, and of its sound if it has any."""
    found = {}
    at = data.index(b"tfhd")
    end = data.index(b"mdat")
    while 0 <= at < end:
        track, duration = struct.unpack_from(">II", data, at + 8)
        begin = struct.unpack_from(">Q", data, data.index(b"tfdt", at) + 8)[0]
        count = struct.unpack_from(">I", data, data.index(b"trun", at) + 8)[0]
        found[track] = begin, begin + count * duration
        at = data.find(b"tfhd", at + 4)
    return found[1], found.get(2)


class Visitors:
    """Visitors of a server, each with one session at a time.

    Args:
        url: The server.
        options: Options of their sessions.
        until: When they leave, by the monotonic clock.

    Attributes:
        did: What they did, and what went wrong.
        streams: Of every session.
        stops: Seconds from an interruption to its event.
    """

    def __init__(self, url: str, options: dict[str, Any], until: float) -> None:
        self.did: Counter[str] = Counter()
        self.streams: list[Stream] = []
        self.stops: list[float] = []
        self._url = url
        self._options = options
        self._until = until
        self._client = httpx.AsyncClient(base_url=url, timeout=60)

    async def visit(self, number: int) -> None:
        """Have one session after the other; every second visitor keeps the first one to the end."""
        chances = random.Random(number)
        await asyncio.sleep(chances.uniform(0, 10))
        while self._left():
            reply = await self._client.post(SESSIONS, json=self._options)
            if reply.status_code == 503:
                self.did["refused"] += 1
                await asyncio.sleep(float(reply.headers["Retry-After"]))
                continue
            told = reply.raise_for_status().json()
            self.did["sessions"] += 1
            stream = Stream()
            self.streams.append(stream)
            visit = _Visit(self._url.replace("http", "ws") + told["socket_url"], stream, self.did)
            await visit.connect()
            try:
                await self._talk(visit, chances, stays=number % 2 == 0)
            finally:
                await visit.leave()
            if chances.random() < 0.5 or not self._left():
                await self._client.delete(f"{SESSIONS}/{told['session_id']}")
            else:
                self.did["left without a word"] += 1

    async def close(self) -> None:
        """Leave the server."""
        await self._client.aclose()

    def _left(self) -> bool:
        return time.monotonic() < self._until

    async def _talk(self, visit: _Visit, chances: random.Random, stays: bool) -> None:
        while self._left():
            await asyncio.sleep(chances.uniform(*PAUSES))
            what = chances.random()
            try:
                await self._turn(visit, chances, what)
            except TimeoutError:
                self.did["TURNS LOST"] += 1
            except ConnectionClosed:
                self.did["CONNECTIONS LOST"] += 1
                await visit.leave()
                await visit.connect()
            if visit.closed:
                self.did["SESSIONS LOST"] += 1
                return
            if not stays and chances.random() < LEFT:
                return

    async def _turn(self, visit: _Visit, chances: random.Random, what: float) -> None:
        visit.expect("turn_started", "turn_ended", "interrupted")
        await visit.send(type="say", text=chances.choice(TEXTS))
        await visit.happens("turn_started")
        if what < INTERRUPTED:
            await asyncio.sleep(chances.uniform(0.2, 3.0))
            asked = time.monotonic()
            await visit.send(type="interrupt")
            await visit.happens("interrupted")
            self.stops.append(time.monotonic() - asked)
            self.did["interrupted"] += 1
        elif what < INTERRUPTED + LOST:
            await visit.leave()
            await asyncio.sleep(chances.uniform(*AWAY))
            await visit.connect()
            await visit.happens("turn_ended")
            self.did["came back"] += 1
        else:
            await visit.happens("turn_ended")
            self.did["heard to the end"] += 1


class _Visit:
    """A visitor's connection to a session."""

    def __init__(self, url: str, stream: Stream, did: Counter[str]) -> None:
        self._url = url
        self._stream = stream
        self._did = did
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._happened: dict[str, asyncio.Event] = {}
        self._after = 0
        self.closed = False

    async def connect(self) -> None:
        """Connect, after the last event that arrived."""
        url = f"{self._url}{'&' if '?' in self._url else '?'}video=1&after={self._after}"
        self._socket = await connect(url, max_size=None, compression=None)
        self._reading = asyncio.create_task(self._read(self._socket))

    async def leave(self) -> None:
        """Disconnect."""
        assert self._socket is not None and self._reading is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()

    async def send(self, **message: object) -> None:
        """Send a message."""
        assert self._socket is not None
        await self._socket.send(json.dumps(message))

    def expect(self, *kinds: str) -> None:
        """Forget what has happened of some kinds."""
        self._happened = {kind: asyncio.Event() for kind in kinds}

    async def happens(self, kind: str) -> None:
        """Wait for an event.

        Raises:
            TimeoutError: It does not come.
        """
        async with asyncio.timeout(PATIENCE):
            await self._happened[kind].wait()

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                if isinstance(message, str):
                    self._take(json.loads(message))
                elif message[4:8] == b"ftyp":
                    self._stream.header(message)
                else:
                    self._stream.fragment(message, time.monotonic())

    def _take(self, event: dict[str, Any]) -> None:
        number = event.get("id", self._after + 1)
        if number != self._after + 1:
            self._did["EVENTS LOST"] += 1
        self._after = number
        self.closed = self.closed or event["type"] == "closed"
        if event["type"] == "error":
            self._did[f"ERROR {event['code']}"] += 1
        if event["type"] in self._happened:
            self._happened[event["type"]].set()


@dataclass(frozen=True)
class Held:
    """What a process holds.

    Attributes:
        memory: MiB of its own.
        mapped: MiB of files in memory, its share where others map them as well: libraries, and pictures of clips, which
            the system takes back when it needs the memory.
        threads: Its threads.
        files: Its open files.
        cpu: CPU seconds so far.
    """

    memory: float
    mapped: float
    threads: int
    files: int
    cpu: float

    @classmethod
    def of(cls, pid: int) -> Held:
        """Return what a process holds now."""
        folder = Path(f"/proc/{pid}")
        lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
        sizes = {name: int(value.split()[0]) / 1024 for name, value in (line.split(":") for line in lines)}
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        files = len(list((folder / "fd").iterdir()))
        own = sizes["Pss_Anon"] + sizes["Pss_Shmem"]
        return cls(memory=own, mapped=sizes["Pss_File"], threads=int(fields[17]), files=files, cpu=cpu)

    def __str__(self) -> str:
        return f"{self.memory:.0f} + {self.mapped:.0f}"


def workers_of(server: int) -> list[int]:
    """Return the processes of sessions of a server."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == server and WORKER in stat.with_name("cmdline").read_text():
                found.append(int(stat.parent.name))
    return sorted(found)


async def run(url: str, server: int, options: dict[str, Any], sessions: int, seconds: float, every: float) -> None:
    """Let visitors come for some time, and print what the server holds meanwhile and in the end.

    Args:
        url: The server.
        server: Its process.
        options: Options of the sessions.
        sessions: How many there are at a time.
        seconds: For how long.
        every: Seconds between two looks.
    """
    started = time.monotonic()
    visitors = Visitors(url, options, started + seconds)
    print(
        "| minutes | server MiB own + mapped | threads | files | workers MiB own + mapped | threads | files "
        "| cores | late | drift ms | turns |"
    )
    print("|---" * 11 + "|")
    chores = [asyncio.create_task(visitors.visit(number)) for number in range(sessions)]
    before: dict[int, Held] = {}
    looked = started

    async def look() -> None:
        nonlocal before, looked
        now = time.monotonic()
        held = {}
        for pid in (server, *workers_of(server)):
            with contextlib.suppress(OSError):  # it has just ended
                held[pid] = await asyncio.to_thread(Held.of, pid)
        cores = sum(one.cpu - before[pid].cpu for pid, one in held.items() if pid in before) / max(1, now - looked)
        before, looked = held, now
        workers = [one for pid, one in held.items() if pid != server]
        drifts = [abs(one.drift) for one in visitors.streams if one.drift is not None]
        cells = [
            f"{(now - started) / 60:.1f}",
            *(held[server], held[server].threads, held[server].files),
            *(", ".join(map(str, workers)), ", ".join(str(one.threads) for one in workers)),
            *(", ".join(str(one.files) for one in workers), f"{cores:.2f}"),
            *(sum(len(one.late) for one in visitors.streams), f"{1000 * max(drifts, default=0):.0f}"),
            sum(visitors.did[what] for what in ("heard to the end", "interrupted", "came back")),
        ]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)

    try:
        await asyncio.sleep(min(every, seconds / 2))
        while time.monotonic() < started + seconds:
            await look()
            await asyncio.sleep(min(every, max(0.1, started + seconds - time.monotonic())))
        await asyncio.gather(*chores)
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await visitors.close()
    await _until(lambda: not workers_of(server), GONE_SECONDS)
    await look()
    _conclude(visitors)


async def _until(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        await asyncio.sleep(1)


def _conclude(visitors: Visitors) -> None:
    streams = [one for one in visitors.streams if one.fragments]
    print("\n" + ", ".join(f"{what} {count}" for what, count in visitors.did.most_common()))
    drifts = [one.drift for one in streams if one.drift is not None]
    fragments, missing = sum(one.fragments for one in streams), sum(one.gaps for one in streams)
    late = sorted((pair for one in streams for pair in one.late), key=lambda pair: -pair[1])
    print(f"fragments {fragments}, late {len(late)}, missing {missing}")
    if late:
        latest = ", ".join(f"{seconds:.2f} s at {at:.1f} s" for at, seconds in late[:WORST])
        print(f"the latest of them, at a time of their stream: {latest}")
    print(f"drift from the clock: {1000 * min(drifts, default=0):.1f} to {1000 * max(drifts, default=0):.1f} ms")
    least, most = min(one.apart[0] for one in streams), max(one.apart[1] for one in streams)
    print(f"end of the sound less end of the pictures: {1000 * least:.0f} to {1000 * most:.0f} ms")
    if visitors.stops:
        median, worst = statistics.median(visitors.stops), max(visitors.stops)
        print(f"interruption to its event: median {median:.2f}, worst {worst:.2f} s")
