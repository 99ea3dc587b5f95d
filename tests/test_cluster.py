"""What a node tells and the web server does with it, in one process: videos that are made elsewhere, without Ray."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from inspect import signature
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import load, save
from pipeline.cluster.cluster import Cluster, ClusterError
from pipeline.cluster.content_store import FolderStore, digest_of, fetch, open_store, store_url
from pipeline.cluster.delivery import Delivery
from pipeline.cluster.node import perform
from pipeline.cluster.packs import Packs
from pipeline.cluster.parcels import PIECE, Broken, Bytes, Complete, Memory, Parcel, together
from pipeline.cluster.renderer import Renderer
from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import Notifier
from pipeline.engines.lipsync_engine import Stretch
from pipeline.errors import KINDS, BadClip, Cancelled, NotAllowed, PipelineError, Unavailable
from pipeline.jobs.events import Done, TtsStarted
from pipeline.jobs.generate import generate
from pipeline.jobs.request import parse
from pipeline.jobs.studio import Studio
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.messages import Message
from pipeline.preparing.encode_clip import encode
from pipeline.server.gradio.queue import QUEUE_ID, RenderQueue
from pipeline.server.metrics import Metrics
from pipeline.server.serve import CannotServe
from pipeline.settings import Settings
from pipeline.speech_types import Speech
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from tests.fakes import HEIGHT, WIDTH, FakeEngine, FakeTTS, make_fake_studio
from tests.ray_nodes import ASKED
from tests.recordings import record
from tests.servers import outcome_of
from tests.watching import frames_of

TEXT = "one two three. four five six. seven eight nine."


def files_of(task: Task) -> list[bytes]:
    return [path.read_bytes() for path in (task.video, task.audio, task.captions, task.mouth) if path.exists()]


class FreshVoice(FakeTTS):
    """Says everything a little differently each time, as real ones do."""

    def _say(self, text: str) -> Speech:
        speech = super()._say(text)
        return replace(speech, samples=speech.samples * np.float32(random.uniform(0.3, 0.9)))


@pytest.mark.parametrize("voice", [FakeTTS, FreshVoice])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 1.0])
def test_another_node_goes_on_with_the_same_bytes(
    fake_packs: Path, tmp_path: Path, kept: float, voice: type[FakeTTS]
) -> None:
    """A first node is lost after a part of its parcels, which nobody sees in the files."""
    studio = replace(make_fake_studio(Settings(precomputed=fake_packs)), tts={"fake": voice()})
    request = parse({"text": TEXT, "avatar": "solo"}, studio)
    whole = list(perform(request, "0" * 32, studio, Memory(), CancelToken()))
    alone, two = (TaskBook(tmp_path / name, 0).open("0" * 32) for name in ("alone", "two"))
    delivery = Delivery(alone)
    assert isinstance([event for parcel in whole for event in delivery.take(parcel)][-1], Done)
    delivery.close()
    delivery = Delivery(two)
    lost = whole[: round(kept * (len(whole) - 1))]
    events = [event for parcel in lost for event in delivery.take(parcel)]
    all_said = len(delivery.memory.pieces) == TEXT.count(".")
    again = perform(request, "0" * 32, studio, delivery.memory, CancelToken())
    events += [event for parcel in again for event in delivery.take(parcel)]  # which compares the bytes
    delivery.close()
    assert (files_of(two) == files_of(alone)) == (voice is FakeTTS or all_said)
    assert frames_of(two.video.read_bytes()) == frames_of(alone.video.read_bytes())
    assert sum(isinstance(event, TtsStarted) for event in events) == 1
    [done] = [event for event in events if isinstance(event, Done)]
    assert done.video_path == two.video_path and not list((tmp_path / "two").glob("*.part"))


FIRST_TRY: tuple[Parcel, ...] = (
    Bytes(".mp4", 0, b"abcdef"),
    Bytes(".wav", 0, b"h" * 44 + b"sound"),
    Bytes(".json", 0, b"{first one}"),
)


@pytest.mark.parametrize(
    "second",
    [
        (Bytes(".mp4", 0, b"abc"), Bytes(".mp4", 3, b"dXfgh")),
        (Bytes(".mp4", 0, b"Abcdef"),),
        (Bytes(".mp4", 0, b"abcd"), Complete(".mp4", 4)),
        (Bytes(".wav", 0, b"h" * 44 + b"sOund"),),
        (Bytes(".wav", 0, b"h" * 44 + b"so"), Complete(".wav", 46)),
    ],
)
def test_a_video_that_differs_is_an_error_that_may_be_retried(second: tuple[Parcel, ...], tmp_path: Path) -> None:
    delivery = Delivery(TaskBook(tmp_path, 0).open("0" * 32))
    for parcel in FIRST_TRY:
        list(delivery.take(parcel))
    with pytest.raises(Unavailable) as caught:
        for parcel in second:
            list(delivery.take(parcel))
    assert caught.value.retryable
    delivery.discard()
    assert not list(tmp_path.iterdir())


def test_what_no_client_reads_as_it_grows_is_that_of_the_second_node(tmp_path: Path) -> None:
    task = TaskBook(tmp_path, 0).open("0" * 32)
    delivery = Delivery(task)
    second = Bytes(".json", 0, b"{two}"), Complete(".json", 5), Bytes(".wav", 0, b"H" * 44), Complete(".wav", 49)
    for parcel in (*FIRST_TRY, *second):
        list(delivery.take(parcel))
    delivery.close()
    assert task.record.read_bytes() == b"{two}" and task.audio.read_bytes() == b"H" * 44 + b"sound"
    assert not task.video.exists() and not list(tmp_path.glob("*.part"))


GIVEN: dict[str, Any] = {"message": Message("한국어 {x}", "English {x}"), "retry_after": 7, "seconds": 2.5}


@pytest.mark.parametrize("kind", [*KINDS, CannotServe, ClusterError], ids=lambda kind: kind.__name__)
def test_an_error_of_a_node_arrives_as_it_was_raised(kind: type[PipelineError]) -> None:
    wanted = [name for name in signature(kind.__init__).parameters if name != "self"]
    raised = kind(*(GIVEN.get(name, f"a {name}") for name in wanted))
    for error in (raised, raised.afresh()):
        arrived = pickle.loads(pickle.dumps(Broken(error))).error
        assert type(arrived) is kind and vars(arrived) == vars(raised) and str(arrived) == str(raised)
        for language in ("ko", "en"):
            assert arrived.to_json(language) == raised.to_json(language)
        assert (arrived.status, arrived.retryable) == (kind.status, kind.retryable)
    if "message" not in wanted or kind is NotAllowed:
        return
    assert arrived.message == GIVEN["message"] and arrived.to_line()["error"] == {
        "ko": "한국어 {x}",
        "en": "English {x}",
    }


def test_nodes_forget_the_avatars_that_are_deleted(fake_packs: Path, tmp_path: Path) -> None:
    store, copy = FolderStore(tmp_path / "store"), tmp_path / "copy.pkl"
    forgotten: list[tuple[str, str]] = []
    solo, duet = (load(fake_packs / "720p" / f"{name}_720p_precomputed.pkl") for name in ("solo", "duet"))
    packs = Packs(store, lambda *one: forgotten.append(one))
    with packs.lent(solo) as name, packs.lent(solo) as again, packs.lent(duet) as other:
        assert name == again != other
        packs.keep_only(["duet_720p"])  # the video that is being made may need it once more
        fetch(store, name, copy)
        assert load(copy).id == "solo_720p" and not forgotten
    packs.keep_only(["duet_720p"])
    assert forgotten == [(name, "solo_720p")] and [path.name for path in tmp_path.glob("store/packs/*")] == [
        Path(other).name
    ]
    with pytest.raises(Unavailable):
        fetch(store, name, copy)
    with packs.lent(solo) as name:  # another one of the same name, or its last request
        fetch(store, name, copy)


def test_a_store_returns_what_was_put_there_and_nothing_else(address: str, tmp_path: Path) -> None:
    store = open_store(address)
    pack, copy, other = (tmp_path / name for name in ("pack.pkl", "copy.pkl", "other.pkl"))
    pack.write_bytes(os.urandom(6_000_000))  # more than a part of an upload
    name, recording = f"packs/{digest_of(pack)}.pkl", f"files/{'0' * 32}-{digest_of(pack)}.wav"
    for _ in range(2):
        store.put(name, pack)
        store.put(recording, pack)
    for one in (name, recording):
        fetch(store, one, copy)
        assert copy.read_bytes() == pack.read_bytes()
    other.write_bytes(b"no pack")
    store.put(f"packs/{'0' * 64}.pkl", other)
    for one in (f"packs/{'0' * 64}.pkl", "packs/unknown.pkl"):
        with pytest.raises(Unavailable):
            fetch(store, one, tmp_path / "bad.pkl")
    for _ in range(2):
        store.delete(name)
    with pytest.raises(Unavailable):
        fetch(store, name, copy)
    fetch(store, recording, copy)
    store.clear()
    with pytest.raises(Unavailable):
        fetch(store, recording, copy)
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"pack.pkl", "copy.pkl", "other.pkl"}


class ChangingSlots:
    """Slots of a cluster, as a test sets them."""

    def __init__(self) -> None:
        self.slots, self.changed = 0, Notifier()

    def set(self, slots: int) -> None:
        self.slots = slots
        self.changed.notify()


@pytest.mark.parametrize("start", [0, 1, 3])
def test_as_many_tasks_run_as_there_are_slots(fake_packs: Path, tmp_path: Path, start: int) -> None:
    """Gradio lowers the limit of a queue to that of the function whenever a task joins."""
    slots, metrics = ChangingSlots(), Metrics()
    slots.slots = start
    studio = make_fake_studio(Settings(precomputed=fake_packs, max_sharing=4))
    queue = RenderQueue(studio, Supervisor(TaskBook(tmp_path, 0)), generate, metrics, slots)

    async def build() -> gr.Blocks:
        demo = gr.Blocks(analytics_enabled=False)
        with demo:
            queue.register(demo)
        return demo

    demo = asyncio.run(build())
    [entry] = demo.fns.values()

    def limit() -> int:
        demo._queue.create_event_queue_for_fn(entry)  # as a task that joins does
        return demo._queue.event_queue_per_concurrency_id[QUEUE_ID].concurrency_limit or 0

    assert max(0, limit()) == start
    for number in (1, 2, 0, 3, 1):
        slots.set(number)
        assert [max(0, limit()), max(0, limit())] == [number, number]


def test_a_node_that_is_told_to_stop_leaves_nothing(
    fake_packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    studio = make_fake_studio(Settings(precomputed=fake_packs))
    stop = CancelToken()
    parcels = perform(parse({"text": "frozen words", "avatar": "solo"}, studio), "0" * 32, studio, Memory(), stop)
    assert any(isinstance(parcel, TtsStarted) for parcel in parcels)
    stop.cancel()
    last = list(parcels)[-1]
    assert isinstance(getattr(last, "error", None), Cancelled) and not list(tmp_path.iterdir())


def test_what_waits_goes_together_in_its_order_as_far_as_it_fits() -> None:
    sizes = (10, 20, PIECE, 30, PIECE // 2, PIECE // 2, 40)
    parcels: list[Parcel] = [Bytes(".mp4", number, bytes(size)) for number, size in enumerate(sizes)]
    queued = deque[Any]([*parcels, None])
    replies = [*iter(lambda: together(queued), [])]
    assert [len(reply) for reply in replies] == [2, 1, 2, 2] and [*chain(*replies)] == parcels
    assert all(len(pickle.dumps(reply)) < 100_000 for reply in replies)


class ShowingEngine(FakeEngine):
    """Shows the clip of the avatar."""

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        frames = avatar.clip.frames(first % avatar.clip.count)
        for stretch in stretches:
            for _ in stretch.mouth.weights:
                cancel.check()
                yield next(frames)


def make_showing_studio(settings: Settings) -> Studio:
    return replace(make_fake_studio(settings), engines={"fake": ShowingEngine()})


class _Handle:
    """Calls a node as Ray's handle does."""

    def __init__(self, node: Renderer) -> None:
        self._node = node

    def options(self, stream: bool) -> _Handle:
        return self

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._node, name)
        return SimpleNamespace(remote=lambda *given: call(*pickle.loads(pickle.dumps(given))))


