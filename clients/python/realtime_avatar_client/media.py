"""Decodes and plays the video of a live session, for frameworks of calls; needs the extra ``media`` (PyAV)."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import queue
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeAlias

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from realtime_avatar_client.aio import AsyncSession
from realtime_avatar_client.events import Event, Interrupted, TurnEnded, TurnStarted

Medium: TypeAlias = VideoFrame | AudioFrame | Event
_END = b""
LEAD = 0.3
"""Seconds that the stream is sent ahead of its time."""
LATE = 0.5
"""Seconds behind the clock from which it is set anew: a connection was lost, or the machine was busy."""


async def media_of(session: AsyncSession) -> AsyncGenerator[Medium]:
    """Yield pictures, sound and events of a session that was opened with ``video=True``, as they arrive.

    The ``time`` of a picture or sound is its time in the stream, in seconds; that of an event is its ``stream``. They
    arrive ahead of their time, in pieces of 0.2 s; pictures and sound are in the order of their times.
    """
    loop = asyncio.get_running_loop()
    out: asyncio.Queue[Medium | None] = asyncio.Queue()

    def put(one: Medium | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(out.put_nowait, one)

    async def read() -> None:
        decoder: _Decoder | None = None
        try:
            async with aclosing(session.__aiter__()) as messages:
                async for one in messages:
                    if isinstance(one, Event):
                        put(one)
                        continue
                    if one[4:8] == b"ftyp":  # the beginning, or again after a lost connection
                        if decoder is not None:
                            decoder.feed(_END)
                        decoder = _Decoder(put)
                    if decoder is not None:
                        decoder.feed(one)
        finally:
            if decoder is not None:
                decoder.feed(_END)
            put(None)

    reading = asyncio.create_task(read())
    try:
        while (one := await out.get()) is not None:
            yield one
        await reading
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await reading


class _Decoder:
    """Decodes one mp4 that arrives in pieces, on a thread."""

    def __init__(self, put: Any) -> None:
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = b""
        self._ended = False
        self._put = put
        threading.Thread(target=self._run, name="decoder", daemon=True).start()

    def feed(self, piece: bytes) -> None:
        """Add a piece; an empty one ends the thread."""
        self._pieces.put(piece)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, as soon as there are any; none at the end. FFmpeg calls it."""
        while not self._rest and not self._ended:
            self._rest = self._pieces.get()
            self._ended = not self._rest
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _run(self) -> None:
        # what the streams are is in the header; to look for more would wait for it
        options = {"probesize": "4096", "analyzeduration": "0", "fflags": "nobuffer"}
        with contextlib.suppress(av.FFmpegError), av.open(self, "r", format="mp4", options=options) as container:
            for stream in container.streams.video:
                stream.thread_type = "NONE"  # threads would keep pictures back
            # a piece holds its pictures first, then its sound
            waiting: list[tuple[float, int, VideoFrame | AudioFrame]] = []
            newest = {stream.type: -1.0 for stream in container.streams}
            for number, frame in enumerate(frame for packet in container.demux() for frame in packet.decode()):
                if not isinstance(frame, VideoFrame | AudioFrame):
                    continue
                moment = float(frame.time or 0.0)
                newest["video" if isinstance(frame, VideoFrame) else "audio"] = moment
                heapq.heappush(waiting, (moment, number, frame))
                while waiting and waiting[0][0] <= min(newest.values()):
                    self._put(heapq.heappop(waiting)[2])
            for _, _, frame in sorted(waiting):
                self._put(frame)


class Playback:
    """Pictures and sound of a session, each when its time has come; sound only while the avatar speaks.

    Iterating yields pictures, sound and events. A `TurnEnded` comes after the last sound of its turn, other events at
    once.

    Args:
        session: A session that was opened with ``video=True``.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._turns: list[list[float]] = []
        """When the avatar speaks: begin and end, in seconds of the stream."""
        self._ends: list[TurnEnded] = []

    def silence(self) -> None:
        """Drop the sound that is on its way, and the ends of its turns."""
        self._turns.clear()
        self._ends.clear()

    async def interrupt(self) -> None:
        """Stop speaking at once."""
        self.silence()
        await self._session.interrupt()

    async def __aiter__(self) -> AsyncGenerator[Medium]:
        """Yield what is to be shown, heard and known now."""
        loop, begun = asyncio.get_running_loop(), 0.0
        async with aclosing(media_of(self._session)) as media:
            async for one in media:
                if isinstance(one, Event):
                    if not self._note(one):
                        yield one
                    continue
                moment = float(one.time or 0.0)
                begun = begun or loop.time() - moment + LEAD
                wait = begun + moment - loop.time()
                if wait < -LATE:
                    begun = loop.time() - moment
                elif wait > 0:
                    await asyncio.sleep(wait)
                while self._ends and self._ends[0].stream <= moment:
                    yield self._ends.pop(0)
                self._turns = [turn for turn in self._turns if turn[1] > moment - 1]
                if isinstance(one, VideoFrame) or any(begin <= moment < end for begin, end in self._turns):
                    yield one

    def _note(self, event: Event) -> bool:
        """Note when the avatar speaks; return whether the event is kept until its time."""
        if isinstance(event, TurnStarted):
            self._turns.append([event.stream, float("inf")])
        elif isinstance(event, TurnEnded | Interrupted) and self._turns and self._turns[-1][1] == float("inf"):
            self._turns[-1][1] = event.stream
        if isinstance(event, TurnEnded) and self._turns:
            self._ends.append(event)
            return True
        return False
