"""The server as a process: how it starts and ends, what it leaves behind, how long it keeps results."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.servers import ROOT, Server, outcome_of, running, wait_for

pytestmark = pytest.mark.slow

SLOW = {"text": "slow " + "word " * 30, "avatar": "solo"}
OLD, YOUNG = "a" * 32, "b" * 32


def leave(path: Path, age: float) -> Path:
    """Leave a file at PATH that was last written AGE seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left behind")
    os.utime(path, (time.time() - age,) * 2)
    return path


def is_gone(server: Server, url: str) -> bool:
    """Return whether URL answers 404; a file that is removed just while it is sent breaks off."""
    try:
        return server.get(url).status_code == 404
    except requests.RequestException:
        return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_in_the_middle_of_a_task(fake_packs: Path, tmp_path: Path, how: signal.Signals) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path) as server:
        with server.stream(SLOW) as events:
            wait_for(lambda: next(events)["stage"] == "lipsync")
            wait_for(server.half_made)
            server.process.send_signal(how)
            assert server.process.wait(30) == 0
        assert [path for path in server.results.rglob("*") if path.is_file()] == []
        assert "Traceback" not in server.log


def test_results_expire_and_what_a_killed_program_left_is_removed(fake_packs: Path, tmp_path: Path) -> None:
    results = tmp_path / "realtime"
    left = [leave(results / f"{OLD}.mp4.part", 3600), leave(results / f"{OLD}.wav", 3600)]
    kept = [leave(results / "notes.txt", 3600), leave(results / f"{YOUNG}.mp4.part", 0)]
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, RESULT_TTL="3") as server:
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in kept)
        reply = server.post("/api/v2/lipsync", {"text": "one", "avatar": "solo"}).json()
        assert server.get(reply["video_url"]).status_code == 200
        wait_for(lambda: is_gone(server, reply["video_url"]))
        wait_for(lambda: is_gone(server, reply["audio_url"]))
        assert kept[0].exists()


BUSY = """import runpy
from gradio import networking
networking.url_ok = lambda url: False
runpy.run_module("tests.fakes", run_name="__main__", alter_sys=True)
"""


def test_it_starts_where_gradio_cannot_reach_itself_in_time(fake_packs: Path, tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(BUSY)
    with running(["-m", "busy", str(fake_packs)], tmp_path, PYTHONPATH=str(tmp_path)) as server:
        assert server.get("/api/v2/status").status_code == 200


def test_a_port_in_use_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, said = outcome_of("app", tmp_path, GRADIO_SERVER_PORT=port, RESULTS=str(tmp_path))
    assert status == 1
    assert port in said and "GRADIO_SERVER_PORT" in said and "Traceback" not in said


def test_a_setting_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    status, said = outcome_of("app", tmp_path, MAX_TEXT="many")
    assert status == 1 and "MAX_TEXT='many'" in said and "Traceback" not in said


def test_it_prints_where_it_can_be_reached(server: Server) -> None:
    assert f"ready: http://127.0.0.1:{server.port}" in server.log
    assert "WARNING" not in server.log.split("ready: ")[0]


HEAVY = """
import sys
import app, pipeline.cluster.cluster
print([name for name in ("torch", "elevenlabs", "moviepy", "ray", "redis", "obstore") if name in sys.modules])
"""


def test_nothing_heavy_and_nothing_of_a_cluster_is_loaded_at_start() -> None:
    ended = subprocess.run([sys.executable, "-c", HEAVY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