class LonelyCluster(Cluster):
    """A cluster whose one node is this process; what they send each other is pickled."""

    def _connect(self) -> None:
        self._failures = ()
        run = "of this test"
        self.node = Renderer(self._make_studio, store_url(self._settings), run)
        self._handle = _Handle(self.node)

    def _watch(self) -> None:
        pass

    def _received(self, begin: Callable[[], Any], name: str, cancel: CancelToken) -> Iterator[Any]:
        replies: list[bytes] = []

        async def receive() -> None:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            with cancel.calling(lambda: loop.call_soon_threadsafe(task.cancel)):
                async for parcels in begin():
                    replies.append(pickle.dumps(parcels))

        with suppress(asyncio.CancelledError):
            asyncio.run(receive())
        for parcels in replies:
            assert len(parcels) < 100_000
            yield from pickle.loads(parcels)
        cancel.check()


ALL_WAYS: dict[str, dict[str, object]] = {
    "as it was filmed": {},
    "slower": {"fps": 24},
    "looking at the camera": {"eye_contact": True},
    "in front of a colour": {"background": "#00ff00"},
    "in front of a picture": {"background": "PICTURE"},
    "in front of nothing": {"background": "transparent"},
    "all at once": {"fps": 30, "eye_contact": True, "background": "PICTURE", "aspect": "1:1", "captions": "burn"},
    "a recording": {"recording": "VOICE", "tts_speed": 1.0},
}


