"""One queue for all clients: order, positions, cancelling, clients that leave, and a queue that is full."""

from __future__ import annotations

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.fakes import seconds_of
from tests.servers import QUEUE_LIMIT, Server, wait_for

SLOW = {"text": "slow " + "word " * 30, "avatar": "solo"}
QUICK = {"text": "one two", "avatar": "solo"}


def test_ten_requests_at_once_give_ten_videos_one_after_the_other(fake_server: Server) -> None:
    wait_for(lambda: "warm after" in fake_server.log)  # the warm-up renders, too
    fake_server.wait_idle()
    before = len(fake_server.log)
    bodies = [{"text": "word " * count, "avatar": "solo"} for count in range(1, 11)]
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(fake_server.events, bodies))
    for body, events in zip(bodies, results, strict=True):
        done = events[-1]
        assert done["type"] == "done" and done["text"] == body["text"].strip()
        assert done["audio_duration"] == pytest.approx(seconds_of(body["text"]))
        assert fake_server.get(done["video_url"]).content[4:8] == b"ftyp"
    assert len({events[-1]["video_url"] for events in results}) == 10
    marks = [line for line in fake_server.log[before:].splitlines() if line in ("render starts", "render ends")]
    assert marks == ["render starts", "render ends"] * 10


def test_waiting_clients_get_their_position(fake_server: Server) -> None:
    fake_server.wait_idle()
    fake_server.events(QUICK)  # so that a time is known
    with ExitStack() as stack:
        streams = [stack.enter_context(fake_server.stream(SLOW))]
        wait_for(lambda: next(streams[0])["stage"] == "lipsync")
        streams += [stack.enter_context(fake_server.stream(QUICK)) for _ in range(3)]
        first = [next(stream) for stream in streams[1:]]
        assert [event["stage"] for event in first] == ["queued"] * 3
        assert [event["position"] for event in first] == [1, 2, 3]
        etas = [event["eta"] for event in first]
        assert all(a < b for a, b in pairwise(etas))
        assert fake_server.get("/api/queue_status").json()["queue_size"] == 3
        fake_server.post(f"/api/cancel/{first[0]['task_id']}")
        for before, stream in enumerate(streams[2:], 2):  # an estimate may be corrected meanwhile
            assert next(place for event in stream if (place := event["position"]) != before) == before - 1
    fake_server.wait_idle()


@pytest.mark.slow
def test_waiting_clients_get_an_update_when_it_takes_longer(fake_server: Server) -> None:
    fake_server.wait_idle()
    fake_server.events(QUICK)  # so that a time is known, and it is too short for what follows
    with fake_server.stream({**SLOW, "text": "slow " + "word " * 100}) as running:
        wait_for(lambda: next(running)["stage"] == "lipsync")
        with fake_server.stream(QUICK) as waiting:
            first, second = next(waiting), next(waiting)
    assert first["stage"] == second["stage"] == "queued" and first["position"] == second["position"] == 1
    assert first["eta"] >= 0 and second["eta"] >= 0
    fake_server.wait_idle()


