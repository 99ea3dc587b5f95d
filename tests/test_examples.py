"""The examples that clients start from run as they are written, and say what is wrong in a sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import pytest

from tests.servers import ROOT, Server, free_port

TEXT = "안녕하세요."
ODD = "Say \"hi\" \\ and\t'bye'\n$(date) `id` %s \\n, {}"
PYTHON = [sys.executable, str(ROOT / "examples/client_python.py")]
SHELL = ["sh", str(ROOT / "examples/client.sh")]


def python_client(client: str, server: str, text: str, avatar: str) -> list[str]:
    return [*PYTHON, text, "--client", client, "--server", server, "--avatar", avatar]


CLIENTS = {
    "requests": lambda *given: python_client("requests", *given),
    "gradio": lambda *given: python_client("gradio", *given),
    "shell": lambda server, text, avatar: [*SHELL, text, server, avatar],
}


@pytest.fixture(params=["requests", pytest.param("gradio", marks=pytest.mark.slow), "shell"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Run a client with a server's address, a text and an avatar."""
    if request.param == "shell" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    def run(*given: str) -> subprocess.CompletedProcess[str]:
        command = CLIENTS[request.param](*given)
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.slow
def test_a_text_becomes_a_video(client: Any, server: Server, tmp_path: Path) -> None:
    ended = client(server.url, TEXT, "talk_short")
    assert ended.returncode == 0, ended.stderr
    with av.open(str(tmp_path / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert sum(1 for _ in container.decode(video=0)) > 10 and (stream.width, stream.height) == (1280, 720)


@pytest.mark.slow
@pytest.mark.parametrize("client", ["requests", "gradio"])
def test_another_engine_can_be_asked_for(client: str, server: Server, tmp_path: Path) -> None:
    command = [*python_client(client, server.url, TEXT, "talk_short"), "--engine"]
    made, refused = (
        subprocess.run([*command, engine], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        for engine in ("mesh", "musetalk")
    )
    assert made.returncode == 0, made.stderr
    assert refused.returncode == 1 and "musetalk" in refused.stderr  # its weights are not there


@pytest.mark.slow
def test_stages_are_reported(server: Server, tmp_path: Path) -> None:
    command = python_client("requests", server.url, TEXT, "talk_long")
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    stages = [line.split("]")[0][1:] for line in ended.stdout.splitlines()]
    assert stages[:3] == ["queued", "tts", "tts_done"] and "lipsync" in stages and stages[-1] == "done"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_shell_client_sends_a_text_as_it_is_written(tmp_path: Path) -> None:
    asked: list[dict[str, str]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(json.dumps({"text": ODD + '"video_url": "/no"', "video_url": "/a"}).encode())

        def do_GET(self) -> None:
            self.answer(self.path.encode())

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as answering:
        Thread(target=answering.serve_forever, daemon=True).start()
        command = [*SHELL, ODD, f"http://127.0.0.1:{answering.server_port}", "an avatar", "480p"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=30, capture_output=True)
        answering.shutdown()
    assert asked == [{"text": ODD.translate({9: " ", 10: " "}), "avatar": "an avatar", "resolution": "480p"}]
    assert (tmp_path / "video.mp4").read_text() == "/a"


@pytest.mark.parametrize(
    ("text", "avatar", "reason"), [("hello", "nobody", "nobody"), ("   ", "solo", "text:")], ids=["avatar", "text"]
)
def test_bad_input_is_explained(
    client: Any, fake_server: Server, text: str, avatar: str, reason: str, tmp_path: Path
) -> None:
    ended = client(fake_server.url, text, avatar)
    assert ended.returncode == 1 and reason in ended.stderr.lower() and "Traceback" not in ended.stderr
    assert not (tmp_path / "video.mp4").exists()


def test_a_server_that_is_not_there_is_explained(client: Any) -> None:
    ended = client(f"http://127.0.0.1:{free_port()}", "hello", "solo")
    assert ended.returncode == 1 and "서버에 연결할 수 없습니다" in ended.stderr and "Traceback" not in ended.stderr
