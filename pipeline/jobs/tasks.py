"""The tasks of the program: their ids, their tokens, and how long their results are kept."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pipeline.core.cancel import CancelToken
from pipeline.core.growing_file import part_of
from pipeline.core.notifier import Notifier
from pipeline.jobs.history import History
from pipeline.jobs.turns import Waits
from pipeline.settings import ROOT

logger = logging.getLogger(__name__)

ABANDONED_SECONDS = 60.0
"""Age of the last change of an unfinished file from which it is left over from a program that was killed."""
KEPT_TASKS = 1000
"""Most finished tasks that are remembered, however long results are kept."""
_ID = "[0-9a-f]{32}"
_RESULT = re.compile(
    rf"(?P<id>{_ID})\.(mp4|whole\.mp4|c2pa\.mp4|webm|wav|answer-\d+\.wav|vtt|mouth\.ndjson|json|png)(?P<part>\.part)?"
)


def is_task_id(text: str) -> bool:
    """Return whether a text can be the id of a task, and so is safe as a file name."""
    return re.fullmatch(_ID, text) is not None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A request that takes time; clients call it a task.

    Attributes:
        id: 32 hex digits that cannot be guessed.
        grace: Seconds for which it goes on without a listener.
        cancel: Its token.
        history: Its events.
    """

    kind: ClassVar[str]

    id: str
    grace: float = 0.0
    cancel: CancelToken = field(default_factory=CancelToken)
    history: History = field(default_factory=History)


@dataclass(frozen=True, kw_only=True)
class AvatarJob(Job):
    """A job that makes an avatar of a clip or photo."""

    kind = "avatar"


@dataclass(frozen=True, kw_only=True)
class Task(Job):
    """A job that makes a video.

    Attributes:
        video, audio, captions: Where the results go.
        grown: Notifies that more of its files can be read.
        waits: How long it has waited for others.
    """

    kind = "video"

    video: Path
    audio: Path
    captions: Path
    grown: Notifier = field(default_factory=Notifier)
    waits: Waits = field(default_factory=Waits)

    @property
    def video_part(self) -> Path:
        """Path of the video until it is complete."""
        return part_of(self.video)

    @property
    def whole(self) -> Path:
        """Path of the unfragmented copy of the video, which is made on request."""
        return self.video.with_suffix(".whole.mp4")

    @property
    def transparent(self) -> Path:
        """Path of the transparent copy of a video of two parts, which is made on request."""
        return self.video.with_suffix(".webm")

    @property
    def signed(self) -> Path:
        """Path of the copy with signed Content Credentials, which is made on request."""
        return self.video.with_suffix(".c2pa.mp4")

    @property
    def record(self) -> Path:
        """Path of the record of its speech, once the video is finished."""
        return self.video.with_suffix(".json")

    @property
    def mouth(self) -> Path:
        """Path of its phonemes and the opening of its mouth, which grow as it does."""
        return self.video.with_suffix(".mouth.ndjson")

    @property
    def inspection(self) -> Path:
        """Path of the picture that ``pipeline.tools.inspect`` draws on request."""
        return self.video.with_suffix(".png")

    @property
    def video_url(self) -> str:
        """Path of the video on this server."""
        return f"/video/{self.id}.mp4"

    @property
    def audio_url(self) -> str:
        """Path of the speech on this server."""
        return f"/assets/audio/{self.id}.wav"

    @property
    def captions_url(self) -> str:
        """Path of the captions on this server."""
        return f"/video/{self.id}.vtt"

    @property
    def video_path(self) -> str:
        """Path of the video: relative to the program's folder, or absolute if it is outside of that."""
        path = self.video.absolute()
        return (path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).as_posix()


