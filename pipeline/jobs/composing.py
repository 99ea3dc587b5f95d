"""An avatar's clip that is composed in front of a background, once, for all that want it at the same time."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from pathlib import Path

from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.core.lock_file import LockFile, locked
from pipeline.video.growing_clip import GrowingClip

logger = logging.getLogger(__name__)
LOCK, PART = ".lock", ".part"
"""Endings of files that are there while a clip is composed, and written."""


class Composing:
    """A clip that a thread of its own composes, or reads if it was composed before.

    Args:
        path: Where it is kept.
        clip: Grows with it.
        compose: Composes it, adds its packets to the clip, and returns its mp4.
        sweep: Makes room for it on the disk.
    """

    def __init__(
        self,
        path: Path,
        clip: GrowingClip,
        compose: Callable[[GrowingClip, CancelToken], bytes],
        sweep: Callable[[], object],
    ) -> None:
        self.clip = clip
        self._path = path
        self._compose = compose
        self._sweep = sweep
        self._stop = CancelToken()
        self._lock = threading.Lock()
        self._users = 1
        self._wanted = False
        threading.Thread(target=copy_context().run, args=(self._run,), name="composing", daemon=True).start()

    def join(self) -> bool:
        """Count one more that wants it, beside the first; return False if it was stopped before, or has failed."""
        with self._lock:
            if self._stop.cancelled or self.clip.failed:
                return False
            self._users += 1
            return True

    @contextmanager
    def joined(self) -> Iterator[GrowingClip]:
        """Want it while the block lasts, as the first, or after ``join``.

        It is stopped when the last that wants it gives up, with an error. Once somebody has used it, it is finished in
        any case, for the next.
        """
        used = False
        try:
            yield self.clip
            used = True
        finally:
            with self._lock:
                self._users -= 1
                self._wanted = self._wanted or used
                if not self._users and not self._wanted:
                    self._stop.cancel()

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                lock = None
                with best_effort("lock for a background"):
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    lock = stack.enter_context(locked(self._path.with_suffix(LOCK), self._stop))
                video = self._kept()
                if video is None:
                    video = self._compose(self.clip, self._stop)
                    with best_effort("background on the disk"):
                        self._keep(video, lock)
            self.clip.finish(video)
        except BaseException as error:
            self.clip.fail(error)

    def _kept(self) -> bytes | None:
        with suppress(OSError):
            video = self._path.read_bytes()
            self._path.touch()
            return video
        return None

    def _keep(self, video: bytes, lock: LockFile | None) -> None:
        if lock is None or not lock.there:  # the avatar was deleted meanwhile
            return
        self._sweep()
        with tempfile.NamedTemporaryFile(dir=self._path.parent, suffix=PART, delete=False) as part:
            try:
                part.write(video)
                part.close()
                Path(part.name).replace(self._path)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
