"""How long a task is going to take, learned from those that are done."""

from __future__ import annotations

import threading
from collections import deque

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
