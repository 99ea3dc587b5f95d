"""A server that is told to end lets its tasks and sessions end first (DRAIN_SECONDS)."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server, running, wait_for

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
