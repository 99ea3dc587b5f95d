"""The token that stops a task."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import Cancelled, PipelineError


class CancelToken:
    """A flag that is set once and that every stage of one task checks; safe to use from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason: PipelineError = Cancelled()
        self._children: list[CancelToken] = []
        self._calls: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def child(self) -> CancelToken:
        """Return a token that is set with this one and can also be set alone, for a part of the task."""
        child = CancelToken()
        with self._lock:
            if not self.cancelled:
                self._children.append(child)
                return child
        child.cancel(self._reason)
        return child

    @property
    def cancelled(self) -> bool:
        """Whether the token is set."""
        return self._event.is_set()

    @property
    def reason(self) -> PipelineError:
        """The error with which the task fails once it is cancelled."""
        return self._reason

    def cancel(self, reason: PipelineError | None = None) -> None:
        """Set the token. A token that is set already keeps its first reason.

        Args:
            reason: The error with which the task is to fail; Cancelled by default.
        """
        with self._lock:
            if reason is not None and not self._event.is_set():
                self._reason = reason.afresh()
            self._event.set()
            children, self._children = self._children, []
            calls, self._calls = self._calls, []
        for child in children:
            child.cancel(self._reason)
        for call in calls:
            call()

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Call `call` once, from any thread, when the token is set before or while the block lasts."""
        with self._lock:
            pending = not self._event.is_set()
            if pending:
                self._calls.append(call)
        if not pending:
            call()
        try:
            yield
        finally:
            with self._lock:
                if call in self._calls:
                    self._calls.remove(call)

    def check(self) -> None:
        """Raise the reason if the token is set; called between frames and chunks."""
        if self._event.is_set():
            raise self._reason.afresh()

    def wait(self, seconds: float) -> bool:
        """Sleep until the token is set, at most for a number of seconds; return whether it is set."""
        return self._event.wait(seconds)
