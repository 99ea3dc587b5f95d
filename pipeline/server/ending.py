"""The signals that end the server."""

from __future__ import annotations

import os
import select
import signal
import socket

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AT_ONCE = 2
"""Requests after which nothing is waited for."""


class Ending:
    """Requests to end, counted: after the first, what runs may come to its end; after `AT_ONCE`, nothing may.

    Handlers written in Python run in the main thread, and the system may hand a signal to any other. Nothing then wakes
    a main thread that waits for a lock. A socket does: for each signal, Python writes its number into it, in whichever
    thread that comes (``signal.set_wakeup_fd``). Make this in the main thread.
    """

    def __init__(self) -> None:
        self._count = 0
        self._numbers, self._written = socket.socketpair()
        self._written.setblocking(False)
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_forget)  # a process that is forked has signals of its own
        for one in SIGNALS:
            signal.signal(one, lambda _signal, _frame: None)

    def wait(self, seconds: float | None = None) -> int:
        """Wait for a request for up to `seconds`, or for ever; return how many have come so far.

        It may return earlier, for another signal.
        """
        if select.select([self._numbers], [], [], seconds)[0]:
            self._count += sum(number in SIGNALS for number in self._numbers.recv(1 << 10))
        return self._count


def _forget() -> None:
    signal.set_wakeup_fd(-1)
