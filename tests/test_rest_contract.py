"""Every endpoint answers as API.md says: fields, types, messages, addresses."""

from __future__ import annotations

import asyncio
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
import requests
from fastapi import Request

from pipeline.errors import Cancelled
from pipeline.jobs.events import Failed
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import AvatarJob, TaskBook
from pipeline.server.rest import event_stream
from tests.fakes import FPS, HEIGHT, WIDTH, seconds_of
from tests.servers import Server, wait_for

BODY = {"text": "one two three", "avatar": "solo"}
SECONDS = seconds_of("one two three")


def test_status(fake_server: Server) -> None:
    assert fake_server.get("/api/v2/status").json() == {
        "status": "ok",
        "models_loaded": True,
        "available_avatars": ["duet_720p", "solo_720p", "solo_480p"],
        "tts_engines": ["fake"],
        "lipsync": {"engine": "fake", "engines": ["fake"], "problem": None, "notes": [], "encoder": "x264"},
    }


def test_avatars(fake_server: Server) -> None:
    avatars = fake_server.get("/api/avatars").json()["avatars"]
    assert avatars[1] == {
        "id": "solo_720p",
        "name": "solo_720p",
        "path": "precomputed/720p/solo_720p_precomputed.pkl",
        "uploaded": False,
        "gender": None,
        "consent": None,
    }
    for avatar in avatars:
        answer = fake_server.post("/api/v2/lipsync", {"text": "one", "avatar_path": avatar["path"]})
        assert answer.json()["success"] is True


def test_queue_status_reports_memory_in_whole_megabytes_or_null(fake_server: Server) -> None:
    fake_server.wait_idle()
    status = fake_server.get("/api/queue_status").json()
    assert status.keys() == {"queue_size", "is_processing", "gpu_memory"}
    assert status["queue_size"] == 0 and status["is_processing"] is False
    memory = status["gpu_memory"]
    assert memory.keys() == {"total", "used", "free"}
    assert all(value is None for value in memory.values()) or memory["used"] + memory["free"] <= memory["total"] + 1


def test_stream_reports_every_stage_in_order(fake_server: Server) -> None:
    fake_server.wait_idle()
    events = fake_server.events(BODY)
    stages = [event.get("stage", event["type"]) for event in events]
    assert stages[0] == "queued"  # with its id, so that it can be cancelled from the first moment on
    assert stages[1:3] == ["tts", "tts_done"]
    assert set(stages[3:-1]) == {"lipsync"}
    task_id = events[0]["task_id"]
    assert re.fullmatch("[0-9a-f]{32}", task_id)
    assert all(event["task_id"] == task_id for event in events)
    assert all(event["type"] == "status" and event["message"] for event in events[:-1])

    tts, tts_done, lipsync, done = events[1], events[2], events[3], events[-1]
    assert tts["message"] == "TTS 음성 생성 중..." and tts["video_url"] == f"/video/{task_id}.mp4"
    assert tts_done["message"] == f"TTS 완료 ({SECONDS:.1f}초)"
    assert tts_done["duration"] == pytest.approx(SECONDS) and tts_done["elapsed"] >= 0
    assert tts_done["audio_url"] == f"/assets/audio/{task_id}.wav"
    assert lipsync["message"] == "립싱크 비디오 생성 중..."
    progress = [event["progress"] for event in events[3:-1]]
    assert progress == sorted(progress) and progress[0] >= 0 and progress[-1] == 1
    assert done == {
        "type": "done",
        "text": BODY["text"],
        "video_url": f"/video/{task_id}.mp4",
        "video_path": str(fake_server.results / f"{task_id}.mp4"),
        "audio_url": f"/assets/audio/{task_id}.wav",
        "captions_url": f"/video/{task_id}.vtt",
        "audio_duration": pytest.approx(SECONDS),
        "elapsed": done["elapsed"],
        "id": done["id"],
        "task_id": task_id,
    }
    elapsed = done["elapsed"]
    assert elapsed.keys() == {"tts", "lipsync", "total"}
    assert elapsed["total"] == pytest.approx(elapsed["tts"] + elapsed["lipsync"], abs=0.01)


def test_stream_is_sent_as_it_happens_and_never_kept(fake_server: Server) -> None:
    with requests.post(fake_server.url + "/api/v2/lipsync/stream", json=BODY, stream=True, timeout=60) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert re.fullmatch(rb"(id: [0-9]+\ndata: \{[^\r\n]*\}\n\n)+", response.content)


def test_a_stream_with_nothing_to_report_is_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert event_stream.PING_SECONDS < 30  # the shortest time after which a common proxy gives up
    monkeypatch.setattr(event_stream, "PING_SECONDS", 0.01)
    sent: list[bytes] = []

    async def follow() -> None:
        supervisor, job = Supervisor(TaskBook(tmp_path, 0), lambda job, last: None), AvatarJob(id="a" * 32)

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))
            if sent[-1] == b": ping\n\n":
                supervisor.end(job, Failed(Cancelled()))

        scope = {"type": "http", "method": "GET", "headers": []}
        response = event_stream.event_stream(supervisor, job, 0, Request(scope))
        await response(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]  # this client never leaves
        assert not job.history.listeners

    asyncio.run(follow())
    head, ping, *_, end, over = sent
    assert (head, ping, over) == (b"", b": ping\n\n", b"")
    number, data, *rest = end.split(b"\n")
    assert number == b"id: 1" and rest == [b"", b""]
    assert json.loads(data.removeprefix(b"data: "))["message"] == "작업이 취소되었습니다."


