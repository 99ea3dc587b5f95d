"""One line for everybody: the page, REST and gradio_client wait in Gradio's own queue.

With ``joins`` the only module that touches the insides of Gradio's queue; ``tests/test_gradio_contract.py`` fails on a
Gradio whose insides differ. Gradio gives a place in the line, starts one task at a time (or one for each graphics card:
``concurrency_limit``) and carries what tasks tell to whoever waits for it. What it does not do is added here:

- Gradio keeps the messages of a task for one listener, who must be there. What a task tells goes into its history
  instead, which any number of clients follow, also later.
- Gradio starts one task after the other. Here several run, and take turns by sentence (``pipeline.jobs.turns``), so
  that nobody's long text makes all others wait.
- Gradio calls a cancelled task finished while its current step is still at work, and starts the next one. A semaphore,
  held by the task's thread from the first step to the last, keeps their number.
- Gradio tells a generator that its client has left only when it yields next. Tasks run on a thread of their own, so
  that the generator is free to notice and to tell the task to stop.
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
from typing import Any

import gradio as gr
from fastapi import Request
from gradio.context import LocalContext
from gradio.data_classes import PredictBodyInternal
from gradio.events import api
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage

from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.errors import PipelineError, QueueFull, TookTooLong
from pipeline.jobs.eta import Pace, done_in, work_of
from pipeline.jobs.events import Done, Event, Failed, Queued
from pipeline.jobs.history import Told
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.jobs.supervisor import Supervisor, internal_error
from pipeline.jobs.tasks import Task
from pipeline.jobs.turns import Waits
from pipeline.server.gradio.joins import Joins, address_of, share_of
from pipeline.server.metrics import Metrics

logger = logging.getLogger(__name__)

LINE = "gpu"
"""Gradio's ``concurrency_id`` of everything that renders."""
ENTRY = "rest"
"""Name of the entry by which tasks join the line."""
LOOK_SECONDS = 0.1
"""How often a running task looks whether its client is still there."""
STUBBORN_SECONDS = 0.5
"""A step that has not seen its token for this long keeps the client of its task no longer."""
PAGE_EVENTS = 40
"""Events of pages and gradio_client, beside those of tasks that wait, that may be open at a time."""
IDLE_SECONDS = 0.01
"""How often Gradio's queue looks for work. Its own millisecond keeps a tenth of a core busy with nothing to do."""
LAST_WORD_SECONDS = 5.0
"""How long Gradio may take to close a task that has told its end."""
USHER_SECONDS = 1.0
"""How often those who wait are told a better time, where it is one."""
ETA_CHANGE = 1.0
"""Seconds by which the time that is left must differ from what was told, to be told again."""
GUESSED_SECONDS = 5.0
"""How long a task is taken to last until a first one was timed."""

Generate = Callable[[GenerateRequest, Task, Studio], Iterator[Event]]
"""The type of ``pipeline.jobs.generate.generate``."""


@dataclass(frozen=True)
class _Asked:
    """What a task asks for, from which address; work: see ``pipeline.jobs.eta``, None for a recording."""

    request: GenerateRequest
    work: float | None
    address: str = ""