@pytest.mark.parametrize("way", ALL_WAYS)
def test_a_node_makes_any_request_as_this_machine_does(
    fake_packs: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr("pipeline.cluster.cluster.check_token", lambda: None)
    monkeypatch.setattr("pipeline.cluster.renderer.node_name", lambda: "here")
    monkeypatch.setenv("PRECOMPUTED", str(tmp_path / "no packs"))
    solo = load(fake_packs / "720p" / "solo_720p_precomputed.pkl")
    gaze = np.tile(np.array([20, 10, 1], np.float32), (len(solo.landmarks), 1))
    noise = np.random.default_rng(1)
    face = noise.uniform(8, 40, solo.landmarks.shape).astype(np.float32)
    planes = [Frame(noise.integers(16, 235, (HEIGHT * 3 // 2, WIDTH), np.uint8)) for _ in solo.landmarks]
    clip = encode(planes, WIDTH, HEIGHT, solo.fps, ColorTags())
    home = tmp_path / "packs" / "720p" / "gazing_720p_precomputed.pkl"
    save(replace(solo, name="gazing", video=clip, gaze=gaze, landmarks=face), home)
    studio = make_showing_studio(Settings(precomputed=tmp_path / "packs", results=tmp_path / "results"))
    body = {"text": "one two three. four five.", "avatar": "gazing"} | ALL_WAYS[way]
    Image.new("RGB", (90, 60), (200, 30, 90)).save(tmp_path / "picture.png")
    if body.get("background") == "PICTURE":
        body["background"] = studio.backdrops.keep(tmp_path / "picture.png")
    voice = None
    if body.pop("recording", None):
        voice = tmp_path / "voice.wav"
        record(voice, "one two three")
        body["text"] = "one two three"
    request = parse(body, studio, voice)
    here, there = (TaskBook(tmp_path / name, 0).open("0" * 32) for name in ("here", "there"))
    done_here = list(generate(request, here, studio))[-1]
    cluster = LonelyCluster(studio, make_showing_studio)
    done_there = list(cluster.generate(request, there, studio))[-1]
    assert isinstance(done_here, Done) and isinstance(done_there, Done)
    compared = 4 if voice is None else 2  # where the sounds of a recording are may be found a little differently
    assert files_of(there)[:compared] == files_of(here)[:compared] and len(files_of(there)) == 4
    assert done_there.audio_duration == done_here.audio_duration and done_there.note == done_here.note
    if way != "as it was filmed" and voice is None:  # else the test would show nothing
        plain = TaskBook(tmp_path / "plain", 0).open("0" * 32)
        list(generate(parse({"text": body["text"], "avatar": "gazing"}, studio), plain, studio))
        assert plain.video.read_bytes() != there.video.read_bytes()
    store = tmp_path / "results" / "store"
    assert len(list(store.glob("packs/*"))) == 1 and not list(store.glob("files/*"))
    [pack] = (tmp_path / "temp").glob("avatar-packs-*/*/*.pkl")
    cluster._packs._forget = cluster.node.forget
    cluster._packs.keep_only([])
    assert not list(store.glob("packs/*")) and not pack.exists()


class EndedError(Exception):
    """In place of the end of a process."""


def test_a_node_with_a_full_disk_ends_and_leaves_nothing(
    fake_packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that another one makes the video: its error says nothing of the request."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr("pipeline.cluster.cluster.check_token", lambda: None)
    monkeypatch.setattr("pipeline.cluster.renderer.node_name", lambda: "here")
    looked = iter([False, False, True])
    monkeypatch.setattr("pipeline.cluster.node_disk.has_room", lambda: next(looked))
    monkeypatch.setattr("pipeline.cluster.node_disk.LOOK_SECONDS", 0.0)
    studio = make_fake_studio(Settings(precomputed=fake_packs, results=tmp_path / "results"))
    cluster = LonelyCluster(studio, make_fake_studio)
    assert next(looked, None) is None  # it began when there was room

    def end(status: int) -> None:
        raise EndedError

    monkeypatch.setattr("os._exit", end)
    book = TaskBook(tmp_path / "there", 0)
    request = parse({"text": "torn " * 20, **ASKED}, studio)
    for full, error in ((True, EndedError), (False, RuntimeError)):
        monkeypatch.setattr("pipeline.cluster.renderer.has_room", lambda full=full: not full)
        with pytest.raises(error):
            list(cluster.generate(request, book.open("0" * 32), studio))
        assert [path.name.rpartition("-")[0] for path in (tmp_path / "temp").iterdir()] == ["avatar-packs"]
        assert not list((tmp_path / "there").glob("*"))


async def lines_of(cluster: Cluster, *arguments: str, stop: CancelToken | None = None, **files: Any) -> list[Any]:
    run = cluster.run("tests.chore", arguments, stop or CancelToken(), 30, **files)
    async with aclosing(run) as printed:
        return [line async for line in printed]


def test_a_command_reads_and_writes_on_a_node_as_it_does_here(
    tmp_path: Path, fake_packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr("pipeline.cluster.cluster.check_token", lambda: None)
    monkeypatch.setattr("pipeline.cluster.renderer.node_name", lambda: "here")
    cluster = LonelyCluster(make_fake_studio(Settings(precomputed=fake_packs, results=tmp_path)), make_fake_studio)
    one, two, folder, file = (tmp_path / name for name in ("one.bin", "a=two.bin", "folder", "file"))
    one.write_bytes(os.urandom(250_000))
    two.write_bytes(b"")
    arguments = [str(one), f"--more=x={two}", f"--folder={folder}", f"--file={file}"]
    [line] = asyncio.run(lines_of(cluster, *arguments, reads=(one, two), writes=(folder, file)))
    assert line["sizes"] == [250_000, 0] and line["names"] == ["one.bin", "a=two.bin"]
    assert str(tmp_path / "temp") in line["where"]
    assert file.read_bytes() == one.read_bytes()[::-1]
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")} == {
        "720p/a.pkl": one.read_bytes(),
        "empty.json": b"",
    }
    with pytest.raises(BadClip, match="no face"):
        asyncio.run(lines_of(cluster, str(one), "--fail", reads=(one,)))
    stop = CancelToken()
    with pytest.raises(Cancelled):
        threading.Timer(0.5, stop.cancel).start()
        asyncio.run(lines_of(cluster, str(one), "--hang", stop=stop, reads=(one,)))
    ended = {(kind, how): count for node in cluster.nodes.all({}) for (kind, how), count in node.ended.items()}
    assert ended == {("chore", "done"): 1, ("chore", "failed"): 1, ("chore", "cancelled"): 1}
    assert not list((tmp_path / "store").glob("files/*")) and len(list((tmp_path / "temp").iterdir())) == 1


@pytest.mark.parametrize("environ", [{}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere"}])
def test_a_start_without_a_token_ends_with_a_sentence(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    status, said = outcome_of("app", tmp_path, RAY_ADDRESS="127.0.0.1:1", HOME=str(tmp_path), **environ)
    assert status == 1 and "RAY_AUTH_TOKEN_PATH" in said and "Traceback" not in said


@pytest.mark.parametrize("url", ["ftp://somewhere/x", "s3:bucket", "file://host/x", "folder"])
def test_an_address_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="STORE_URL"):
        open_store(url)
