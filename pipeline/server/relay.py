"""Requests for a task or session of another web server: they are passed on to it, and its response as it grows.

``Relaying`` passes them on, inside of the rules of ``pipeline.server.access``; ``Relayed`` takes them at the other
server, where those rules need not hold again. Keys and tokens of the request are checked at both.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from pipeline import messages
from pipeline.cluster.results import StoredResults
from pipeline.errors import SessionFailed, TasksUnavailable, TooSlow, Unavailable
from pipeline.jobs.tasks import TaskBook, is_task_id
from pipeline.live.session_events import Closed, Problem, to_json
from pipeline.server.access import ORIGIN, path_of, put_under, refuse
from pipeline.server.connections import Stream, while_there
from pipeline.server.reply_language import language_of
from pipeline.server.rest.bodies import MAX_BODY
from pipeline.server.rest.event_stream import LINE_END, sse_event
from pipeline.server.rest.files import BrokenOff
from pipeline.server.socket_relay import pass_on_socket
from pipeline.shared.servers import WebServer
from pipeline.shared.task_book import SharedTaskBook

logger = logging.getLogger(__name__)

RELAY = "x-avatar-relay"
"""The header that holds the secret of the server to which a request is passed on."""
SEEN = "x-avatar-seen"
"""The header that states how the first server saw the request."""
CONNECT_SECONDS = 10.0
"""Seconds in which the other server must take a connection; as long as it counts as alive."""
STORE_SECONDS = 20.0
"""Seconds for which a client waits for the store."""
STORE_THREADS = 4
EVENT_END = 2 * LINE_END.encode()
"""What ends a server-sent event."""
_OF_A_TASK = re.compile(
    "/(?:video/(?P<video>[0-9a-f]{32})[.].+|assets/audio/(?P<audio>[0-9a-f]{32})[.]wav|v/(?P<page>[0-9a-f]{32})"
    "|api/v2/tasks/(?P<inspection>[0-9a-f]{32})/inspect[.]png|api/cancel/(?P<cancel>[0-9a-f]{32}))"
)
"""Addresses that the server of a task must answer."""
_OF_A_SESSION = re.compile("/api/v2/sessions/(?P<session>[0-9a-f]{32})(?:/.*)?")
"""Addresses that the server of a live session must answer."""
_TOKENS = "/api/v2/tokens"
"""Where a token is made, perhaps for a session, which the body names."""
_OF_A_CONNECTION = (b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade")
_OF_A_BODY = (b"content-length", b"expect")
_OF_A_SERVER = (b"date", b"server")


def _keepalive() -> list[tuple[int, int, int]]:
    """Return the options of sockets with which a machine that is gone is noticed within half a minute."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


class Relaying:
    """Passes on requests for tasks and live sessions of other web servers."""

    def __init__(self, app: ASGIApp, book: SharedTaskBook) -> None:
        self._app = app
        self._book = book
        transport = httpx.AsyncHTTPTransport(
            # a connection for each request: one that is kept may be closed there as the next request is sent
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            socket_options=_keepalive(),
            trust_env=False,
        )
        # a growing file may pause for as long as its task waits
        self._client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None, connect=CONNECT_SECONDS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        body = b""
        try:
            if scope["type"] == "http" and path_of(scope) == _TOKENS:
                body, receive = await _read(receive)
            server = await self._other(scope, body)
            if server is not None and scope["type"] == "http" and not body:
                body, _ = await _read(receive)
        except (TasksUnavailable, TooSlow) as error:
            await refuse(error, scope, receive, send)
            return
        if server is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            address, headers = _address(server, scope), _headers(server, scope)
            await pass_on_socket(address, headers, WebSocket(scope, receive, send), partial(self._last, server, scope))
        else:
            await self._pass_on(server, body, scope, receive, send)

    async def _other(self, scope: Scope, body: bytes) -> WebServer | None:
        """Return the other server that must answer a request; None if it is this one.

        Raises:
            TasksUnavailable: Redis does not answer, or does not know yet.
        """
        if session_id := _session_in(path_of(scope), body):
            return await self._book.server_of_session(session_id)
        match = _OF_A_TASK.fullmatch(path_of(scope)) if scope["type"] == "http" else None
        if match is None or self._book.has(task_id := next(filter(None, match.groups()))):
            return None
        return await self._book.server_of(task_id)

    async def _pass_on(self, server: WebServer, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        request, address = Request(scope, receive), _address(server, scope)
        asked = self._client.build_request(scope["method"], address, headers=_headers(server, scope), content=body)
        try:
            answer = await while_there(request, self._client.send(asked, stream=True))
        except httpx.HTTPError as error:
            logger.warning("the web server at %s does not answer: %s", server.url, type(error).__name__)
            await refuse(TasksUnavailable(), scope, receive, send)
            return
        is_stream = path_of(scope).endswith("/events") and answer.status_code == HTTPStatus.OK
        pieces = self._to_its_end(answer, server, scope) if is_stream else _pieces(answer)
        response = Stream(pieces, answer.status_code)
        dropped = (*_OF_A_CONNECTION, *_OF_A_SERVER)
        response.raw_headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower() not in dropped
        ]
        await response(scope, receive, send)

    async def _to_its_end(self, answer: httpx.Response, server: WebServer, scope: Scope) -> AsyncIterator[bytes]:
        """Yield the events of a session, each as a whole; if its server is gone, also those with which they end.

        Raises:
            BrokenOff: They broke off, but go on there.
        """
        begun = b""
        try:
            async with aclosing(_pieces(answer)) as pieces:
                async for piece in pieces:
                    whole, end, begun = (begun + piece).rpartition(EVENT_END)
                    if end:
                        yield whole + end
        except BrokenOff:
            if not (last := await self._last(server, scope)):
                raise
            for event in last:
                yield sse_event(event).encode()

    async def _last(self, server: WebServer, scope: Scope) -> list[dict[str, Any]]:
        """Return the events with which a session ends that was lost with its server; none if it goes on there."""
        state = _address(server, scope, path_of(scope).rpartition("/")[0])
        with suppress(httpx.HTTPError):
            answer = await self._client.get(state, headers=_headers(server, scope), timeout=CONNECT_SECONDS)
            if answer.status_code == HTTPStatus.OK:
                return []
        language = language_of(Headers(scope=scope).get("accept-language"))
        return [to_json(event, language) for event in (Problem.of(SessionFailed()), Closed("failed"))]

    async def close(self) -> None:
        """Close the connections to other servers."""
        await self._client.aclose()


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """Read the body of a request, as far as any may be long; return it, and what gives it once more."""
    parts, body, more = list[Message](), bytearray(), True
    while more and len(body) <= MAX_BODY:
        parts.append(await receive())
        body += parts[-1].get("body", b"")
        more = parts[-1].get("more_body", False)
    again = iter(parts)

    async def once_more() -> Message:
        return next(again, None) or await receive()

    return bytes(body), once_more


