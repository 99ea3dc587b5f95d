"""The token that stops a task."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from pipeline.core.notifier import Flag
from pipeline.errors import Cancelled, PipelineError


class CancelToken:
    """A flag that is set once and that stops every stage of one task; safe to use from any thread.

    A stage that computes checks it between frames and chunks. A stage that waits is woken by it; see
    ``pipeline.core.notifier``.
    """

    def __init__(self) -> None:
        self._flag = Flag()
        self._reason: PipelineError | None = None
        self._lock = threading.Lock()

    @property
    def cancelled(self) -> bool:
        """Whether the token is set."""
        return self._flag.is_set

    @property
    def reason(self) -> PipelineError:
        """The error with which the task fails once it is cancelled."""
        return self._reason or Cancelled()

    def cancel(self, reason: PipelineError | None = None) -> None:
        """Set the token, and wake all that wait with it. A token that is set already keeps its first reason.

        Args:
            reason: The error with which the task is to fail; Cancelled by default.
        """
        with self._lock:
            if self._reason is None:
                self._reason = (reason or Cancelled()).afresh()
        self._flag.set()

    def calling(self, call: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `call` once, from any thread, when the token is set before or while the block lasts."""
        return self._flag.calling(call)

    @contextmanager
    def child(self) -> Iterator[CancelToken]:
        """Give a token for a part of the task: it can be set alone, and is set with this one while the block lasts."""
        child = CancelToken()
        with self.calling(lambda: child.cancel(self.reason)):
            yield child

    def check(self) -> None:
        """Raise the reason if the token is set; called between frames and chunks."""
        if self._flag.is_set:
            raise self.reason.afresh()

    def wait(self, seconds: float) -> bool:
        """Sleep until the token is set, at most for a number of seconds; return whether it is set."""
        return self._flag.wait(seconds)
