"""Several web servers that share their tasks in a real Redis, behind nginx, which sends every request to any of them.

Skipped where Redis or nginx is not installed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from pipeline import messages
from pipeline.avatars.store import AvatarStore
from pipeline.cluster.content_store import Store, open_store
from pipeline.cluster.results import StoredResults
from pipeline.errors import Cancelled, QueueFull, TasksUnavailable, TokenSpent, TookTooLong, Unavailable
from pipeline.jobs.events import (
    Composing,
    Done,
    Event,
    Failed,
    Lipsync,
    Made,
    Preparing,
    Queued,
    TtsDone,
    TtsStarted,
    to_json,
)
from pipeline.jobs.history import Entry
from pipeline.jobs.tasks import TaskBook
from pipeline.jobs.uploads import Uploads
from pipeline.messages import Message
from pipeline.shared import link as links
from pipeline.shared.codec import from_text, to_text
from pipeline.shared.link import Link
from pipeline.shared.remote import record_key
from pipeline.shared.servers import WebServer
from pipeline.shared.shared_avatars import SharedAvatars
from pipeline.shared.task_book import SharedTaskBook
from tests.fakes import make_pack
from tests.redis_server import NEEDED, Redis
from tests.servers import Server, events_of, running, wait_for
from tests.watching import SPEECH, Watched, check_unbroken

pytestmark = NEEDED
BODY = {"text": "one two", "avatar": "solo"}
LONG = {"text": "brisk " * 20, "avatar": "solo"}
"""Takes some seconds, of which every moment can be watched."""


HELD_UP_SECONDS = 6
"""Long enough for every other limit that one might have thought of; a server without a word for 10 s is gone."""


@contextmanager
def two_servers(packs: Path, redis: Redis, folder: Path, **environ: str) -> Iterator[tuple[Server, Server]]:
    """Run two web servers that share their tasks while the block lasts."""
    with ExitStack() as stack:
        servers = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            command = ["-m", "tests.fakes", str(packs)]
            servers.append(stack.enter_context(running(command, folder / name, TASKS_URL=redis.url, **environ)))
        here, there = servers
        yield here, there


def all_events(url: str) -> list[dict[str, Any]]:
    """Take events to their end."""
    with requests.get(url, stream=True, timeout=120) as answer:
        return list(events_of(answer))


def is_known(server: Server, task_id: str) -> bool:
    return server.get(f"/api/v2/tasks/{task_id}").ok


@pytest.mark.slow
def test_videos_go_on_while_redis_is_away_and_all_is_known_again_when_it_is_back(
    fake_packs: Path, tmp_path: Path
) -> None:
    redis = Redis(tmp_path)
    redis.start()
    with two_servers(fake_packs, redis, tmp_path) as (here, there):
        before = here.post("/api/v2/lipsync", BODY, headers={"Idempotency-Key": "before"}).json()["task_id"]
        with here.stream(LONG) as events:
            task_id = next(events)["task_id"]
            with requests.get(f"{there.url}/api/v2/tasks/{task_id}/events", stream=True, timeout=120) as followed:
                told = events_of(followed)
                assert next(told)["task_id"] == task_id
                redis.stop()
                assert list(events)[-1]["type"] == "done"  # which this server has made
                alone = here.post("/api/v2/lipsync", BODY)  # and it goes on making others
                assert alone.status_code == 200, alone.text
                for answer in (
                    there.get(f"/api/v2/tasks/{task_id}"),
                    there.get(f"/video/{task_id}.mp4"),
                    there.post(f"/api/cancel/{task_id}"),
                    there.post("/api/v2/lipsync", BODY, headers={"Idempotency-Key": "before"}),
                ):
                    assert (answer.status_code, answer.json()["code"]) == (503, "tasks_unavailable"), answer.text
                redis.start()  # empty
                assert list(told)[-1]["type"] == "done"  # after a pause
        for known in (before, task_id, alone.json()["task_id"]):
            wait_for(partial(is_known, there, known))
            assert there.get(f"/api/v2/tasks/{known}").json()["state"] == "done"
            assert there.get(f"/video/{known}.mp4").content == here.get(f"/video/{known}.mp4").content != b""
        again = there.post("/api/v2/lipsync", BODY, headers={"Idempotency-Key": "before"})
        assert again.json()["task_id"] == before
    redis.stop()


@pytest.mark.slow
def test_tasks_of_a_server_that_is_gone_end_with_an_error_that_may_be_retried(
    fake_packs: Path, redis_server: Redis, tmp_path: Path
) -> None:
    store = {"STORE_URL": (tmp_path / "store").as_uri()}
    with two_servers(fake_packs, redis_server, tmp_path, **store) as (here, there):
        finished = here.post("/api/v2/lipsync", BODY).json()["task_id"]
        video = here.get(f"/video/{finished}.mp4").content
        wait_for(lambda: list((tmp_path / "store" / "results").glob("*/*.mp4")))
        with here.stream({**BODY, "text": "frozen one"}) as events:
            task_id = next(events)["task_id"]
            with requests.get(f"{there.url}/api/v2/tasks/{task_id}/events", stream=True, timeout=120) as followed:
                told = events_of(followed)
                next(told)
                here.process.kill()
                last = list(told)[-1]
        assert (last["type"], last["code"], last["retryable"]) == ("error", "engine_unavailable", True)
        state = there.get(f"/api/v2/tasks/{task_id}").json()
        assert (state["state"], state["code"]) == ("failed", "engine_unavailable")
        assert there.get(f"/api/v2/tasks/{finished}").json()["state"] == "done"
        part = there.get(f"/video/{finished}.mp4", headers={"Range": "bytes=5-"})  # which the store has
        assert (part.status_code, part.content) == (206, video[5:])
        assert there.get(f"/video/{finished}.vtt").text.startswith("WEBVTT")
        assert there.get(f"/video/{task_id}.mp4").json()["code"] == "result_not_found"
        assert there.post(f"/api/cancel/{task_id}").json()["code"] == "task_not_found"


def stand_still(server: Server) -> None:
    """Have a server stand still, as on a machine that is very busy."""
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(HELD_UP_SECONDS)
    server.process.send_signal(signal.SIGCONT)


@pytest.mark.slow
def test_servers_that_are_held_up_for_a_while_lose_nothing(
    fake_packs: Path, redis_server: Redis, tmp_path: Path
) -> None:
    """First the server that has all of it, then the one that passes it on."""
    with (
        ThreadPoolExecutor(4) as pool,
        two_servers(fake_packs, redis_server, tmp_path, RESUME_SECONDS="0.5") as (here, there),
    ):
        with here.stream(LONG, **{"Idempotency-Key": "held-up"}) as events:
            task_id = next(events)["task_id"]
            path = f"/api/v2/tasks/{task_id}/events"
            theirs = pool.submit(all_events, there.url + path)
            video = pool.submit(lambda: there.get(f"/video/{task_id}.mp4").content)
            opened = here.post("/api/v2/sessions", {"avatar": "solo"}).json()
            session = f"/api/v2/sessions/{opened['session_id']}"
            told = pool.submit(all_events, f"{there.url}{session}/events")
            assert there.post(f"{session}/say", {"text": SPEECH}).ok
            wait_for(lambda: here.half_made() and here.get(session).json()["stream"])
            stand_still(here)
            mine = list(events)
        assert mine[-1]["type"] == "done" and theirs.result(60)[-1] == mine[-1]
        assert video.result(60) == here.get(f"/video/{task_id}.mp4").content

        with here.stream({**LONG, "text": "brisk " * 60}, **{"Idempotency-Key": "left"}) as events:
            path = f"/api/v2/tasks/{next(events)['task_id']}/events"
            theirs = pool.submit(all_events, there.url + path)  # which alone keeps it
            assert next(events) and here.get(path.removesuffix("/events")).json()["state"] == "running"
        wait_for(lambda: here.half_made())
        stand_still(there)
        assert theirs.result(60)[-1]["type"] == "done"

        assert there.delete(session).ok
        last = told.result(60)
        assert last[-1] == {"type": "closed", "reason": "deleted", "id": len(last)}, last
        assert [event["id"] for event in last] == [*range(1, len(last) + 1)]


@pytest.mark.slow
def test_a_recording_outlives_the_server_that_made_it(fake_packs: Path, redis_server: Redis, tmp_path: Path) -> None:
    store = {"STORE_URL": (tmp_path / "store").as_uri()}
    with two_servers(fake_packs, redis_server, tmp_path, **store) as (here, there):
        session = Watched(here, {"avatar": "solo", "record": True})
        wait_for(session.stream.tell)
        session.say()
        wait_for(lambda: len(session.of("word")) > 3)
        task_id = session.opened["task_id"]
        assert there.get(f"/api/v2/tasks/{task_id}").json()["state"] == "running"
        assert here.stop() == 0
        session.join()
        last = all_events(f"{there.url}/api/v2/tasks/{task_id}/events")[-1]
        assert last["type"] == "done" and last["text"].split() == SPEECH.split()[: len(session.of("word"))]
        video = there.get(last["video_url"]).content
        assert video == session.stream.getvalue() == (here.results / f"{task_id}.mp4").read_bytes()
        check_unbroken(video)
        assert there.get(last["captions_url"]).text.startswith("WEBVTT")


# --- avatars and results, without a web server


class Refusing:
    """A store that refuses as long as `refuses` is set."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.refuses = False

    def __getattr__(self, name: str) -> Any:
        if self.refuses:
            raise Unavailable(messages.cluster.STORE_FAILED(reason="refused"))
        return getattr(self.store, name)