def test_a_running_task_is_cancelled_and_the_next_one_starts(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream(SLOW) as events, fake_server.stream(QUICK) as following:
        running = next(event for event in events if event["stage"] == "lipsync")
        answer = fake_server.post(f"/api/cancel/{running['task_id']}")
        assert answer.status_code == 200
        assert answer.json() == {"success": True, "task_id": running["task_id"], "state": "running"}
        last = list(events)[-1]
        assert last["type"] == "error" and last["status"] == 503 and "취소" in last["message"]
        assert last["cancelled"] is True
        assert list(following)[-1]["type"] == "done"
    assert fake_server.half_made() == []
    assert fake_server.get(running["video_url"]).status_code == 404
    assert fake_server.get(f"/assets/audio/{running['task_id']}.wav").status_code == 404
    assert fake_server.post(f"/api/cancel/{running['task_id']}").status_code == 404


def test_a_waiting_task_is_cancelled(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream(SLOW) as running, fake_server.stream(QUICK) as waiting:
        first = next(waiting)
        assert first["stage"] == "queued"
        answer = fake_server.post(f"/api/cancel/{first['task_id']}").json()
        assert answer["state"] == "queued"
        last = list(waiting)[-1]
        assert (last["type"], last["status"], last["success"]) == ("error", 503, False)
        assert fake_server.post(f"/api/cancel/{first['task_id']}").status_code == 404
        assert fake_server.get("/api/queue_status").json() == {
            "queue_size": 0,
            "is_processing": True,
            "gpu_memory": fake_server.get("/api/queue_status").json()["gpu_memory"],
        }
        assert next(running)["task_id"] != first["task_id"]
    fake_server.wait_idle()


@pytest.mark.slow
def test_a_voice_that_hangs_keeps_neither_its_client_nor_the_next_waiting(fake_server: Server) -> None:
    fake_server.wait_idle()
    before = len(fake_server.log)
    with fake_server.stream({"text": "hang", "avatar": "solo"}) as events:
        hanging = next(event for event in events if event["stage"] == "tts")
        fake_server.post(f"/api/cancel/{hanging['task_id']}")
        assert list(events)[-1]["cancelled"] is True
    assert fake_server.events(QUICK)[-1]["type"] == "done"
    wait_for(lambda: "voice wakes" in fake_server.log[before:])
    ends = re.findall("ends: Done|ends: Failed|voice wakes", fake_server.log[before:])
    assert ends == ["ends: Failed", "ends: Done", "voice wakes"]  # it hung all the while
    assert fake_server.half_made() == []
    assert list(fake_server.results.glob(f"{hanging['task_id']}*")) == []


@pytest.mark.parametrize("text", ["hang", SLOW["text"]])
def test_a_client_that_leaves_stops_its_task(fake_server: Server, text: str) -> None:
    fake_server.wait_idle()
    with fake_server.stream({"text": text, "avatar": "solo"}) as events:
        stage = "tts" if text == "hang" else "lipsync"
        task_id = next(event for event in events if event["stage"] == stage)["task_id"]
    wait_for(lambda: f"task {task_id} ends: Failed" in fake_server.log)
    fake_server.wait_idle()
    assert list(fake_server.results.glob(f"{task_id}*")) == []


def test_a_client_that_leaves_the_queue_gives_up_its_place(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream(SLOW) as running:
        next(running)
        with fake_server.stream(QUICK) as waiting:
            task_id = next(waiting)["task_id"]
            assert fake_server.get("/api/queue_status").json()["queue_size"] == 1
        wait_for(lambda: fake_server.get("/api/queue_status").json()["queue_size"] == 0)
    fake_server.wait_idle()
    assert f"task {task_id} starts" not in fake_server.log


def test_a_synchronous_client_that_leaves_stops_its_task(fake_server: Server) -> None:
    fake_server.wait_idle()
    before = len(fake_server.log)
    body = json.dumps(SLOW).encode()
    with socket.create_connection(("127.0.0.1", fake_server.port), 30) as connection:
        head = f"POST /api/v2/lipsync HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        wait_for(lambda: "render starts" in fake_server.log[before:])
    wait_for(lambda: "ends: Failed" in fake_server.log[before:])
    fake_server.wait_idle()
    assert fake_server.half_made() == []


def test_a_full_queue_states_when_to_come_back(fake_server: Server) -> None:
    fake_server.wait_idle()
    with ExitStack() as stack:
        running = stack.enter_context(fake_server.stream(SLOW))
        wait_for(lambda: next(running)["stage"] == "tts")
        for _ in range(QUEUE_LIMIT):
            stack.enter_context(fake_server.stream(QUICK))
        answer = fake_server.post("/api/v2/lipsync/stream", QUICK)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["success"] is False and str(QUEUE_LIMIT) in answer.json()["error"]
        assert fake_server.post("/api/v2/lipsync", QUICK).status_code == 503
    fake_server.wait_idle()
    assert fake_server.events(QUICK)[-1]["type"] == "done"


def test_a_task_that_crashes_reports_nothing_of_the_inside(fake_server: Server) -> None:
    events = fake_server.events({"text": "crash", "avatar": "solo"})
    assert events[-1]["type"] == "error" and events[-1]["status"] == 500
    assert "secret" not in str(events)
    answer = fake_server.post("/api/v2/lipsync", {"text": "torn " + "word " * 5, "avatar": "solo"})
    assert answer.status_code == 500 and answer.json()["success"] is False and "secret" not in answer.text
    assert fake_server.half_made() == []
    assert fake_server.events(QUICK)[-1]["type"] == "done"


def test_a_speech_engine_that_fails_is_reported_with_its_status(fake_server: Server) -> None:
    busy = fake_server.post("/api/v2/lipsync", {"text": "busy", "avatar": "solo"}, headers={"Accept-Language": "en"})
    assert (
        busy.status_code == 503
        and "cancelled" not in busy.json()
        and busy.json()["error"] == "The speech engine is busy."
    )
    dropped = fake_server.events({"text": "dropped", "avatar": "solo"})[-1]
    assert (
        dropped["status"] == 500
        and dropped["cancelled"] is False
        and dropped["retryable"] is True
        and dropped["error"] == "연결이 끊어졌습니다."
    )
