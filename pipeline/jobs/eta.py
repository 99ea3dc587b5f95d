"""Estimates how long a task will take, from the tasks that are done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

TIMED_TASKS = 20
"""Number of finished tasks that are remembered."""
LEAD_BYTES = 20
"""Cost of every task besides its text, as bytes of text: the silence around speech, opening files."""


def work_of(text: str, pixels: int) -> float:
    """Return the amount of work for a text and a picture size; only ratios are meaningful.

    The length of speech is measured in bytes of UTF-8: a Korean syllable has three and takes about as long as three
    Latin letters.

    Args:
        text: What to speak.
        pixels: Pixels of a frame.
    """
    return (len(text.encode()) + LEAD_BYTES) * float(pixels)


def done_in(running: Sequence[float], waiting: Sequence[float], places: int, renderers: int) -> float:
    """Return in how many seconds the last waiting task is done.

    Args:
        running: Seconds of work that are left of each running task.
        waiting: The same of the waiting tasks, in their order.
        places: Tasks that run at a time.
        renderers: Renderers that the running tasks share evenly.
    """
    left, queue, now = list(running), deque(waiting), 0.0
    last: int | None = None
    while True:
        while queue and len(left) < places:
            left.append(queue.popleft())
            last = None if queue else len(left) - 1
        rate = min(1.0, renderers / len(left))
        step = min(left)
        now += step / rate
        left = [seconds - step for seconds in left]
        if last is not None and left[last] <= 0:
            return now
        if last is not None:
            last -= sum(seconds <= 0 for seconds in left[:last])
        left = [seconds for seconds in left if seconds > 0]


class Pace:
    """Estimates the seconds of a task by its work; safe to use from any thread."""

    def __init__(self) -> None:
        self._timed: deque[tuple[float | None, float]] = deque(maxlen=TIMED_TASKS)
        self._lock = threading.Lock()

    def note(self, work: float | None, seconds: float) -> None:
        """Remember how many seconds a task took; its work is None if it is unknown (a recording)."""
        with self._lock:
            self._timed.append((work, seconds))

    @property
    def timed(self) -> list[tuple[float | None, float]]:
        """Work and seconds of the latest tasks."""
        with self._lock:
            return list(self._timed)

    def replace(self, timed: Iterable[tuple[float | None, float]]) -> None:
        """Remember these tasks, and no others."""
        with self._lock:
            self._timed = deque(timed, maxlen=TIMED_TASKS)

    def seconds(self, work: float | None) -> float | None:
        """Return how long an amount of work will take; None until a first task was timed.

        This is the latest tasks' time per work, or their mean if the work is unknown.
        """
        timed = self.timed
        if not timed:
            return None
        known = [(one, seconds) for one, seconds in timed if one is not None]
        if work is None or not known:
            return sum(seconds for _, seconds in timed) / len(timed)
        return work * sum(seconds for _, seconds in known) / sum(one for one, _ in known)
