"""The OpenAPI description is true: requests made up from it get the answers that it describes, and no fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import TypeAdapter

from pipeline.server.rest.schema import TaskEvent
from tests.servers import Server

EXAMPLES, FEW = 15, 2
"""Requests made up for each route, and for one that looks at files."""
SHAPES = (
    ("GET", "/api/v2/status"),
    ("POST", "/api/v2/lipsync/stream"),
    ("POST", "/api/v2/lipsync"),
    ("GET", "/api/v2/tasks/{task_id}"),
    ("GET", "/api/v2/tasks/{task_id}/events"),
    ("GET", "/api/v2/tasks/{task_id}/inspect.png"),
    ("GET", "/api/avatars"),
    ("POST", "/api/avatars"),
    ("POST", "/api/avatars/faces"),
    ("POST", "/api/v2/verify"),
    ("GET", "/api/avatars/{avatar}/consent"),
    ("POST", "/api/v2/backgrounds"),
    ("GET", "/video/{task_id}.webm"),
    ("DELETE", "/api/v2/backgrounds/{background}"),
    ("DELETE", "/api/avatars/{avatar}"),
    ("GET", "/api/queue_status"),
    ("POST", "/api/v2/tokens"),
    ("POST", "/api/v2/sessions"),
    ("GET", "/api/v2/sessions/{session_id}"),
    ("DELETE", "/api/v2/sessions/{session_id}"),
    ("POST", "/api/v2/sessions/{session_id}/say"),
    ("POST", "/api/v2/sessions/{session_id}/flush"),
    ("POST", "/api/v2/sessions/{session_id}/interrupt"),
    ("POST", "/api/v2/sessions/{session_id}/chat"),
    ("POST", "/api/v2/sessions/{session_id}/next"),
    ("GET", "/api/v2/sessions/{session_id}/interview"),
    ("GET", "/api/v2/sessions/{session_id}/interview/{number}.wav"),
    ("GET", "/api/v2/sessions/{session_id}/events"),
    ("GET", "/api/v2/sessions/{session_id}/video.mp4"),
    ("POST", "/api/cancel/{task_id}"),
    ("GET", "/metrics"),
    ("GET", "/video/{task_id}.mp4"),
    ("GET", "/video/{task_id}.srt"),
    ("GET", "/video/{task_id}.vtt"),
    ("GET", "/video/{task_id}.mouth.ndjson"),
    ("GET", "/assets/audio/{task_id}.wav"),
    ("GET", "/assets/idle/{avatar}.mp4"),
    ("GET", "/assets/idle/{avatar}.jpg"),
    ("GET", "/assets/label.json"),
    ("GET", "/assets/idle/{avatar}.json"),
    ("GET", "/api/voices"),
    ("GET", "/api/voices/supertonic"),
    ("DELETE", "/api/voices/supertonic"),  # POST is refused in tests; see test_voice_download
    ("GET", "/assets/voices/{engine}/{voice}.wav"),
)
LONG = [("POST", path) for path in ("/api/v2/lipsync", "/api/v2/lipsync/stream", "/api/avatars", "/api/avatars/faces")]
"""Where examples take seconds, since some of them are drawn or prepared."""


@pytest.fixture(scope="module")
def checks() -> tuple[Any, ...]:
    from schemathesis.checks import not_a_server_error  # it takes seconds, here and below, which other tests need not
    from schemathesis.specs.openapi import checks as openapi

    return (
        not_a_server_error,
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_headers_conformance,
        openapi.response_schema_conformance,
        openapi.unsupported_method,
    )


@pytest.fixture(scope="module")
def described(fake_server: Server) -> Any:
    import schemathesis

    return schemathesis.openapi.from_dict(fake_server.get("/api/openapi.json").json())


@pytest.mark.parametrize(
    ("method", "path"), [pytest.param(*one, marks=[pytest.mark.slow] * (one in LONG)) for one in SHAPES]
)
def test_every_answer_has_a_described_shape(
    fake_server: Server, described: Any, checks: tuple[Any, ...], method: str, path: str
) -> None:
    count = FEW if path.endswith("/faces") else EXAMPLES

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=described[path][method].as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(base_url=fake_server.url, checks=checks, timeout=60)

    check()


def test_every_route_is_described(fake_server: Server) -> None:
    described = fake_server.get("/api/openapi.json").json()
    operations = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert described["openapi"].startswith("3.") and operations - {("POST", "/api/voices/supertonic")} == {*SHAPES}
    for path in described["paths"].values():
        for operation in path.values():
            assert "422" not in operation["responses"] and operation["description"]
    body = described["components"]["schemas"]["LipsyncBody"]
    assert body["required"] == ["text"] and "avatar_path" in body["properties"]


@pytest.mark.parametrize("text", ["one two", "crash", "dropped"])
def test_every_event_has_a_described_shape(fake_server: Server, text: str) -> None:
    for event in fake_server.events({"text": text, "avatar": "solo"}):
        TypeAdapter(TaskEvent).validate_python(event, strict=True)


def test_real_answers_have_the_described_shapes(fake_server: Server, described: Any, checks: tuple[Any, ...]) -> None:
    """Made-up requests rarely get far; these do."""
    body = {"text": "one two", "avatar": "solo"}
    done = fake_server.events(body)[-1]
    for method, path, fields in (
        ("POST", "/api/v2/lipsync", {"body": body, "media_type": "application/json"}),
        ("GET", "/api/v2/tasks/{task_id}", {"path_parameters": {"task_id": done["task_id"]}}),
        ("GET", "/api/v2/tasks/{task_id}/events", {"path_parameters": {"task_id": done["task_id"]}}),
        ("GET", "/video/{task_id}.mp4", {"path_parameters": {"task_id": done["task_id"]}}),
        ("GET", "/video/{task_id}.mouth.ndjson", {"path_parameters": {"task_id": done["task_id"]}}),
        ("GET", "/video/{task_id}.vtt", {"path_parameters": {"task_id": done["task_id"]}}),
        ("GET", "/assets/audio/{task_id}.wav", {"path_parameters": {"task_id": done["task_id"]}}),
    ):
        answer = described[path][method].Case(**fields).call_and_validate(base_url=fake_server.url, checks=checks)
        assert answer.status_code == 200
