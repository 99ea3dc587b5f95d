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
from realtime_avatar_client.events import Event

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
