"""Calls the sessions of a process in time: the one whose stream ends soonest comes first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.live.fragments import Fragment
from pipeline.live.pictures import drawn_by
from pipeline.live.session import Next, Session
from pipeline.video.frame import Frame

logger = logging.getLogger(__name__)

LEAD_SECONDS = 0.3
"""Seconds by which a stream is written ahead of the clock: what a network may delay unnoticed."""
LOST_SECONDS = 2.0
"""Seconds by which a stream may be late; beyond, its clock begins anew where the stream is."""
TOGETHER_SECONDS = 0.05
"""Seconds by which a session may be ahead of its time to be drawn together with one that is due."""
CROSSES_WITHIN = 0.1
"""Seconds for which the clock may be at work without a pause when a session still goes over into another clip: its
pictures take three times as long as others, and of sessions that speak at once many would go over at once."""
SMOOTHING = 0.05
"""Weight of the newest measurement in the mean cost of a frame."""


@dataclass
class Load:
    """What a process has measured.

    Attributes:
        frame_seconds: CPU time of a frame that is drawn, and, where a device draws, its time as well; 0 until one was.
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
        self._busy_since = now()

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
            self._entries[key] = _Entry(session, deliver, fail, now - session.time, due=now - LEAD_SECONDS)
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
                entries = sorted(self._entries.items(), key=lambda item: item[1].due)
                wait = entries[0][1].due - self._now() if entries else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    self._busy_since = self._now()
                    continue
            self._advance(self._together(entries))

    def _together(self, entries: list[tuple[str, _Entry]]) -> list[tuple[str, _Entry]]:
        """Return the first of the sessions, and those that are drawn with it; they are sorted by when they are due."""
        pictures = entries[0][1].session.pictures
        until = self._now() + TOGETHER_SECONDS
        others = (item for item in entries[1:] if item[1].session.pictures.engine is pictures.engine)
        return [entries[0], *(item for item in others if item[1].due <= until)][: pictures.together]

    def _advance(self, entries: list[tuple[str, _Entry]]) -> None:
        """Advance sessions of one engine."""
        before = time.thread_time()
        coming: list[tuple[str, _Entry, Next]] = []
        for key, entry in entries:
            entry.hurried = False
            with self._failing(key, entry):
                may_cross = self._now() - self._busy_since < CROSSES_WITHIN
                coming.append((key, entry, entry.session.prepare(may_cross)))
        drawn, waited = self._draw(coming)
        share = (time.thread_time() - before + waited) / max(1, len(coming))
        for key, entry, one in coming:
            before = time.thread_time()
            with self._failing(key, entry):
                if one.drawing is not None and key not in drawn:
                    continue  # it has failed
                fragment = entry.session.complete(one, drawn.get(key))
                self._measure(fragment, share + time.thread_time() - before)
                self._deliver(entry, fragment)

    def _draw(self, coming: Sequence[tuple[str, _Entry, Next]]) -> tuple[dict[str, list[Frame]], float]:
        """Return the pictures of sessions, and the seconds in which a device drew them."""
        drawing = [(key, entry, one.drawing) for key, entry, one in coming if one.drawing is not None]
        if not drawing:
            return {}, 0.0
        pictures = drawing[0][1].session.pictures
        worked, started = time.thread_time(), time.monotonic()
        drawn: dict[str, list[Frame]] = {}
        try:
            frames = drawn_by(pictures.engine, [what for _, _, what in drawing])
            drawn = {key: one for (key, _, _), one in zip(drawing, frames, strict=True)}
        except Exception:
            if len(drawing) > 1:
                logger.exception("drawing %d sessions; now each for itself", len(drawing))
            for key, entry, what in drawing:
                with self._failing(key, entry):
                    drawn[key] = drawn_by(pictures.engine, [what])[0]
        if pictures.together == 1:
            return drawn, 0.0
        return drawn, max(0.0, time.monotonic() - started - (time.thread_time() - worked))

    @contextmanager
    def _failing(self, key: str, entry: _Entry) -> Iterator[None]:
        """Remove a session that raises."""
        try:
            yield
        except Exception:
            logger.exception("session %s", key)
            self.remove(key)
            entry.fail()

    def _deliver(self, entry: _Entry, fragment: Fragment) -> None:
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
