"""Clients that disconnect or are slow: work for a client ends with its connection.

The header and body of a request have time limits that a trickle of bytes cannot extend.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
import uvicorn.config
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from pipeline.errors import TooSlow

T = TypeVar("T")

HEADER_SECONDS = 20.0
"""Seconds in which the head of a request must arrive, from the connection or its first byte."""
BODY_SECONDS = 20.0
"""Seconds in which a body must arrive, plus the time for its bytes."""
LEAST_RATE = 4096
"""Lowest rate of a body in bytes per second; a phone at the edge of its network is faster."""


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`; cancel it if the client disconnects. Either way `work` has ended.

    Args:
        request: A request whose body has been read.
        work: What to do for the client.

    Raises:
        ClientDisconnect: The client has disconnected.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        await _ended(leaving)
        await _ended(working)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


async def _ended(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # retrieve it, so that asyncio does not warn


class Stream(StreamingResponse):
    """A streamed response whose generator is closed as soon as it ends or its client disconnects, with all clean-up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()


class Patience:
    """Limits the time in which the bodies of requests arrive; wraps the whole application.

    Reading a late body raises TooSlow, and the connection is closed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        until = time.monotonic() + BODY_SECONDS
        complete = late = False

        async def receive_in_time() -> Message:
            nonlocal complete, late, until
            if complete:
                return await receive()
            try:
                async with asyncio.timeout(until - time.monotonic()):  # wait_for may lose a cancellation
                    message = await receive()
            except TimeoutError:
                late = True
                raise TooSlow from None
            complete = not message.get("more_body", False)
            until += len(message.get("body", b"")) / LEAST_RATE
            return message

        async def send_and_close(message: Message) -> None:
            if late and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive_in_time, send_and_close)


class PromptProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # one of two classes, as installed
    """Uvicorn's protocol, which also closes connections if the head of a request does not arrive in time.

    Uvicorn itself only limits how long a connection may idle after a response.
    """

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start waiting for a first request."""
        super().connection_made(transport)
        self._closing = self.loop.call_later(HEADER_SECONDS, self._close)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the head if these bytes belong to one, or to no request."""
        super().data_received(data)
        if self._answers() or self.transport.get_protocol() is not self:  # the latter: it is now a websocket's
            self._wait_no_longer()
        elif self._closing is None:
            self._closing = self.loop.call_later(HEADER_SECONDS, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_no_longer(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _close(self) -> None:
        self._closing = None
        if not self._answers():
            self.transport.close()


def use_prompt_protocol() -> None:
    """Make all servers of uvicorn use PromptProtocol from now on, also those that other libraries create."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{PromptProtocol.__name__}"
