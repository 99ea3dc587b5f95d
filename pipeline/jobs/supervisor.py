"""Supervises jobs of every kind: listeners, cancelling, and the last event."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from typing import Any, Protocol

from pipeline import messages
from pipeline.core.best_effort import best_effort
from pipeline.core.notifier import until
from pipeline.errors import PipelineError, QueueFull, TaskNotFound
from pipeline.jobs.events import Done, Ended, Event, Failed, Made, Queued, TtsDone
from pipeline.jobs.history import Entry
from pipeline.jobs.tasks import Job, TaskBook

logger = logging.getLogger(__name__)

UNFOLLOWED_SECONDS = 5.0
"""Seconds that a new job waits for its client to listen."""
RETRY_SECONDS = 1
"""When to try again if the server ends: another one answers by then."""
LOOK_SECONDS = 1.0
"""Seconds between two checks whether clients of other web servers still follow a job."""


class JobQueue(Protocol):
    """A queue of jobs of one kind."""

    def place(self, task_id: str) -> Queued | None:
        """Return the position of a job that waits here; None for any other."""

    async def leave(self, task_id: str) -> bool:
        """Remove a cancelled job from the queue; return whether its last event is still to be emitted."""


class Supervisor:
    """The one place where jobs emit events, get listeners, are cancelled and end.

    Args:
        book: The jobs.
        on_end: Called once, in order, with each job that has ended, and its last event.

    Attributes:
        draining: Whether no more jobs are taken: the server is to end.
    """

    def __init__(self, book: TaskBook, *on_end: Callable[[Job, Ended], None]) -> None:
        self.book = book
        self.draining = False
        self._on_end = on_end
        self._queues: list[JobQueue] = []
        self._chores: set[asyncio.Task[None]] = set()

    def add(self, queue: JobQueue) -> None:
        """Add a queue whose jobs can be cancelled."""
        self._queues.append(queue)

    def admit(self) -> None:
        """Check that a job may begin.

        Raises:
            QueueFull: The server is to end.
        """
        if self.draining:
            raise QueueFull(messages.server.SERVER_ENDS(), RETRY_SECONDS)

    def place(self, task_id: str) -> Queued | None:
        """Return the position of a waiting job; None for any other."""
        return next(filter(None, (queue.place(task_id) for queue in self._queues)), None)

    def emit(self, job: Job, event: Event) -> None:
        """Add an event to a job's history, and to the log unless it repeats the last kind."""
        before = job.history.last
        if not job.history.add(event):
            return
        if before is None or type(before.event) is not type(event):
            logger.info("task %s %s", job.id, _logged(event))
        if isinstance(event, Ended):
            for call in self._on_end:
                with best_effort("metrics or webhook of a task that ended"):
                    call(job, event)

    def end(self, job: Job, last: Ended) -> None:
        """Close a job and emit its last event; no effect on a job that has ended."""
        # closed before the last event: a client that receives it finds nothing left to cancel
        self.book.close(job.id)
        self.emit(job, last)

    async def listen(self, job: Job, after: int, heartbeat: float | None = None) -> AsyncGenerator[Entry | None]:
        """Yield the events of a job until its end.

        If the last listener leaves earlier, the job is stopped after its grace.

        Args:
            job: The job.
            after: Number of the event before the first one to yield.
            heartbeat: Seconds without an event after which None is yielded; None sets no limit.
        """
        with self._client_of(job):
            async with aclosing(job.history.follow(after, heartbeat)) as events:
                begun = False
                async for entry in events:
                    if entry is not None and (not begun or isinstance(entry.event, Ended)):
                        begun = True
                        await self.book.published(job)  # the client may ask another server next
                    yield entry

    def watching(self, job: Job) -> AbstractContextManager[None]:
        """Keep a job that may go on without a listener while the block lasts: a client receives what it makes."""
        return self._client_of(job) if job.grace else nullcontext()

    @contextmanager
    def _client_of(self, job: Job) -> Iterator[None]:
        history = job.history
        history.listeners += 1
        try:
            yield
        finally:
            history.listeners -= 1
            history.departures += 1
            if history.ours and not history.listeners and not history.ended:
                self.do(self._stop_unfollowed(job, job.grace))

    def expect_listener(self, job: Job) -> None:
        """Stop a new job if its client does not listen in time."""
        self.do(self._stop_unfollowed(job, max(job.grace, UNFOLLOWED_SECONDS)))

    async def _stop_unfollowed(self, job: Job, seconds: float) -> None:
        history, departures = job.history, job.history.departures

        def unfollowed() -> bool:
            return history.departures == departures and not history.listeners and not history.ended

        held_up = True
        while held_up:  # as its clients were, which may be about to come back
            until = time.monotonic() + seconds + LOOK_SECONDS
            await asyncio.sleep(seconds)
            held_up = time.monotonic() > until
        while unfollowed():
            if not await self.book.followed_elsewhere(job):
                logger.info("task %s has no listener", job.id)
                await self.stop(job)
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def cancel(self, task_id: str) -> str:
        """Stop a job; return its former state, "queued" or "running".

        Raises:
            TaskNotFound: There is no such job, or it has ended.
        """
        job = self.book.get(task_id)
        if job is None:
            raise TaskNotFound(messages.jobs.TASK_ENDED(task_id=task_id))
        state = "queued" if self.place(task_id) else "running"
        await self.stop(job)
        return state

    async def stop(self, job: Job) -> None:
        """Remove a job from its queue, or stop it while it runs; the others move up."""
        job.cancel.cancel()
        for queue in self._queues:
            if await queue.leave(job.id):
                self.end(job, Failed(job.cancel.reason))

    def at_end(self, job: Job, tidy: Callable[[], object]) -> None:
        """Call a function in the background once a job has ended."""
        history = job.history

        async def wait() -> None:
            await until(lambda: history.ended, history.changes)
            await asyncio.to_thread(tidy)

        self.do(wait())

    def do(self, chore: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background."""
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._chores.discard)


def failure(job: Job, error: Exception) -> Failed:
    """Return the last event of a job that an exception has ended; an unexpected one is logged."""
    if isinstance(error, PipelineError):
        return Failed(job.cancel.reason if job.cancel.cancelled else error)
    logger.error("task %s failed", job.id, exc_info=error)
    return Failed(internal_error())


def internal_error() -> PipelineError:
    """Return the error for an unexpected exception; the log has the details."""
    return PipelineError(messages.jobs.INTERNAL_ERROR())


def _logged(event: Event) -> str:
    """Return the log's text for an event, without input of the client."""
    match event:
        case Queued(position):
            return f"waits: position {position}"
        case TtsDone(duration=duration):
            return f"is spoken: {duration:.1f} s"
        case Done(total=total):
            return f"ends: Done in {total:.2f} s"
        case Made():
            return "ends: Made"
        case Failed(error):
            return f"ends: Failed ({type(error).__name__})"
        case _:
            return type(event).__name__
