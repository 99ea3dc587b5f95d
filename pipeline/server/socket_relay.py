"""Sockets of live sessions of another web server: what either side sends is passed on to the other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from pipeline.errors import TasksUnavailable
from pipeline.server.reply_language import language_of

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""Seconds in which the other server must open the socket."""
GONE = 1012
"""Code with which a socket is closed whose server goes away: a client may connect again."""
ENDS = (1000, 1001, 1009, 1011)
"""Codes of servers that close a socket themselves."""
_OF_A_HANDSHAKE = (b"host", b"sec-websocket-")
"""Headers that each of the two sockets has of its own, by their beginning."""


async def pass_on_socket(
    address: str,
    headers: Sequence[tuple[bytes, bytes]],
    websocket: WebSocket,
    last: Callable[[], Awaitable[Sequence[dict[str, Any]]]],
) -> None:
    """Open a socket at another web server for that of a client, until one of both closes.

    Args:
        address: Of the socket there, ``http://...``.
        headers: Those to send, with the client's.
        websocket: The client's socket.
        last: Returns what the client still gets if that server broke off.
    """
    kept = [(name.decode(), value.decode("latin-1")) for name, value in headers if not name.startswith(_OF_A_HANDSHAKE)]
    try:
        there = await connect(
            address.replace("http", "ws", 1),
            additional_headers=kept,
            user_agent_header=None,
            compression=None,
            open_timeout=CONNECT_SECONDS,
            max_size=None,  # the server of the session limits what it takes
            proxy=None,
        )
    except InvalidStatus as refused:
        answer = refused.response
        kind = answer.headers.get("content-type", "application/json")
        await websocket.send_denial_response(Response(bytes(answer.body or b""), answer.status_code, media_type=kind))
        return
    except (OSError, WebSocketException) as error:
        logger.warning("no socket at %s: %s", address.partition("?")[0], type(error).__name__)
        away, language = TasksUnavailable(), language_of(websocket.headers.get("accept-language"))
        await websocket.send_denial_response(JSONResponse(away.to_json(language), away.status))
        return
    async with there:
        await websocket.accept()
        tasks = [asyncio.ensure_future(one(websocket, there)) for one in (_to_server, _to_client)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if websocket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):  # the client has left
                if (code := there.close_code) not in ENDS:
                    code = GONE
                    for event in await last():
                        await websocket.send_text(json.dumps(event, ensure_ascii=False))
                await websocket.close(code)


async def _to_server(websocket: WebSocket, there: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            await there.send(message["bytes"] if text is None else text)


async def _to_client(websocket: WebSocket, there: ClientConnection) -> None:
    with suppress(ConnectionClosed, RuntimeError, WebSocketDisconnect):
        async for data in there:
            await (websocket.send_text(data) if isinstance(data, str) else websocket.send_bytes(data))
