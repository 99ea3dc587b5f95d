"""Videos and avatars that are made on the nodes of a real Ray cluster, and what is left of them there.

The two nodes are alone on this machine's loopback; each has one slot. Skipped where Ray is not installed.
"""

from __future__ import annotations

import io
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.jobs.generate import generate
from pipeline.jobs.request import parse
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings
from tests.fakes import FPS, make_fake_studio
from tests.pages import MOVED, opened, write
from tests.ray_nodes import ASKED, START_SECONDS, Nodes, clustered_server, two_nodes
from tests.recordings import record
from tests.servers import Server, wait_for
from tests.watching import Watched, check_whole, events_while, frames_of

pytestmark = pytest.mark.slow
HELD_UP_SECONDS = 10
"""Longer than a node may be silent."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def clustered(nodes: Nodes, fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with clustered_server(nodes, fake_packs, tmp_path_factory.mktemp("clustered")) as server:
        yield server


def test_eight_tasks_share_two_slots(clustered: Server) -> None:
    over, most = threading.Event(), [0]

    def watch() -> None:
        while not over.wait(0.05):
            text = clustered.get("/metrics").text
            [running] = re.findall(r'^avatar_tasks_running\{kind="video"\} ([\d.]+)', text, re.MULTILINE)
            most[0] = max(most[0], int(float(running)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(clustered.events, [{"text": "brisk one two three. " * 3, **ASKED}] * 8))
    finally:
        over.set()
        watcher.join()
    assert [events[-1]["type"] for events in told] == ["done"] * 8
    places = [event["position"] for events in told for event in events if event.get("stage") == "queued"]
    assert 1 <= most[0] <= 2 and max(places) >= 5
    for events in told:
        video = clustered.get(events[-1]["video_url"]).content
        assert frames_of(video) == pytest.approx(events[-1]["audio_duration"] * FPS, abs=1)


def test_a_web_server_that_is_held_up_for_a_while_takes_no_node_for_lost(clustered: Server) -> None:
    """It stands still, as on a machine that is very busy, while its nodes go on."""
    before, session = len(clustered.log), Watched(clustered)
    try:
        wait_for(session.stream.tell, START_SECONDS)
        session.say()
        wait_for(lambda: session.of("word"))

        def stand_still() -> None:
            clustered.process.send_signal(signal.SIGSTOP)
            time.sleep(HELD_UP_SECONDS)
            clustered.process.send_signal(signal.SIGCONT)

        told = events_while(clustered, 4, stand_still)
        wait_for(lambda: session.of("turn_ended"), START_SECONDS)
    finally:
        session.close()
    check_whole(clustered, told)
    session.check_said()
    assert " lost its " not in clustered.log[before:]


TEXT = "one two three. four five six. seven eight nine."


def test_a_node_makes_the_bytes_that_this_machine_makes(clustered: Server, fake_packs: Path, tmp_path: Path) -> None:
    """The voice of the stand-ins always says the same."""
    studio = make_fake_studio(Settings(precomputed=fake_packs))
    task = TaskBook(tmp_path, 0).open("0" * 32)
    list(generate(parse({"text": TEXT, **ASKED}, studio), task, studio))
    files = [path.read_bytes() for path in (task.video, task.audio, task.captions, task.mouth)]
    for _ in range(5):
        done = clustered.events({"text": TEXT, **ASKED})[-1]
        urls = [done[key] for key in ("video_url", "audio_url", "captions_url")]
        urls.append(done["video_url"].replace(".mp4", ".mouth.ndjson"))
        assert [clustered.get(url).content for url in urls] == files


def test_a_recording_is_spoken_on_a_node_and_then_gone(clustered: Server, nodes: Nodes, tmp_path: Path) -> None:
    length = record(tmp_path / "voice.wav", "one two three")
    form: list[tuple[str, Any]] = [("avatar", (None, "solo")), ("text", (None, "one two three"))]
    form.append(("audio", ("voice.wav", (tmp_path / "voice.wav").read_bytes())))
    reply = clustered.post("/api/v2/lipsync", files=form).json()
    assert reply["success"] is True and abs(reply["audio_duration"] - length) < 0.5
    assert "three" in clustered.get(reply["captions_url"]).text
    store = clustered.results / "store"
    assert list(store.glob("packs/*")) and not list(store.glob("files/*"))
    check_nothing_is_left(nodes)


def check_nothing_is_left(nodes: Nodes) -> None:
    """Check that the temporary folders of the nodes hold the packs, and nothing of any task."""
    wait_for(lambda: not [one for node in nodes.slots for one in node.temporary.glob("avatar-*") if not kept(one)])


def kept(path: Path) -> bool:
    """Whether a folder is the one in which a node keeps packs."""
    return path.name.startswith("avatar-packs-")


def test_a_cancelled_task_leaves_its_slot(clustered: Server, nodes: Nodes) -> None:
    for _ in range(3):  # more than there are slots
        with clustered.stream({"text": "frozen words", **ASKED}) as events:
            task = next(events)["task_id"]
            assert any(event.get("stage") == "tts" for event in events)
            assert clustered.post(f"/api/cancel/{task}").json()["state"] == "running"
            assert list(events)[-1]["cancelled"]
    with clustered.stream({"text": "frozen words", **ASKED}) as events:
        assert any(event.get("stage") == "tts" for event in events)  # whose client then leaves
    assert clustered.events({"text": "two words", **ASKED})[-1]["type"] == "done"
    assert not clustered.half_made()
    check_nothing_is_left(nodes)


def test_stop_on_the_page_stops_the_node(browser: Any, clustered: Server, nodes: Nodes) -> None:
    page = opened(browser, clustered, "en", 1280, "light")
    for _ in range(3):  # more than there are slots
        write(page, "slow " + "word " * 40)
        page.wait_for_function(MOVED)
        page.click("#stop")
        page.locator("#status .message").filter(has_text="Stopped").first.wait_for()
        clustered.wait_idle()
    assert clustered.events({"text": "two words", **ASKED})[-1]["type"] == "done"
    assert page.faults == [] and not clustered.half_made()
    page.context.close()
    check_nothing_is_left(nodes)


def test_avatars_are_made_on_nodes_and_speak_there(clustered: Server, nodes: Nodes, clip: bytes) -> None:
    def packs() -> set[str]:
        """Return the packs in the store, and those on the nodes."""
        stored = (clustered.results / "store" / "packs").glob("*")
        on_nodes = (path for node in nodes.slots for path in node.temporary.glob("avatar-packs-*/*/*.pkl"))
        return {str(path) for path in (*stored, *on_nodes)}

    before = packs()  # those that other tests have used
    form = {"name": "newone", "resolutions": "480p", "consent": "true"}
    made = clustered.post("/api/avatars", data=form, files={"file": ("me.mp4", clip)})
    assert made.status_code == 200, made.text
    lines = clustered.get("/metrics").text
    assert re.search(r'avatar_node_tasks_total\{kind="prepare",node="127[.0-9]+",state="done"\} 1.0', lines)
    done = clustered.events({"text": "one two", "avatar": "newone", "resolution": "480p"})[-1]
    assert done["type"] == "done"
    assert len(packs() - before) >= 2  # in the store and on a node
    picture = clustered.get(f"/api/v2/tasks/{done['task_id']}/inspect.png")
    assert picture.headers["content-type"] == "image/png" and Image.open(io.BytesIO(picture.content)).width > 100
    assert clustered.delete("/api/avatars/newone").status_code == 200
    wait_for(lambda: packs() <= before)
    assert not list((clustered.results / "store").glob("files/*"))
    check_nothing_is_left(nodes)
