"""Clients that leave, dawdle, or send half of something: what was done for them ends, and nothing of it stays."""

from __future__ import annotations

import logging
import os
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.server.logs import MOST_OF_A_KIND, Dam
from pipeline.server.upload_folder import KEPT_SECONDS, UploadFolder
from tests.servers import ROOT, Server, running, wait_for

PATIENCE = 2.0
"""Seconds that this server gives heads and bodies."""
LONG = {"text": "slow " + "word " * 60, "avatar": "solo"}
CLIP = ROOT / "examples" / "talk_short.mp4"
COMPLAINTS = ("already running", "never retrieved", "Traceback")


@pytest.fixture(scope="module")
def server(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on stand-ins, with little patience and a temp folder of its own."""
    folder = tmp_path_factory.mktemp("connections")
    (folder / "tmp").mkdir()
    environ = {"FAKE_PATIENCE": str(PATIENCE), "TMPDIR": str(folder / "tmp")}
    with running(["-m", "tests.fakes", str(fake_packs)], folder, **environ) as s:
        wait_for(lambda: "warm after" in s.log)
        yield s


def head(path: str, length: int = 0, kind: str = "multipart/form-data; boundary=b", method: str = "POST") -> bytes:
    lines = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    return (lines + (f"Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n" if length else "\r\n")).encode()


def file_in(field: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="clip.mp4"\r\n\r\n'.encode()


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 30)


def send_and_leave(server: Server, data: bytes) -> None:
    with connect(server) as line:
        line.sendall(data)


def break_off(server: Server, head: bytes, data: bytes) -> None:
    """Leave in the middle of a body, once the server has begun to read it."""
    with connect(server) as line:
        line.sendall(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert line.recv(4096).startswith(b"HTTP/1.1 100 ")
        line.sendall(data)


def visitors_files(server: Server) -> list[Path]:
    """Everything that lies where visitors' files could."""
    folders = (server.results / "uploads", server.results.parent / "tmp")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "field"), [("/gradio_api/upload", "files"), ("/api/avatars", "file"), ("/api/avatars/faces", "file")]
)
def test_an_upload_that_breaks_off_leaves_nothing(server: Server, path: str, field: str) -> None:
    before = len(server.log)
    for _ in range(3):
        break_off(server, head(path, 9_000_000), file_in(field) + os.urandom(2_000_000))
    wait_for(lambda: not visitors_files(server))
    assert not any(complaint in server.log[before:] for complaint in COMPLAINTS)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["sent", "kept", "being made"])
@pytest.mark.parametrize("path", ["/api/avatars", "/api/avatars/faces"])
def test_an_avatar_whose_client_leaves_is_not_made(server: Server, fake_packs: Path, path: str, when: str) -> None:
    happened = {"sent": lambda: True, "kept": lambda: visitors_files(server), "being made": server.children}
    before = len(server.log)
    fields = {"name": "gone", "consent": "true", "resolutions": "360p"}
    texts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    body = "".join(texts).encode() + file_in("file") + CLIP.read_bytes() + b"\r\n--b--\r\n"
    with connect(server) as one, connect(server) as other:
        for line in (one, other):
            line.sendall(head(path, len(body)) + body)
        wait_for(happened[when])
    wait_for(lambda: not server.children())
    wait_for(lambda: not visitors_files(server))
    assert not list((fake_packs / "uploads").glob(".*")) and not list(fake_packs.glob("*/gone*"))
    assert not any(complaint in server.log[before:] for complaint in COMPLAINTS)
    assert server.get("/api/v2/status").status_code == 200


@pytest.mark.slow
def test_a_server_that_was_killed_leaves_no_clip(fake_packs: Path, tmp_path: Path) -> None:
    command = ["-m", "tests.fakes", str(fake_packs)]
    with running(command, tmp_path) as server:
        with connect(server) as one, connect(server) as other:
            one.sendall(head("/gradio_api/upload", 9_000_000) + file_in("files") + b"x" * 1_000_000)
            body = file_in("file") + CLIP.read_bytes() + b"\r\n--b--\r\n"
            other.sendall(head("/api/avatars/faces", len(body)) + body)
            kept = server.results / "uploads"
            wait_for(lambda: list(kept.glob("gradio/*")) and list(kept.glob("clips/*/*")))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(30)
        assert [path for path in kept.rglob("*") if path.is_file()]
    with running(command, tmp_path):
        assert not [path for path in kept.rglob("*") if path.is_file()]


def test_what_clients_sent_goes_with_its_age(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path / "uploads")
    before = os.environ.get("GRADIO_TEMP_DIR")
    try:
        folder.open()
    finally:
        os.environ.pop("GRADIO_TEMP_DIR")
        if before is not None:
            os.environ["GRADIO_TEMP_DIR"] = before
    old, new = folder.gradio / "hash" / "voice.wav", folder.clips / "other" / "clip.mp4"
    for path in (old, new):
        path.parent.mkdir()
        path.write_bytes(b"x")
    long_ago = time.time() - KEPT_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    folder.sweep()
    assert not old.exists() and new.exists()
    os.utime(old.parent, (long_ago, long_ago))
    folder.sweep()
    assert not old.parent.exists() and folder.gradio.is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mp4", "vtt"])
