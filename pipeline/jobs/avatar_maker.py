"""Makes avatars as jobs, which clients follow, resume and cancel like those of videos."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from pipeline.errors import Cancelled
from pipeline.jobs.events import Ended, Failed, Made, Queued
from pipeline.jobs.supervisor import Supervisor, failure
from pipeline.jobs.tasks import AvatarJob
from pipeline.jobs.uploads import AvatarRequest, Uploads

logger = logging.getLogger(__name__)


class AvatarMaker:
    """Starts the jobs that make avatars, one at a time; a queue of the supervisor."""

    def __init__(self, uploads: Uploads, supervisor: Supervisor) -> None:
        self._uploads = uploads
        self._supervisor = supervisor
        self._running: dict[str, asyncio.Task[None]] = {}
        self._idle = threading.Event()
        self._idle.set()
        supervisor.add(self)

    def start(self, clip: Path, asked: AvatarRequest, grace: float, discard: Callable[[], None]) -> AvatarJob:
        """Start a job on the running loop.

        Args:
            clip: The clip or photo.
            asked: What to make of it; ``Uploads.check`` has accepted it.
            grace: Seconds for which the job goes on without a listener.
            discard: Called at the end, when `clip` is not needed any more.

        Raises:
            QueueFull: The server is to end.
        """
        self._supervisor.admit()
        job = AvatarJob(id=uuid.uuid4().hex, grace=grace)
        self._supervisor.book.note(job)
        self._idle.clear()
        self._running[job.id] = asyncio.get_running_loop().create_task(self._run(job, clip, asked, discard))
        self._supervisor.expect_listener(job)
        return job

    async def _run(self, job: AvatarJob, clip: Path, asked: AvatarRequest, discard: Callable[[], None]) -> None:
        last: Ended = Failed(Cancelled())  # if the loop itself ends
        try:
            async with aclosing(self._uploads.make(clip, asked, job.cancel, job.id)) as steps:
                async for step in steps:
                    if isinstance(step, Made):
                        last = step
                    else:
                        self._supervisor.emit(job, step)
        except Exception as error:
            last = failure(job, error)
        finally:
            discard()
            self._supervisor.end(job, last)
            del self._running[job.id]
            if not self._running:
                self._idle.set()

    def waiting(self) -> int:
        """Return how many avatars wait to be made."""
        return sum(self.place(task_id) is not None for task_id in list(self._running))

    def running(self) -> int:
        """Return how many avatars are being made."""
        return len(self._running) - self.waiting()

    def place(self, task_id: str) -> Queued | None:
        """Return the position of a waiting job; None for any other."""
        position = self._uploads.position(task_id)
        return Queued(position) if position else None

    async def leave(self, task_id: str) -> bool:
        """Wait until a job that was cancelled in the queue has emitted its last event."""
        running = self._running.get(task_id)
        if running is not None and self.place(task_id):
            await asyncio.wait([running])
        return False

    def close(self, seconds: float) -> None:
        """Wait up to `seconds` for cancelled jobs; call it from another thread than the loop's."""
        if not self._idle.wait(seconds):
            logger.warning("the making of an avatar did not end within %.0f s", seconds)
