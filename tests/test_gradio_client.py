"""The page's function, called by Gradio's own Python client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from gradio_client import Client

from tests.fakes import FPS, seconds_of
from tests.servers import Server, predict, running, wait_for

pytestmark = pytest.mark.slow  # real servers throughout


@pytest.fixture(scope="module")
def client(fake_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(fake_server.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
    yield client
    client.close()


def test_predict_gives_the_video_its_status_and_its_task(client: Client, fake_server: Server) -> None:
    video, status, task_id = predict(client, text="one two three", avatar="solo")
    path = Path(video["video"] if isinstance(video, dict) else video)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == round(seconds_of("one two three") * FPS)
    assert status["type"] == "done" and status["task_id"] == task_id
    assert path.read_bytes() == fake_server.get(status["video_url"]).content


@pytest.mark.parametrize("separator", ["\n", "\x85", "\u2028", "\u2029", "\x1e"], ids=ascii)
def test_no_line_end_in_a_text_breaks_the_clients_stream(client: Client, separator: str) -> None:
    _, status, _ = predict(client, text=f"one{separator}two", avatar="solo")
    assert status["type"] == "done" and status["text"] == "one\ntwo"
    with pytest.raises(Exception, match="solo"):  # its sentence arrives whole
        predict(client, text="one", avatar=f"no{separator}body")


def test_submit_gives_every_stage(client: Client) -> None:
    job = client.submit(text="one two", avatar="solo", resolution="480p", frame_skip=2, api_name="/generate")
    stages = [status.get("stage", status["type"]) for _, status, _ in job]
    assert stages[:3] == ["queued", "tts", "tts_done"] and stages[-1] == "done" and "lipsync" in stages


def test_cancel_stops_the_task(client: Client, fake_server: Server) -> None:
    fake_server.wait_idle()
    job = client.submit(text="slow " + "word " * 30, avatar="solo", api_name="/generate")
    wait_for(lambda: job.outputs() and job.outputs()[-1][1]["stage"] == "lipsync")
    task_id = job.outputs()[-1][2]
    job.cancel()
    wait_for(lambda: f"task {task_id} ends: Failed" in fake_server.log)
    fake_server.wait_idle()
    assert list(fake_server.results.glob(f"{task_id}*")) == []


def test_a_task_of_the_page_can_be_cancelled_by_rest(client: Client, fake_server: Server) -> None:
    fake_server.wait_idle()
    job = client.submit(text="slow " + "word " * 30, avatar="solo", api_name="/generate")
    wait_for(job.outputs)
    assert fake_server.post(f"/api/cancel/{job.outputs()[-1][2]}").json()["state"] == "running"
    with pytest.raises(Exception, match=r"취소|cancelled"):
        job.result(timeout=30)
    fake_server.wait_idle()


def test_page_and_rest_share_one_queue(client: Client, fake_server: Server) -> None:
    fake_server.wait_idle()
    job = client.submit(text="slow " + "word " * 5, avatar="solo", api_name="/generate")
    wait_for(job.outputs)
    before = len(fake_server.log)
    with fake_server.stream({"text": "one", "avatar": "solo"}) as events:
        assert next(events)["stage"] == "queued"
        rest = list(events)[-1]
    assert rest["type"] == "done" and job.result(timeout=30)

    def ends() -> list[str]:
        return [line.split()[1] for line in fake_server.log[before:].splitlines() if "ends: Done" in line]

    wait_for(lambda: len(ends()) > 1)  # the log may be a moment later than the last event
    assert ends() == [job.outputs()[-1][2], rest["task_id"]]


def test_a_video_is_shown_where_ffmpeg_has_no_ffprobe(fake_packs: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (programs / "ffmpeg").chmod(0o755)
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, PATH=str(programs)) as server:
        client = Client(server.url, verbose=False, download_files=False)
        video, status, _ = predict(client, text="one", avatar="solo")
        client.close()
    assert video and status["type"] == "done"


def test_bad_input_states_what_is_wrong(client: Client) -> None:
    with pytest.raises(Exception, match="text"):
        predict(client, text=" ", avatar="solo")
    with pytest.raises(Exception, match="solo"):
        predict(client, text="one", avatar="nobody")


def test_more_may_wait_than_gradio_has_workers_by_itself(fake_packs: Path, tmp_path: Path) -> None:
    visitors = 45
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, MAX_QUEUE="60") as server:
        patient = {"timeout": 100}
        client = Client(server.url, verbose=False, download_files=False, max_workers=visitors, httpx_kwargs=patient)
        jobs = [client.submit(text="slow one", avatar="solo", api_name="/generate")]
        jobs += [client.submit(text="one", avatar="solo", api_name="/generate") for _ in range(visitors - 1)]
        assert all(job.result(timeout=120)[1]["type"] == "done" for job in jobs)
        client.close()