def test_no_video_is_kept_waiting_by_a_client_that_left(server: Server, kind: str) -> None:
    server.wait_idle()
    with server.stream(LONG) as running_one, server.stream({"text": "one", "avatar": "solo"}) as waiting:
        wait_for(lambda: next(running_one)["stage"] == "lipsync")
        task_id = next(waiting)["task_id"]
        for _ in range(40):
            send_and_leave(server, head(f"/video/{task_id}.{kind}", method="GET"))
        # their connections are gone though the task goes on waiting
        wait_for(lambda: connections(server) <= 4)
        assert server.get(f"/api/v2/tasks/{task_id}").json()["state"] == "queued"
    server.wait_idle()


def connections(server: Server) -> int:
    """How many connections SERVER has open, those that their clients have closed included."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(one[1].endswith(f":{server.port:04X}") and one[3] in OPEN for one in fields)


OPEN = ("01", "08")
"""States of a connection that its program has not closed: ESTABLISHED, CLOSE_WAIT."""


@pytest.mark.slow
def test_a_picture_without_a_client_is_not_drawn(server: Server) -> None:
    tasks = [server.events({"text": "one two", "avatar": "solo"})[-1]["task_id"] for _ in range(4)]
    paths = [f"/api/v2/tasks/{task}/inspect.png" for task in tasks]
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(connect(server)).sendall(head(path, method="GET"))
        wait_for(server.children)
    wait_for(lambda: not server.children())
    assert not list(server.results.glob("*.png*"))
    assert server.get(paths[0]).content[:4] == b"\x89PNG"


SLOW = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost:",
    "a body for REST": head("/api/v2/lipsync", 900, "application/json") + b"{",
    "a body for the page": head("/gradio_api/queue/join", 900, "application/json") + b"{",
    "an upload": head("/gradio_api/upload", 90_000) + file_in("files") + b"abc",
    "an avatar": head("/api/avatars", 90_000) + file_in("file") + b"abc",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SLOW)
@pytest.mark.parametrize("dribbles", [False, True])
def test_a_connection_on_which_a_request_never_ends_is_closed(server: Server, what: str, dribbles: bool) -> None:
    begun = time.monotonic()
    answer = b""
    with connect(server) as line:
        line.sendall(SLOW[what])
        line.settimeout(0.5)
        while time.monotonic() - begun < 10 * PATIENCE:
            try:
                if not (part := line.recv(4096)):
                    break
                answer += part
            except TimeoutError:
                if dribbles and SLOW[what]:
                    line.sendall(b"a")
            except ConnectionError:
                break
        else:
            pytest.fail("it is still open")
    assert time.monotonic() - begun >= PATIENCE - 0.1
    if what in ("a body for REST", "an upload", "an avatar"):
        assert answer.startswith(b"HTTP/1.1 408 ") and "다시 보내세요".encode() in answer
    assert not visitors_files(server)


@pytest.mark.slow
def test_a_slow_but_steady_upload_arrives(server: Server) -> None:
    body = file_in("files") + b"x" * 60_000 + b"\r\n--b--\r\n"
    with connect(server) as line:
        line.sendall(head("/gradio_api/upload", len(body)))
        for start in range(0, len(body), 10_000):
            line.sendall(body[start : start + 10_000])
            time.sleep(PATIENCE / 4)
        assert line.recv(4096).startswith(b"HTTP/1.1 200 ")
    for path in visitors_files(server):
        path.unlink()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of another process are Linux's")
def test_a_server_at_its_limit_of_open_files_fills_no_log(server: Server) -> None:
    server.wait_idle()
    before, process = len(server.log), server.process.pid
    was = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (40, was[1]))
    lines = []
    try:
        for _ in range(80):
            lines.append(connect(server))
        wait_for(lambda: server.log.count("out of system resource", before) > 1)  # it tries again every second
        assert len(server.log) - before < 200_000
    finally:
        for line in lines:
            line.close()
        resource.prlimit(process, resource.RLIMIT_NOFILE, was)
    assert server.get("/api/queue_status").status_code == 200


@pytest.mark.slow
def test_what_happens_again_and_again_is_reported_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("pipeline.server.logs.time.monotonic", lambda: now[0])
    dam = Dam()

    def passed(level: int, line: int, count: int) -> list[str]:
        records = [logging.LogRecord("x", level, "file.py", line, "no %d", (i,), None) for i in range(count)]
        return [record.getMessage() for record in records if dam.filter(record)]

    assert len(passed(logging.WARNING, 1, 500)) == MOST_OF_A_KIND
    assert len(passed(logging.WARNING, 2, 3)) == 3  # another kind
    assert len(passed(logging.INFO, 1, 500)) == 500  # what tells of tasks
    now[0] += 61
    again = passed(logging.WARNING, 1, 2)
    assert re.fullmatch(rf"no 0 \({500 - MOST_OF_A_KIND} more of these before\)", again[0]) and again[1] == "no 1"
