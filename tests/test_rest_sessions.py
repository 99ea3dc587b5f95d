"""Live sessions over HTTP and the WebSocket: what clients do, and what they do wrong."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import jsonschema_rs
import numpy as np
import pytest
import requests
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from benchmarks.lip_judge import landmarks, lip_curves
from pipeline.server.rest.schema import OpenedSession, SessionEvents
from tests.fakes import FPS
from tests.live_sessions import SESSIONS, Opened, messages, until
from tests.servers import Server, running, wait_for

pytestmark = pytest.mark.slow  # real servers throughout

NOBODY = "0" * 32


@pytest.fixture
def session(fake_server: Server) -> Iterator[Opened]:
    opened = Opened(fake_server)
    yield opened
    opened.close()


def test_a_session_from_its_opening_to_its_end(fake_server: Server) -> None:
    session = Opened(fake_server)
    TypeAdapter(OpenedSession).validate_python(session.opened, strict=True)
    stream, reading = session.record()
    with session.events() as events:
        time.sleep(0.5)
        session.say("one two three four five six.")
        until(events, "turn_started")
        words = [next(events) for _ in range(2)]
        stopped = session.post("interrupt").json()["interrupted"]
        assert stopped["said"].startswith("one two") and stopped["type"] == "interrupted"
        assert "".join(word["text"] for word in words) == "one two "
        until(events, "interrupted")
        session.say("seven ", more=True)
        session.say("eight.", more=True)
        assert session.post("flush").json()["state"] == "open"
        assert until(events, "turn_ended")["said"].split() == ["seven", "eight."]
        assert fake_server.delete(session.path).json()["state"] == "closed"
        assert until(events, "closed")["reason"] == "deleted"
        assert not list(events)
    reading.join(10)
    assert not reading.is_alive()
    stream.seek(0)
    with av.open(stream, "r") as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert np.diff(times) == pytest.approx(1 / FPS), "no picture is missing, none comes twice"
    stream.seek(0)
    with av.open(stream, "r") as container:
        sound = list(container.decode(audio=0))
    begin, end = float(sound[0].time or 0), float(sound[-1].time or 0) + sound[-1].samples / 48000
    assert abs(begin - times[0]) < 0.07 and abs(end - times[-1] - 1 / FPS) < 0.07
    loud = np.concatenate([frame.to_ndarray()[0] for frame in sound])
    silent_from = round((stopped["stream"] + 0.05 - begin) * 48000)
    assert np.abs(loud[:silent_from]).max() > 0.1 and np.abs(loud[silent_from : silent_from + 4800]).max() < 0.02


@pytest.mark.parametrize("fps", [24, 30])
def test_a_session_has_the_rate_that_is_asked_for(fake_server: Server, fps: int) -> None:
    session = Opened(fake_server, fps=fps)
    stream, reading = session.record()
    with session.events() as events:
        session.say("one two.")
        until(events, "turn_ended")
        session.close()
    reading.join(30)
    stream.seek(0)
    with av.open(stream, "r") as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert len(times) > fps and np.diff(times) == pytest.approx(1 / fps, abs=1e-3)


def test_events_continue_after_the_last_one_that_arrived(session: Opened) -> None:
    session.say("one two.")
    with session.events() as events:
        seen = [next(events) for _ in range(2)]
    with session.events(**{"Last-Event-ID": str(seen[-1]["id"])}) as events:
        more = [next(events) for _ in range(2)]
    assert [event["id"] for event in seen + more] == [1, 2, 3, 4]
    assert [event["type"] for event in seen + more] == ["turn_started", "word", "word", "turn_ended"]
    for event in seen + more:
        TypeAdapter(SessionEvents).validate_python(event, strict=True)
    session.close()
    with session.events(**{"Last-Event-ID": "4"}) as events:
        assert [event["type"] for event in events] == ["closed"]
    reply = session.server.get(session.path + "/events", headers={"Last-Event-ID": "5"})
    assert reply.status_code == 204


def test_the_socket_carries_commands_events_and_the_stream(session: Opened) -> None:
    with session.socket("?video=1") as socket:
        socket.send(json.dumps({"type": "say", "text": "one two."}))
        events: list[dict[str, Any]] = []
        stream = b""
        while not events or events[-1]["type"] != "turn_ended":
            message = socket.recv(30)
            if isinstance(message, str):
                events.append(json.loads(message))
            else:
                stream += message
        assert [event["type"] for event in events] == ["turn_started", "word", "word", "turn_ended"]
        socket.send(json.dumps({"type": "interrupt"}))
        assert until(messages(socket), "interrupted")["turn"] is None
        socket.send(json.dumps({"type": "listen"}))
        assert until(messages(socket), "listening")["stream"] > 0
        with av.open(io.BytesIO(stream), "r") as container:
            assert len(list(container.decode(video=0))) >= 10
        socket.send(json.dumps({"type": "close"}))
        assert until(messages(socket), "closed")["reason"] == "deleted"
        with pytest.raises(ConnectionClosed):
            socket.recv(10)


def test_sound_over_the_socket_is_spoken(session: Opened) -> None:
    tone = (8000 * np.sin(np.arange(24000) * 0.05)).astype("<i2").tobytes()
    with session.socket() as socket:
        socket.send(json.dumps({"type": "audio", "rate": 24000}))
        for start in range(0, len(tone), 4800):
            socket.send(tone[start : start + 4800])
        socket.send(json.dumps({"type": "flush"}))
        events = messages(socket)
        begin, end = until(events, "turn_started")["stream"], until(events, "turn_ended")["stream"]
        assert 0.95 < end - begin < 1.25


@pytest.mark.parametrize(
    ("message", "code", "word"),
    [
        ("no json", "body_invalid", "JSON"),
        ("[1, 2]", "body_invalid", "JSON"),
        ("{" * 5000, "body_invalid", "JSON"),
        ('{"type": "dance"}', "body_invalid", "say, flush"),
        ('{"type": ["say"]}', "body_invalid", "say, flush"),
        ("{}", "body_invalid", "say, flush"),
        ('{"type": "say"}', "field_invalid", "text"),
        ('{"type": "say", "text": 5}', "field_invalid", "text"),
        ('{"type": "say", "text": ""}', "field_invalid", "text"),
        ('{"type": "say", "text": "\\ud800"}', "field_invalid", "Unicode"),
        ('{"type": "say", "text": "<speak>a"}', "field_invalid", "SSML"),
        ('{"type": "say", "text": "<speak>a<voice/></speak>"}', "field_invalid", "<voice>"),
        ('{"type": "say", "text": "a", "more": "yes"}', "field_invalid", "more"),
        (json.dumps({"type": "say", "text": "a" * 5001}), "field_invalid", "5,000"),
        ('{"type": "say", "text": "a", "tag": 1}', "field_invalid", "tag"),
        (json.dumps({"type": "say", "text": "a", "tag": "a" * 101}), "field_invalid", "100"),
        ('{"type": "say", "text": "a", "tag": "a\\nb"}', "field_invalid", "tag"),
        ('{"type": "interrupt", "at": "now"}', "field_invalid", "at"),
        ('{"type": "interrupt", "at": -1}', "field_invalid", "at"),
        ('{"type": "interrupt", "at": NaN}', "field_invalid", "at"),
        ('{"type": "audio", "rate": 1}', "field_invalid", "8000"),
        ('{"type": "audio", "rate": "fast"}', "field_invalid", "8000"),
        ('{"type": "audio", "rate": 44100.5}', "field_invalid", "8000"),
        ('{"type": "audio_text"}', "field_invalid", "words"),
        ('{"type": "audio_text", "words": []}', "field_invalid", "words"),
        ('{"type": "audio_text", "words": ["a"]}', "field_invalid", "words"),
        ('{"type": "audio_text", "words": [{"text": "a", "start": 0}]}', "field_invalid", "words[0]"),
        ('{"type": "audio_text", "words": [{"text": "a", "start": 1, "end": 0}]}', "field_invalid", "words[0]"),
        ('{"type": "audio_text", "words": [{"text": "a", "start": 0, "end": 1e8}]}', "field_invalid", "words[0]"),
        (
            '{"type": "audio_text", "words": [{"text": "a", "start": 1, "end": 2}, {"text": "b", "start": 0, "end": 1}'
            "]}",
            "field_invalid",
            "words[1]",
        ),
        (
            '{"type": "audio_text", "words": [{"text": "a", "start": 0, "end": 1}], "language": "xx"}',
            "field_invalid",
            "language",
        ),
        (b"\0", "field_invalid", "16-bit"),
        (b"\0" * 4801, "field_invalid", "16-bit"),
        (b"\0" * (1 << 20) + b"\0\0", "body_invalid", "1,048,576"),
        ("a" * (1 << 20) + "b", "body_invalid", "1,048,576"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_message_is_told_and_the_session_lives_on(
    long_session: Opened, message: str | bytes, code: str, word: str
) -> None:
    with connect(
        long_session.server.url.replace("http", "ws") + long_session.path + "/socket",
        additional_headers={"Accept-Language": "en"},
    ) as socket:
        socket.send(message)
        error = next(messages(socket))
        assert error["type"] == "error" and error["code"] == code and word in error["error"], error
        socket.send('{"type": "listen"}')
        assert until(messages(socket), "listening")


@pytest.fixture(scope="module")
def long_session(fake_server: Server) -> Iterator[Opened]:
    opened = Opened(fake_server)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("what", "body", "code"),
    [
        ("say", {"text": ""}, "field_invalid"),
        ("say", {"text": None}, "field_invalid"),
        ("say", {"text": "a" * 5001}, "field_invalid"),
        ("say", {"text": "a", "more": 1}, "field_invalid"),
        ("say", [], "body_invalid"),
        ("interrupt", {"at": "soon"}, "field_invalid"),
        ("interrupt", [], "body_invalid"),
    ],
)
def test_a_wrong_request_is_refused(long_session: Opened, what: str, body: object, code: str) -> None:
    reply = long_session.post(what, body)
    assert reply.status_code == 400 and reply.json()["code"] == code


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "field_invalid"),
        ([], 400, "field_invalid"),
        ({"avatar": "nobody"}, 404, "avatar_not_found"),
        ({"avatar": "duet", "resolution": "480p"}, 404, "resolution_not_found"),
        ({"avatar": "solo", "resolution": "8k"}, 400, "field_invalid"),
        ({"avatar": "solo", "tts_engine": "none"}, 400, "field_invalid"),
        ({"avatar": "solo", "tts_voice": "tenor"}, 400, "field_invalid"),
        ({"avatar": "solo", "language": "klingon"}, 400, "field_invalid"),
        ({"avatar": "solo", "record": "yes"}, 400, "field_invalid"),
    ],
)
def test_a_session_that_cannot_be_opened(fake_server: Server, body: object, status: int, code: str) -> None:
    reply = fake_server.post(SESSIONS, body)
    assert reply.status_code == status and reply.json()["code"] == code


@pytest.mark.parametrize("session_id", [NOBODY, "x", "%2e%2e", "a" * 200])
def test_an_unknown_session(fake_server: Server, session_id: str) -> None:
    path = f"{SESSIONS}/{session_id}"
    replies = [fake_server.get(path), fake_server.delete(path), fake_server.get(path + "/video.mp4")]
    replies += [fake_server.post(f"{path}/{what}", {"text": "a"}) for what in ("say", "flush", "interrupt")]
    replies += [fake_server.get(path + "/events")]
    for reply in replies:
        assert reply.status_code == 404 and reply.json()["code"] == "session_not_found"
    with pytest.raises(InvalidStatus), connect(fake_server.url.replace("http", "ws") + path + "/socket"):
        pass


def test_a_deleted_session_is_told_as_such(fake_server: Server) -> None:
    session = Opened(fake_server)
    session.close()
    for what in ("say", "flush", "interrupt"):
        reply = session.post(what, {"text": "a"})
        assert reply.status_code == 409 and reply.json()["code"] == "session_closed"


def test_a_sender_that_is_too_fast_is_told_and_slowed(session: Opened) -> None:
    second = (1000 * np.sin(np.arange(8000) * 0.1)).astype("<i2").tobytes()
    with session.socket() as socket:
        socket.send(json.dumps({"type": "audio", "rate": 8000}))
        for _ in range(60):  # some of it is spoken while the rest is sent
            socket.send(second)
        error = until(messages(socket), "error")
        assert "30" in error["error"]
        socket.send(json.dumps({"type": "interrupt"}))  # waits behind the sound
        socket.send(json.dumps({"type": "listen"}))
        assert until(messages(socket), "interrupted")["turn"] == 1


def test_a_slow_viewer_goes_on_with_the_newest(session: Opened) -> None:
    with requests.get(session.server.url + session.opened["video_url"], stream=True, timeout=60) as response:
        first = next(response.iter_content(None))
        assert b"ftyp" in first
    assert session.server.get(session.path).json()["state"] == "open"


def test_a_process_that_dies_takes_only_its_own_sessions_with_it(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path) as server:
        sessions = [Opened(server), Opened(server)]
        with sessions[0].events() as first, sessions[1].events() as second:  # from now on: unseen, they end in time
            wait_for(lambda: all(server.get(one.path).json()["state"] == "open" for one in sessions), 90)
            processes = [*server.children("fake_worker")]
            assert len(processes) == min(2, len(os.sched_getaffinity(0)))
            os.kill(processes[0], signal.SIGKILL)
            wait_for(lambda: any(server.get(one.path).status_code == 404 for one in sessions))
            gone = [server.get(one.path).status_code == 404 for one in sessions]
            assert gone.count(True) == 3 - len(processes)
            for session, events, dead in zip(sessions, (first, second), gone, strict=True):
                if dead:
                    problem, closed = next(events), next(events)
                    assert problem["code"] == "session_failed" and closed["reason"] == "failed"
                    assert session.post("say", {"text": "one."}).status_code == 404
                else:
                    session.say("one.")
                    assert until(events, "turn_ended")["said"] == "one. "
        again = Opened(server)
        again.say("one.")
        with again.events() as events:
            assert until(events, "turn_ended")


def test_keys_and_tokens(fake_packs: Path, tmp_path: Path) -> None:
    key = {"Authorization": "Bearer secret"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, API_KEYS="secret", LIVE_MAX_SESSIONS="1") as server:
        assert server.post(SESSIONS, {"avatar": "solo"}).status_code == 401
        opened = server.post(SESSIONS, {"avatar": "solo"}, headers=key).json()
        path = f"{SESSIONS}/{opened['session_id']}"
        full = server.post(SESSIONS, {"avatar": "solo"}, headers=key)
        assert (
            full.status_code == 503 and full.json()["code"] == "sessions_full" and int(full.headers["Retry-After"]) > 0
        )
        for query, headers, status in (("", {}, 401), ("?token=wrong", {}, 401), ("?token=é", {}, 401), ("", key, 200)):
            assert server.get(path + query, headers=headers).status_code == status
        assert server.get(f"{path}?token={opened['token']}").status_code == 200
        assert server.post(f"{path}/say?token={opened['token']}", {"text": "one."}).status_code == 200
        assert server.post(f"{path}/say", {"text": "one."}).status_code == 401
        ws = server.url.replace("http", "ws")
        with pytest.raises(InvalidStatus), connect(ws + path + "/socket"):
            pass
        with connect(ws + opened["socket_url"]) as socket:
            socket.send('{"type": "listen"}')
            assert until(messages(socket), "listening")
        with pytest.raises(InvalidStatus), connect(ws + opened["socket_url"], origin=Origin("https://evil.example")):
            pass
        with requests.get(server.url + opened["video_url"], stream=True, timeout=20) as video:
            assert video.status_code == 200 and next(video.iter_content(None))
        assert server.stop() == 0
        assert not server.children("fake_worker")


def test_sessions_end_by_their_time_or_without_a_viewer_and_leave_nothing(fake_packs: Path, tmp_path: Path) -> None:
    limits = {"LIVE_MAX_SECONDS": "12", "FAKE_UNSEEN": "1.5"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, **limits) as server:
        seen, unseen = Opened(server), Opened(server)
        with seen.events() as events:
            wait_for(lambda: server.get(unseen.path).status_code == 404)
            assert server.get(seen.path).status_code == 200
            assert until(events, "closed")["reason"] == "time_limit"
        assert seen.post("say", {"text": "a"}).status_code == 404
        again = Opened(server)
        for _ in range(2):  # a connection that broke is resumed
            with again.socket("?video=1") as socket:
                assert isinstance(socket.recv(30), bytes)
        again.close()
        metrics = server.get("/metrics").text
        assert "avatar_sessions 0.0" in metrics
        assert server.stop() == 0
        assert not server.children("fake_worker")


def test_a_real_avatar_is_interrupted_in_the_middle_of_a_word_without_a_jump(server: Server) -> None:
    """Read from the pixels of the stream, as a viewer gets it."""
    session = Opened(server, avatar="talk_long", resolution="360p", tts_engine="espeak")
    stream, reading = session.record()
    with session.events() as events:
        session.say("안녕하세요, 면접에 오신 것을 환영합니다. 먼저 간단한 자기소개를 부탁드립니다.")
        started = until(events, "turn_started")["stream"]
        until(events, "turn_ended")
        session.say("아버지가 방에 들어가십니다. 아름다운 나라에 가 봅시다.")
        until(events, "turn_started")
        for _ in range(4):
            until(events, "word")
        cut = session.post("interrupt").json()["interrupted"]["stream"]
        time.sleep(1.2)
    session.close()
    reading.join(10)
    path = server.results.parent / "interrupted.mp4"
    path.write_bytes(stream.getvalue())
    fps, points = landmarks(path)
    with av.open(str(path)) as container:
        begin = float(next(container.decode(video=0)).time or 0)
    opening, _ = lip_curves(points)
    steps = np.abs(np.diff(opening))
    first, stop = (round((at - begin) * fps) for at in (started, cut))
    speaking, after = steps[first : stop - 2], steps[stop - 2 : stop + 15]
    assert opening[first:stop].max() > 2 * opening[stop + 6 :].max(), "the mouth was open, and is at rest then"
    assert after.max() <= speaking.max()


def test_a_recording_is_the_result_of_a_task(fake_server: Server) -> None:
    session = Opened(fake_server, record=True)
    task_id = session.opened["task_id"]
    with session.events() as events:
        session.say("one two three.")
        until(events, "turn_ended")
        assert fake_server.get(f"/api/v2/tasks/{task_id}").json()["state"] == "running"
        session.close()
    done = wait_for(
        lambda: (task := fake_server.get(f"/api/v2/tasks/{task_id}").json())["state"] == "done" and task, seconds=60
    )
    assert done["text"] == "one two three." and 1.2 < done["audio_duration"] < 20
    captions = fake_server.get(done["captions_url"]).text
    assert captions.startswith("WEBVTT") and "two" in captions
    video = fake_server.get(done["video_url"]).content
    with av.open(io.BytesIO(video), "r") as container:
        frames = list(container.decode(video=0))
    assert frames[0].time == 0 and len(frames) / FPS == pytest.approx(done["audio_duration"], abs=0.1)
    assert fake_server.get(done["audio_url"]).content[:4] == b"RIFF"
    assert not fake_server.half_made()


def test_cancelling_a_recording_ends_its_session_and_leaves_nothing(fake_server: Server) -> None:
    session = Opened(fake_server, record=True)
    task_id = session.opened["task_id"]
    assert fake_server.post(f"/api/cancel/{task_id}").json()["success"] is True
    wait_for(lambda: fake_server.get(f"/api/v2/tasks/{task_id}").json()["state"] == "cancelled")
    assert session.post("say", {"text": "a"}).status_code == 409
    assert not fake_server.half_made() and not list(fake_server.results.glob(f"{task_id}.*"))


def test_the_sockets_description_is_true(fake_server: Server) -> None:
    """Each message of a real socket is one that the AsyncAPI document describes, and each command is accepted."""
    described = fake_server.get("/api/asyncapi.json").json()
    assert described["asyncapi"] == "3.0.0"
    shapes, kinds = described["components"]["schemas"], described["channels"]["socket"]["messages"]

    def check(name: str, message: dict[str, Any]) -> None:
        assert name in kinds
        jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": {"schemas": shapes}}, message)

    def names(operation: str) -> dict[str, str]:
        """The shapes of an operation's messages by their type."""
        references = (one["$ref"].rpartition("/")[2] for one in described["operations"][operation]["messages"])
        return {shapes[name]["properties"]["type"]["const"]: name for name in references if name in shapes}

    commands, events = names("take"), names("emit")
    word = {"text": "one", "start": 0.0, "end": 0.3}
    sent: list[dict[str, Any]] = [
        {"type": "listen"},
        {"type": "idle"},
        {"type": "say", "text": "one two three. ", "more": True, "tag": "a"},
        {"type": "flush"},
        {"type": "interrupt", "at": 1.5},
        {"type": "audio", "rate": 24000},
        {"type": "audio_text", "words": [word], "language": "en"},
        {"type": "microphone", "rate": 48000},
        {"type": "visitor_said", "text": "hello", "question": 1},
        {"type": "chat", "text": "hello"},
        {"type": "next"},
        {"type": "close"},
    ]
    assert {one["type"] for one in sent} == commands.keys()
    session = Opened(fake_server, interview={"questions": ["one two"], "reminders": 0})
    arrived: list[dict[str, Any]] = []
    with session.socket() as socket:
        for message in sent:
            check(commands[message["type"]], message)
            socket.send(json.dumps(message))
            if message["type"] == "audio":
                socket.send(b"\0\0" * 4800)
            while message["type"] == "listen" and (not arrived or arrived[-1]["type"] != "listening"):
                arrived.append(json.loads(socket.recv(timeout=60)))
        with suppress(ConnectionClosed):
            while True:
                arrived.append(json.loads(socket.recv(timeout=20)))
    for event in arrived:
        check("MessageRefused" if event["type"] == "error" and "id" not in event else events[event["type"]], event)
    assert arrived[-1]["type"] == "closed" and {"listening", "visitor_said"} <= {one["type"] for one in arrived}
    for name in commands.values():
        with pytest.raises(jsonschema_rs.ValidationError):
            check(name, {"type": "dance"})
