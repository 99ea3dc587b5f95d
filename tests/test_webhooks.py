"""Webhooks: signed, tried again, never to a private address unless allowed, and never in the way of a task."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from pipeline.errors import BadRequest, Cancelled
from pipeline.jobs.events import Failed, Made
from pipeline.jobs.tasks import AvatarJob
from pipeline.server import webhooks
from pipeline.server.webhooks import Receiver, Webhooks, is_public
from pipeline.settings import Settings
from tests.servers import Server, running, wait_for

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OPEN = Settings(webhook_secret=SECRET, webhook_private=1)
JOB = AvatarJob(id="0" * 32)


@dataclass
class Sent:
    """A request that a receiver got."""

    head: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        lines = (line.split(": ", 1) for line in self.head.strip().splitlines()[1:])
        return {name.lower(): value for name, value in lines}


@dataclass
class Raw:
    """A receiver that answers what a test wants, byte by byte."""

    answers: list[bytes | None]
    port: int = 0
    sent: list[Sent] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(next(line for line in head.lower().splitlines() if "content-length" in line).split(":")[1])
            self.sent.append(Sent(head, await reader.readexactly(length)))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is None:
                await asyncio.sleep(60)
            writer.write(answer or b"")
            await writer.drain()
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            writer.close()


def reply(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers, "Content-Length: 0", "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


@asynccontextmanager
async def receiving(*answers: bytes | None) -> AsyncIterator[Raw]:
    raw = Raw(list(answers))
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(webhooks, "FOLDER", str(tmp_path / "waiting"))
    monkeypatch.setattr(webhooks, "PAUSES", (0.01, 0.01, 0.01))


def delivered(
    caplog: pytest.LogCaptureFixture, *answers: bytes | None, settings: Settings = OPEN, host: str = "127.0.0.1"
) -> tuple[list[Sent], str]:
    """Send the end of a job to a receiver that gives ANSWERS; return what it got, and the log."""

    async def run() -> list[Sent]:
        hooks = Webhooks(settings)
        hooks.open()
        async with receiving(*answers) as raw:
            hooks.follow(JOB, Receiver(f"http://{host}:{raw.port}/hook?secret=path", "en"))
            hooks.ended(JOB, Made("민수", ("민수_360p",), REPORT))
            await asyncio.sleep(0)
            await asyncio.gather(*hooks._sending)
            await hooks.close()
            return raw.sent

    with caplog.at_level(logging.INFO, "pipeline.server.webhooks"):
        sent = asyncio.run(run())
    assert "secret=path" not in caplog.text
    return sent, caplog.text


REPORT = {"frames": 25, "fps": 25, "usable": 1.0, "face_width": 200, "teeth": "t", "teeth_ko": "t", "problems": []}


def test_a_message_is_signed_as_the_standard_says(caplog: pytest.LogCaptureFixture) -> None:
    (sent,), log = delivered(caplog, reply(204))
    content = Webhook(SECRET).verify(sent.body, sent.headers)
    assert content["type"] == "avatar.done" and content["data"]["avatar"] == "민수"
    assert content["data"]["task_id"] == JOB.id and content["data"]["kind"] == "avatar"
    assert sent.head.startswith("POST /hook?secret=path HTTP/1.1") and "is delivered" in log


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (reply(500), "status 500"),
        (reply(301, "Location: http://127.0.0.1:9/"), "status 301"),
        (reply(307, "Location: https://example.com/"), "status 307"),
        (b"", "disconnected"),
        (b"\x16\x03rubbish\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ""),
        (b"HTTP/1.1 2000 OK\r\n\r\n", ""),
    ],
)
def test_what_fails_is_tried_again_as_the_same_message(caplog: pytest.LogCaptureFixture, bad: bytes, why: str) -> None:
    sent, log = delivered(caplog, bad, bad, reply(200))
    assert len(sent) == 3 and len({(one.headers["webhook-id"], one.body) for one in sent}) == 1
    assert why in log and log.count("failed") == 2 and "is delivered" in log


def test_a_receiver_that_stays_down_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    sent, log = delivered(caplog, reply(503))
    assert len(sent) == len(webhooks.PAUSES) + 1 and "is dropped after 4 tries: status 503" in log


def test_a_receiver_that_is_gone_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    sent, log = delivered(caplog, reply(410))
    assert len(sent) == 1 and "is dropped after 1 tries: status 410" in log


def test_the_pauses_grow_and_fill_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert list(webhooks.PAUSES) == sorted(webhooks.PAUSES) and 3000 < sum(webhooks.PAUSES) <= 3600
    assert webhooks.CONNECTION_SECONDS <= 10


@pytest.mark.parametrize("slow", [None, b"HTTP/1.1 200"], ids=["silent", "half an answer"])
def test_a_slow_receiver_has_a_limited_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, slow: bytes | None
) -> None:
    monkeypatch.setattr(webhooks, "CONNECTION_SECONDS", 1.0)
    sent, log = delivered(caplog, slow, reply(200))
    assert len(sent) == 2 and log.count("failed") == 1


def test_a_name_that_leads_into_a_private_network_is_not_asked(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        addresses = ["93.184.215.14", "127.0.0.1"] if host == "rebound.example" else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    closed = Settings(webhook_secret=SECRET)
    sent, log = delivered(caplog, reply(200), settings=closed, host="rebound.example")
    assert sent == [] and "private network" in log


def test_the_connection_goes_to_the_address_that_was_checked(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def found(host: str, port: int, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "hooks.example" else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    (sent,), _ = delivered(caplog, reply(200), host="hooks.example")
    assert asked.count("hooks.example") == 1 and sent.headers["host"].startswith("hooks.example:")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.0.7", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1"),
        *("64:ff9b::a00:1", "2002:a00:1::"),
    ],
)
def test_private_addresses(address: str) -> None:
    import ipaddress

    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(BadRequest, match="WEBHOOK_PRIVATE"):
        Webhooks(Settings(webhook_secret=SECRET)).checked(f"http://{host}/hook")
    assert Webhooks(OPEN).checked(f"http://{host}/hook")


def test_public_addresses() -> None:
    for url in ("https://example.com/hook", "http://93.184.215.14:8080/x?y=1", "https://[2606:2800:21f:cb07::1]/",
                "https://예시.example/hook"):  # fmt: skip
        assert Webhooks(Settings(webhook_secret=SECRET)).checked(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *(5, [], "", "example.com", "ftp://example.com/", "file:///etc/passwd", "http://", "http://a:b@example.com/"),
        *("http://example.com:99999/", "http://[::1/", "http://exa mple.com/", "http://e.com/\r\nX: y", "x" * 3000),
        *("http://" + "a" * 70 + ".example/", "javascript:alert(1)"),
    ],
)
def test_what_is_no_address_is_refused(url: object) -> None:
    with pytest.raises(BadRequest, match="webhook_url"):
        Webhooks(OPEN).checked(url)


@pytest.mark.parametrize("url", ["http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://localhost/",
                                 "http://x.localhost/", "http://0/"])  # fmt: skip
def test_other_ways_to_write_this_computer(url: str) -> None:
    with pytest.raises(BadRequest, match="WEBHOOK_PRIVATE"):
        Webhooks(Settings(webhook_secret=SECRET)).checked(url)


def test_settings_that_cannot_be_meant_end_the_start() -> None:
    for settings in (
        {"WEBHOOK_URL": "https://example.com"},
        {"WEBHOOK_URL": "https://example.com", "WEBHOOK_SECRET": "short"},
        {"WEBHOOK_SECRET": "whsec_" + "A" * 8},
        {"WEBHOOK_SECRET": "not base64!" * 5},
    ):
        with pytest.raises(ValueError, match="WEBHOOK_"):
            Webhooks(Settings.from_environment(settings))


def test_what_waits_is_limited(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_WAITING", 3)
    monkeypatch.setattr(webhooks, "CONNECTION_SECONDS", 0.2)
    monkeypatch.setattr(webhooks, "PAUSES", ())

    async def run() -> int:
        hooks = Webhooks(OPEN)
        hooks.open()
        async with receiving(None) as raw:
            for _ in range(5):
                hooks.follow(JOB, Receiver(f"http://127.0.0.1:{raw.port}/", "ko"))
                hooks.ended(JOB, Failed(Cancelled()))
            await asyncio.sleep(0)
            count = len(hooks._sending)
            await asyncio.gather(*hooks._sending)
            await hooks.close()
        return count

    assert asyncio.run(run()) == 3 and caplog.text.count("3 wait") == 2


# --- what waits when the server ends


def run_until(port: int, over: Callable[[], bool], job: AvatarJob | None = None) -> None:
    """Run the webhooks of a server until something is the case, then end it; JOB ends meanwhile."""

    async def run() -> None:
        hooks = Webhooks(OPEN)
        hooks.open()
        if job is not None:
            hooks.follow(job, Receiver(f"http://127.0.0.1:{port}/hook", "ko"))
            hooks.ended(job, Made("민수", ("민수_360p",), REPORT))
        async with asyncio.timeout(10):
            while not over():
                await asyncio.sleep(0.01)
        await hooks.close()

    asyncio.run(run())


def test_what_waits_is_sent_after_the_next_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(webhooks, "PAUSES", (60.0,))
    folder, got = tmp_path / "waiting", list[tuple[str, bytes]]()
    answers = [503, 204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(answers.pop(0))
            self.end_headers()
            got.append((self.headers["webhook-id"], body))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as receiver:
        Thread(target=receiver.serve_forever, daemon=True).start()
        run_until(receiver.server_port, lambda: len(got) == 1, JOB)
        (path,) = folder.iterdir()
        assert path.stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
        run_until(receiver.server_port, lambda: len(got) == 2 and not list(folder.iterdir()))
        receiver.shutdown()
    assert got[0] == got[1]  # with the same id, by which the receiver knows a repetition


@pytest.mark.parametrize("change", [{"begun": 0.0}, {"begun": "x"}, {"url": "file:///etc/passwd"}, {"body": None}, []])
def test_what_is_too_old_or_damaged_is_dropped(change: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "waiting"
    folder.mkdir()
    whole = {"id": "msg_1", "type": "task.done", "url": "http://127.0.0.1:9/", "body": "{}", "begun": time.time()}
    (folder / "msg_1.json").write_text(json.dumps({**whole, **change} if change else change))
    run_until(9, lambda: True)
    assert "msg_1.json is dropped" in caplog.text and list(folder.iterdir()) == []


# --- with a server


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """The address of a receiver, and what it has got; it accepts at the second try."""
    got: list[tuple[dict[str, str], bytes]] = []
    seen: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            identity = self.headers["webhook-id"]
            if identity in seen:
                got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200 if identity in seen else 500)
            self.end_headers()
            seen.add(identity)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_server_tells_of_what_has_ended(
    fake_packs: Path, tmp_path: Path, told: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    url, got = told
    environ = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_PRIVATE": "1", "FAKE_WEBHOOK_PAUSES": "0.1,0.1"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, WEBHOOK_URL=f"{url}/all", **environ) as server:
        tell(server, url, got)
        wrong = server.post("/api/v2/lipsync", {"text": "one", "avatar": "solo", "webhook_url": "ftp://x"})
        assert wrong.status_code == 400 and wrong.json()["error"].startswith("webhook_url")


def tell(server: Server, url: str, got: list[tuple[dict[str, str], bytes]]) -> None:
    done = server.post("/api/v2/lipsync", {"text": "one", "avatar": "solo", "webhook_url": f"{url}/own"}).json()
    failed = server.post("/api/v2/lipsync", {"text": "crash", "avatar": "solo"}, headers={"Accept-Language": "en"})
    session = server.post("/api/v2/sessions", {"avatar": "solo"}).json()["session_id"]
    server.delete(f"/api/v2/sessions/{session}")
    messages: Callable[[], dict[str, Any]] = lambda: {  # noqa: E731
        content["type"]: content["data"]
        for content in (Webhook(SECRET).verify(body, headers) for headers, body in list(got))
    }
    wait_for(lambda: {"task.done", "task.failed", "session.ended"} <= messages().keys())
    assert messages()["task.done"]["video_url"] == done["video_url"]
    assert messages()["task.failed"]["task_id"] == failed.json()["task_id"]
    assert messages()["task.failed"]["error"].startswith("An internal error")
    assert messages()["session.ended"] | {"stream": 0} == {
        "session_id": session, "reason": "deleted", "stream": 0, "task_id": None}  # fmt: skip
    assert json.loads(got[0][1])["timestamp"]
    wait_for(lambda: "webhook task.done to http://127.0.0.1 is delivered" in server.log)
    assert SECRET not in server.log
