"""Gradio's queue, joined from outside: bounded for all clients; what has no listener is dropped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import requests
from gradio.server_messages import CloseStreamMessage
from starlette.types import Message, Receive, Scope, Send

from pipeline.server.gradio.queue import PAGE_EVENTS
from pipeline.server.gradio.queue_joins import Joins, share_of
from tests.servers import QUEUE_LIMIT, Server, running, wait_for

ROOM = QUEUE_LIMIT + PAGE_EVENTS


@pytest.fixture(scope="module")
def server(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on stand-ins that waits a second for those who joined to listen."""
    environ = {"MAX_QUEUE": str(QUEUE_LIMIT), "FAKE_LISTEN": "1"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path_factory.mktemp("joins"), **environ) as s:
        wait_for(lambda: "warm after" in s.log)
        yield s


@pytest.fixture(scope="module")
def functions(server: Server) -> dict[str, dict[str, Any]]:
    """What can be joined, by name."""
    return {one["api_name"]: one for one in server.get("/config").json()["dependencies"] if one["api_name"]}


def join(server: Server, function: int, data: list[object], session: str) -> requests.Response:
    body = {"fn_index": function, "data": data, "session_hash": session}
    return server.post("/gradio_api/queue/join", body)


def fields(server: Server, text: str, inputs: list[int]) -> list[object]:
    """Return what the page sends to have TEXT said: each of its INPUTS as it stands at first, on the fake engine."""
    at_first = {part["id"]: part["props"].get("value") for part in server.get("/config").json()["components"]}
    return [text, "solo", "720p", "fake", *(at_first[number] for number in inputs[4:])]


@pytest.mark.slow
def test_the_entry_of_tasks_is_the_servers_own(server: Server, functions: dict[str, dict[str, Any]]) -> None:
    answers = [
        join(server, functions["rest"]["id"], [], "stranger"),
        server.post("/gradio_api/call/rest", {"data": []}),
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    sentence = "이 주소는 서버 내부용입니다. POST /api/v2/lipsync를 쓰세요."
    expected = {"success": False, "error": sentence, "code": "field_invalid", "detail": sentence}
    assert [answer.json() for answer in answers] == [expected] * 2
    assert server.get("/api/queue_status").json()["queue_size"] == 0
    assert server.events({"text": "one", "avatar": "solo"})[-1]["type"] == "done"


@pytest.mark.slow
def test_one_address_fills_a_share_and_events_without_a_listener_are_dropped(
    server: Server, functions: dict[str, dict[str, Any]]
) -> None:
    generate = functions["generate"]
    data = fields(server, "slow " + "word " * 60, generate["inputs"])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: join(server, generate["id"], data, f"s{number}"), range(120)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] + statuses[503] == 120 and share_of(ROOM) <= statuses[200] < 120
    refused = next(answer for answer in answers if answer.status_code == 503)
    sentence = "요청이 너무 많이 열려 있습니다. 앞선 요청이 끝난 뒤에 다시 시도하세요."
    assert refused.json() == {"success": False, "error": sentence, "code": "queue_full", "detail": sentence}
    assert int(refused.headers["Retry-After"]) >= 1
    assert server.get("/api/queue_status").json()["queue_size"] <= QUEUE_LIMIT
    wait_for(lambda: server.get("/api/queue_status").json()["queue_size"] == 0)
    server.wait_idle()


@pytest.mark.slow
def test_listening_clients_get_all_events(server: Server, functions: dict[str, dict[str, Any]]) -> None:
    client = pytest.importorskip("gradio_client").Client(server.url, verbose=False)
    jobs = [client.submit(text="brisk " + "word " * 8, avatar="solo", api_name="/generate") for _ in range(3)]
    assert [job.result(60)[1]["state"] for job in jobs] == ["done"] * 3
    client.close()


def test_an_address_elsewhere_has_a_share_of_the_queue() -> None:
    from pipeline.server.gradio.queue import _is_here

    assert share_of(32) == 16 and share_of(1) == 1
    assert all(map(_is_here, ("127.0.0.1", "::1", "", "testclient")))
    assert not any(map(_is_here, ("10.0.0.7", "2001:db8::1")))


def test_a_client_knows_of_the_end_of_its_stream_before_its_next_event_is_taken() -> None:
    """It would wait for that event's messages at a stream that ends, and Gradio's page then loads itself anew."""
    order: list[str] = []

    async def push(**given: Any) -> tuple[bool, str, str]:
        order.append("joins")
        return True, "event", ""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"data: ...", "more_body": True})
        # as Gradio's route writes it
        await send(
            {"type": "http.response.body", "body": b"data: %b" % orjson.dumps(CloseStreamMessage().model_dump())}
        )

    async def run() -> None:
        queue = SimpleNamespace(
            push=push, clean_events=None, event_ids_to_events={}, server_app=None,
            pending_event_ids_session={}, pending_messages_per_session={},
        )  # fmt: skip
        joins = Joins(queue, SimpleNamespace(_id=0), 10)
        joining: list[asyncio.Task[None]] = []
        request = SimpleNamespace(client=None)

        async def join(session: str) -> None:
            await queue.push(body=SimpleNamespace(fn_index=1, session_hash=session), request=request, username=None)
            order.append(f"{session} joined")

        async def send(message: Message) -> None:
            if b"close" in message["body"]:
                joining.extend(asyncio.create_task(join(session)) for session in ("one", "other"))
                for _ in range(20):
                    await asyncio.sleep(0)
                order.append("closed")

        scope = {"type": "http", "method": "GET", "path": "/gradio_api/queue/data", "query_string": b"session_hash=one"}
        await joins.around(stream)(scope, None, send)  # type: ignore[arg-type]
        await asyncio.gather(*joining)
        await join("one")  # later, at once
        assert not joins._closing

    asyncio.run(run())
    assert order == ["joins", "joins", "other joined", "closed", "one joined", "joins", "one joined"]
