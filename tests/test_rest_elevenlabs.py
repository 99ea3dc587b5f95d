"""ElevenLabs behind the REST API: what its client gets for each failure, and that the queue goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server, running, wait_for
from tests.stub_elevenlabs import KEY, ElevenLabsStub

BODY = {"text": "Hello there.", "avatar": "talk_short", "resolution": "360p"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stub() -> Iterator[ElevenLabsStub]:
    with ElevenLabsStub() as stub:
        yield stub


@pytest.fixture(scope="module")
def keyed(stub: ElevenLabsStub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program with a key, on a service that fails on request."""
    folder: Path = tmp_path_factory.mktemp("elevenlabs")
    environ = {
        "TTS_ENGINE": "auto",
        "ELEVENLABS_API_KEY": KEY,
        "ELEVENLABS_BASE_URL": stub.url,
        "ELEVENLABS_TIMEOUT": "2",
    }
    with running(["app.py"], folder, **environ) as server:
        yield server


@pytest.fixture(autouse=True)
def well(stub: ElevenLabsStub) -> None:
    stub.mode = "ok"


def test_it_is_the_default_where_its_key_is_set(keyed: Server) -> None:
    assert keyed.get("/api/v2/status").json()["tts_engines"] == ["elevenlabs", "hibari", "kokoro", "espeak"]
    named = keyed.events({**BODY, "tts_engine": "elevenlabs"})[-1]
    default = keyed.events(BODY)[-1]
    assert named["type"] == default["type"] == "done"
    assert default["audio_duration"] == pytest.approx(named["audio_duration"], abs=0.01)
    local = keyed.events({**BODY, "tts_engine": "espeak"})[-1]
    assert local["type"] == "done"


@pytest.mark.parametrize(
    ("mode", "status", "words"),
    [
        ("401", 503, "ELEVENLABS_API_KEY"),
        ("quota", 503, "tts_engine"),
        ("402", 503, "tts_engine"),
        ("404", 503, "ELEVENLABS_VOICE_ID"),
        ("422", 500, "ELEVENLABS_MODEL"),
        ("429", 503, "다시 시도"),
        ("500", 503, "다시 시도"),
        ("hang", 503, "tts_engine"),
        ("stall", 503, "tts_engine"),
        ("drop", 500, "다시 시도"),
    ],
)
def test_a_failure_is_reported_with_what_to_do(
    keyed: Server, stub: ElevenLabsStub, mode: str, status: int, words: str
) -> None:
    stub.mode = mode
    events = keyed.events(BODY)
    assert [event.get("stage", event["type"]) for event in events] == ["queued", "tts", "error"]
    assert events[-1]["status"] == status and words in events[-1]["message"]
    answer = keyed.post("/api/v2/lipsync", BODY)
    assert answer.status_code == status
    assert answer.json()["success"] is False and answer.json()["error"] == events[-1]["message"]
    keyed.wait_idle()
    assert keyed.half_made() == []
    assert keyed.post("/api/v2/lipsync", {**BODY, "tts_engine": "espeak"}).status_code == 200


def test_a_hanging_service_does_not_hold_up_a_cancel(keyed: Server, stub: ElevenLabsStub) -> None:
    stub.mode = "hang"
    with keyed.stream(BODY) as events:
        task_id = next(event for event in events if event.get("stage") == "tts")["task_id"]
        keyed.post(f"/api/cancel/{task_id}")
        assert "취소" in list(events)[-1]["message"]
    wait_for(lambda: f"task {task_id} ends" in keyed.log)


def test_a_voice_is_one_of_the_account(keyed: Server) -> None:
    assert keyed.post("/api/v2/lipsync", {**BODY, "tts_voice": "voice-anna"}).status_code == 200
    answer = keyed.post("/api/v2/lipsync", {**BODY, "tts_voice": "nobody"})
    assert answer.status_code == 400
    assert "Custom" in answer.json()["error"] and "voice-anna" in answer.json()["error"]


def test_the_key_is_never_reported(keyed: Server) -> None:
    assert KEY not in keyed.log
