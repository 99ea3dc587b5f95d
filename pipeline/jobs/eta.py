"""How long a task is going to take, learned from those that are done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

TIMED_TASKS = 20
"""How many finished tasks are remembered."""
LEAD_BYTES = 20
"""What every task costs beside its text, as bytes of it: the silence around speech, opening files."""


def work_of(text: str, pixels: int) -> float:
    """Return how much work it is to say TEXT on a picture of PIXELS; only ratios of it mean anything.

    Bytes of UTF-8 stand for the length of speech: a Korean syllable has three and takes about as long to say as three
    Latin letters.
    """
    return (len(text.encode()) + LEAD_BYTES) * float(pixels)


def done_in(running: Sequence[float], waiting: Sequence[float], places: int, renderers: int) -> float:
    """Return in how many seconds the last of WAITING is done.

    RUNNING, WAITING: the seconds of work that are left of each task. Up to PLACES tasks run at a time and share
    RENDERERS evenly; those that wait come in their order.
    """
    left, line, now = list(running), deque(waiting), 0.0
    last: int | None = None
    while True:
        while line and len(left) < places:
            left.append(line.popleft())
            last = None if line else len(left) - 1
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
    """Tells the seconds of a task by its work; safe to use from any thread."""

    def __init__(self) -> None:
        self._timed: deque[tuple[float | None, float]] = deque(maxlen=TIMED_TASKS)
        self._lock = threading.Lock()

    def note(self, work: float | None, seconds: float) -> None:
        """Remember that a task took SECONDS; its WORK is None where nobody knows (a recording)."""
        with self._lock:
            self._timed.append((work, seconds))

    def seconds(self, work: float | None) -> float | None:
        """Return how long WORK is going to take: the latest tasks' time per work, or their mean where work is unknown.

        None until a first task was timed.
        """
        with self._lock:
            timed = list(self._timed)
        if not timed:
            return None
        known = [(one, seconds) for one, seconds in timed if one is not None]
        if work is None or not known:
            return sum(seconds for _, seconds in timed) / len(timed)
        return work * sum(seconds for _, seconds in known) / sum(one for one, _ in known)
