"""The tasks of the program: their ids, how they are told to stop, and how long their results are kept."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.cancel import CancelToken
from pipeline.video.writer import part_of

logger = logging.getLogger(__name__)

ABANDONED_SECONDS = 60.0
"""A half-made file that nobody wrote to for this long was left behind by a program that was killed."""
TIMED_TASKS = 20
"""How many finished tasks the mean time is taken over."""
_ID = "[0-9a-f]{32}"
_RESULT = re.compile(rf"(?P<id>{_ID})\.(mp4|wav)(?P<part>\.part)?")


def is_task_id(text: str) -> bool:
    """Return whether TEXT can be the id of a task, so that it is safe as a file's name."""
    return re.fullmatch(_ID, text) is not None


@dataclass(frozen=True)
class Task:
    """One request on its way to a video.

    id: 32 hex digits that cannot be guessed; cancel: told to stop through it; video, audio: where the results go.
    """

    id: str
    video: Path
    audio: Path
    cancel: CancelToken = field(default_factory=CancelToken)

    @property
    def video_part(self) -> Path:
        """Where the video grows while it is being made."""
        return part_of(self.video)

    @property
    def video_url(self) -> str:
        """Path of the video on this server."""
        return f"/video/{self.id}.mp4"

    @property
    def audio_url(self) -> str:
        """Path of the speech on this server."""
        return f"/assets/audio/{self.id}.wav"

    @property
    def video_path(self) -> str:
        """Where the video lies, as replies name it."""
        return f"results/realtime/{self.id}.mp4"


class TaskBook:
    """Every task that waits or runs, and the results of those that are finished; safe to use from any thread.

    results: the folder of finished files; ttl: seconds that they are kept, 0 for ever.
    """

    def __init__(self, results: Path, ttl: float) -> None:
        self._results = results
        self._ttl = ttl
        self._open: dict[str, Task] = {}
        self._seconds: deque[float] = deque(maxlen=TIMED_TASKS)
        self._lock = threading.Lock()

    @property
    def ttl(self) -> float:
        """Seconds that results are kept; 0 keeps them for ever."""
        return self._ttl

    def open(self, task_id: str) -> Task:
        """Return the task of TASK_ID, noting it down if it is new."""
        with self._lock:
            task = self._open.get(task_id)
            if task is None:
                task = self._open[task_id] = self.files_of(task_id)
            return task

    def get(self, task_id: str) -> Task | None:
        """Return the task if it still waits or runs."""
        with self._lock:
            return self._open.get(task_id)

    def files_of(self, task_id: str) -> Task:
        """Return where the files of TASK_ID lie, whether they exist or not."""
        return Task(task_id, self._results / f"{task_id}.mp4", self._results / f"{task_id}.wav")

    def close(self, task_id: str, seconds: float | None = None) -> None:
        """Note that a task has ended; SECONDS is how long a successful one took."""
        with self._lock:
            self._open.pop(task_id, None)
            if seconds is not None:
                self._seconds.append(seconds)

    def cancel(self, task_id: str) -> bool:
        """Tell a task to stop; return whether it was still waiting or running."""
        task = self.get(task_id)
        if task is None:
            return False
        task.cancel.cancel()
        return True

    def cancel_all(self) -> None:
        """Tell every task to stop, as the program ends."""
        with self._lock:
            tasks = list(self._open.values())
        for task in tasks:
            task.cancel.cancel()

    def mean_seconds(self) -> float | None:
        """Return how long the latest tasks took on average; None until a first one was timed."""
        with self._lock:
            return sum(self._seconds) / len(self._seconds) if self._seconds else None

    def sweep(self) -> None:
        """Remove results that have been kept long enough, and half-made files that nobody is making any more."""
        now = time.time()
        for path, task_id, half_made in self._files():
            limit = ABANDONED_SECONDS if half_made else self._ttl
            if self.get(task_id) is not None or (not half_made and not self._ttl):
                continue
            try:
                if now - path.stat().st_mtime > limit:
                    path.unlink()
                    logger.debug("removed %s", path.name)
            except FileNotFoundError:
                continue  # its own task removed it meanwhile
            except OSError as error:
                logger.warning("could not remove %s: %s", path, error)

    def _files(self) -> Iterable[tuple[Path, str, bool]]:
        """Yield every file of ours in the results folder: path, id of its task, whether it is half-made."""
        if not self._results.is_dir():
            return
        for path in self._results.iterdir():
            match = _RESULT.fullmatch(path.name)
            if match:
                yield path, match["id"], match["part"] is not None