class TaskBook:
    """All tasks that wait or run, and the finished ones with their results; safe to use from any thread.

    Ages are measured with a monotonic clock; only for files from before the start they are read from the disk.

    Args:
        results: Folder of finished files.
        ttl: Seconds for which they are kept; 0 keeps them for ever.
    """

    def __init__(self, results: Path, ttl: float) -> None:
        self._results = results
        self._ttl = ttl
        self._open: dict[str, Job] = {}
        self._ended: OrderedDict[str, tuple[float, Job]] = OrderedDict()
        self._seen: dict[Path, tuple[int, float]] | None = None
        self._lock = threading.Lock()

    @property
    def ttl(self) -> float:
        """Seconds for which results are kept; 0 keeps them for ever."""
        return self._ttl

    def open(self, task_id: str, grace: float = 0.0) -> Task:
        """Add the task of a new video, which goes on for `grace` seconds without a listener."""
        task = self.files_of(task_id, grace)
        self.note(task)
        return task

    def note(self, job: Job) -> None:
        """Add a new job."""
        with self._lock:
            self._open[job.id] = job

    def get(self, task_id: str) -> Job | None:
        """Return a task that waits or runs; None for any other."""
        with self._lock:
            return self._open.get(task_id)

    def find(self, task_id: str) -> Job | None:
        """Return a task that waits, runs, or has ended and is remembered: as long as results are kept."""
        with self._lock:
            if task_id in self._ended:
                return self._ended[task_id][1]
            return self._open.get(task_id)

    def has(self, task_id: str) -> bool:
        """Return whether this server knows a task as its own, or has its finished video on its disk."""
        with self._lock:
            known = task_id in self._open or task_id in self._ended
        return known or self.files_of(task_id).video.exists()

    def is_open(self, task_id: str) -> bool:
        """Return whether a task waits or runs, so that its unfinished files are in use."""
        return self.get(task_id) is not None

    async def published(self, job: Job) -> None:
        """Wait until all web servers know the latest event of a job of this one, but not for long."""

    async def followed_elsewhere(self, job: Job) -> bool:
        """Return whether clients of other web servers follow a job of this one."""
        return False

    def files_of(self, task_id: str, grace: float = 0.0) -> Task:
        """Return a task's files, whether they exist or not."""
        video, audio, captions = (self._results / f"{task_id}.{kind}" for kind in ("mp4", "wav", "vtt"))
        return Task(id=task_id, grace=grace, video=video, audio=audio, captions=captions)

    def close(self, task_id: str) -> None:
        """Record that a task has ended."""
        with self._lock:
            task = self._open.pop(task_id, None)
            if task is not None:
                self._ended[task_id] = time.monotonic(), task
            while len(self._ended) > KEPT_TASKS:
                self._ended.popitem(last=False)
        if isinstance(task, Task):
            task.grown.notify()

    def cancel_all(self) -> None:
        """Set the tokens of all tasks, at the end of the program."""
        with self._lock:
            tasks = list(self._open.values())
        for task in tasks:
            task.cancel.cancel()

    def sweep(self) -> None:
        """Remove expired results, and abandoned unfinished files."""
        now = time.monotonic()
        with self._lock:
            while self._ttl and self._ended and now - next(iter(self._ended.values()))[0] > self._ttl:
                self._ended.popitem(last=False)
        seen: dict[Path, tuple[int, float]] = {}
        for path, task_id, half_made in self._files():
            limit = ABANDONED_SECONDS if half_made else self._ttl
            if self.get(task_id) is not None or (not half_made and not self._ttl):
                continue
            try:
                written = path.stat().st_mtime_ns
                since = self._since(path, written, now)
                if now - since > limit and not (half_made and self.is_open(task_id)):
                    path.unlink()
                    logger.debug("removed %s", path.name)
                else:
                    seen[path] = written, since
            except FileNotFoundError:
                continue  # its own task has removed it meanwhile
            except OSError as error:
                logger.warning("could not remove %s: %s", path, error)
        self._seen = seen

    def _since(self, path: Path, written: int, now: float) -> float:
        """Return when, by the monotonic clock, a file was last written, as far as it is known.

        The first sweep trusts the disk. Later ones use the time when they first saw the file or its change, since the
        clock of the disk may have been set meanwhile.
        """
        if self._seen is None:
            return now - max(0.0, time.time() - written / 1e9)
        before = self._seen.get(path)
        return before[1] if before is not None and before[0] == written else now

    def _files(self) -> Iterable[tuple[Path, str, bool]]:
        """Yield every file of a task in the results folder: path, id of its task, whether it is unfinished."""
        if not self._results.is_dir():
            return
        for path in self._results.iterdir():
            match = _RESULT.fullmatch(path.name)
            if match:
                yield path, match["id"], match["part"] is not None