def _session_in(path: str, body: bytes) -> str | None:
    """Return the id of the live session that a request is about; None if it is about none."""
    if match := _OF_A_SESSION.fullmatch(path):
        return match["session"]
    try:
        content = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
    session_id = content.get("session_id") if isinstance(content, dict) else None
    return session_id if isinstance(session_id, str) and is_task_id(session_id) else None


def _address(server: WebServer, scope: Scope, path: str = "") -> str:
    """Return the address of a request at another server; with a path, of one for that."""
    query = scope["query_string"].decode()
    return server.url + quote(path or path_of(scope)) + (f"?{query}" if query else "")


def _headers(server: WebServer, scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers with which a request is passed on."""
    left_out = (*_OF_A_CONNECTION, *_OF_A_BODY, RELAY.encode(), SEEN.encode())
    headers = [one for one in scope["headers"] if one[0] not in left_out]
    return [*headers, (RELAY.encode(), server.secret.encode()), (SEEN.encode(), _seen(scope).encode())]


class Stored:
    """Sends finished videos from the store: those of servers that are gone, and all where it can sign addresses."""

    def __init__(self, app: ASGIApp, results: StoredResults, book: TaskBook) -> None:
        self._app = app
        self._results = results
        self._book = book
        self._threads = ThreadPoolExecutor(STORE_THREADS, "store")  # its own: a store may hang

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        match = _OF_A_TASK.fullmatch(path_of(scope)) if scope["type"] == "http" else None
        if match is None or match["cancel"]:
            await self._app(scope, receive, send)
            return
        task_id = next(filter(None, match.groups()))
        link = None
        try:
            if not self._book.has(task_id):
                await self._fetch(task_id)
            if path_of(scope) == f"/video/{task_id}.mp4" and not scope["query_string"]:
                link = self._results.link(task_id)
        except Unavailable as error:
            if not self._book.has(task_id):
                await refuse(error, scope, receive, send)
                return
            logger.warning("result %s is sent from here: %s", task_id, error)
        if link is None:
            await self._app(scope, receive, send)
        else:
            temporary = RedirectResponse(link, HTTPStatus.TEMPORARY_REDIRECT, {"Cache-Control": "no-store"})
            await temporary(scope, receive, send)

    async def _fetch(self, task_id: str) -> None:
        """Fetch the results of a task, if the store has them.

        Raises:
            Unavailable: The store does not answer.
        """
        fetching = asyncio.get_running_loop().run_in_executor(self._threads, self._results.fetch, task_id)
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await fetching
        except TimeoutError as error:
            raise Unavailable(messages.cluster.STORE_FAILED(reason="timeout")) from error


async def _pieces(answer: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield the body of a response as it comes.

    Raises:
        BrokenOff: It broke off, as this one must, too.
    """
    try:
        async for piece in answer.aiter_raw():
            yield piece
    except httpx.HTTPError as error:
        raise BrokenOff(str(answer.url.path)) from error
    finally:
        await answer.aclose()


def _seen(scope: Scope) -> str:
    """Return how this server sees a request, once proxies and rules were applied."""
    client, host = scope.get("client") or ("", 0), Headers(scope=scope).get("host", "")
    seen = {"scheme": scope["scheme"], "client": client[0], "root": scope.get("root_path", "")}
    return json.dumps({**seen, "host": host, "origin": scope.get(ORIGIN, "")})


class Relayed:
    """Takes requests that other web servers pass on.

    Args:
        app: The application without rules, which the other server has applied.
        guarded: The application with them, for all other requests.
        server: This web server.
    """

    def __init__(self, app: ASGIApp, guarded: ASGIApp, server: WebServer) -> None:
        self._app = app
        self._guarded = guarded
        self._secret = server.secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        given = Headers(scope=scope).get(RELAY) if scope["type"] in ("http", "websocket") else None
        if given is None or not hmac.compare_digest(given.encode("latin-1"), self._secret):
            await self._guarded(scope, receive, send)
            return
        seen = json.loads(Headers(scope=scope)[SEEN])
        hidden = (RELAY.encode(), SEEN.encode(), b"host")
        headers = [(b"host", seen["host"].encode("latin-1"))]
        headers += [one for one in scope["headers"] if one[0] not in hidden]
        inner = {**scope, "headers": headers, "scheme": seen["scheme"], "client": (seen["client"], 0)}
        inner[ORIGIN] = seen["origin"]
        put_under(inner, seen["root"])
        await self._app(inner, receive, send)