class RenderQueue:
    """The line of tasks in front of the renderer, or of as many as there are graphics cards."""

    def __init__(self, studio: Studio, supervisor: Supervisor, generate: Generate, metrics: Metrics) -> None:
        self._studio = studio
        self._supervisor = supervisor
        self._book = supervisor.book
        self._generate = generate
        self._metrics = metrics
        self._pace = Pace()
        self._renderers = max(engine.concurrency for engine in studio.engines.values())
        self._places = self._renderers * max(1, studio.settings.max_sharing)
        """Tasks that run at a time, and share the renderers."""
        self._rendering = threading.Semaphore(self._places)
        self._running: dict[str, tuple[float | None, float, Waits]] = {}
        """Work, start and waits of each task that runs."""
        self._asked: dict[str, _Asked] = {}
        self._demo: gr.Blocks | None = None
        self._joins: Joins | None = None
        supervisor.add(self)

    def register(self, demo: gr.Blocks) -> None:
        """Give tasks an entry to the queue of DEMO; call it inside the ``with`` block that builds the page."""
        limit = self._places
        api(self._entry, api_name=ENTRY, api_visibility="private", concurrency_id=LINE, concurrency_limit=limit)
        self._demo = demo
        entry = next(f for f in demo.fns.values() if f.api_name == ENTRY)
        self._joins = Joins(self._queue, entry, self._limit + PAGE_EVENTS)
        self._queue.max_size = None  # ``join`` refuses, in words of our own
        self._queue.sleep_when_free = IDLE_SECONDS

    @property
    def joins(self) -> Joins:
        """Who else may join Gradio's queue."""
        assert self._joins is not None, "register() comes first"
        return self._joins

    @property
    def _queue(self) -> Any:
        assert self._demo is not None, "register() comes first"
        return self._demo._queue

    # --- what waits and runs

    @property
    def _limit(self) -> int:
        """How many tasks may wait."""
        return max(1, self._studio.settings.max_queue)

    def waiting(self) -> int:
        """Return how many tasks wait."""
        return len(self._line())

    def busy(self) -> bool:
        """Return whether a task is running."""
        line = self._queue.event_queue_per_concurrency_id.get(LINE)
        return bool(self._running or (line and line.current_concurrency))

    def place(self, task_id: str) -> Queued | None:
        """Return where a waiting task stands, and in how many seconds it is going to be done; None for any other."""
        line = self._line()
        if task_id not in line:
            return None
        position = line.index(task_id) + 1
        asked = [self._asked.get(one) for one in line[:position]]
        seconds = [self._pace.seconds(one.work if one else None) for one in asked]
        if any(one is None for one in seconds):
            return Queued(position)
        return Queued(position, done_in(self._left(), [one or 0.0 for one in seconds], self._places, self._renderers))

    def _line(self) -> list[str]:
        line = self._queue.event_queue_per_concurrency_id.get(LINE)
        return [event._id for event in line.queue] if line else []

    def _left(self) -> list[float]:
        """Return how many seconds of work are left of each running task, as far as is known."""
        now = time.monotonic()
        return [
            max(0.0, (self._pace.seconds(work) or 0.0) - (now - started - waits.seconds))
            for work, started, waits in list(self._running.values())
        ]

    def _rest(self) -> float:
        """Return in how many seconds the next one of the running tasks is going to be done."""
        left = self._left()
        if len(left) < self._places:
            return 0.0
        return min(left) * len(left) / self._renderers

    def close(self, seconds: float) -> None:
        """Stop every task, and wait up to SECONDS for the running ones to remove their half-made files."""
        self._book.cancel_all()
        until = time.monotonic() + seconds
        for _ in range(self._places):
            if not self._rendering.acquire(timeout=max(0.0, until - time.monotonic())):
                logger.warning("a task did not end within %.0f s", seconds)

    # --- running a task, inside the queue

    async def _entry(self) -> str:
        """Take the place of a task in the line; what becomes of it is in the task's history.

        Whoever calls it without having joined has no task, and gets nothing.
        """
        task_id = LocalContext.event_id.get(None) or ""
        task, asked = self._book.get(task_id), self._asked.get(task_id)
        if isinstance(task, Task) and asked is not None:
            with best_effort("metrics"):
                self._metrics.waited(time.monotonic() - task.history.asked)
            await self._perform(task, asked)
        return ""

    async def _perform(self, task: Task, asked: _Asked) -> None:
        """Run a task on a thread of its own, to its end; cancelling this stops it."""
        run = copy_context().run  # of a context that knows whose request it is, which ZeroGPU asks
        threading.Thread(target=run, args=(self._work, task, asked), name=f"task-{task.id[:8]}", daemon=True).start()
        beats = 0
        try:
            async for told in task.history.follow(0, LOOK_SECONDS):
                if told is None and task.cancel.cancelled:
                    beats += 1
                    if beats * LOOK_SECONDS >= STUBBORN_SECONDS:  # the step may take long; its client need not wait
                        self._supervisor.tell(task, Failed(task.cancel.reason))
        finally:
            task.cancel.cancel()  # of no effect on a finished task

    def _work(self, task: Task, asked: _Asked) -> None:
        """Run one task to its end on this thread, alone on its renderer."""
        last: Done | Failed
        limit = self._studio.settings.max_seconds
        with self._rendering:
            logger.info("task %s starts", task.id)
            over = threading.Event()
            if limit:
                threading.Thread(target=_stop_late, args=(task, limit, over), name="limit", daemon=True).start()
            try:
                last = self._render(task, asked)
            except PipelineError as error:
                last = Failed(task.cancel.reason if task.cancel.cancelled else error)
            except Exception:
                logger.exception("task %s failed", task.id)
                last = Failed(internal_error())
            finally:
                over.set()
                self._running.pop(task.id, None)
        self._end(task, last)

    def _render(self, task: Task, asked: _Asked) -> Done:
        """Tell every event but the last, which is returned."""
        started = time.monotonic()
        self._running[task.id] = asked.work, started, task.waits
        task.cancel.check()
        done = None
        for event in self._generate(asked.request, task, self._studio):  # to its end: closed early it removes its files
            if isinstance(event, Done):
                done = event
            else:
                self._supervisor.tell(task, event)
        if done is None:
            raise RuntimeError("the pipeline ended without a result")
        self._pace.note(asked.work, time.monotonic() - started - task.waits.seconds)
        with best_effort("metrics"):
            self._metrics.made(done, float(asked.request.avatar.fps))
        return done

    def _end(self, task: Task, last: Done | Failed) -> None:
        self._asked.pop(task.id, None)
        self._supervisor.end(task, last)

    # --- joining the line, from the page and from REST

    async def watch(self, asked: GenerateRequest, request: Request) -> AsyncGenerator[tuple[Task, Event]]:
        """Put what is ASKED for in the line and yield all that is told of it, to a generator that Gradio runs.

        The time that is left is told again as it runs down. The task is stopped when this is closed, or when Gradio
        knows that the generator's client has left.
        Raises QueueFull.
        """
        task = await self.join(asked, 0.0, request)
        caller = self._caller()
        event: Event | None = None
        shown = 0.0
        async with aclosing(self._supervisor.listen(task, 0, LOOK_SECONDS)) as events:
            async for told in events:
                if caller is not None and not caller.alive:
                    return
                if told is not None:
                    event, shown = told.event, time.monotonic()
                    yield task, event
                elif isinstance(event, Queued) and event.eta is not None and time.monotonic() - shown >= 1:
                    event, shown = replace(event, eta=max(0.0, event.eta - 1)), shown + 1
                    yield task, event

    def _caller(self) -> Any:
        """Return Gradio's event of what it runs now: ``alive`` until its client stops it or leaves; None for no one."""
        return self._queue.event_ids_to_events.get(LocalContext.event_id.get(None))

    @asynccontextmanager
    async def stopped_with_caller(self, cancel: CancelToken) -> AsyncIterator[None]:
        """Set CANCEL, while the block lasts, as soon as the client of what Gradio runs now stops it or leaves.

        Gradio itself tells a generator only when it yields next.
        """
        caller = self._caller()

        async def watch() -> None:
            while caller is None or caller.alive:
                await asyncio.sleep(LOOK_SECONDS)
            cancel.cancel()

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()

    async def join(self, asked: GenerateRequest, grace: float, request: Request) -> Task:
        """Put what is ASKED for in the line; it goes on for GRACE seconds while nobody listens. Raises QueueFull.

        REQUEST is the one that brought it.
        """
        if self.waiting() >= self._limit:
            raise self._full()
        address = address_of(request)
        if not _is_here(address) and self._of(address) >= share_of(self._limit):
            raise self._full_of(address)
        entry = next(f for f in self._demo.fns.values() if f.api_name == ENTRY)  # type: ignore[union-attr]  # see _queue
        scope = dict(request.scope)
        # Gradio takes its own address from the request's path, which must be one of its own
        scope["path"] = f"/gradio_api/call/{ENTRY}"
        scope["raw_path"] = scope["path"].encode()
        session = f"rest-{uuid.uuid4().hex}"
        call = PredictBodyInternal(session_hash=session, fn_index=entry._id, data=[], request=Request(scope))
        accepted, result, _ = await self.joins.push(body=call, request=call.request, username=None)
        if not accepted:
            raise RuntimeError(f"Gradio's queue refused the task: {result}")
        # nothing is awaited between the push and these lines, so the queue has not come to it yet
        task = self._book.open(result, grace)
        work = None if asked.recording else work_of(asked.text, asked.avatar.width * asked.avatar.height)
        self._asked[task.id] = _Asked(asked, work, address)
        self._supervisor.tell(task, self.place(task.id) or Queued(1))
        self._supervisor.do(self._usher(task, session))
        self._supervisor.expect_listener(task)
        return task

    async def _usher(self, task: Task, session: str) -> None:
        """Tell a task of REST its place in the line as that changes, and drop what Gradio keeps of it at the end."""
        queue = self._queue
        messages = queue.pending_messages_per_session[session]
        while not task.history.ended:
            message: object = None
            with contextlib.suppress(TimeoutError):
                message = await asyncio.wait_for(messages.get(), USHER_SECONDS)
            if isinstance(message, ProcessCompletedMessage):  # of no effect where the task told its own end
                self._end(task, Failed(task.cancel.reason if task.cancel.cancelled else internal_error()))
                break
            if message is None or isinstance(message, EstimationMessage):
                place, told = self.place(task.id), task.history.last
                if place is not None and told is not None and _is_news(place, told, task.history.asked):
                    self._supervisor.tell(task, place)
        else:
            event = queue.event_ids_to_events.get(task.id)
            with contextlib.suppress(TimeoutError):  # Gradio has a last word, and complains where it cannot place it
                while event is not None and event.alive:
                    last = await asyncio.wait_for(messages.get(), LAST_WORD_SECONDS)
                    if isinstance(last, ProcessCompletedMessage):
                        break
        self.joins.forget(session)

    def _full(self) -> QueueFull:
        retry_after = max(1, round(self._rest() or self._pace.seconds(None) or GUESSED_SECONDS))
        return QueueFull(
            f"대기열이 가득 찼습니다 (최대 {self._limit}개). {retry_after}초 후에 다시 시도하세요.",
            f"The queue is full ({self._limit} tasks wait). Try again in {retry_after} seconds.",
            retry_after,
        )

    def _of(self, address: str) -> int:
        """Return how many of those who wait came from ADDRESS."""
        asked = [self._asked.get(one) for one in self._line()]
        return sum(one is not None and one.address == address for one in asked)

    def _full_of(self, address: str) -> QueueFull:
        retry_after, most = self._full().retry_after, share_of(self._limit)
        return QueueFull(
            f"이 주소({address})에서 보낸 작업이 이미 {most}개 기다립니다. {retry_after}초 후에 다시 시도하세요.",
            f"{most} tasks from this address ({address}) wait already. Try again in {retry_after} seconds.",
            retry_after,
        )

    async def leave(self, task_id: str) -> bool:
        """Take a task out of the line; return False for one that is not in it. The others move up."""
        if task_id not in self._line():
            return False
        await self._queue.clean_events(event_id=task_id)
        self._asked.pop(task_id, None)
        self._queue.broadcast_estimations(LINE)
        return True


def _stop_late(task: Task, limit: float, over: threading.Event) -> None:
    """Stop TASK after LIMIT seconds, those for which others had their turns not counted, unless it is OVER before."""
    started, left = time.monotonic(), limit
    while not over.wait(left):
        left = limit + task.waits.seconds - (time.monotonic() - started)
        if left <= 0:
            task.cancel.cancel(TookTooLong(limit))
            return


def _is_here(address: str) -> bool:
    """Whether ADDRESS is this computer's own: a proxy's on it, behind which anybody may be."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True  # a socket without an address


def _is_news(place: Queued, told: Told, asked: float) -> bool:
    """Return whether PLACE says anything that could not be known from what was TOLD last."""
    before = told.event
    if (
        not isinstance(before, Queued)
        or before.position != place.position
        or (before.eta is None) != (place.eta is None)
    ):
        return True
    if place.eta is None or before.eta is None:
        return False
    expected = before.eta - (time.monotonic() - asked - told.at)
    return abs(place.eta - expected) > ETA_CHANGE
