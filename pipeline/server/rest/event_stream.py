"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) of a job, by sse-starlette."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from pipeline.jobs.events import to_json
from pipeline.jobs.history import Entry
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Job
from pipeline.messages import Language
from pipeline.server.reply_language import language_of

PING_SECONDS = 15
"""Seconds between two comments that a stream sends beside its events, so that proxies keep it open."""
LINE_END = "\n"
_BREAKING = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that some clients take for line ends, or that are no text; neither JSON nor sse-starlette escapes them."""


def event_stream(supervisor: Supervisor, job: Job, after: int, request: Request) -> EventSourceResponse:
    """Respond with the events of a job after a number."""
    language = language_of(request.headers.get("accept-language"))
    entries = supervisor.listen(job, after)
    return sse_response(numbered(entries, job.id, language, request.scope.get("root_path", "")))


def sse_response(events: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    """Respond with events as they come."""
    return EventSourceResponse(
        events,
        headers={"Cache-Control": "no-cache"},
        ping=PING_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="ping", sep=LINE_END),
        sep=LINE_END,
    )


async def numbered(
    entries: AsyncGenerator[Entry | None], task_id: str, language: Language, root: str = ""
) -> AsyncIterator[ServerSentEvent]:
    """Yield each event with its number, as JSON that is one line for every client."""
    async with aclosing(entries):
        async for entry in entries:
            assert entry is not None, "no heartbeat was asked for"
            event = {**to_json(entry.event, task_id, language, root), "id": entry.number}
            yield sse_event(event, entry.number)


def sse_event(event: Mapping[str, object], number: int | None = None) -> ServerSentEvent:
    """Return an event as it is sent, with its number if it has one; its data are one line for every client."""
    data = _BREAKING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(event, ensure_ascii=False))
    return ServerSentEvent(data, id=None if number is None else str(number), sep=LINE_END)
