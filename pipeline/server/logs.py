"""Keeps the log readable: repeated records are logged a few times, and then counted."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

PERIOD_SECONDS = 60.0
"""Seconds over which records of a kind are counted together."""
MOST_OF_A_KIND = 20
"""Most warnings or errors of a kind in that time; records about tasks are never dropped."""


@dataclass
class _Kind:
    """Records of a kind since a time (seconds, monotonic): how many were logged, and how many were not."""

    since: float
    reported: int = 0
    left_out: int = 0


class Dam(logging.Filter):
    """Passes `MOST_OF_A_KIND` warnings and errors of a kind in `PERIOD_SECONDS`; the next one counts the dropped ones.

    Records are of a kind if one line of code writes them to the same logger, with the same class of exception.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[object, _Kind] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record."""
        if record.levelno < logging.WARNING:
            return True
        error = record.exc_info[0] if record.exc_info else None
        name = record.name, record.pathname, record.lineno, error
        now = time.monotonic()
        with self._lock:
            kind = self._kinds.get(name)
            if kind is None or now - kind.since > PERIOD_SECONDS:
                left_out = kind.left_out if kind is not None else 0
                self._kinds = {one: its for one, its in self._kinds.items() if now - its.since <= PERIOD_SECONDS}
                kind = self._kinds[name] = _Kind(now)
                if left_out:
                    record.msg, record.args = f"{record.getMessage()} ({left_out} more of these before)", ()
            if kind.reported >= MOST_OF_A_KIND:
                kind.left_out += 1
                return False
            kind.reported += 1
            return True


def build_dam() -> None:
    """Add a dam to all current handlers of the log."""
    dam = Dam()
    for logger in (logging.getLogger(), logging.getLogger("uvicorn")):
        for handler in logger.handlers:
            handler.addFilter(dam)
