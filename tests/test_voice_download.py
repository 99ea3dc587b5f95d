"""Fetching Supertonic's weights, from a hub that runs here."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.hub import WeightFile, files_of
from pipeline.errors import Unavailable
from pipeline.jobs.voice_download import Progress, VoiceDownload
from pipeline.settings import Settings
from pipeline.tts.supertonic import has_weights
from tests.fake_supertonic import WEIGHTS
from tests.hub import CONTENT, Hub
from tests.servers import Server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    usual = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: usual("json" if name == "supertonic" else name))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with Hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def listed(hub: str) -> list[WeightFile]:
    return files_of("somebody/voices", "0" * 40, hub)


def make(folder: Path, **settings: str) -> VoiceDownload:
    return VoiceDownload(Settings(**settings), folder, listed)  # type: ignore[arg-type]  # texts only


def ended(download: VoiceDownload) -> Progress:
    """Return what becomes of a download that runs."""
    for thread in threading.enumerate():
        if thread.name == "voices":
            thread.join(20)
    progress = download.progress()
    assert progress.state != "running"
    return progress


def test_nothing_is_fetched_before_it_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    download = make(tmp_path)
    assert download.progress() == Progress("absent") and hub.asked == []
    assert download.start().state == "running" and ended(download).state == "ready"
    assert has_weights(tmp_path) and not list(tmp_path.rglob("*.part"))
    assert len(hub.asked) == 1 + len(WEIGHTS)
    assert download.start().state == "ready" and len(hub.asked) == 1 + len(WEIGHTS)  # no second time


def test_its_progress_grows_and_a_cancelled_one_goes_on(hub: Hub, tmp_path: Path) -> None:
    download = make(tmp_path)
    hub.waits.clear()
    download.start()
    assert hub.reached.wait(20) and download.start().state == "running" and len(hub.asked) == 2  # one at a time
    download.cancel()
    hub.waits.set()
    assert ended(download) == Progress("absent") and not has_weights(tmp_path)
    seen: list[int] = []
    download.moved.notify = lambda: seen.append(download.progress().done)  # type: ignore[method-assign]
    download.start()
    assert ended(download).state == "ready"
    grown = [done for done in seen if done]
    assert grown == sorted(grown) and len(grown) > 7 and grown[-1] == len(CONTENT) * len(WEIGHTS)


@pytest.mark.parametrize("fault", ["cut", "longer", "other", "list", "empty", "outside", "down"])
def test_what_goes_wrong_is_told_and_the_next_try_works(hub: Hub, tmp_path: Path, fault: str) -> None:
    usual, good = hub.listed, hub.url
    match fault:
        case "cut":
            hub.stops_at = 1000
        case "longer":
            hub.listed = [{**one, "size": one["size"] + 1} for one in usual]
        case "other":
            hub.sends = CONTENT[::-1]
        case "list":
            hub.listed = {"error": "no such repository"}
        case "empty":
            hub.listed = []
        case "outside":
            hub.listed = [{**usual[0], "path": "../../evil"}]
        case "down":
            os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
    download = make(tmp_path / "weights")
    download.start()
    failed = ended(download)
    assert failed.state == "failed" and failed.message is not None and failed.message.ko != failed.message.en
    assert str(tmp_path) not in failed.message.en and not has_weights(tmp_path / "weights")
    assert not (tmp_path.parent / "evil").exists()
    hub.listed, hub.sends, hub.stops_at = usual, CONTENT, None
    os.environ["HF_ENDPOINT"] = good
    download.start()
    assert ended(download).state == "ready" and has_weights(tmp_path / "weights")


def test_a_full_disk_is_told_without_its_folder(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if path.suffix == ".part" and mode != "rb":
            raise OSError(28, "No space left on device", str(path))
        return usual(path, mode, *arguments, **named)

    download = make(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        download.start()
        failed = ended(download)
    assert failed.message is not None and "No space left on device" in failed.message.en
    assert str(tmp_path) not in failed.message.en
    download.start()
    assert ended(download).state == "ready"


@pytest.mark.parametrize(
    ("settings", "environ", "word"),
    [
        ({"voice_downloads": "off"}, {}, "VOICE_DOWNLOADS"),
        ({}, {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
    ],
)
def test_it_can_be_forbidden(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    environ: dict[str, str],
    word: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    download = make(tmp_path, **settings)
    assert download.progress().state == "unavailable"
    with pytest.raises(Unavailable, match=word):
        download.start()
    assert hub.asked == []


def test_a_space_fetches_no_voices() -> None:
    assert Settings.from_environment({"SYSTEM": "spaces"}).voice_downloads == "off"
    assert Settings.from_environment({"SYSTEM": "spaces", "VOICE_DOWNLOADS": "on"}).voice_downloads == "on"
    with pytest.raises(ValueError, match="VOICE_DOWNLOADS"):
        Settings.from_environment({"VOICE_DOWNLOADS": "maybe"})


@pytest.mark.slow
def test_rest_states_the_licence_and_why_nothing_is_fetched(server: Server) -> None:
    state = server.get("/api/voices/supertonic", headers={"Accept-Language": "en"}).json()
    assert state["state"] == "unavailable" and "VOICE_DOWNLOADS=off" in state["message"]
    assert state["licence"] == "OpenRAIL-M" and state["licence_url"].startswith("https://")
    refused = server.post("/api/voices/supertonic", {})
    assert refused.status_code == 503 and "VOICE_DOWNLOADS=off" in refused.json()["error"]
    assert server.delete("/api/voices/supertonic").json()["state"] == "unavailable"
