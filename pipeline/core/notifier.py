"""Wakes coroutines from any thread, so that nobody has to look again and again."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class News:
    """Says that something is new, from any thread, to all coroutines that wait for it now, on whatever loop."""

    def __init__(self) -> None:
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()

    def tell(self) -> None:
        """Set the events of all who wait."""
        with self._lock:
            waiting = list(self._waiting)
        for loop, news in waiting:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends and nobody listens
                loop.call_soon_threadsafe(news.set)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever there is news while the block lasts; whoever waits clears it first."""
        waiter = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            self._waiting.add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._waiting.discard(waiter)