class Shelf:
    """What one web server has of avatars."""

    def __init__(self, root: Path, redis: Redis, store: Any) -> None:
        self.avatars = AvatarStore(root)
        self.uploads = Uploads(self.avatars, 0)
        self.forgotten: list[str] = []
        self.uploads.on_delete.append(lambda ids, digest: self.forgotten.extend(ids))
        self.link = Link(redis.url)
        self.server = WebServer(f"http://{root.parent.name}.{root.name}")
        self.link.now.set(self.server.key, self.server.to_text(), ex=60)
        self.shared = SharedAvatars(self.link, self.server, store, self.avatars, self.uploads)

    def make(self, name: str) -> None:
        """Have an avatar as one that was uploaded here."""
        for resolution in ("720p", "480p"):
            make_pack(self.avatars.root, name, resolution)
        self.uploads.keep_note(name, {"owner": "somebody", "consent": {"file_sha256": "0" * 64}})
        for call in self.uploads.on_made:
            call(name)

    @property
    def ids(self) -> set[str]:
        return {pack.id for pack in self.avatars.list()}

    def bytes_of(self, name: str) -> bytes:
        return self.avatars.find(name, "720p").read_bytes()


def test_avatars_are_at_all_servers_and_deleted_at_all(address: str, redis_server: Redis, tmp_path: Path) -> None:
    store = Refusing(open_store(address))
    one, two = (Shelf(tmp_path / name, redis_server, store) for name in ("one", "two"))
    one.make("mine")
    assert two.ids == {"mine_720p", "mine_480p"}  # as soon as the first server tells its client
    assert two.bytes_of("mine") == one.bytes_of("mine")
    assert two.uploads.consent("mine", two.avatars) == one.uploads.consent("mine", one.avatars)

    two.uploads.delete("mine_480p", two.avatars)
    assert one.ids == two.ids == {"mine_720p"} and one.forgotten == ["mine_480p"]

    three = Shelf(tmp_path / "three", redis_server, store)  # starts later
    wait_for(lambda: three.ids == {"mine_720p"})
    store.refuses = True
    one.uploads.delete("mine", one.avatars)  # here at once, and elsewhere when the store is back
    assert one.ids == set() and two.ids == {"mine_720p"}
    store.refuses = False
    wait_for(lambda: not two.ids and not three.ids, 20)
    wait_for(lambda: two.forgotten[-1] == "mine_720p" and not two.uploads.names())  # after the packs
    wait_for(lambda: not store.list("avatars/packs") and not store.list("avatars/lists"))
    two.make("mine")  # another one of that name
    assert one.ids == three.ids == two.ids == {"mine_720p", "mine_480p"}
    for shelf in (one, two, three):
        shelf.shared.close()


