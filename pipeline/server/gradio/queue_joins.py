"""Limits how many clients may join Gradio's queue from outside, and how long it keeps their messages.

Gradio lets clients join without limit, and keeps messages that are never fetched. Like
``pipeline.server.gradio.queue`` this module touches its internals.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qs

from gradio import queueing
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline import messages
from pipeline.core.notifier import Notifier
from pipeline.errors import BadRequest, QueueFull

logger = logging.getLogger(__name__)

LISTEN_SECONDS = 20.0
"""Seconds in which a client must listen after it has joined or disconnected."""
RETRY_SECONDS = 5
"""Seconds after which to try again if too many events are open."""
CLOSING_SECONDS = 0.1
"""Seconds in which a client receives that its stream of messages is closed."""
_CLOSES = b'"msg":"close_stream"'
_DATA, _CALL = "/gradio_api/queue/data", "/gradio_api/call/"


class Joins:
    """Bounds the open events of Gradio's queue: `limit` in total, half as many from one address.

    Messages without a listener are dropped.

    Args:
        queue: Gradio's queue.
        entry: The function that only this server may join, through ``push``.
        limit: Most events.
    """

    def __init__(self, queue: Any, entry: Any, limit: int) -> None:
        self.push = queue.push
        """Joins without being counted."""
        self.left = Notifier()
        """Reports that clients may have stopped their events, or disconnected: these are not ``alive`` then."""
        self._clean = queue.clean_events
        self._queue = queue
        self._entry = entry
        self._limit = limit
        self._listening: Counter[str] = Counter()
        self._closing: dict[str, asyncio.Event] = {}
        """Sessions whose stream is just being closed; set once their clients know it."""
        self._chores: set[asyncio.Task[None]] = set()
        queue.push, queue.clean_events = self._push, self._clean_events
        queueing.traceback = _Logged  # type: ignore[attr-defined, assignment]  # it writes to stderr without limit
        # Gradio computes statistics of all events for each new one; they are not used here
        queue.ANALYTICS_MAX_EVENTS, queue.ANAYLTICS_CACHE_FREQUENCY = 1, sys.maxsize

    async def _push(self, body: Any, request: Any, username: str | None) -> tuple[bool, Any, str]:
        """Replace Gradio's own ``push``, which its routes call."""
        if body.fn_index == self._entry._id:
            raise BadRequest(messages.server.ENDPOINT_INTERNAL())
        events = [event for event in self._queue.event_ids_to_events.values() if event.fn is not self._entry]
        from_here = sum(address_of(event.request) == address_of(request) for event in events)
        if len(events) >= self._limit or from_here >= share_of(self._limit):
            raise QueueFull(messages.server.TOO_MANY_REQUESTS(), RETRY_SECONDS)
        accepted, result, state = await self.push(body=body, request=request, username=username)
        if accepted:
            self._do(self._drop_unfetched(body.session_hash))
            # a client that gets this reply before the end of its stream would wait for its messages there: the page
            # then loads itself anew, and gradio_client cancels the event
            if closing := self._closing.get(body.session_hash):
                await closing.wait()
        return accepted, result, state

    async def _clean_events(self, **which: Any) -> None:
        """Replace Gradio's own ``clean_events``, the only function that ends running events from outside."""
        try:
            await self._clean(**which)
        finally:
            self.left.notify()

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application, recording which sessions are listened to."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            session = self._session(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
            if session is None:
                await app(scope, receive, send)
                return

            async def sending(message: Message) -> None:
                if _CLOSES not in message.get("body", b""):
                    await send(message)
                    return
                closing = self._closing[session] = asyncio.Event()
                try:
                    await send(message)
                finally:
                    asyncio.get_running_loop().call_later(CLOSING_SECONDS, self._closed, session, closing)

            self._listening[session] += 1
            try:
                await app(scope, receive, sending)
            finally:
                self._listening[session] -= 1
                if not self._listening[session]:
                    del self._listening[session]
                    self._do(self._drop_unfetched(session))

        return recorded

    def _closed(self, session: str, closing: asyncio.Event) -> None:
        closing.set()
        if self._closing.get(session) is closing:
            del self._closing[session]

    def _session(self, scope: Scope) -> str | None:
        """Return the session whose messages a request fetches; None for any other request."""
        path = scope["path"]
        if path.endswith(_DATA):
            return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", ())), None)
        if _CALL in path:
            event_id = path.rpartition("/")[2]
            event = self._queue.event_ids_to_events.get(event_id)
            return str(event.session_hash) if event is not None else event_id
        return None

    async def _drop_unfetched(self, session: str) -> None:
        """Drop Gradio's data of a session: at once if all messages were fetched, else if no client listens in time."""
        queue = self._queue
        if queue.pending_event_ids_session.get(session):
            await asyncio.sleep(LISTEN_SECONDS)
        if session in self._listening:
            return
        if queue.pending_event_ids_session.get(session):
            await queue.clean_events(session_hash=session)
            self.forget(session)
        queue.pending_event_ids_session.pop(session, None)
        queue.pending_messages_per_session.pop(session, None)

    def forget(self, session: str) -> None:
        """Drop all of Gradio's data of a session whose events have ended, including its copy of the page."""
        self._queue.pending_event_ids_session.pop(session, None)
        self._queue.pending_messages_per_session.pop(session, None)
        app = self._queue.server_app
        if app is not None:
            app.state_holder.session_data.pop(session, None)
            app.state_holder.time_last_used.pop(session, None)

    def _do(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._chores.discard)


class _Logged:
    """Replaces the module traceback, so that errors go to the log, which is limited."""

    @staticmethod
    def print_exc() -> None:
        """Log the current exception."""
        logger.error("an event of Gradio's queue failed", exc_info=True)


def address_of(request: Any) -> str:
    """Return the address that a request comes from; "" if it is unknown."""
    client = getattr(request, "client", None)
    return client.host if client is not None else ""


def share_of(limit: int) -> int:
    """Return how many of `limit` one address may have."""
    return max(1, limit // 2)
