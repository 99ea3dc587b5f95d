"""One line for everybody: the page, REST and gradio_client wait in Gradio's own queue.

The only module that touches the insides of Gradio's queue; ``tests/test_gradio_contract.py`` fails on a Gradio whose
insides differ. Gradio gives a place in the line, starts one task at a time (``concurrency_limit`` 1) and carries what
tasks tell to whoever waits for it. What it does not do is added here:

- Gradio calls a cancelled task finished while its current step is still at work, and starts the next one. A lock,
  held by the thread that renders from the first step to the last, keeps the two apart.
- Gradio tells a generator that its client has left only when it yields next. Tasks run on a thread of their own, so
  that the generator is free to notice and to tell the task to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import Request
from gradio.context import LocalContext
from gradio.data_classes import PredictBodyInternal
from gradio.events import api
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage, ProcessGeneratingMessage

from pipeline.errors import Cancelled, Language, NotFound, PipelineError, QueueFull
from pipeline.events import Done, Event, Failed, Queued, to_json
from pipeline.generate import Studio
from pipeline.request import GenerateRequest, parse
from pipeline.tasks import Task, TaskBook

logger = logging.getLogger(__name__)

LINE = "gpu"
"""Gradio's ``concurrency_id`` of everything that renders."""
ENTRY = "rest"
"""Name of the entry by which REST joins the line."""
LOOK_SECONDS = 0.5
"""How often a running task looks whether its client is still there."""
GUESSED_SECONDS = 5.0
"""How long a task is taken to last until a first one was timed."""

Generate = Callable[[GenerateRequest, Task, Studio], Iterator[Event]]
"""The type of ``pipeline.generate.generate``."""


