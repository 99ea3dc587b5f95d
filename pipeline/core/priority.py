"""Lets work that can wait give way to work that cannot."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

AWAITED = 3
"""Priority of work that somebody waits for, see nice(1): half of the processor that pictures of sessions get."""
NOT_URGENT = 5
"""Priority of work that may take its time: a third of the processor beside others of the usual priority."""


def give_way(niceness: int = NOT_URGENT) -> None:
    """Lower the priority of this thread, and of the threads that it starts from now on.

    Only on Linux, where a thread has a priority of its own; it cannot be raised again.

    Args:
        niceness: By how much, `AWAITED` or `NOT_URGENT`.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(usual + niceness, 19))
