"""Several tasks share a renderer: each gets it for a sentence, in rotation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import Notifier
from pipeline.core.pool import Pool


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


class Slots(Protocol):
    """How many tasks other machines render at a time."""

    slots: int
    changed: Notifier
    """Reports that there are more or fewer slots."""


class Turns:
    """Gives turns to as many tasks at a time as there are renderers; the others follow in the order of their requests.

    A task that has had a turn and requests another one goes to the end of the queue.
    """

    def __init__(self, renderers: int) -> None:
        self._renderers = Pool(range(renderers))

    @property
    def asked(self) -> Notifier:
        """Reports that a task has begun to wait for a turn."""
        return self._renderers.asked

    @property
    def wanted(self) -> bool:
        """Whether a task waits for a turn."""
        return self._renderers.wanted

    @contextmanager
    def turn(self, waits: Waits, cancel: CancelToken) -> Iterator[None]:
        """Wait for a turn, and hold it while the block lasts.

        Args:
            waits: Counts the time of waiting.
            cancel: The task's token.

        Raises:
            PipelineError: The reason with which `cancel` was set.
        """
        with ExitStack() as stack:
            with waits.waiting():
                stack.enter_context(self._renderers.one(cancel))
            yield