def test_synchronous_answer(fake_server: Server) -> None:
    answer = fake_server.post("/api/v2/lipsync", BODY)
    assert answer.status_code == 200
    reply = answer.json()
    task_id = reply["task_id"]
    assert reply["success"] is True
    assert reply["video_path"] == str(fake_server.results / f"{task_id}.mp4")
    assert reply["video_url"] == f"/video/{task_id}.mp4"
    assert reply["audio_url"] == f"/assets/audio/{task_id}.wav"
    assert reply["audio_duration"] == pytest.approx(SECONDS)
    assert isinstance(reply["elapsed"], float)
    assert (fake_server.results / f"{task_id}.mp4").is_file()


def test_video_and_speech_can_be_fetched_whole_and_in_parts(fake_server: Server) -> None:
    reply = fake_server.post("/api/v2/lipsync", BODY).json()
    for url, kind in ((reply["video_url"], "video/mp4"), (reply["audio_url"], "audio/wav")):
        whole = fake_server.get(url)
        assert whole.status_code == 200 and whole.headers["Content-Type"] == kind
        assert whole.headers["Accept-Ranges"] == "bytes"
        part = fake_server.get(url, headers={"Range": "bytes=100-199"})
        assert part.status_code == 206 and part.content == whole.content[100:200]
        assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.content)}"
        assert fake_server.get(url, headers={"Range": "bytes=999999999-"}).status_code == 416
        head = requests.head(fake_server.url + url, timeout=30)
        assert int(head.headers["Content-Length"]) == len(whole.content) and head.content == b""
    with av.open(BytesIO(fake_server.get(reply["video_url"]).content), "r") as container:
        frames = list(container.decode(video=0))
    assert len(frames) == round(SECONDS * FPS)
    assert (frames[0].width, frames[0].height) == (WIDTH, HEIGHT)


@pytest.mark.slow
def test_a_video_can_be_watched_while_it_is_made(fake_server: Server) -> None:
    fake_server.wait_idle()
    with fake_server.stream({"text": "slow " + "word " * 5, "avatar": "solo"}) as events:
        lipsync = next(event for event in events if event["stage"] == "lipsync")
        growing = requests.get(fake_server.url + lipsync["video_url"], stream=True, timeout=60)
        assert growing.status_code == 200 and growing.headers["Content-Type"] == "video/mp4"
        assert "Content-Length" not in growing.headers
        pieces = growing.iter_content(None)
        first = next(pieces)
        assert (fake_server.results / f"{lipsync['task_id']}.mp4.part").exists()  # it is not finished yet
        watched = first + b"".join(pieces)
        assert list(events)[-1]["type"] == "done"
    assert watched == fake_server.get(lipsync["video_url"]).content


def test_a_watched_video_that_is_given_up_breaks_off(fake_server: Server) -> None:
    fake_server.wait_idle()
    before = len(fake_server.log)
    with fake_server.stream({"text": "slow " + "word " * 30, "avatar": "solo"}) as events:
        lipsync = next(event for event in events if event["stage"] == "lipsync")
        growing = requests.get(fake_server.url + lipsync["video_url"], stream=True, timeout=60)
        pieces = growing.iter_content(None)
        next(pieces)
        fake_server.post(f"/api/cancel/{lipsync['task_id']}")
        with pytest.raises(requests.RequestException):  # a whole answer would end with an empty chunk
            list(pieces)
    fake_server.wait_idle()
    assert "Traceback" not in fake_server.log[before:]


def test_an_avatar_is_found_by_name_in_each_resolution_and_by_id(fake_server: Server) -> None:
    for body in ({"avatar": "solo"}, {"avatar": "solo", "resolution": "480p"}, {"avatar": "solo_720p"}):
        assert fake_server.post("/api/v2/lipsync", {"text": "one", **body}).status_code == 200


def test_optional_fields_may_be_null(fake_server: Server) -> None:
    nothing = dict.fromkeys(("avatar_path", "resolution", "frame_skip", "tts_engine", "tts_voice"))
    assert fake_server.post("/api/v2/lipsync", {**BODY, **nothing}).status_code == 200


def test_messages_are_korean_and_english_where_it_is_asked_for(fake_server: Server) -> None:
    assert (
        fake_server.events(BODY, **{"Accept-Language": "en-US,en;q=0.9,ko;q=0.8"})[1]["message"] == "Making speech..."
    )
    assert fake_server.events(BODY, **{"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"})[1]["message"].startswith("TTS")


def test_addresses_and_methods_that_do_not_exist_are_answered_in_json(fake_server: Server) -> None:
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("GET", "/api/v2/lipsync", 405),
        ("POST", "/api/v2/status", 405),
        ("GET", "/video/nothing.mp4", 404),
        ("GET", "/video/" + "0" * 32 + ".mp4", 404),
        ("GET", "/video/..%2F..%2Fapp.py", 404),
        ("GET", "/assets/audio/" + "0" * 32 + ".wav", 404),
        ("DELETE", "/video/" + "0" * 32 + ".mp4", 405),
        ("POST", "/api/cancel/nothing", 404),
        ("POST", "/api/cancel/" + "0" * 32, 404),
    ):
        answer = requests.request(method, fake_server.url + path, timeout=30)
        assert answer.status_code == status, path
        assert answer.json()["success"] is False and answer.json()["error"], path


def test_a_finished_task_cannot_be_cancelled(fake_server: Server) -> None:
    with fake_server.stream(BODY) as events:
        for event in events:
            if event["type"] == "done":
                assert fake_server.post(f"/api/cancel/{event['task_id']}").status_code == 404
    assert fake_server.get(event["video_url"]).status_code == 200


def test_the_page_is_served_beside_the_api(fake_server: Server) -> None:
    page = fake_server.get("/")
    assert page.status_code == 200 and "<html" in page.text
    wait_for(lambda: fake_server.get("/config").json()["dependencies"])
