"""What was told of one task, kept for whoever listens, however late they come."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pipeline.core.notifier import News
from pipeline.jobs.events import Ended, Event, same_kind


@dataclass(frozen=True)
class Told:
    """An event of a task. number: from 1 on, growing; at: seconds after the task was asked for."""

    number: int
    at: float
    event: Event


class History:
    """The events of one task, numbered; told by any thread, followed by any number of coroutines.

    It ends with Done, Made or Failed. Of a run of events that only update each other (places in the line, progress) the
    first and the latest are kept, so that no task, however long, fills the memory.
    """

    def __init__(self) -> None:
        self.asked = time.monotonic()
        self.listeners = 0
        """How many clients follow it now."""
        self.departures = 0
        """How many have left."""
        self._told: list[Told] = []
        self._number = 0
        self._news = News()
        self._lock = threading.Lock()

    @property
    def told(self) -> list[Told]:
        """Everything that is kept, in order."""
        with self._lock:
            return list(self._told)

    @property
    def last(self) -> Told | None:
        """The latest event."""
        with self._lock:
            return self._told[-1] if self._told else None

    @property
    def ended(self) -> bool:
        """Whether the task has come to its end, good or bad."""
        last = self.last
        return last is not None and isinstance(last.event, Ended)

    def tell(self, event: Event) -> bool:
        """Add EVENT and wake all followers; return whether it was told: after the end nothing is any more."""
        with self._lock:
            if self._told and isinstance(self._told[-1].event, Ended):
                return False
            self._number += 1
            before = [told.event for told in self._told[-2:]]
            if len(before) > 1 and all(same_kind(event, one) for one in before):
                self._told.pop()
            self._told.append(Told(self._number, time.monotonic() - self.asked, event))
        self._news.tell()
        return True

    async def follow(self, after: int, heartbeat: float) -> AsyncGenerator[Told | None]:
        """Yield every event whose number is above AFTER, to the last; None when nothing came for HEARTBEAT seconds."""
        with self._news.waiting() as news:
            while True:
                news.clear()
                ended = self.ended  # asked first: what is told before the end must not be missed
                for told in self.told:
                    if told.number > after:
                        after = told.number
                        yield told
                if ended:
                    return
                try:
                    async with asyncio.timeout(heartbeat):  # wait_for may pass over that it is cancelled
                        await news.wait()
                except TimeoutError:
                    yield None
