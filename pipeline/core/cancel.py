"""The token by which whoever owns a task tells it to stop."""

from __future__ import annotations

import threading

from pipeline.errors import Cancelled, PipelineError


class CancelToken:
    """Set once, seen by every stage of one task; safe to use from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason: PipelineError = Cancelled()
        self._children: list[CancelToken] = []
        self._lock = threading.Lock()

    def child(self) -> CancelToken:
        """Return a token that is set with this one, and can be set alone: for a part of the task that is given up."""
        child = CancelToken()
        with self._lock:
            if not self.cancelled:
                self._children.append(child)
                return child
        child.cancel(self._reason)
        return child

    @property
    def cancelled(self) -> bool:
        """Whether the task was told to stop."""
        return self._event.is_set()

    @property
    def reason(self) -> PipelineError:
        """What the task is to fail with once it was told to stop."""
        return self._reason

    def cancel(self, reason: PipelineError | None = None) -> None:
        """Tell the task to stop, failing with REASON, by default Cancelled. Of no effect on one told so before."""
        with self._lock:
            if reason is not None and not self._event.is_set():
                self._reason = reason.afresh()
            self._event.set()
            children, self._children = self._children, []
        for child in children:
            child.cancel(self._reason)

    def check(self) -> None:
        """Raise the reason, mostly Cancelled, if the task was told to stop; called between frames and chunks."""
        if self._event.is_set():
            raise self._reason.afresh()

    def wait(self, seconds: float) -> bool:
        """Sleep for SECONDS or until cancelled; return whether it was cancelled."""
        return self._event.wait(seconds)
