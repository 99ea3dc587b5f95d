"""Keeps the log readable: what happens again and again is told a few times, and then counted."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

PERIOD_SECONDS = 60.0
"""For how long records of a kind are counted together."""
TOLD_OF_A_KIND = 20
"""How many warnings or errors of a kind are told in that time; of what tells of tasks, nothing is left out."""


@dataclass
class _Kind:
    """Records of a kind since SINCE (s, monotonic): how many were told, and how many were not."""

    since: float
    told: int = 0
    left_out: int = 0


class Dam(logging.Filter):
    """Lets TOLD_OF_A_KIND warnings and errors of a kind pass in PERIOD_SECONDS; the next one says how many did not.

    Of a kind are those of one logger that one line of code writes, of errors with the same exception.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[object, _Kind] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether RECORD is to be written."""
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
            if kind.told >= TOLD_OF_A_KIND:
                kind.left_out += 1
                return False
            kind.told += 1
            return True


def build_dam() -> None:
    """Put a dam before everything that writes the log now, whoever logs."""
    dam = Dam()
    for logger in (logging.getLogger(), logging.getLogger("uvicorn")):
        for handler in logger.handlers:
            handler.addFilter(dam)
