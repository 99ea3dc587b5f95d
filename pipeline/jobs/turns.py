"""Several tasks share what draws: each has it for a sentence, and then the next one in rotation."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.cancel import CancelToken

LOOK_SECONDS = 0.05
"""How often somebody who waits for a turn looks at their token."""


class Waits:
    """How long a task has stood back for others so far, (s)."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """All of it, the wait that goes on now included."""
        since = self._since
        return self._seconds + (time.monotonic() - since if since is not None else 0.0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the seconds of the block."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._seconds, self._since = self.seconds, None


class Turns:
    """Gives turns to as many tasks at a time as there are RENDERERS; the others come in the order in which they asked.

    Whoever has had a turn and asks again is the last of those who wait, so that turns go round.
    """

    def __init__(self, renderers: int) -> None:
        self._free = renderers
        self._line: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a turn."""
        return bool(self._line)

    @contextmanager
    def turn(self, waits: Waits, cancel: CancelToken) -> Iterator[None]:
        """Have a turn while the block lasts, which is waited for. Raises what CANCEL is set with meanwhile."""
        mine = threading.Event()
        with self._lock:
            self._line.append(mine)
            self._call()
        try:
            with waits.waiting():
                while not mine.wait(LOOK_SECONDS):
                    cancel.check()
            yield
        finally:
            with self._lock:
                if mine.is_set():
                    self._free += 1
                else:
                    self._line.remove(mine)
                self._call()

    def _call(self) -> None:
        """Call those whose turn it is."""
        while self._free and self._line:
            self._free -= 1
            self._line.popleft().set()
