"""Requests that a web server passes on to another one, which breaks off, closes connections or is held up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest

from pipeline.server.relay import Relaying
from pipeline.shared.servers import WebServer
from pipeline.shared.task_book import SharedTaskBook

SESSION = "/api/v2/sessions/" + "a" * 32
EVENTS = ["ping", {"type": "word", "text": "하나 "}, {"type": "word", "text": "둘 "}]
LAST = ["error", "closed"]
Exchange = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Book:
    """Knows one other server, which has everything."""

    def __init__(self, server: WebServer) -> None:
        self._server = server

    async def server_of_session(self, session_id: str) -> WebServer:
        return self._server


@asynccontextmanager
async def relayed(exchange: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a server whose requests are passed on to another one: a socket with which `exchange` talks."""
    other = await asyncio.start_server(exchange, "127.0.0.1", 0)
    server = WebServer(f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}")

    async def nothing(*_: object) -> None:
        raise AssertionError("this request was to be passed on")

    relaying = Relaying(nothing, cast(SharedTaskBook, Book(server)))
    transport = httpx.ASGITransport(relaying)
    async with other, httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client
        await relaying.close()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def sent(event: object) -> bytes:
    return b": ping\n\n" if event == "ping" else f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def told(body: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in body.split("\n") if line.startswith("data: ")]


STREAM = b"".join(map(sent, EVENTS))
FIRST = len(sent(EVENTS[0]) + sent(EVENTS[1]))
"""Where the first event ends that a client is told."""


@pytest.mark.parametrize("whole", [True, False], ids=["as a whole", "in bytes"])
@pytest.mark.parametrize("kept", [0, 5, FIRST - 1, FIRST, FIRST + 1, len(STREAM) - 1, len(STREAM)])
def test_events_of_a_session_end_wherever_its_server_breaks_off(kept: int, whole: bool) -> None:
    """All that came as a whole is passed on, and then the last events."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(f"GET {SESSION}/events ".encode()):  # whoever asks for the state finds nobody
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for piece in [STREAM[:kept]] if whole else [STREAM[at : at + 1] for at in range(kept)]:
                if piece:
                    writer.write(chunk(piece))
                    await writer.drain()
        writer.close()

    async def check() -> None:
        async with relayed(exchange) as client:
            body = (await client.get(f"{SESSION}/events")).text
        ends = [sum(len(sent(event)) for event in EVENTS[: number + 1]) for number in range(len(EVENTS))]
        arrived = [event for event, end in zip(EVENTS, ends, strict=True) if end <= kept and event != "ping"]
        events = told(body)
        assert events[:-2] == arrived and [event["type"] for event in events[-2:]] == LAST

    asyncio.run(check())


def test_a_request_does_not_go_to_a_connection_that_is_being_closed() -> None:
    """A server closes a connection that idles; the next request may be on its way there."""
    connections = 0

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        await reader.read(1)  # of another request, which gets no answer
        writer.close()

    async def check() -> None:
        async with relayed(exchange) as client:
            for _ in range(3):
                for answer in (await client.get(SESSION), await client.post(f"{SESSION}/say", json={"text": "one"})):
                    assert answer.status_code == 200, answer.text
        assert connections == 6

    asyncio.run(check())
