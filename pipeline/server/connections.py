"""Clients that leave, and clients that dawdle: what is done for one ends with its connection.

Header and body of a request have a time to come in, by a clock that no dribble of bytes stops.
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
"""How long the head of a request may take, from the connection or the first byte on."""
BODY_SECONDS = 20.0
"""How long a body may take, beside the time for its bytes."""
LEAST_RATE = 4096
"""Bytes per second at which a body must come; a telephone at the edge of its network manages more."""


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what WORK gives for the client of REQUEST, whose body has been read; stop it where the client leaves.

    Raises ClientDisconnect then. Either way WORK has ended.
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
    """Cancel TASK and wait for its end, whatever that is."""
    task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # taken, so that nobody complains that it was not


class Stream(StreamingResponse):
    """A streamed response whose generator is closed as soon as it ends or its client leaves, clean-up and all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()


class Patience:
    """Has the bodies of requests to APP come in time; put around the whole of it.

    Whoever reads a body that does not gets TooSlow, and the connection is closed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
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
                async with asyncio.timeout(until - time.monotonic()):  # wait_for may pass over that it is cancelled
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
    """Uvicorn's protocol, that closes connections on which the head of a request does not come in time.

    Uvicorn itself only knows how long a connection may idle after a response.
    """

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._closing = self.loop.call_later(HEADER_SECONDS, self._close)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the head where these bytes are a part of one, or belong to no request at all."""
        super().data_received(data)
        if self._answers() or self.transport.get_protocol() is not self:  # the latter: it is a web socket's now
            self._wait_no_longer()
        elif self._closing is None:
            self._closing = self.loop.call_later(HEADER_SECONDS, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
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
    """Have the servers that uvicorn makes from now on use PromptProtocol, also where somebody else makes them."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{PromptProtocol.__name__}"
