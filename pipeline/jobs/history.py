"""The events of one task, kept for all listeners, however late they come."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pipeline.core.notifier import Notifier, woken_by
from pipeline.jobs.events import Ended, Event, same_kind


@dataclass(frozen=True)
class Entry:
    """An event in the history of a task.

    Attributes:
        number: From 1 on, increasing.
        at: Seconds after the request.
        event: The event.
    """

    number: int
    at: float
    event: Event


class History:
    """The numbered events of one task; any thread adds them, any number of coroutines follow.

    The last one is Done, Made or Failed. Of consecutive events that only update each other (position, progress) the
    first and the latest are kept, so that no task, however long, fills the memory.
    """

    ours = True
    """Whether its task is one of this web server."""

    def __init__(self) -> None:
        self.asked = time.monotonic()
        self.listeners = 0
        """How many clients follow it now."""
        self.departures = 0
        """How many have left."""
        self._entries: list[Entry] = []
        self._number = 0
        self.changes = Notifier()
        """Reports every event."""
        self._lock = threading.Lock()

    @property
    def entries(self) -> list[Entry]:
        """The entries that are kept, in order."""
        with self._lock:
            return list(self._entries)

    @property
    def last(self) -> Entry | None:
        """The latest entry."""
        with self._lock:
            return self._entries[-1] if self._entries else None

    @property
    def ended(self) -> bool:
        """Whether the task has ended, successfully or not."""
        last = self.last
        return last is not None and isinstance(last.event, Ended)

    def add(self, event: Event) -> bool:
        """Add an event, and wake the listeners.

        Returns:
            Whether it was added: nothing is added after the end.
        """
        with self._lock:
            if self._entries and isinstance(self._entries[-1].event, Ended):
                return False
            self._number += 1
            before = [entry.event for entry in self._entries[-2:]]
            if len(before) > 1 and all(same_kind(event, one) for one in before):
                self._entries.pop()
            self._entries.append(Entry(self._number, time.monotonic() - self.asked, event))
        self.changes.notify()
        return True

    async def follow(self, after: int, heartbeat: float | None = None) -> AsyncGenerator[Entry | None]:
        """Yield every event after a number, to the last one; None if no event comes for `heartbeat` seconds."""
        with woken_by(self.changes) as woken:
            while True:
                woken.clear()
                ended = self.ended  # checked first, so that no event before the end is missed
                for entry in self.entries:
                    if entry.number > after:
                        after = entry.number
                        yield entry
                if ended:
                    return
                try:
                    async with asyncio.timeout(heartbeat):  # wait_for may lose a cancellation
                        await woken.wait()
                except TimeoutError:
                    yield None
