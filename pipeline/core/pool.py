"""Things that threads share, one thread at a time each: renderers, a model on a card, a library with global state."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import Notifier

T = TypeVar("T")


class _Waiter(Generic[T]):
    """A thread that waits; `lent` holds what it got, and `woken` is set then, or with its token."""

    def __init__(self) -> None:
        self.lent: list[T] = []
        self.woken = threading.Event()


class Pool(Generic[T]):
    """Lends things to threads, in the order of their requests.

    Args:
        things: What to lend.

    Attributes:
        asked: Reports that a thread has begun to wait.
    """

    def __init__(self, things: Iterable[T] = ()) -> None:
        self.asked = Notifier()
        self._free = deque(things)
        self._waiting: deque[_Waiter[T]] = deque()
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether a thread waits."""
        return bool(self._waiting)

    def add(self, thing: T) -> None:
        """Add a thing to lend."""
        with self._lock:
            self._free.append(thing)
            self._lend()

    @contextmanager
    def one(self, cancel: CancelToken) -> Iterator[T]:
        """Wait for a thing, and hold it while the block lasts.

        Args:
            cancel: Ends the waiting when it is set.

        Raises:
            PipelineError: The reason with which `cancel` was set.
        """
        mine: _Waiter[T] = _Waiter()
        with self._lock:
            self._waiting.append(mine)
            self._lend()
        try:
            if not mine.lent:
                self.asked.notify()
                with cancel.calling(mine.woken.set):
                    mine.woken.wait()
                if not mine.lent:
                    cancel.check()
            yield mine.lent[0]
        finally:
            with self._lock:
                if mine.lent:
                    self._free.append(mine.lent.pop())
                else:
                    self._waiting.remove(mine)
                self._lend()

    def _lend(self) -> None:
        while self._free and self._waiting:
            first = self._waiting.popleft()
            first.lent.append(self._free.popleft())
            first.woken.set()
