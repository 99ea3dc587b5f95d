"""What clients of a server get of videos and live sessions, for tests in which nodes of a cluster are lost."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import av
import numpy as np
import pytest
import requests

from tests import servers
from tests.fakes import FPS
from tests.ray_nodes import ASKED
from tests.servers import Server, wait_for
from tests.sites import Site

Events = list[dict[str, Any]]
SPEECH = " ".join(f"w{number}" for number in range(25)) + "."
"""What a session is asked to say."""


def frames_of(video: bytes) -> int:
    """How many pictures a video has."""
    with av.open(io.BytesIO(video), "r") as container:
        return len(list(container.decode(video=0)))


def check_unbroken(video: bytes) -> None:
    """Check that pictures and sound of a video follow each other without a gap."""
    for kind in ("video", "audio"):
        with av.open(io.BytesIO(video), "r") as container:
            times = sorted(one.pts for one in container.demux(**{kind: 0}) if one.pts is not None)
            assert len({after - before for before, after in itertools.pairwise(times)}) == 1, kind


def events_while(server: Server, count: int, happens: Callable[[], object]) -> list[Events]:
    """Request videos, two of which are being made when something happens; return the events of each."""
    body = {"text": "brisk one two three four five six. " * 4, **ASKED}
    with ThreadPoolExecutor(count) as pool:
        asked: list[Future[Events]] = [pool.submit(server.events, body) for _ in range(count)]
        wait_for(lambda: len(list(server.results.glob("*.mp4.part"))) == 2)
        wait_for(lambda: all(path.stat().st_size > 10_000 for path in server.results.glob("*.mp4.part")))
        happens()
        return [one.result(timeout=600) for one in asked]


def check_whole(server: Server, told: list[Events]) -> None:
    """Check that all videos were made, and are the same: those that two nodes made, too."""
    assert [events[-1]["type"] for events in told] == ["done"] * len(told), told
    videos = [server.get(events[-1]["video_url"]).content for events in told]
    assert len(set(videos)) == 1
    assert frames_of(videos[0]) == pytest.approx(told[0][-1]["audio_duration"] * FPS, abs=1)
    check_unbroken(videos[0])
    assert not server.half_made()


class Watched:
    """A live session, and all that a client gets of it."""

    def __init__(self, server: Server | Site, body: Mapping[str, Any] | None = None) -> None:
        self.server = server
        self.opened = server.post("/api/v2/sessions", body or {"avatar": "solo"}).json()
        self.path = f"/api/v2/sessions/{self.opened['session_id']}"
        self.stream, self.events = io.BytesIO(), Events()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._watch, self._follow)]
        for thread in self._threads:
            thread.start()

    def _watch(self) -> None:
        with requests.get(self.server.url + self.opened["video_url"], stream=True, timeout=300) as reply:
            for piece in reply.iter_content(None):
                self.stream.write(piece)

    def _follow(self) -> None:
        with requests.get(f"{self.server.url}{self.path}/events", stream=True, timeout=300) as reply:
            for event in servers.events_of(reply):
                self.events.append(event)

    def say(self) -> None:
        """Have it say `SPEECH`."""
        assert self.server.post(f"{self.path}/say", {"text": SPEECH, "tag": "count"}).json()["success"]

    def of(self, kind: str) -> Events:
        """Its events of a kind."""
        return [event for event in self.events if event["type"] == kind]

    def close(self) -> None:
        """End it."""
        self.server.delete(self.path)
        self.join()

    def join(self) -> None:
        """Wait until its client has got all of it."""
        for thread in self._threads:
            thread.join(30)

    def check_said(self) -> None:
        """Check that it has said `SPEECH` in one turn, every word of it, in one stream without a gap."""
        [ended] = self.of("turn_ended")
        assert ended["said"].split() == SPEECH.split() and ended["tag"] == "count"
        assert len(self.of("turn_started")) == 1
        heard = [event["text"].strip() for event in self.of("word")]
        assert [word for word, _ in itertools.groupby(heard)] == SPEECH.split() or set(heard) == set(SPEECH.split())
        self.stream.seek(0)
        with av.open(self.stream, "r") as container:
            times = [float(one.pts * one.time_base) for one in container.demux(video=0) if one.pts is not None]
        assert times == pytest.approx(times[0] + np.arange(len(times)) / FPS)


def sessions_on(server: Server) -> dict[str, int]:
    """Return how many sessions run on each node, by its address."""
    return {one["address"]: one["sessions"] for one in server.get("/api/v2/status").json()["nodes"] if one["sessions"]}
