"""What the server measures of itself."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import FPS, seconds_of
from tests.servers import Server, wait_for

QUICK = {"text": "one two three", "avatar": "solo"}


def measured(server: Server) -> dict[str, float]:
    """Return every sample by its name and labels."""
    answer = server.get("/metrics")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        ",".join([sample.name, *sorted(f"{key}={value}" for key, value in sample.labels.items())]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_every_task_is_counted_by_how_it_ended(fake_server: Server) -> None:
    fake_server.wait_idle()
    before = measured(fake_server)
    fake_server.events(QUICK)
    fake_server.events({**QUICK, "text": "crash"})
    with fake_server.stream({**QUICK, "text": "slow " + "word " * 30}) as events:
        task_id = next(event for event in events if event["stage"] == "lipsync")["task_id"]
        now = measured(fake_server)
        assert now["avatar_tasks_running,kind=video"] == 1 and now["avatar_tasks_waiting,kind=video"] == 0
        fake_server.post(f"/api/cancel/{task_id}")
    fake_server.wait_idle()
    after = wait_for(lambda: measured(fake_server))
    for state in ("done", "failed", "cancelled"):
        name = f"avatar_tasks_total,kind=video,state={state}"
        assert after[name] == before[name] + 1
    assert after["avatar_tasks_running,kind=video"] == 0


def test_times_of_every_stage_are_measured(fake_server: Server) -> None:
    before = measured(fake_server)
    done = fake_server.events(QUICK)[-1]
    after = measured(fake_server)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    for stage in ("queued", "tts", "first_byte", "lipsync", "total"):
        assert grown[f"avatar_stage_seconds_count,stage={stage}"] == 1
    seconds = {stage: grown[f"avatar_stage_seconds_sum,stage={stage}"] for stage in ("tts", "first_byte", "total")}
    assert seconds["total"] == pytest.approx(done["elapsed"]["total"], abs=0.001)
    assert 0 < seconds["first_byte"] < seconds["total"] and 0 < seconds["tts"] < seconds["total"]
    frames = round(seconds_of(QUICK["text"]) * FPS)
    assert grown["avatar_frames_per_second_sum"] == pytest.approx(frames / seconds["total"], rel=0.01)


def test_the_memory_of_the_process_is_reported(fake_server: Server) -> None:
    assert measured(fake_server)["process_resident_memory_bytes"] > 10**7
