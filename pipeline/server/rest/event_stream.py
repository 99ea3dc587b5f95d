"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from fastapi import Request
from starlette.responses import Response

from pipeline.jobs.events import to_json
from pipeline.jobs.history import Told
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Job
from pipeline.messages import Language
from pipeline.server.connections import Stream
from pipeline.server.reply_language import language_of

PING_SECONDS = 15.0
"""Seconds without an event after which a stream sends a comment, so that proxies keep it open."""
PING = ": ping\n\n"
"""A comment, which keeps an idle connection open."""
_BREAKING = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that some clients take for line ends (JSON itself escapes those below U+0020), or that are no text."""


def event_stream(supervisor: Supervisor, job: Job, after: int, request: Request) -> Response:
    """Respond with the events of a job after a number."""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    language = language_of(request.headers.get("accept-language"))
    text = sse(supervisor.listen(job, after, PING_SECONDS), job.id, language, request.scope.get("root_path", ""))
    return Stream(text, media_type="text/event-stream", headers=headers)


async def sse(
    events: AsyncGenerator[Told | None], task_id: str, language: Language, root: str = ""
) -> AsyncIterator[str]:
    """Yield the text of an event stream: each event with its number, a comment for None."""
    async with aclosing(events):
        async for told in events:
            if told is None:
                yield PING
            else:
                yield event_text({**to_json(told.event, task_id, language, root), "id": told.number}, told.number)


def event_text(event: Mapping[str, object], number: int) -> str:
    """Return an event as it is sent; its data are one line for every client."""
    data = _BREAKING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(event, ensure_ascii=False))
    return f"id: {number}\ndata: {data}\n\n"
