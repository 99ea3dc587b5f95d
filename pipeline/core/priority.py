"""Lets work that can wait give way to work that cannot."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

NICENESS = 5
"""Priority of threads that give way, see nice(1): a third of the processor beside others of the usual priority."""


def give_way() -> None:
    """Lower the priority of this thread, and of the threads that it starts from now on.

    Only on Linux, where a thread has a priority of its own; it cannot be raised again.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(usual + NICENESS, 19))
