"""Wakes coroutines from any thread, so that they do not poll."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class News:
    """Notifies all coroutines that wait, on any event loop, from any thread."""

    def __init__(self) -> None:
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()

    def tell(self) -> None:
        """Set the events of all coroutines that wait."""
        with self._lock:
            waiting = list(self._waiting)
        for loop, news in waiting:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
                loop.call_soon_threadsafe(news.set)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """Give an event that every ``tell`` sets while the block lasts; clear it before you wait again."""
        waiter = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            self._waiting.add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._waiting.discard(waiter)
