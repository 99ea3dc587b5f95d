"""The queue of all tasks: the page, REST and gradio_client wait in Gradio's own queue.

This and ``queue_joins`` are the only modules that touch the internals of Gradio's queue;
``tests/test_gradio_contract.py`` fails if they change. Gradio keeps the order, starts one task at a time (or one for
each graphics card or slot of a cluster: ``concurrency_limit``) and carries messages to the client. This module adds
the rest:

- Gradio keeps the messages of a task for one listener, which must be connected. Here events go into the task's history,
  which any number of clients follow, also later.
- Gradio starts one task after the other. Here several run, and take turns by sentence (``pipeline.jobs.turns``), so
  that a long text does not block the others.
- Gradio calls a cancelled task finished while its current step is still running, and starts the next one. Here
  a task's thread holds a place from its first step to its last, which limits their number.
- Gradio notifies a generator that its client has disconnected only when it yields next. Here tasks run on their own
  threads, so that the generator can notice it at once and stop the task.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import threading
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import gradio as gr
from fastapi import Request
from gradio.context import LocalContext
from gradio.data_classes import PredictBodyInternal
from gradio.events import api
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage

from pipeline import messages
from pipeline.core.best_effort import best_effort
from pipeline.core.notifier import until
from pipeline.core.priority import give_way
from pipeline.errors import QueueFull, TookTooLong
from pipeline.jobs.eta import Pace, done_in, work_of
from pipeline.jobs.events import Done, Event, Failed, Queued
from pipeline.jobs.history import Entry
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.jobs.supervisor import Supervisor, failure, internal_error
from pipeline.jobs.tasks import Task
from pipeline.jobs.turns import Slots, Waits
from pipeline.server.gradio.queue_joins import Joins, address_of, share_of
from pipeline.server.metrics import Metrics
from pipeline.shared.tickets import SharedTickets

logger = logging.getLogger(__name__)

QUEUE_ID = "gpu"
"""Gradio's ``concurrency_id`` of everything that renders."""
ENTRY = "rest"
"""Name of the function through which tasks join the queue."""
STUBBORN_SECONDS = 0.5
"""Seconds after which the client of a cancelled task no longer waits for a step that has not noticed."""
PAGE_EVENTS = 40
"""Open events of pages and gradio_client that are allowed besides those of waiting tasks."""
IDLE_SECONDS = 0.02
"""Seconds between two checks of Gradio's queue for work. Its own millisecond keeps a tenth of a core busy when idle."""
NEVER_SECONDS = 3600.0
"""Seconds between two checks of Gradio for progress, which nothing reports through it here."""
LAST_WORD_SECONDS = 5.0
"""Seconds in which Gradio may close a task that has emitted its last event."""
USHER_SECONDS = 1.0
"""Seconds between two checks whether waiting tasks have a better estimate: running ones may take longer than theirs."""
ETA_SECONDS = 1.0
"""Seconds after which the page shows that an estimate has run down."""
NO_PLACES = -1
"""Gradio's limit while nothing may start: it divides by the limit."""
ETA_CHANGE = 1.0
"""Seconds by which the estimate must change to be emitted again."""
GUESSED_SECONDS = 5.0
"""Estimate for a task until a first one was timed."""

Generate = Callable[[GenerateRequest, Task, Studio], Iterator[Event]]
"""The type of ``pipeline.jobs.generate.generate``."""


@dataclass(frozen=True)
class _Asked:
    """A request in the queue.

    Attributes:
        request: The request.
        work: See ``pipeline.jobs.eta``; None for a recording.
        address: Where it came from.
    """

    request: GenerateRequest
    work: float | None
    address: str = ""


