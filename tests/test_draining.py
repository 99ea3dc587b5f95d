"""A server that is told to end lets its tasks and sessions end first (DRAIN_SECONDS)."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FPS
from tests.servers import Server, running, wait_for
from tests.watching import Watched, check_unbroken, frames_of

ASKED = {"avatar": "solo", "resolution": "720p"}
LONG = {"text": "brisk one two three four five six. " * 4, **ASKED}


def in_background(server: Server, body: dict[str, Any]) -> tuple[threading.Thread, list[dict[str, Any]]]:
    """Request a video; the list gets its events."""
    events: list[dict[str, Any]] = []

    def follow() -> None:
        with server.stream(body) as told:
            events.extend(told)

    thread = threading.Thread(target=follow)
    thread.start()
    return thread, events


@pytest.mark.slow
def test_what_runs_and_waits_is_done_and_nothing_new_is_taken(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, DRAIN_SECONDS="300") as server:
        asked = [in_background(server, LONG) for _ in range(3)]
        wait_for(lambda: all(events for _, events in asked))
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: server.post("/api/v2/lipsync", LONG).status_code == 503)
        refused = server.post("/api/v2/lipsync", LONG)
        assert refused.headers["Retry-After"] == "1" and refused.json()["code"] == "queue_full"
        assert server.post("/api/v2/sessions", {"avatar": "solo"}).status_code == 503
        for thread, _ in asked:
            thread.join(300)
        assert server.process.wait(60) == 0
    assert [events[-1]["type"] for _, events in asked] == ["done"] * 3
    assert len(list((tmp_path / "realtime").glob("*.mp4"))) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no thread can be chosen")
def test_a_signal_may_come_in_any_thread(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path) as server:
        wait_for(lambda: "warm after" in server.log)  # the main thread has nothing to do but to wait
        threads = {int(one.name) for one in Path(f"/proc/{server.process.pid}/task").iterdir()}
        os.kill(max(threads - {server.process.pid}), signal.SIGTERM)  # Linux prefers the thread of that number
        assert server.process.wait(30) == 0


@pytest.mark.slow
def test_a_session_holds_the_server_and_a_second_signal_ends_it(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, DRAIN_SECONDS="300") as server:
        path = f"/api/v2/sessions/{server.post('/api/v2/sessions', {'avatar': 'solo'}).json()['session_id']}"
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: server.post("/api/v2/sessions", {"avatar": "solo"}).status_code == 503)
        assert server.get(path).status_code == 200
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("speaks", [True, False])
def test_a_recording_is_complete_when_its_server_ends(fake_packs: Path, tmp_path: Path, speaks: bool) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path) as server:
        session = Watched(server, {"avatar": "solo", "record": True})
        wait_for(lambda: server.get(session.path).json()["stream"])
        if speaks:
            session.say()
            wait_for(lambda: len(session.of("word")) > 3)
        assert server.stop() == 0
        session.join()
    assert session.events[-1]["type"] == "closed" and session.events[-1]["reason"] == "server_ends"
    task_id = session.opened["task_id"]
    assert f"task {task_id} ends: Done" in server.log and not server.half_made()
    video = server.results / f"{task_id}.mp4"
    assert video.read_bytes() == session.stream.getvalue()
    check_unbroken(video.read_bytes())
    with wave.open(str(video.with_suffix(".wav"))) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    assert seconds == pytest.approx(frames_of(video.read_bytes()) / FPS, abs=0.1)
    words, captions = [event["text"] for event in session.of("word")], video.with_suffix(".vtt").read_text()
    assert re.findall(r"w\d+", captions) == [word.strip() for word in words] and bool(words) is speaks
    assert all(_seconds(end) <= seconds + 1e-3 for end in re.findall(r"--> ([\d:.]+)", captions))


def _seconds(time: str) -> float:
    hours, minutes, seconds = map(float, time.split(":"))
    return 3600 * hours + 60 * minutes + seconds


@pytest.mark.slow
def test_a_recording_of_nothing_fails_when_its_server_ends(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path) as server:
        task_id = server.post("/api/v2/sessions", {"avatar": "solo", "record": True}).json()["task_id"]
        assert server.stop() == 0  # mostly before its first picture
    done, videos = f"task {task_id} ends: Done" in server.log, [*server.results.glob("*.mp4")]
    assert done or f"task {task_id} ends: Failed (RenderFailed)" in server.log
    assert len(videos) == len([*server.results.glob("*.wav")]) == done and not server.half_made()
    assert all(frames_of(video.read_bytes()) for video in videos)
