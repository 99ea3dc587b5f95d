"""Several tasks share a renderer: each gets it for a sentence, in rotation."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.cancel import CancelToken

LOOK_SECONDS = 0.05
"""Seconds between two checks of the token while a task waits for its turn."""


class Waits:
    """How long a task has waited for others so far, in seconds."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """The total, including the current wait."""
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
    """Gives turns to as many tasks at a time as there are renderers; the others follow in the order of their requests.

    A task that has had a turn and requests another one goes to the end of the queue.
    """

    def __init__(self, renderers: int) -> None:
        self._free = renderers
        self._line: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether a task waits for a turn."""
        return bool(self._line)

    @contextmanager
    def turn(self, waits: Waits, cancel: CancelToken) -> Iterator[None]:
        """Wait for a turn, and hold it while the block lasts.

        Args:
            waits: Counts the time of waiting.
            cancel: The task's token.

        Raises:
            PipelineError: The reason with which `cancel` was set.
        """
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
        """Start the turns that are due."""
        while self._free and self._line:
            self._free -= 1
            self._line.popleft().set()
