"""What breaks around a task: it ends with a clear error, leaves nothing behind, and keeps nobody else from an end."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.avatar.pack import Avatar
from pipeline.avatar.store import AvatarStore
from pipeline.cancel import CancelToken
from pipeline.engines.base import Stretch
from pipeline.errors import NotFound, RenderFailed, SpeechFailed
from pipeline.events import Done
from pipeline.generate import Studio, generate
from pipeline.parts import part_of
from pipeline.request import GenerateRequest, parse
from pipeline.settings import Settings
from pipeline.tasks import Task, TaskBook
from pipeline.tts.base import Mark, Speech
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.frame import Frame
from tests.conftest import running, wait_for
from tests.fakes import RATE, FakeEngine, FakeTTS, make_pack

ID = "0123456789abcdef" * 2
TONE = np.full(RATE // 2, 0.3, np.float32)
SPEECH = Speech(TONE, RATE, "one", "en-us", (Mark("phoneme", "a", 0.0, 0.5),))
FULL = Path("/dev/full")
"""Takes no byte: every write says that the disk is full."""


class Saying(FakeTTS):
    """Says PIECES, whatever it is asked for."""

    def __init__(self, pieces: Sequence[Speech]) -> None:
        self._pieces = pieces

    def stream(self, text: str, voice: str, cancel: CancelToken) -> Iterator[Speech]:
        yield from self._pieces


class Misshapen(FakeEngine):
    """Draws pictures that are no pictures from the tenth on."""

    def render(self, avatar: Avatar, stretches: Sequence[Stretch], cancel: CancelToken) -> Iterator[Frame]:
        for number, frame in enumerate(super().render(avatar, stretches, cancel)):
            yield frame if number < 10 else Frame(frame.planes[:1])


@pytest.fixture
def studio(fake_packs: Path) -> Studio:
    settings = Settings(precomputed=fake_packs)
    return Studio(settings, AvatarStore(fake_packs), {"fake": FakeTTS()}, EspeakEngine(), {"fake": FakeEngine()})


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return TaskBook(tmp_path / "results", 0).open(ID)


def asked(studio: Studio, text: str = "one two three") -> GenerateRequest:
    return parse({"text": text, "avatar": "solo"}, studio)


def left_by(task: Task) -> list[str]:
    return [path.name for path in task.video.parent.glob("*")]


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [replace(SPEECH, samples=TONE[:0], marks=())],
        [replace(SPEECH, samples=TONE * np.nan)],
        [replace(SPEECH, samples=TONE * np.inf)],
        [replace(SPEECH, samples=np.stack([TONE, TONE]))],
        [replace(SPEECH, rate=0)],
        [SPEECH, replace(SPEECH, rate=8000)],
        [replace(SPEECH, marks=(Mark("phoneme", "a", float("nan"), 0.5),))],
    ],
    ids=["nothing", "empty", "no numbers", "endless", "two channels", "no rate", "two rates", "no time"],
)
def test_a_voice_that_answers_garbage_is_a_clear_error(studio: Studio, task: Task, pieces: list[Speech]) -> None:
    broken = replace(studio, tts={"fake": Saying(pieces)})
    with pytest.raises(SpeechFailed, match="no sound"):
        list(generate(asked(broken), task, broken))
    assert left_by(task) == []


@pytest.mark.parametrize(
    "marks",
    [
        (Mark("phoneme", "a", 0.0, 50.0),),
        (Mark("phoneme", "a", 0.4, 0.1), Mark("phoneme", "b", 0.3, 0.2)),
        (Mark("phoneme", "%!", -3.0, 0.5),),
        (),
    ],
    ids=["too long", "backwards", "unknown", "none"],
)
def test_times_that_cannot_be_still_give_a_video(studio: Studio, task: Task, marks: tuple[Mark, ...]) -> None:
    odd = replace(studio, tts={"fake": Saying([replace(SPEECH, marks=marks)])})
    assert isinstance(list(generate(asked(odd), task, odd))[-1], Done)
    assert task.video.exists() and task.audio.exists()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("kind", ["audio", "video", "captions"])
def test_a_full_disk_is_a_clear_error_whichever_file_it_hits(studio: Studio, task: Task, kind: str) -> None:
    task.video.parent.mkdir()
    part_of(getattr(task, kind)).symlink_to(FULL)
    with pytest.raises(RenderFailed, match="disk space"):
        list(generate(asked(studio), task, studio))
    assert left_by(task) == []


def test_a_picture_that_cannot_be_encoded_ends_the_task_alone(studio: Studio, task: Task) -> None:
    broken = replace(studio, engines={"fake": Misshapen()})
    with pytest.raises((ValueError, RenderFailed)):
        list(generate(asked(broken), task, broken))
    assert left_by(task) == []
    assert isinstance(list(generate(asked(studio), task, studio))[-1], Done)


def test_a_pack_that_is_removed_while_it_is_used_matters_only_to_the_next(studio: Studio, task: Task) -> None:
    pack = make_pack(studio.avatars.root, "brief", "720p")
    request = parse({"text": "one two three", "avatar": "brief"}, studio)
    events = generate(request, task, studio)
    next(events)
    next(events)  # it speaks, so its avatar was opened
    pack.unlink()
    assert isinstance(list(events)[-1], Done)
    with pytest.raises(NotFound):
        list(generate(request, task, studio))


def test_a_waiting_task_whose_pack_is_removed_fails_alone(fake_packs: Path, tmp_path: Path) -> None:
    pack = make_pack(fake_packs, "fleeting", "720p")
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path) as server:
        slow = {"text": "slow " + "word " * 5, "avatar": "solo"}
        with server.stream(slow) as first, server.stream({"text": "one", "avatar": "fleeting"}) as second:
            assert next(second)["stage"] == "queued"
            pack.unlink()
            assert list(first)[-1]["type"] == "done"
            last = list(second)[-1]
        assert last["status"] == 404 and "fleeting" in last["error"]
        assert server.post("/api/v2/lipsync", {"text": "one", "avatar": "solo"}).status_code == 200


@pytest.mark.slow
def test_a_server_that_was_killed_starts_again_over_what_it_left(fake_packs: Path, tmp_path: Path) -> None:
    command = ["-m", "tests.fakes", str(fake_packs)]
    with running(command, tmp_path) as server:
        done = server.events({"text": "one", "avatar": "solo"})[-1]
        with server.stream({"text": "slow " + "word " * 30, "avatar": "solo"}) as events:
            wait_for(lambda: next(events)["stage"] == "lipsync")
            wait_for(server.half_made)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(30)
    with running(command, tmp_path) as server:
        assert server.get(done["video_url"]).status_code == 200  # kept for its time
        assert server.get(f"/api/v2/tasks/{done['task_id']}").status_code == 404  # tasks are remembered in memory
        assert server.events({"text": "one", "avatar": "solo"})[-1]["type"] == "done"
        assert "Traceback" not in server.log
