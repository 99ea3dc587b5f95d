"""The insides of Gradio that ``pipeline.server.gradio.queue`` relies on, as this version has them.

A failure here means: this Gradio is not the one that the queue was written for.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from gradio.data_classes import PredictBodyInternal
from gradio.events import api
from gradio.queueing import Event, Queue
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage


async def echo(text: str) -> str:
    return text


async def build() -> gr.Blocks:
    demo = gr.Blocks(analytics_enabled=False)
    with demo:
        api(echo, api_name="echo", api_visibility="private", concurrency_id="line", concurrency_limit=1)
    demo.queue(max_size=3)
    return demo


@pytest.fixture
def demo() -> gr.Blocks:
    return asyncio.run(build())  # outside of a loop Gradio makes one of its own for every lock and leaves it open


def test_the_version_is_the_one_that_requirements_name() -> None:
    assert gr.__version__.startswith("6.31.")


def test_push_takes_a_call_and_states_whether_it_was_accepted() -> None:
    assert list(inspect.signature(Queue.push).parameters) == ["self", "body", "request", "username"]
    fields = PredictBodyInternal.model_fields
    assert {"session_hash", "fn_index", "data", "simple_format", "request"} <= fields.keys()


def test_clean_events_takes_an_event_or_a_session() -> None:
    assert list(inspect.signature(Queue.clean_events).parameters) == ["self", "session_hash", "event_id"]


def test_an_entry_is_found_by_its_name_and_belongs_to_its_queue(demo: gr.Blocks) -> None:
    entry = next(fn for fn in demo.fns.values() if fn.api_name == "echo")
    assert isinstance(entry._id, int) and entry.concurrency_id == "line" and entry.concurrency_limit == 1


def test_the_queue_holds_what_its_reader_needs(demo: gr.Blocks) -> None:
    queue = demo._queue
    assert queue.max_size == 3
    entry = next(fn for fn in demo.fns.values() if fn.api_name == "echo")
    assert queue.sleep_when_free > 0
    queue.create_event_queue_for_fn(entry)
    line = queue.event_queue_per_concurrency_id["line"]
    assert line.queue == [] and line.current_concurrency == 0
    assert queue.event_ids_to_events == {} and queue.pending_event_ids_session == {}
    queue.broadcast_estimations("line")


def test_an_event_that_is_cleaned_away_gets_no_more_messages(demo: gr.Blocks) -> None:
    async def check() -> None:
        queue = demo._queue
        entry = next(fn for fn in demo.fns.values() if fn.api_name == "echo")
        queue.create_event_queue_for_fn(entry)
        event = Event("session", entry, None, None)  # type: ignore[arg-type]  # the request plays no part here
        messages: asyncio.Queue[Any] = asyncio.Queue()
        queue.pending_messages_per_session["session"] = messages
        queue.active_jobs = [[event]]
        assert event.alive
        queue.send_message(event, EstimationMessage(rank=0, queue_size=1))
        await queue.clean_events(event_id=event._id)
        assert not event.alive
        queue.send_message(event, EstimationMessage(rank=0, queue_size=1))
        assert messages.qsize() == 1

    asyncio.run(check())


def test_messages_carry_what_the_queue_reads_and_writes() -> None:
    assert EstimationMessage(rank=2, queue_size=3).rank == 2
    completed = ProcessCompletedMessage(output={"error": "no"}, success=False)
    assert completed.success is False and completed.output == {"error": "no"}


def test_a_running_function_can_ask_for_its_event_id() -> None:
    async def who() -> str:
        return str(LocalContext.event_id.get(None))

    async def check() -> None:
        with gr.Blocks(analytics_enabled=False) as demo:
            api(who, api_name="who", concurrency_id="line", concurrency_limit=1)
        result = await demo.process_api(demo.fns[0], [], event_id="of this call")
        assert result["data"] == ["of this call"]

    asyncio.run(check())


def test_launch_takes_what_the_server_gives_it() -> None:
    taken = inspect.signature(gr.Blocks.launch).parameters
    assert {
        "app_kwargs",
        "ssr_mode",
        "run_history",
        "footer_links",
        "prevent_thread_lock",
        "theme",
        "css",
    } <= taken.keys()