def test_a_finished_video_waits_for_its_store(address: str, tmp_path: Path) -> None:
    store = Refusing(open_store(address))
    books = [TaskBook(tmp_path / name, 60) for name in ("one", "two")]
    one, two = (StoredResults(cast(Store, store), book, 100) for book in books)
    task = books[0].open("a" * 32)
    task.video.parent.mkdir(parents=True)
    for path in (task.video, task.audio, task.captions, task.record):
        path.write_bytes(path.name.encode() * 1000)
    store.refuses = True
    one.ended(task, DONE)
    time.sleep(0.2)
    assert task.video.exists() and one.link(task.id) is None
    store.refuses = False
    wait_for(lambda: f"results/{task.id}/{task.id}.mp4" in store.list("results"))
    wait_for(lambda: (one.link(task.id) is None) == address.startswith("file:"))
    assert two.fetch(task.id) and not two.fetch("b" * 32)
    there = books[1].files_of(task.id)
    for mine, theirs in zip((task.video, task.captions), (there.video, there.captions), strict=True):
        assert theirs.read_bytes() == mine.read_bytes()
    if link := one.link(task.id):
        part = requests.get(link, headers={"Range": "bytes=3-9"}, timeout=30)
        assert (part.status_code, part.content) == (206, task.video.read_bytes()[3:10])
        assert requests.get(link.split("?")[0] + "?" + link.split("?")[1][::-1], timeout=30).content != part.content
    one.sweep()
    assert store.list("results")
    old = StoredResults(cast(Store, store), TaskBook(tmp_path / "one", 1e-6), 0)
    old.sweep()
    assert not store.list("results")
    for each in (one, two, old):
        each.close()


