"""Calls the sessions of a process in time: the one whose stream ends soonest comes first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.live.fragments import Fragment
from pipeline.live.session import Session

logger = logging.getLogger(__name__)

LEAD_SECONDS = 0.3
"""Seconds by which a stream is written ahead of the clock: what a network may delay unnoticed."""
LOST_SECONDS = 2.0
"""Seconds by which a stream may be late; beyond, its clock begins anew where the stream is."""
SMOOTHING = 0.05
"""Weight of the newest measurement in the mean cost of a frame."""


@dataclass
class Load:
    """What a process has measured.

    Attributes:
        frame_seconds: CPU time of a frame that is drawn; 0 until one was.
        busy: Seconds of CPU time in the last period.
        fragments: Fragments so far.
        late: Those of them that came after their time.
        worst: Seconds by which the latest was late.
    """

    frame_seconds: float = 0.0
    busy: float = 0.0
    fragments: int = 0
    late: int = 0
    worst: float = 0.0


@dataclass
class _Entry:
    session: Session
    deliver: Callable[[Fragment], object]
    fail: Callable[[], object]
    started: float
    due: float
    hurried: bool = False
    """Whether it is wanted before it is due."""


class Clock:
    """Runs sessions on the thread that calls `run`.

    One thread for all of them: they would only wait for each other, and the order of their needs is kept.

    Args:
        now: The monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.load = Load()
        self._now = now
        self._entries: dict[str, _Entry] = {}
        self._changed = threading.Condition()
        self._stopped = False

    def add(
        self, key: str, session: Session, deliver: Callable[[Fragment], object], fail: Callable[[], object]
    ) -> None:
        """Start a session's stream now.

        Args:
            key: Its name here.
            session: The session.
            deliver: Called with each fragment.
            fail: Called if the session raises; it is removed then.
        """
        with self._changed:
            now = self._now()
            self._entries[key] = _Entry(session, deliver, fail, started=now, due=now - LEAD_SECONDS)
            self._changed.notify()

    def hurry(self, key: str) -> None:
        """Advance a session next, ahead of its time: a client waits for it to stop speaking."""
        with self._changed:
            entry = self._entries.get(key)
            if entry is not None:
                entry.due, entry.hurried = self._now(), True
                self._changed.notify()

    def remove(self, key: str) -> None:
        """Stop a session's stream; does nothing if there is none."""
        with self._changed:
            self._entries.pop(key, None)

    def stop(self) -> None:
        """Let `run` return."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Advance the sessions until `stop` is called."""
        while True:
            with self._changed:
                if self._stopped:
                    return
                key, entry = min(self._entries.items(), key=lambda item: item[1].due, default=("", None))
                wait = None if entry is None else entry.due - self._now()
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
            assert entry is not None
            self._advance(key, entry)

    def _advance(self, key: str, entry: _Entry) -> None:
        before = time.thread_time()
        entry.hurried = False
        try:
            fragment = entry.session.advance()
        except Exception:
            logger.exception("session %s", key)
            self.remove(key)
            entry.fail()
            return
        cost = time.thread_time() - before
        self._measure(fragment, cost)
        late = self._now() - entry.started - fragment.start
        if late > 0:
            self.load.late += 1
            self.load.worst = max(self.load.worst, late)
        if late > LOST_SECONDS:
            entry.started += late
        if not entry.hurried:
            entry.due = entry.started + entry.session.time - LEAD_SECONDS
        entry.deliver(fragment)

    def _measure(self, fragment: Fragment, cost: float) -> None:
        load = self.load
        load.fragments += 1
        load.busy += cost
        if fragment.drawn:
            frame = cost / fragment.drawn
            load.frame_seconds += (frame - load.frame_seconds) * (SMOOTHING if load.frame_seconds else 1)