class RenderQueue:
    """The queue of tasks in front of the renderers.

    Args:
        studio: Avatars, voices and engines.
        supervisor: Of the tasks.
        generate: Makes a video.
        metrics: Where tasks are counted.
        slots: Of a cluster; without it this machine renders.
        tickets: The order of all web servers of that cluster; without it Gradio's is the order.
    """

    def __init__(
        self,
        studio: Studio,
        supervisor: Supervisor,
        generate: Generate,
        metrics: Metrics,
        slots: Slots | None = None,
        tickets: SharedTickets | None = None,
    ) -> None:
        self._studio = studio
        self._supervisor = supervisor
        self._book = supervisor.book
        self._generate = generate
        self._metrics = metrics
        self._pace = tickets.pace if tickets is not None else Pace()
        self._slots = slots
        self._tickets = tickets
        self._inside: set[str] = set()
        """Tasks that Gradio has started and not finished."""
        self._own_renderers = max(engine.concurrency for engine in studio.engines.values())
        self._held = threading.Condition()
        self._holders = 0
        """Threads of tasks, each from its first step to its last."""
        self._running: dict[str, tuple[float | None, float, Waits]] = {}
        """Work, start and waits of each task that runs."""
        self._asked: dict[str, _Asked] = {}
        self._demo: gr.Blocks | None = None
        self._joins: Joins | None = None
        self._following = contextlib.ExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        supervisor.add(self)

    def register(self, demo: gr.Blocks) -> None:
        """Add the function through which tasks join; call this inside the ``with`` block that builds the page."""
        limit = NO_PLACES if self._tickets is not None else self._places or NO_PLACES
        api(self._entry, api_name=ENTRY, api_visibility="private", concurrency_id=QUEUE_ID, concurrency_limit=limit)
        self._demo = demo
        self._joins = Joins(self._queue, self._entered, self._limit + PAGE_EVENTS)
        self._queue.max_size = None  # ``join`` has its own limit and message
        self._queue.sleep_when_free = IDLE_SECONDS
        self._queue.progress_update_sleep_when_free = NEVER_SECONDS
        if self._tickets is not None:
            self._following.enter_context(self._tickets.changed.calling(self._reorder))
        if self._slots is not None:
            self._following.enter_context(self._slots.changed.calling(self._resize))

    @property
    def joins(self) -> Joins:
        """Limits for other clients that join Gradio's queue."""
        assert self._joins is not None, "register() comes first"
        return self._joins

    @property
    def _queue(self) -> Any:
        assert self._demo is not None, "register() comes first"
        return self._demo._queue

    @property
    def _entered(self) -> Any:
        """Gradio's block of the function through which tasks join."""
        assert self._demo is not None, "register() comes first"
        return next(block for block in self._demo.fns.values() if block.api_name == ENTRY)

    # --- what waits and runs

    @property
    def _renderers(self) -> int:
        return self._own_renderers if self._slots is None else self._slots.slots

    @property
    def _places(self) -> int:
        """Tasks that run at a time, and share the renderers; those of a cluster are not shared."""
        return self._renderers * (max(1, self._studio.settings.max_sharing) if self._slots is None else 1)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """Wait for a place, and hold it while the block lasts."""
        with self._held:
            self._held.wait_for(lambda: self._holders < max(1, self._places))
            self._holders += 1
        try:
            yield
        finally:
            with self._held:
                self._holders -= 1
                self._held.notify_all()

    def _resize(self) -> None:
        """Follow the cluster; what runs is not disturbed."""
        with self._held:
            self._held.notify_all()
        if self._tickets is None:
            self._let_start(self._places)

    def _let_start(self, places: int) -> None:
        """Have Gradio run so many tasks at a time."""
        limit = places or NO_PLACES
        self._entered.concurrency_limit = limit  # to which Gradio lowers the queue's whenever a task joins
        queue = self._queue.event_queue_per_concurrency_id.get(QUEUE_ID)
        if queue is not None:
            queue.concurrency_limit = limit

    def _reorder(self) -> None:
        """Follow the order of all web servers; called from any thread."""
        if self._loop is None:
            return  # nothing has joined here

        def follow() -> None:
            self._admit()
            self._queue.broadcast_estimations(QUEUE_ID)  # wakes those that wait

        with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
            self._loop.call_soon_threadsafe(follow)

    def _admit(self) -> None:
        """Have Gradio, whose own order is the same, start the tasks whose turn it is; call this in the event loop."""
        tickets = self._tickets
        if tickets is None:
            return
        next_ = takewhile(lambda one: one in self._asked and tickets.may_run(one), self._waiting_ids())
        self._let_start(len(self._inside) + len(list(next_)))

    @property
    def _limit(self) -> int:
        """Most tasks that may wait."""
        return max(1, self._studio.settings.max_queue)

    def waiting(self) -> int:
        """Return how many tasks of this server wait."""
        return len(self._waiting_ids())

    def length(self) -> int:
        """Return how many tasks wait, those of other web servers included."""
        return len(self._in_order())

    def busy(self) -> bool:
        """Return whether a task of this server is running."""
        queue = self._queue.event_queue_per_concurrency_id.get(QUEUE_ID)
        return bool(self._running or (queue and queue.current_concurrency))

    def place(self, task_id: str) -> Queued | None:
        """Return the position and the estimate of a waiting task; None for any other."""
        waiting = self._in_order() if task_id in self._waiting_ids() else []
        ids = [one for one, _, _ in waiting]
        if task_id not in ids:
            return None
        position = ids.index(task_id) + 1
        seconds = [self._pace.seconds(work) for _, work, _ in waiting[:position]]
        if any(one is None for one in seconds):
            return Queued(position)
        if not self._places:  # until a node comes
            return Queued(position)
        return Queued(position, done_in(self._left(), [one or 0.0 for one in seconds], self._places, self._renderers))

    def _in_order(self) -> list[tuple[str, float | None, str]]:
        """Return id, work and address of each task that waits, those of other web servers included."""
        if self._tickets is not None:
            return [(ticket.id, ticket.work, ticket.address) for ticket in self._tickets.waiting]
        asked = [(one, self._asked.get(one)) for one in self._waiting_ids()]
        return [(id, one.work if one else None, one.address if one else "") for id, one in asked]

    def _waiting_ids(self) -> list[str]:
        queue = self._queue.event_queue_per_concurrency_id.get(QUEUE_ID)
        return [event._id for event in queue.queue] if queue else []

    def _left(self) -> list[float]:
        """Return how many seconds of work are left of each running task, as far as it is known."""
        now = time.monotonic()
        if self._tickets is not None:
            spent = [(one.work, self._tickets.seconds_since(one)) for one in self._tickets.running]
        else:
            spent = [(work, now - started - waits.seconds) for work, started, waits in [*self._running.values()]]
        return [max(0.0, (self._pace.seconds(work) or 0.0) - seconds) for work, seconds in spent]

    def _rest(self) -> float:
        """Return in how many seconds the next running task will be done."""
        left = self._left()
        if not left or len(left) < self._places:
            return 0.0
        return min(left) * len(left) / max(1, self._renderers)

    def close(self, seconds: float) -> None:
        """Stop all tasks, and wait up to `seconds` for them to remove their unfinished files."""
        self._book.cancel_all()
        until = time.monotonic() + seconds
        with self._held:
            if not self._held.wait_for(lambda: not self._holders, max(0.0, until - time.monotonic())):
                logger.warning("%d tasks did not end within %.0f s", self._holders, seconds)

    # --- running a task, inside the queue

    async def _entry(self) -> str:
        """Hold the place of a task in the queue; its events go into its history.

        A call that did not join through ``join`` has no task, and returns at once.
        """
        task_id = LocalContext.event_id.get(None) or ""
        task, asked = self._book.get(task_id), self._asked.get(task_id)
        self._inside.add(task_id)
        self._admit()
        try:
            if isinstance(task, Task) and asked is not None:
                with best_effort("metrics"):
                    self._metrics.waited(time.monotonic() - task.history.asked)
                await self._perform(task, asked)
        finally:
            self._inside.discard(task_id)
            self._admit()  # before Gradio counts one task less, and would start the next one
        return ""

    async def _perform(self, task: Task, asked: _Asked) -> None:
        """Run a task on its own thread, to its end; cancelling this stops it."""
        run = copy_context().run  # with the context of the request, which ZeroGPU needs
        threading.Thread(target=run, args=(self._work, task, asked), name=f"task-{task.id[:8]}", daemon=True).start()
        history = task.history
        try:
            await until(lambda: history.ended or task.cancel.cancelled, history.changes, task.cancel)
            async with asyncio.timeout(STUBBORN_SECONDS):
                await until(lambda: history.ended, history.changes)
        except TimeoutError:  # the step may take long; the client need not wait
            self._supervisor.emit(task, Failed(task.cancel.reason))
        finally:
            task.cancel.cancel()  # no effect on a finished task

    def _work(self, task: Task, asked: _Asked) -> None:
        """Run one task to its end on this thread."""
        give_way()  # to live sessions, which cannot wait
        last: Done | Failed
        limit = self._studio.settings.max_seconds
        with self._place():
            logger.info("task %s starts", task.id)
            over = threading.Event()
            if limit:
                threading.Thread(target=_stop_late, args=(task, limit, over), name="limit", daemon=True).start()
            try:
                last = self._render(task, asked)
            except Exception as error:
                last = failure(task, error)
            finally:
                over.set()
                self._running.pop(task.id, None)
        self._end(task, last)

    def _render(self, task: Task, asked: _Asked) -> Done:
        """Emit every event but the last, which is returned."""
        started = time.monotonic()
        self._running[task.id] = asked.work, started, task.waits
        task.cancel.check()
        done = None
        for event in self._generate(asked.request, task, self._studio):  # to its end: closing early removes its files
            if isinstance(event, Done):
                done = event
            else:
                self._supervisor.emit(task, event)
                task.cancel.check()  # who listens may have stopped it
        if done is None:
            raise RuntimeError("the pipeline ended without a result")
        note = self._pace.note if self._tickets is None else self._tickets.timed
        note(asked.work, time.monotonic() - started - task.waits.seconds)
        with best_effort("metrics"):
            self._metrics.made(done, float(asked.request.avatar.fps))
        return done

    def _end(self, task: Task, last: Done | Failed) -> None:
        self._forget(task.id)
        self._supervisor.end(task, last)

    def _forget(self, task_id: str) -> None:
        self._asked.pop(task_id, None)
        if self._tickets is not None:
            self._tickets.leave(task_id)

    # --- joining the queue, from the page and from REST

    async def watch(self, asked: GenerateRequest, request: Request) -> AsyncGenerator[tuple[Task, Event]]:
        """Queue a request and yield its events, for a generator that Gradio runs.

        The estimate is yielded again as it runs down. The task is stopped when this generator is closed, or when
        Gradio's client disconnects.

        Args:
            asked: The request.
            request: The HTTP request that brought it.

        Raises:
            QueueFull: Too many tasks wait.
        """
        task = await self.join(asked, 0.0, request)
        event: Event | None = None

        def stop() -> None:
            self._supervisor.do(self._supervisor.stop(task))

        listening = self._supervisor.listen(task, 0, ETA_SECONDS)
        async with self.stopped_with_caller(stop), aclosing(listening) as events:
            async for entry in events:
                if entry is not None:
                    event = entry.event
                    yield task, event
                elif isinstance(event, Queued) and event.eta is not None:
                    event = replace(event, eta=max(0.0, event.eta - ETA_SECONDS))
                    yield task, event

    def _caller(self) -> Any:
        """Return Gradio's event of the current call, which is ``alive`` until its client stops it or disconnects."""
        return self._queue.event_ids_to_events.get(LocalContext.event_id.get(None))

    @asynccontextmanager
    async def stopped_with_caller(self, stop: Callable[[], object]) -> AsyncIterator[None]:
        """Call `stop` once the client of the current call stops it or disconnects, if that is while the block lasts.

        Gradio itself notifies a generator only when it yields next.
        """
        caller = self._caller()

        async def watch() -> None:
            await until(lambda: caller is not None and not caller.alive, self.joins.left)
            stop()

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()

    async def join(self, asked: GenerateRequest, grace: float, request: Request) -> Task:
        """Queue a request.

        Args:
            asked: The request.
            grace: Seconds for which the task goes on without a listener.
            request: The HTTP request that brought it.

        Raises:
            QueueFull: Too many tasks wait, or the server is to end.
        """
        self._supervisor.admit()
        if self.length() >= self._limit:
            raise self._full()
        address = address_of(request)
        if not _is_here(address) and self._of(address) >= share_of(self._limit):
            raise self._full_of(address)
        scope = dict(request.scope)
        # Gradio derives its own address from the request's path, which must be one of its own
        scope["path"] = f"/gradio_api/call/{ENTRY}"
        scope["raw_path"] = scope["path"].encode()
        session = f"rest-{uuid.uuid4().hex}"
        call = PredictBodyInternal(session_hash=session, fn_index=self._entered._id, data=[], request=Request(scope))
        accepted, result, _ = await self.joins.push(body=call, request=call.request, username=None)
        if not accepted:
            raise RuntimeError(f"Gradio's queue refused the task: {result}")
        # nothing is awaited between the push and these lines, so the queue has not started it yet
        task = self._book.open(result, grace)
        work = None if asked.recording else work_of(asked.text, asked.avatar.width * asked.avatar.height)
        if self._tickets is not None:
            # it does not start meanwhile: `_admit` waits until it is known what was asked
            await self._take_ticket(task, session, work, address)
        self._asked[task.id] = _Asked(asked, work, address)
        self._supervisor.emit(task, self.place(task.id) or Queued(1))
        self._supervisor.do(self._usher(task, session))
        self._supervisor.expect_listener(task)
        self._admit()
        return task

    async def _take_ticket(self, task: Task, session: str, work: float | None, address: str) -> None:
        """Give a new task its place in the order of all web servers."""
        assert self._tickets is not None, "there are no other web servers"
        self._loop = asyncio.get_running_loop()
        self._tickets.take(task.id, work, address)
        try:
            await self._tickets.placed(task.id)
        except BaseException:  # its client has left
            await self._supervisor.stop(task)
            self.joins.forget(session)
            raise

    async def _usher(self, task: Task, session: str) -> None:
        """Emit changes of a task's position, and drop Gradio's data of it at the end."""
        queue, history, loop = self._queue, task.history, asyncio.get_running_loop()
        pending = queue.pending_messages_per_session[session]

        def wake() -> None:  # from any thread
            if history.ended:
                loop.call_soon_threadsafe(pending.put_nowait, None)

        with history.changes.calling(wake):
            while not history.ended:
                message: object = None
                waits = self.place(task.id) is not None  # an estimate changes with time alone
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(USHER_SECONDS if waits else None):
                        message = await pending.get()
                if isinstance(message, ProcessCompletedMessage):  # no effect if the task has emitted its last event
                    self._end(task, Failed(task.cancel.reason if task.cancel.cancelled else internal_error()))
                    break
                if message is None or isinstance(message, EstimationMessage):
                    place, last = self.place(task.id), history.last
                    if place is not None and last is not None and _adds_information(place, last, history.asked):
                        self._supervisor.emit(task, place)
            else:
                event = queue.event_ids_to_events.get(task.id)
                with contextlib.suppress(TimeoutError):  # Gradio sends a last message, and logs an error if it cannot
                    async with asyncio.timeout(LAST_WORD_SECONDS):
                        while event is not None and event.alive:
                            if isinstance(await pending.get(), ProcessCompletedMessage):
                                break
        self.joins.forget(session)

    def _full(self) -> QueueFull:
        retry_after = max(1, round(self._rest() or self._pace.seconds(None) or GUESSED_SECONDS))
        return QueueFull(messages.server.QUEUE_FULL(limit=self._limit, retry_after=retry_after), retry_after)

    def _of(self, address: str) -> int:
        """Return how many waiting tasks came from an address."""
        return sum(one == address for _, _, one in self._in_order())

    def _full_of(self, address: str) -> QueueFull:
        retry_after, most = self._full().retry_after, share_of(self._limit)
        return QueueFull(
            messages.server.QUEUE_FULL_OF_ADDRESS(address=address, limit=most, retry_after=retry_after), retry_after
        )

    async def leave(self, task_id: str) -> bool:
        """Remove a task from the queue; return False if it is not in it. The others move up."""
        if task_id not in self._waiting_ids():
            return False
        await self._queue.clean_events(event_id=task_id)
        self._forget(task_id)
        self._admit()
        self._queue.broadcast_estimations(QUEUE_ID)
        return True


def _stop_late(task: Task, limit: float, over: threading.Event) -> None:
    """Stop a task after `limit` seconds, without those in which others had their turns, unless `over` is set before."""
    started, left = time.monotonic(), limit
    while not over.wait(left):
        left = limit + task.waits.seconds - (time.monotonic() - started)
        if left <= 0:
            task.cancel.cancel(TookTooLong(limit))
            return


def _is_here(address: str) -> bool:
    """Return whether an address is this computer's own: a proxy on it may stand for any client."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True  # a socket without an address


def _adds_information(place: Queued, last: Entry, asked: float) -> bool:
    """Return whether a position adds information to the last event."""
    before = last.event
    if (
        not isinstance(before, Queued)
        or before.position != place.position
        or (before.eta is None) != (place.eta is None)
    ):
        return True
    if place.eta is None or before.eta is None:
        return False
    expected = before.eta - (time.monotonic() - asked - last.at)
    return abs(place.eta - expected) > ETA_CHANGE
