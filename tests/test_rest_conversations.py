"""Conversations and interviews over HTTP and the WebSocket, with a language model that is a stub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline.server.rest.schema import InterviewRecord, SessionEvents
from tests.live_sessions import Opened, messages, until
from tests.servers import Server, running, wait_for
from tests.stub_openai import KEY, OpenAIStub, seconds_of
from tests.voices import RATE, quiet, speak, spoken

pytestmark = pytest.mark.slow  # real servers throughout

ANSWER = spoken("저는 개발자 김민수입니다.")


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as started:
        yield started


@pytest.fixture(scope="module")
def server(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory, stub: OpenAIStub) -> Iterator[Server]:
    """A server with a language model and a transcription service."""
    environ = {f"{prefix}_{name}": value for prefix in ("LLM", "STT") for name, value in
               {"BASE_URL": stub.url, "API_KEY": KEY, "MODEL": "stub", "TIMEOUT": "5"}.items()}  # fmt: skip
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path_factory.mktemp("talk"), **environ) as started:
        yield started


@pytest.fixture
def session(server: Server, stub: OpenAIStub) -> Iterator[Opened]:
    stub.reset()
    opened = Opened(server)
    yield opened
    opened.close()


def sent(stub: OpenAIStub, number: int = -1) -> list[tuple[str, str]]:
    """Return what the model got, without the system prompt."""
    chats = [one for one in stub.asked if one.path.endswith("/chat/completions")]
    return [(one["role"], one["content"]) for one in chats[number].body["messages"][1:]]


def test_a_chat_is_answered_aloud_and_remembered(session: Opened, stub: OpenAIStub) -> None:
    with session.events() as events:
        reply = session.post("chat", {"text": "Who are you?"})
        assert reply.status_code == 200 and reply.json()["success"] is True
        ended = until(events, "turn_ended")
        assert ended["said"].split() == ["one", "two.", "three", "four."] and ended["tag"] == "reply 1"
        session.post("chat", {"text": "And then?"})
        until(events, "turn_ended")
    assert sent(stub) == [("user", "Who are you?"), ("assistant", "one two. three four."), ("user", "And then?")]


def test_an_interruption_leaves_what_was_said(session: Opened, stub: OpenAIStub) -> None:
    stub.answer = "one two three four five six seven eight nine ten."
    with session.events() as events:
        session.post("chat", {"text": "Count."})
        until(events, "word")
        spoken = " ".join(session.post("interrupt").json()["interrupted"]["said"].split())
        assert spoken and "ten" not in spoken
        session.post("chat", {"text": "Go on."})
        until(events, "turn_ended")
    assert sent(stub) == [("user", "Count."), ("assistant", spoken), ("user", "Go on.")]


def test_a_chat_interrupts_the_answer_before_it(session: Opened, stub: OpenAIStub) -> None:
    stub.answer = "one two three four five six seven eight nine ten."
    with session.socket() as socket:
        socket.send(json.dumps({"type": "chat", "text": "Count."}))
        events = messages(socket)
        until(events, "word")
        stub.answer = "done."
        socket.send(json.dumps({"type": "chat", "text": "Stop!"}))
        spoken = " ".join(until(events, "interrupted")["said"].split())
        assert until(events, "turn_ended")["said"].strip() == "done."
    assert sent(stub) == [("user", "Count."), ("assistant", spoken), ("user", "Stop!")]


@pytest.mark.parametrize(
    ("mode", "spoken", "code"),
    [
        ("401", "", "language_model_unavailable"),
        ("429", "", "language_model_unavailable"),
        ("500", "", "language_model_unavailable"),
        ("drop", "one two.", "language_model_failed"),
        ("error-inside", "one two.", "language_model_failed"),
        ("empty", "", "language_model_failed"),
    ],
)
def test_a_model_that_fails_is_told_and_the_next_chat_works(
    session: Opened, stub: OpenAIStub, mode: str, spoken: str, code: str
) -> None:
    stub.reset(mode)
    with session.events(**{"Accept-Language": "en"}) as events:
        session.post("chat", {"text": "Hello?"})
        seen = [next(events)]
        while not any(one["type"] == "error" for one in seen) or (spoken and seen[-1]["type"] != "turn_ended"):
            seen.append(next(events))
        error = next(one for one in seen if one["type"] == "error")
        assert error["code"] == code and "LLM_" in error["error"] + "LLM_" * (mode == "empty")
        assert KEY not in error["error"]
        assert [" ".join(one["said"].split()) for one in seen if one["type"] == "turn_ended"] == [spoken] * bool(spoken)
        stub.reset()
        session.post("chat", {"text": "Again."})
        assert until(events, "turn_ended")["said"].split() == ["one", "two.", "three", "four."]
    before = [("user", "Hello?"), ("assistant", spoken)] if spoken else []
    assert sent(stub) == [*before, ("user", "Again.")]
    assert KEY not in session.server.log


def test_a_session_has_its_own_prompt(server: Server, stub: OpenAIStub) -> None:
    stub.reset()
    session = Opened(server, conversation={"prompt": "You are a pirate."})
    with session.events() as events:
        session.post("chat", {"text": "Who are you?"})
        until(events, "turn_ended")
    assert stub.asked[0].body["messages"][0] == {"role": "system", "content": "You are a pirate."}
    session.close()


def test_a_server_without_a_model_says_what_to_set(fake_server: Server) -> None:
    session = Opened(fake_server)
    reply = session.post("chat", {"text": "Hello?"})
    assert reply.status_code == 503 and reply.json()["code"] == "language_model_unavailable"
    assert all(name in reply.json()["error"] for name in ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL"))
    session.say("one.")
    with session.events() as events:
        assert until(events, "turn_ended")
    session.close()


def test_a_visitor_who_speaks_is_transcribed_answered_and_may_interrupt(session: Opened, stub: OpenAIStub) -> None:
    stub.answer = "one two three four five six seven eight nine ten."
    with session.socket() as socket:
        events = messages(socket)
        socket.send(json.dumps({"type": "microphone", "rate": RATE}))
        speak(socket, ANSWER, quiet(1.2))
        assert until(events, "visitor_speaking")["stream"] >= 0
        assert until(events, "visitor_stopped")["stream"] >= 0
        assert until(events, "visitor_said")["text"] == stub.transcript
        until(events, "word")
        speak(socket, ANSWER[: RATE // 2])
        assert until(events, "visitor_speaking")
        spoken = until(events, "interrupted")["said"]
        assert spoken and "ten" not in spoken
    assert sent(stub, 0) == [("user", stub.transcript)]
    sound = next(one for one in stub.asked if one.path.endswith("/transcriptions")).body["file"]
    assert abs(seconds_of(sound) - len(ANSWER) / RATE) < 0.9


def test_what_the_browser_recognized_is_answered(session: Opened, stub: OpenAIStub) -> None:
    with session.socket() as socket:
        events = messages(socket)
        socket.send(json.dumps({"type": "visitor_said", "text": "Good morning."}))
        assert until(events, "visitor_said")["text"] == "Good morning."
        assert until(events, "turn_ended")["tag"] == "reply 1"
    assert sent(stub) == [("user", "Good morning.")]


QUESTIONS = ["one two?", "three?", "four?"]


def test_an_interview_from_its_first_question_to_its_record(server: Server, stub: OpenAIStub) -> None:
    stub.reset()
    plan = {"questions": QUESTIONS, "silence": 0.5, "patience": 2, "reminders": 0, "farewell": "goodbye."}
    session = Opened(server, interview=plan, record=True)
    _, reading = session.record()
    with session.socket() as socket:
        events = messages(socket)
        socket.send(json.dumps({"type": "microphone", "rate": RATE}))
        speak(socket, quiet(0.2))
        assert until(events, "question") | {"id": 0} == {
            "id": 0, "type": "question", "number": 1, "text": "one two?", "reminders": 0
        }  # fmt: skip
        assert session.post("chat", {"text": "Hi"}).json()["code"] == "interview_runs"
        until(events, "listening")
        speak(socket, ANSWER, quiet(0.8))
        first = until(events, "answer")
        assert first["reason"] == "silence" and abs(first["end"] - first["begin"] - len(ANSWER) / RATE) < 0.5
        until(events, "turn_started")
        speak(socket, ANSWER[: RATE // 2])  # while the question is asked
        until(events, "interrupted")
        socket.send(json.dumps({"type": "next"}))
        assert until(events, "answer")["reason"] == "next"
        assert until(events, "question")["number"] == 3
        assert until(events, "answer")["reason"] == "no_answer"
        ended = until(events, "interview_ended")
        assert (ended["questions"], ended["answered"]) == (3, 2)
        assert until(events, "turn_ended")["said"].strip() == "goodbye."
        socket.send(json.dumps({"type": "visitor_said", "text": "thank you", "question": 3}))
        until(events, "visitor_said")
    wait_for(lambda: all(one["transcript"] for one in record_of(session)["answers"]))
    session.close()
    reading.join(10)
    record = record_of(session)
    TypeAdapter(InterviewRecord).validate_python(record, strict=True)
    assert record["state"] == "done"
    assert [one["transcript"] for one in record["answers"]] == [stub.transcript, stub.transcript, "thank you"]
    assert [one["reason"] for one in record["answers"]] == ["silence", "next", "no_answer"]
    times = [(one["asked"], one["asked_until"]) for one in record["answers"]]
    assert all(asked < until for asked, until in times) and times == sorted(times)
    sound = server.get(record["answers"][0]["sound_url"])
    assert sound.headers["content-type"] == "audio/wav" and 1 < seconds_of(sound.content) < 4
    assert record["answers"][2]["sound_url"] is None
    for wrong in ("3", "4", "0", "x", "1.5"):
        reply = server.get(f"{session.path}/interview/{wrong}.wav")
        assert reply.status_code == 404 and reply.json()["code"] == "interview_not_found"
    wait_for(lambda: server.get(f"/api/v2/tasks/{session.opened['task_id']}").json()["state"] == "done", 60)


def test_the_sound_of_an_answer_begins_with_the_answer(server: Server) -> None:
    plan = {"questions": ["one two three four five six seven eight nine ten?"], "silence": 0.5}
    session = Opened(server, interview=plan, record=True, conversation={"barge_in": False})
    _, reading = session.record()
    with session.socket() as socket:
        events = messages(socket)
        socket.send(json.dumps({"type": "microphone", "rate": RATE}))
        speak(socket, quiet(0.2))
        until(events, "turn_started")
        speak(socket, ANSWER[: RATE // 2], quiet(0.8))  # while the question is asked
        until(events, "visitor_stopped")
        until(events, "listening")
        speak(socket, quiet(1.0), ANSWER, quiet(0.8))
        until(events, "answer")
    session.close()
    reading.join(10)
    sound = server.get(f"{session.path}/interview/1.wav")
    assert abs(seconds_of(sound.content) - len(ANSWER) / RATE) < 0.9


def record_of(session: Opened) -> dict[str, Any]:
    return dict(session.server.get(session.path + "/interview").json())


def test_events_of_a_conversation_have_the_shape_that_is_described(server: Server) -> None:
    session = Opened(server, interview={"questions": ["one?"], "silence": 0.5})
    _, reading = session.record()
    with session.socket() as socket:
        events = messages(socket)
        socket.send(json.dumps({"type": "microphone", "rate": 48_000}))
        until(events, "listening")
        speak(socket, np.repeat(ANSWER, 3), np.zeros(36_000, np.int16), rate=48_000)
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["type"] != "visitor_said":
            seen.append(next(events))
        assert {one["type"] for one in seen} >= {"visitor_speaking", "visitor_stopped", "answer", "interview_ended"}
        for event in seen:
            TypeAdapter(SessionEvents).validate_python(event, strict=True)
    session.close()
    reading.join(10)


@pytest.mark.parametrize(
    ("interview", "field"),
    [
        ([], "interview:"),
        ("questions", "interview:"),
        ({}, "interview.questions"),
        ({"questions": []}, "interview.questions"),
        ({"questions": "who are you?"}, "interview.questions"),
        ({"questions": ["a"] * 51}, "interview.questions"),
        ({"questions": ["a", 5]}, "interview.questions[1]"),
        ({"questions": ["a", None]}, "interview.questions[1]"),
        ({"questions": ["a", ""]}, "interview.questions[1]"),
        ({"questions": ["?!...", "a"]}, "interview.questions[0]"),
        ({"questions": ["🙂"]}, "interview.questions[0]"),
        ({"questions": ["a" * 1001]}, "interview.questions[0]"),
        ({"questions": ["\ud800"]}, "interview.questions[0]"),
        ({"questions": ["a"], "greeting": "!!"}, "interview.greeting"),
        ({"questions": ["a"], "farewell": 5}, "interview.farewell"),
        ({"questions": ["a"], "silence": 0}, "interview.silence"),
        ({"questions": ["a"], "silence": "long"}, "interview.silence"),
        ({"questions": ["a"], "silence": True}, "interview.silence"),
        ({"questions": ["a"], "patience": 1e9}, "interview.patience"),
        ({"questions": ["a"], "patience": float("nan")}, "interview.patience"),
        ({"questions": ["a"], "reminders": 1.5}, "interview.reminders"),
        ({"questions": ["a"], "reminders": -1}, "interview.reminders"),
        ({"questions": ["a"], "longest": 1}, "interview.longest"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode(),
)
def test_an_interview_that_cannot_be_held(fake_server: Server, interview: object, field: str) -> None:
    reply = refused(fake_server, interview=interview)
    assert field in reply["error"]


@pytest.mark.parametrize(
    ("conversation", "field"),
    [
        ("yes", "conversation:"),
        ({"prompt": 5}, "conversation.prompt"),
        ({"prompt": "a" * 8001}, "conversation.prompt"),
        ({"silence": 0.1}, "conversation.silence"),
        ({"barge_in": "no"}, "conversation.barge_in"),
        ({"transcribe": 1}, "conversation.transcribe"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_conversation_that_cannot_be_held(fake_server: Server, conversation: object, field: str) -> None:
    reply = refused(fake_server, conversation=conversation)
    assert field in reply["error"]


def refused(server: Server, **fields: object) -> dict[str, Any]:
    body = json.dumps({"avatar": "solo", **fields})
    reply = server.post("/api/v2/sessions", None, data=body, headers={"Accept-Language": "en"})
    assert reply.status_code == 400 and reply.json()["code"] == "field_invalid", reply.text
    return dict(reply.json())


@pytest.mark.parametrize(
    ("message", "code", "word"),
    [
        ('{"type": "chat"}', "field_invalid", "text"),
        ('{"type": "chat", "text": ["a"]}', "field_invalid", "text"),
        ('{"type": "chat", "text": "a"}', "language_model_unavailable", "LLM_MODEL"),
        ('{"type": "visitor_said", "text": ""}', "field_invalid", "text"),
        ('{"type": "visitor_said", "text": "a", "question": 1}', "field_invalid", "question"),
        ('{"type": "visitor_said", "text": "a", "question": "first"}', "field_invalid", "question"),
        ('{"type": "next"}', "interview_not_found", "interview"),
        ('{"type": "microphone", "rate": 1}', "field_invalid", "8000"),
    ],
)
def test_a_wrong_message_is_told(long_session: Opened, message: str, code: str, word: str) -> None:
    with long_session.socket() as socket:
        socket.send(message)
        error = until(messages(socket), "error")
        assert error["code"] == code and word in error["error"], error


def test_sound_of_a_microphone_that_is_none(long_session: Opened) -> None:
    with long_session.socket() as socket:
        socket.send(json.dumps({"type": "microphone"}))
        socket.send(b"\0" * 4801)
        assert until(messages(socket), "error")["code"] == "field_invalid"
        socket.send(b"")
        socket.send('{"type": "listen"}')
        assert until(messages(socket), "listening")


@pytest.fixture(scope="module")
def long_session(fake_server: Server) -> Iterator[Opened]:
    opened = Opened(fake_server)
    yield opened
    opened.close()


def test_a_session_without_an_interview_has_no_record(long_session: Opened) -> None:
    for reply in (long_session.server.get(long_session.path + "/interview"), long_session.post("next")):
        assert reply.status_code == 404 and reply.json()["code"] == "interview_not_found"
