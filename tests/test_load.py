"""Fifty clients at once, a third of whom leave or change their mind."""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.fakes import seconds_of
from tests.servers import Server, events_of, running, wait_for

CLIENTS, REQUESTS = 50, 100
WORDS = (1, 3, 8)


@pytest.mark.slow
def test_under_load_every_answer_is_right_or_a_clean_refusal(fake_packs: Path, tmp_path: Path) -> None:
    chances = random.Random(20261123)
    plans = [
        (chances.choice(WORDS), chances.choice(("wait", "wait", "wait", "wait", "cancel", "cut")), chances.randrange(5))
        for _ in range(REQUESTS)
    ]
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, MAX_QUEUE="45") as server:
        assert server.post("/api/v2/lipsync", {"text": "one", "avatar": "solo"}).status_code == 200
        wait_for(lambda: "warm after" in server.log)
        before, warm = _held(server), len(server.log)
        with ThreadPoolExecutor(CLIENTS) as pool:
            results = list(pool.map(partial(_client, server), plans))
        server.wait_idle()
        for (_, ending, _), (outcome, _) in zip(plans, results, strict=True):
            assert outcome == "done" or (ending, outcome) in {("cancel", "cancelled"), ("cut", "cut")}
        assert {outcome for outcome, _ in results} == {"done", "cancelled", "cut"}
        assert sum(refusals for _, refusals in results)
        assert not server.half_made()

        marks = re.findall("render (starts|ends)", server.log[warm:])
        assert marks == ["starts", "ends"] * (len(marks) // 2)  # never two at once
        assert "Traceback" not in server.log
        # what is kept of a task goes with its results; open files and threads go at once
        wait_for(lambda: _held(server)[0] <= before[0] + 5, 20)
        assert _held(server)[1] <= before[1] + 60
        assert server.events({"text": "one", "avatar": "solo"})[-1]["type"] == "done"


def _client(server: Server, plan: tuple[int, str, int]) -> tuple[str, int]:
    """Ask until it is let in; return how that ended, and how often it was refused before."""
    refusals = 0
    while (outcome := _request(server, *plan)).isdigit():
        refusals += 1
        time.sleep(int(outcome))  # as it is asked to
    return outcome, refusals


def _request(server: Server, words: int, ending: str, after: int) -> str:
    """Ask for WORDS, and leave or cancel AFTER so many events; return how it ended, or the seconds after which to ask.

    A request that ends before is waited for.
    """
    body = {"text": "word " * words, "avatar": "solo"}
    url = server.url + "/api/v2/lipsync/stream"
    with requests.post(url, json=body, stream=True, timeout=120) as response:
        if response.status_code == 503:
            assert int(response.headers["Retry-After"]) >= 1 and response.json()["success"] is False
            return str(response.headers["Retry-After"])
        assert response.status_code == 200, response.text
        last = {}
        for number, event in enumerate(events_of(response)):
            last = event
            if ending == "cut" and number >= after:
                return "cut"
            if ending == "cancel" and number >= after:
                ending = "cancelled"
                server.post(f"/api/cancel/{event['task_id']}")
    if last["type"] == "error":
        assert last["cancelled"] and ending == "cancelled", last
        return "cancelled"
    assert last["type"] == "done" and last["audio_duration"] == pytest.approx(seconds_of(body["text"]))
    assert server.get(last["video_url"]).content[4:8] == b"ftyp"
    return "done"


def _held(server: Server) -> tuple[int, float]:
    """Return how many files SERVER has open, and the memory it holds (MiB)."""
    process = Path("/proc") / str(server.process.pid)
    resident = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert resident is not None
    return len(list((process / "fd").iterdir())), int(resident[1]) / 1024