class RenderQueue:
    """The line of tasks in front of one renderer."""

    def __init__(self, studio: Studio, book: TaskBook, generate: Generate) -> None:
        self._studio = studio
        self._book = book
        self._generate = generate
        self._rendering = threading.Lock()  # not an RLock: whichever thread comes second must wait
        self._started: float | None = None
        self._demo: gr.Blocks | None = None

    def register(self, demo: gr.Blocks) -> None:
        """Give REST its entry to the queue of DEMO; call it inside the ``with`` block that builds the page."""
        api(self._entry, api_name=ENTRY, api_visibility="private", concurrency_id=LINE, concurrency_limit=1)
        demo.queue(max_size=max(1, self._studio.settings.max_queue))
        self._demo = demo

    @property
    def _queue(self) -> Any:
        assert self._demo is not None, "register() comes first"
        return self._demo._queue

    # --- what waits and runs

    def waiting(self) -> int:
        """Return how many tasks wait."""
        line = self._queue.event_queue_per_concurrency_id.get(LINE)
        return len(line.queue) if line else 0

    def busy(self) -> bool:
        """Return whether a task is running."""
        line = self._queue.event_queue_per_concurrency_id.get(LINE)
        return self._rendering.locked() or bool(line and line.current_concurrency)

    def _eta(self, position: int) -> float | None:
        """Return the seconds until a task at POSITION (1 is next) is done; None until a first task was timed."""
        mean = self._book.mean_seconds()
        if mean is None:
            return None
        started = self._started
        rest = 0.0 if started is None else max(0.0, mean - (time.monotonic() - started))
        return rest + position * mean

    def close(self, seconds: float) -> None:
        """Stop every task, and wait up to SECONDS for the running one to remove its half-made files."""
        self._book.cancel_all()
        if self._rendering.acquire(timeout=seconds):
            self._rendering.release()
        else:
            logger.warning("a task did not end within %.0f s", seconds)

    # --- running a task, inside the queue

    async def run(
        self, body: object, language: Language, recording: Path | None = None
    ) -> AsyncIterator[tuple[Task, Event]]:
        """Make what BODY asks for and yield each event; called by Gradio when it is this task's turn.

        RECORDING is a file that was uploaded with it.

        The last event is Done or Failed; this raises nothing itself. Closing it, or a client that is gone, stops the
        task.
        """
        task = self._book.open(LocalContext.event_id.get(None) or uuid.uuid4().hex)
        told: asyncio.Queue[Event | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Event | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends and nobody listens
                loop.call_soon_threadsafe(told.put_nowait, event)

        threading.Thread(
            target=self._work, args=(body, recording, task, tell), name=f"task-{task.id[:8]}", daemon=True
        ).start()
        try:
            while True:
                try:
                    event = await asyncio.wait_for(told.get(), LOOK_SECONDS)
                except TimeoutError:
                    if self._abandoned(task.id):
                        return
                    if task.cancel.cancelled:  # the step at work may take long to notice; its client need not wait
                        yield task, Failed(Cancelled())
                        return
                    continue
                if event is None:
                    return
                yield task, event
        finally:
            task.cancel.cancel()  # of no effect on a finished task

    def _work(self, body: object, recording: Path | None, task: Task, tell: Callable[[Event | None], None]) -> None:
        """Run one task to its end on this thread, alone."""
        last: Event
        seconds = None
        with self._rendering:
            self._started = time.monotonic()
            logger.info("task %s starts", task.id)
            try:
                last = self._render(body, recording, task, tell)
                seconds = time.monotonic() - self._started
            except PipelineError as error:
                last = Failed(error)
            except Exception:
                logger.exception("task %s failed", task.id)
                last = Failed(_internal_error())
            finally:
                self._started = None
        # closed before its end is told: a client that knows of the end finds nothing left to cancel
        self._book.close(task.id, seconds)
        logger.info("task %s ends: %s", task.id, type(last).__name__)
        tell(last)
        tell(None)

    def _render(self, body: object, recording: Path | None, task: Task, tell: Callable[[Event | None], None]) -> Done:
        """Tell every event but the last, which is returned."""
        task.cancel.check()
        request = parse(body, self._studio, recording)
        done = None
        for event in self._generate(request, task, self._studio):  # to its end: closed early it removes its files
            if isinstance(event, Done):
                done = event
            else:
                tell(event)
        if done is None:
            raise RuntimeError("the pipeline ended without a result")
        return done

    def _abandoned(self, task_id: str) -> bool:
        """Return whether Gradio knows that the client of a running task has left."""
        event = self._queue.event_ids_to_events.get(task_id)
        return event is not None and not event.alive

    async def _entry(self, body: dict[str, Any], language: str) -> AsyncIterator[dict[str, Any]]:
        """Take the place of a REST request in the line; what it yields reaches ``Ticket.events``."""
        chosen: Language = "en" if language == "en" else "ko"
        async for task, event in self.run(body, chosen):
            yield to_json(event, task.id, chosen)

    # --- joining the line, from REST

    async def join(self, body: dict[str, Any], language: Language, request: Request) -> Ticket:
        """Put BODY in the line. Raises QueueFull."""
        queue = self._queue
        entry = next(f for f in self._demo.fns.values() if f.api_name == ENTRY)  # type: ignore[union-attr]  # see _queue
        scope = dict(request.scope)
        # Gradio takes its own address from the request's path, which must be one of its own
        scope["path"] = f"/gradio_api/call/{ENTRY}"
        scope["raw_path"] = scope["path"].encode()
        session = f"rest-{uuid.uuid4().hex}"
        call = PredictBodyInternal(
            session_hash=session,
            fn_index=entry._id,
            data=[body, language],
            simple_format=True,  # otherwise every yield after the first is a difference to the one before
            request=Request(scope),
        )
        accepted, result, reason = await queue.push(body=call, request=call.request, username=None)
        if not accepted:
            if reason == "queue_full":
                raise self._full()
            raise RuntimeError(f"Gradio's queue refused the task: {result}")
        task = self._book.open(result)
        return Ticket(task, session, language, self)

    def _full(self) -> QueueFull:
        retry_after = max(1, round(self._book.mean_seconds() or GUESSED_SECONDS))
        limit = self._queue.max_size
        return QueueFull(
            f"대기열이 가득 찼습니다 (최대 {limit}개). {retry_after}초 후에 다시 시도하세요.",
            f"The queue is full ({limit} tasks wait). Try again in {retry_after} seconds.",
            retry_after,
        )

    async def cancel(self, task_id: str) -> str:
        """Stop the task, whoever it belongs to; return "queued" or "running", what it was.

        Its client is told at once. Raises NotFound for a task that is unknown or finished.
        """
        queue = self._queue
        event = queue.event_ids_to_events.get(task_id)
        waiting = self._waits(task_id)
        if event is None or not (self._book.cancel(task_id) or waiting):
            raise NotFound(
                f"작업을 찾을 수 없거나 이미 끝났습니다: {task_id}",
                f"There is no such task, or it has finished already: {task_id}",
            )
        if waiting:
            queue.send_message(event, ProcessCompletedMessage(output={"error": str(Cancelled())}, success=False))
            await self._leave(task_id)
        return "queued" if waiting else "running"

    async def _leave(self, task_id: str) -> None:
        """Take a task out of the line, or stop it where it runs; the others move up."""
        queue = self._queue
        self._book.cancel(task_id)
        waiting = self._waits(task_id)
        await queue.clean_events(event_id=task_id)
        if waiting:
            self._book.close(task_id)
            queue.broadcast_estimations(LINE)

    async def _forget(self, task_id: str, session: str) -> None:
        """Drop what Gradio keeps for a REST request whose client listens no more; a task still alive is stopped."""
        await self._leave(task_id)
        self._queue.pending_event_ids_session.pop(session, None)
        self._queue.pending_messages_per_session.pop(session, None)

    def _waits(self, task_id: str) -> bool:
        line = self._queue.event_queue_per_concurrency_id.get(LINE)
        return line is not None and any(event._id == task_id for event in line.queue)


class Ticket:
    """A REST request's place in the line, and what comes of it."""

    def __init__(self, task: Task, session: str, language: Language, line: RenderQueue) -> None:
        self.task = task
        self._session = session
        self._language = language
        self._line = line
        self._ended = False

    async def events(self, heartbeat: float) -> AsyncIterator[dict[str, Any] | None]:
        """Yield each event in the documented shape, and None whenever nothing happened for HEARTBEAT seconds.

        The last is a "done" or an "error". Closing this early stops the task.
        """
        messages = self._line._queue.pending_messages_per_session[self._session]
        try:
            while not self._ended:
                try:
                    message = await asyncio.wait_for(messages.get(), heartbeat)
                except TimeoutError:
                    yield None
                    continue
                event = self._read(message)
                if event is not None:
                    self._ended = event["type"] in ("done", "error")
                    yield event
        finally:
            # shielded: where the client has left, this coroutine is being cancelled itself
            await asyncio.shield(self._line._forget(self.task.id, self._session))

    def _read(self, message: object) -> dict[str, Any] | None:
        """Return the event that a message of Gradio's queue carries; None where it means nothing to clients."""
        match message:
            case EstimationMessage(rank=int(rank)):
                position = rank + 1
                return to_json(Queued(position, self._line._eta(position)), self.task.id, self._language)
            case ProcessGeneratingMessage(success=True):
                event: dict[str, Any] = message.output["data"][0]
                return event
            case ProcessCompletedMessage():  # the only way that a task ends without its own last event
                error = Cancelled() if self.task.cancel.cancelled else _internal_error()
                return to_json(Failed(error), self.task.id, self._language)
            case _:
                return None


def _internal_error() -> PipelineError:
    return PipelineError(
        "서버 내부 오류가 발생했습니다. 다시 시도해도 같으면 서버 로그를 확인하세요.",
        "Something inside the server went wrong. If trying again does not help, look into the server's log.",
    )