DONE = Done(
    text="one",
    video_url="/video/x.mp4",
    video_path="x.mp4",
    audio_url="/x.wav",
    captions_url=None,
    audio_duration=1.0,
    tts=0.5,
    lipsync=0.5,
    total=1.0,
    first_byte=0.25,
    note=Message("쪽지", "a note"),
)
EVERY_EVENT: tuple[Event, ...] = (
    DONE,
    Queued(3, 1.5),
    Queued(1),
    TtsStarted("/video/x.mp4", None, Message("쪽지", "a note")),
    TtsDone(audio_url="/a.wav", captions_url="/a.vtt", duration=1.25, elapsed=0.5, lost=0.25),
    Composing(0.25),
    Lipsync("/video/x.mp4", 0.5),
    Preparing("faces", 0.25, "720p"),
    Made("민수", ("민수_720p",), {"frames": 5, "problems": [{"message": "a", "message_ko": "b"}]}),
    *(Failed(error) for error in (Cancelled(), QueueFull(Message("많음", "full"), 7), TokenSpent(3.0), TookTooLong(9))),
)


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: type(event).__name__)
def test_events_are_the_same_at_other_servers(event: Event) -> None:
    there = from_text(7, to_text(Entry(7, 0.5, event)))
    assert (there.number, there.at) == (7, 0.5)
    if isinstance(event, Failed):
        assert isinstance(there.event, Failed) and type(there.event.error) is type(event.error)
        assert vars(there.event.error) == vars(event.error)
        assert to_json(there.event, "x", "ko") == to_json(event, "x", "ko")
    else:
        assert there.event == event


def test_a_redis_that_hangs_is_an_error_that_may_be_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = Redis(tmp_path)
    redis.start()
    assert redis.process is not None
    monkeypatch.setattr(links, "ANSWER_SECONDS", 0.3)
    link = Link(redis.url)
    book = SharedTaskBook(tmp_path, 60, link, WebServer("http://hanging"), lambda: None)
    own = book.open("c" * 32)
    redis.process.send_signal(signal.SIGSTOP)
    for _ in range(3):
        with pytest.raises(TasksUnavailable) as failed:
            book.find("d" * 32)
        assert failed.value.retryable and book.find(own.id) is own
    own.history.add(Queued(1))
    redis.process.send_signal(signal.SIGCONT)
    wait_for(lambda: not link.away and link.now.exists(record_key(own.id)))
    book.disconnect()
    redis.stop()


def test_nothing_of_a_task_that_runs_elsewhere_is_swept(redis_server: Redis, tmp_path: Path) -> None:
    """Two servers have the same folder of results."""
    link = Link(redis_server.url)
    one, two = (
        SharedTaskBook(tmp_path, 60, link, WebServer(f"http://{name}.sweeping"), lambda: None) for name in ("a", "b")
    )
    mine, left = one.open("c" * 32), one.files_of("d" * 32)
    mine.history.add(Queued(1))
    wait_for(lambda: link.now.exists(record_key(mine.id)))
    for path in (mine.video_part, left.video_part):
        path.write_bytes(b"half")
        os.utime(path, (1, 1))
    two.sweep()
    assert mine.video_part.exists() and not left.video_part.exists()
    mine.history.add(Failed(Cancelled()))
    one.close(mine.id)
    wait_for(lambda: not two.is_open(mine.id))
    two.sweep()
    assert not mine.video_part.exists()
    for book in (one, two):
        book.disconnect()
