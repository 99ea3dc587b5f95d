"""A line that breaks loses nothing: events go on where they stopped, a request sent twice is one task."""

from __future__ import annotations

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.jobs.events import Queued
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import AvatarJob, TaskBook
from tests.servers import Server, events_of, running, wait_for

pytestmark = pytest.mark.slow  # real servers throughout

QUICK = {"text": "one two", "avatar": "solo"}
SLOW = {"text": "slow " + "word " * 3, "avatar": "solo"}
ENDLESS = {"text": "slow " + "word " * 100, "avatar": "solo"}


def resumed(server: Server, task_id: str, after: int | None = None) -> list[dict[str, Any]]:
    """Return the events of a task after number AFTER."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with server.get(f"/api/v2/tasks/{task_id}/events", headers=headers, stream=True) as response:
        assert response.status_code == 200 and response.headers["Content-Type"].startswith("text/event-stream")
        return list(events_of(response))


def test_events_are_numbered_in_the_stream_and_in_the_json(fake_server: Server) -> None:
    with requests.post(fake_server.url + "/api/v2/lipsync/stream", json=QUICK, stream=True, timeout=60) as response:
        lines = [line for line in response.iter_lines() if line]
    with requests.post(fake_server.url + "/api/v2/lipsync/stream", json=QUICK, stream=True, timeout=60) as response:
        numbers = [event["id"] for event in events_of(response)]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    assert lines[0] == b"id: 1" and all(line.startswith((b"id: ", b"data: ", b": ping")) for line in lines)


def test_a_broken_connection_goes_on_where_it_broke(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream(SLOW, **{"Idempotency-Key": "broken"}) as events:
        seen = [next(events), next(events)]
    task_id = seen[0]["task_id"]
    rest = resumed(fake_server, task_id, seen[-1]["id"])
    assert rest[-1]["type"] == "done"
    numbers = [event["id"] for event in seen + rest]
    assert numbers == sorted(set(numbers))
    assert [event["stage"] for event in seen] == ["queued", "tts"] and rest[0]["stage"] == "tts_done"
    # and again from its start, as long as the result is kept
    again = resumed(fake_server, task_id)
    assert [event["id"] for event in again][:2] == [1, 2] and again[-1] == rest[-1]
    assert fake_server.get(rest[-1]["video_url"]).status_code == 200


def test_an_event_source_that_has_all_is_asked_to_stop(fake_server: Server) -> None:
    done = fake_server.events(QUICK)[-1]
    path = f"/api/v2/tasks/{done['task_id']}/events"
    assert fake_server.get(path, headers={"Last-Event-ID": str(done["id"])}).status_code == 204
    assert fake_server.get(path, headers={"Last-Event-ID": "999999999"}).status_code == 204


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 40, "../1"])
def test_what_is_no_number_of_an_event_is_refused(fake_server: Server, number: str) -> None:
    done = fake_server.events(QUICK)[-1]
    answer = fake_server.get(f"/api/v2/tasks/{done['task_id']}/events", headers={"Last-Event-ID": number})
    assert answer.status_code == 400 and "Last-Event-ID" in answer.json()["error"]


def test_two_clients_receive_the_same(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream(SLOW) as events:
        task_id = next(events)["task_id"]
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(resumed, fake_server, task_id)
            first = list(events)
        assert other.result()[-1] == first[-1]


def test_a_listener_keeps_a_task_whose_first_client_has_left(fake_server: Server) -> None:
    fake_server.wait_idle()
    with ThreadPoolExecutor(1) as pool:
        with fake_server.stream(SLOW) as events:
            task_id = next(event for event in events if event["stage"] == "tts")["task_id"]
            other = pool.submit(resumed, fake_server, task_id)
            wait_for(lambda: next(events)["stage"] == "lipsync")
        assert other.result()[-1]["type"] == "done"


def test_without_a_key_a_dropped_connection_stops_the_task_at_once(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream(ENDLESS) as events:
        task_id = next(event for event in events if event["stage"] == "lipsync")["task_id"]
    wait_for(lambda: fake_server.get(f"/api/v2/tasks/{task_id}").json()["state"] == "cancelled")
    assert resumed(fake_server, task_id)[-1]["cancelled"] is True


def test_with_a_key_a_task_goes_on_for_a_while(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, RESUME_SECONDS="0.5") as server:
        with server.stream(ENDLESS, **{"Idempotency-Key": "gone"}) as events:
            task_id = next(event for event in events if event["stage"] == "lipsync")["task_id"]
        wait_for(lambda: server.get(f"/api/v2/tasks/{task_id}").json()["state"] == "cancelled")
        assert f"task {task_id} has no listener" in server.log
        server.wait_idle()
        assert list(server.results.glob(f"{task_id}*")) == []


def test_with_a_key_a_task_goes_on_as_long_as_its_video_is_received(fake_packs: Path, tmp_path: Path) -> None:
    def begun(text: str, key: str) -> str:
        with server.stream({"text": text, "avatar": "solo"}, **{"Idempotency-Key": key}) as events:
            return str(next(events)["task_id"])

    def state(task_id: str) -> str:
        return str(server.get(f"/api/v2/tasks/{task_id}").json()["state"])

    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, RESUME_SECONDS="0.5") as server:
        task_id = begun(SLOW["text"], "watched")  # takes some seconds
        video = server.get(f"/video/{task_id}.mp4").content
        wait_for(lambda: state(task_id) == "done")
        assert server.get(f"/video/{task_id}.mp4").content == video
        task_id = begun(SLOW["text"], "kept")
        assert server.get(f"/video/{task_id}.mp4?download=1").status_code == 200
        wait_for(lambda: state(task_id) == "done")
        task_id = begun(ENDLESS["text"], "left")
        with server.get(f"/video/{task_id}.mp4", stream=True) as growing:
            assert next(growing.iter_content(1))
        wait_for(lambda: state(task_id) == "cancelled")


def test_a_client_that_comes_back_while_the_server_stands_still_is_in_time(fake_packs: Path, tmp_path: Path) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        running(["-m", "tests.fakes", str(fake_packs)], tmp_path, RESUME_SECONDS="2") as server,
    ):
        with server.stream(SLOW, **{"Idempotency-Key": "still"}) as events:
            task_id = next(event for event in events if event["stage"] == "lipsync")["task_id"]
        assert server.get(f"/api/v2/tasks/{task_id}").json()["state"] == "running"  # and it knows who has left
        server.process.send_signal(signal.SIGSTOP)
        back = pool.submit(resumed, server, task_id)
        time.sleep(4)
        server.process.send_signal(signal.SIGCONT)
        assert back.result(60)[-1]["type"] == "done"


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_task_is_stopped_after_its_grace_unless_somebody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    async def check() -> None:
        slept: list[float] = []
        asleep, over = asyncio.Event(), asyncio.Event()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            asleep.set()
            await over.wait()

        monkeypatch.setattr("pipeline.jobs.supervisor.asyncio.sleep", sleep)
        supervisor, job = Supervisor(TaskBook(tmp_path, 0), lambda *_: None), AvatarJob(id="a" * 32, grace=7.0)
        supervisor.emit(job, Queued(1))
        first, second = supervisor.listen(job, 0), supervisor.listen(job, 0)
        await anext(first)
        await first.aclose()
        await asleep.wait()
        assert slept == [7.0] and not job.cancel.cancelled
        if comes_back:
            await anext(second)
        over.set()
        await asyncio.gather(*supervisor._chores)
        assert job.cancel.cancelled is not comes_back
        await second.aclose()
        await asyncio.gather(*supervisor._chores)

    asyncio.run(check())


def test_a_request_sent_twice_is_one_task(fake_server: Server) -> None:
    fake_server.wait_idle()
    before = len(fake_server.log)
    key = {"Idempotency-Key": "twice"}
    with ThreadPoolExecutor(3) as pool:
        streams = [pool.submit(fake_server.events, SLOW, **key) for _ in range(2)]
        reply = pool.submit(fake_server.post, "/api/v2/lipsync", SLOW, headers=key).result().json()
        ends = [stream.result()[-1] for stream in streams]
    assert reply["success"] is True and {end["task_id"] for end in ends} == {reply["task_id"]}
    assert fake_server.post("/api/v2/lipsync", dict(reversed(SLOW.items())), headers=key).json() == reply
    assert fake_server.log[before:].count("starts\n") == 2  # "task ... starts" and "render starts"


def test_a_key_with_another_body_is_a_conflict(fake_server: Server) -> None:
    key = {"Idempotency-Key": "other"}
    assert fake_server.post("/api/v2/lipsync", QUICK, headers=key).status_code == 200
    for path in ("/api/v2/lipsync", "/api/v2/lipsync/stream"):
        answer = fake_server.post(path, {**QUICK, "text": "three"}, headers=key)
        assert answer.status_code == 409 and answer.json()["success"] is False
        assert "Idempotency-Key" in answer.json()["error"]


def test_a_failure_is_repeated_and_a_refusal_is_not(fake_server: Server) -> None:
    key = {"Idempotency-Key": "failure"}
    bad, crash = {"text": "", "avatar": "solo"}, {"text": "crash", "avatar": "solo"}
    assert fake_server.post("/api/v2/lipsync", bad, headers=key).status_code == 400
    first = fake_server.post("/api/v2/lipsync", crash, headers=key)
    assert first.status_code == 500
    assert fake_server.post("/api/v2/lipsync", crash, headers=key).json() == first.json()


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_a_key_is_checked(fake_server: Server, key: str) -> None:
    answer = fake_server.post("/api/v2/lipsync", QUICK, headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 400 and "Idempotency-Key" in answer.json()["error"]


def test_a_task_reports_its_state(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream(ENDLESS) as running, fake_server.stream(QUICK) as waiting:
        first = next(event for event in running if event["stage"] == "lipsync")
        state = fake_server.get(f"/api/v2/tasks/{first['task_id']}").json()
        assert state["success"] is True and state["state"] == "running" and state["video_url"] == first["video_url"]
        assert [stage["stage"] for stage in state["stages"]] == ["queued", "tts", "tts_done", "lipsync"]
        times = [stage["at"] for stage in state["stages"]]
        assert times == sorted(times) and state["position"] is None and 0 <= state["progress"] < 1

        behind = next(waiting)["task_id"]
        state = fake_server.get(f"/api/v2/tasks/{behind}").json()
        assert state["state"] == "queued" and state["position"] == 1 and state["error"] is None
        fake_server.post(f"/api/cancel/{first['task_id']}")
        done = list(waiting)[-1]
    state = fake_server.get(f"/api/v2/tasks/{behind}").json()
    assert state["state"] == "done" and state["video_url"] == done["video_url"] and state["elapsed"] == done["elapsed"]
    stopped = fake_server.get(f"/api/v2/tasks/{first['task_id']}", headers={"Accept-Language": "en"}).json()
    assert stopped["state"] == "cancelled" and stopped["error"] == "The task was cancelled."
    crashed = fake_server.events({"text": "crash", "avatar": "solo"})[-1]
    assert fake_server.get(f"/api/v2/tasks/{crashed['task_id']}").json()["state"] == "failed"


@pytest.mark.parametrize("task_id", ["0" * 32, "nothing", "..%2F..%2Fapp", "%00"])
def test_an_unknown_task_is_not_found(fake_server: Server, task_id: str) -> None:
    for path in (f"/api/v2/tasks/{task_id}", f"/api/v2/tasks/{task_id}/events"):
        answer = fake_server.get(path)
        assert answer.status_code == 404 and answer.json()["success"] is False


def test_waiting_clients_get_times_by_the_length_of_texts(fake_server: Server) -> None:
    fake_server.wait_idle()
    fake_server.events(QUICK)
    etas = {}
    with fake_server.stream(SLOW) as running:
        wait_for(lambda: next(running)["stage"] == "lipsync")
        for name, text in (("short", "one two"), ("long", "one two three four five six seven " * 10)):
            with fake_server.stream({"text": text, "avatar": "solo"}) as waiting:
                etas[name] = next(waiting)["eta"]
    assert etas["long"] > etas["short"] >= 0
    fake_server.wait_idle()


def test_a_task_may_not_take_for_ever(short_grace: Server) -> None:
    last = short_grace.events(ENDLESS, **{"Accept-Language": "en"})[-1]
    assert last["status"] == 500 and "MAX_SECONDS" in last["error"] and last["cancelled"] is False
    hanging = short_grace.post("/api/v2/lipsync", {"text": "hang hang", "avatar": "solo"})
    assert hanging.status_code == 500 and "MAX_SECONDS" in hanging.json()["error"]
    assert short_grace.post("/api/v2/lipsync", QUICK).status_code == 200
    assert short_grace.half_made() == []
