"""What breaks around a task: it ends with a clear error, leaves nothing behind, and the other tasks go on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np
import pytest
from gradio.context import LocalContext

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.core.growing_file import part_of
from pipeline.engines.lipsync_engine import Stretch
from pipeline.errors import Cancelled, NotFound, RenderFailed, SpeechFailed, Unavailable
from pipeline.jobs.events import Done, TtsDone
from pipeline.jobs.generate import generate
from pipeline.jobs.look import BurntCaptions, Look
from pipeline.jobs.request import GenerateRequest, parse
from pipeline.jobs.studio import Studio
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.server.gradio.queue import RenderQueue, _Asked
from pipeline.server.metrics import Metrics
from pipeline.server.serve import serve
from pipeline.settings import Settings
from pipeline.speech_types import Mark, Speech
from pipeline.tts.espeak import EspeakEngine
from pipeline.video import lettering
from pipeline.video.frame import Frame
from tests.fakes import RATE, FakeEngine, FakeTTS, make_pack
from tests.servers import running, wait_for

ID = "0123456789abcdef" * 2
TONE = np.full(RATE // 2, 0.3, np.float32)
SPEECH = Speech(samples=TONE, rate=RATE, text="one", language="en-us", marks=(Mark("phoneme", "a", 0.0, 0.5),))
FULL = Path("/dev/full")
"""Takes no byte: every write says that the disk is full."""


class Saying(FakeTTS):
    """Says PIECES, whatever it is asked for."""

    def __init__(self, pieces: Sequence[Speech]) -> None:
        self._pieces = pieces

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        yield from self._pieces


class Misshapen(FakeEngine):
    """Draws pictures that are no pictures from the tenth on."""

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        for number, frame in enumerate(super().render(avatar, stretches, cancel, first)):
            yield frame if number < 10 else Frame(frame.planes[:1])


@pytest.fixture
def studio(fake_packs: Path) -> Studio:
    settings = Settings(precomputed=fake_packs)
    return Studio(
        settings=settings,
        avatars=AvatarStore(fake_packs),
        tts={"fake": FakeTTS()},
        espeak=EspeakEngine(),
        engines={"fake": FakeEngine()},
    )


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
    garbled = replace(studio, tts={"fake": Saying(pieces)})
    with pytest.raises(SpeechFailed, match="not usable sound"):
        list(generate(asked(garbled), task, garbled))
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
@pytest.mark.parametrize("kind", ["audio", "video"])
def test_a_full_disk_is_a_clear_error_whichever_file_it_hits(studio: Studio, task: Task, kind: str) -> None:
    task.video.parent.mkdir()
    part_of(getattr(task, kind)).symlink_to(FULL)
    with pytest.raises(RenderFailed, match="disk space"):
        list(generate(asked(studio), task, studio))
    assert left_by(task) == []


def broken(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError("secret detail")


@pytest.mark.parametrize(
    "where",
    [
        "pipeline.video.captions.CaptionWriter.__enter__",
        "pipeline.video.captions.CaptionWriter.add",
        "pipeline.video.captions.CaptionWriter.finish",
        "pipeline.video.captions.cues_of",
        "pipeline.video.captions.Cue.to_vtt",
        "pipeline.jobs.speak.words_of",
    ],
)
def test_captions_that_fail_are_missing_and_the_video_is_made(
    studio: Studio, task: Task, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(where, broken)
    events = list(generate(asked(studio), task, studio))
    assert isinstance(events[-1], Done) and events[-1].captions_url is None
    assert [event.captions_url for event in events if isinstance(event, TtsDone)] == [None]
    assert sorted(left_by(task)) == [f"{ID}.json", f"{ID}.mouth.ndjson", f"{ID}.mp4", f"{ID}.wav"]
    assert "no captions" in caplog.text and "secret detail" in caplog.text


@pytest.mark.parametrize("where", ["__enter__", "add", "finish"])
def test_lines_of_the_mouth_that_fail_are_missing_and_the_video_is_made(
    studio: Studio, task: Task, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(f"pipeline.speech.mouth_lines.MouthLines.{where}", broken)
    done = list(generate(asked(studio), task, studio))[-1]
    assert isinstance(done, Done) and done.captions_url == task.captions_url
    assert sorted(left_by(task)) == [f"{ID}.json", f"{ID}.mp4", f"{ID}.vtt", f"{ID}.wav"]
    assert "no lines of the mouth" in caplog.text and "secret detail" in caplog.text


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_captions_for_which_the_disk_has_no_room_are_missing(studio: Studio, task: Task) -> None:
    task.video.parent.mkdir()
    part_of(task.captions).symlink_to(FULL)
    done = list(generate(asked(studio), task, studio))[-1]
    assert isinstance(done, Done) and done.captions_url is None
    assert sorted(left_by(task)) == [f"{ID}.json", f"{ID}.mouth.ndjson", f"{ID}.mp4", f"{ID}.wav"]


def test_a_task_that_is_stopped_at_its_captions_stops(
    studio: Studio, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> NoReturn:
        task.cancel.cancel()
        raise Cancelled

    monkeypatch.setattr("pipeline.jobs.speak.words_of", stopped)
    with pytest.raises(Cancelled):
        list(generate(asked(studio), task, studio))
    assert left_by(task) == []


@pytest.mark.parametrize("where", ["pipeline.jobs.generate.write_record", "pipeline.speech.record.json.dumps"])
def test_a_record_that_fails_is_missing_and_the_video_is_made(
    studio: Studio, task: Task, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(where, broken)
    done = list(generate(asked(studio), task, studio))[-1]
    assert isinstance(done, Done) and done.captions_url == task.captions_url
    left = {*left_by(task)} - {f"{ID}.mouth.ndjson"}  # which are JSON, too
    assert left == {f"{ID}.mp4", f"{ID}.vtt", f"{ID}.wav"}
    assert f"no record of task {ID}" in caplog.text


@pytest.mark.parametrize("method", ["waited", "made", "ended"])
def test_metrics_that_fail_keep_no_task_from_its_end(
    studio: Studio, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    monkeypatch.setattr(metrics, method, broken)
    book = TaskBook(tmp_path / "results", 0)
    line, task = RenderQueue(studio, Supervisor(book, metrics.ended), generate, metrics), book.open(ID)
    line._asked[ID] = _Asked(asked(studio), None)

    async def perform() -> None:
        LocalContext.event_id.set(ID)
        await line._entry()

    asyncio.run(perform())
    assert task.history.last is not None and isinstance(task.history.last.event, Done)
    assert task.video.exists()
    wait_for(lambda: "no metrics" in caplog.text)


SIDE_PRODUCTS: dict[str, tuple[str, dict[str, Any]]] = {
    "captions": ("pipeline.video.captions.CaptionWriter.add", {}),
    "the times of words": ("pipeline.jobs.speak.words_of", {}),
    "the record": ("pipeline.jobs.generate.write_record", {}),
    "the mark of the sound": ("pipeline.speech.spool.mark_wav", {}),
    "expression": ("pipeline.speech.expression.Expression.next", {"liveliness": 0}),
    "the font of a caption": ("pipeline.video.lettering._font", {"captions": "burn"}),
    "the layout of a caption": ("pipeline.video.lettering._lines", {"captions": "burn"}),
    "the letters of a caption": ("pipeline.video.lettering.ImageDraw.ImageDraw.multiline_text", {"captions": "burn"}),
    "the words of a burnt caption": ("pipeline.jobs.speak.words_of", {"captions": "burn"}),
}
"""What fails, and what is asked for beside the text."""


@pytest.mark.parametrize("product", SIDE_PRODUCTS)
def test_a_side_product_that_fails_leaves_the_bytes_of_the_video_as_they_are(
    studio: Studio, tmp_path: Path, product: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    where, more = SIDE_PRODUCTS[product]
    body: dict[str, Any] = {"text": "one two. three", "avatar": "solo"}
    book = TaskBook(tmp_path / "results", 0)
    usual, task = book.open(ID[::-1]), book.open(ID)
    list(generate(parse(body, studio), usual, studio))
    request = parse({**body, **more}, studio)
    lettering.caption.cache_clear()
    monkeypatch.setattr(where, broken)
    done = list(generate(request, task, studio))[-1]
    assert isinstance(done, Done) and task.video.read_bytes() == usual.video.read_bytes()
    assert caplog.text.count("ZeroDivisionError: secret detail") == 1  # not once for every picture
    assert (done.note is not None) is ("captions" in more)


def damaged_font(folder: Path, kind: str) -> Path | None:
    """Return a file that is no font in one of several ways."""
    font = lettering._path()
    assert font is not None
    content = {"empty": b"", "text": b"no font", "cut": font.read_bytes()[:30_000], "a folder": b""}
    path = folder / "font.otf"
    if kind == "a folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(content[kind])
    return None if kind == "missing" else path


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "cut", "a folder"])
def test_without_a_font_letters_are_refused_and_a_mark_that_was_promised_stays(
    studio: Studio, task: Task, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"text": "one two. three", "avatar": "solo"}
    marked = parse({**body, "label": "AI 생성", "captions": "burn"}, studio)
    path = damaged_font(tmp_path, kind)
    lettering.caption.cache_clear()
    lettering.mark.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.video.lettering._path", lambda: path)
        patch.setattr("pipeline.video.lettering._font", lettering._font.__wrapped__)
        for more in ({"label": "AI"}, {"captions": "burn"}):
            with pytest.raises(Unavailable, match="font of captions and marks"):
                parse({**body, **more}, studio)
        strict = replace(studio, settings=replace(studio.settings, ai_label="AI", port=0))
        with pytest.raises(Unavailable, match="font of captions and marks"):
            parse(body, strict)
        with pytest.raises(Unavailable, match="font of captions and marks"):
            serve(strict, generate)
        done = list(generate(marked, task, studio))[-1]
    assert isinstance(done, Done) and done.note is not None
    lettering.caption.cache_clear()
    lettering.mark.cache_clear()
    with av.open(str(task.video)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            seen = picture.to_ndarray(format="gray")  # all of one grey, but for the mark
            assert int(seen[:20, 32:].max()) - FakeEngine().shade(number) > 50
            assert abs(seen[30:].astype(int) - FakeEngine().shade(number)).max() < 20


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (32, 200), (200, 32), (64, 48), (4096, 2160)])
def test_letters_fit_into_pictures_of_any_size(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    width, height = size
    for text in ("AI 생성", "AI"):
        look = Look(label=text)
        caption = BurntCaptions().drawn("아주 긴 자막입니다 " * 9, width, height)
        shown = look.of(Frame(np.full((height * 3 // 2, width), 90, np.uint8)), caption)
        assert shown.planes.shape == (height * 3 // 2, width) and (shown.planes != 90).any()
    monkeypatch.setattr("pipeline.video.lettering._mark", broken)
    lettering.mark.cache_clear()
    assert (Look(label="AI").of(Frame(np.full((height * 3 // 2, width), 90, np.uint8))).planes != 90).any()
    lettering.mark.cache_clear()


def test_a_picture_that_cannot_be_encoded_ends_the_task_alone(studio: Studio, task: Task) -> None:
    misshapen = replace(studio, engines={"fake": Misshapen()})
    with pytest.raises((ValueError, RenderFailed)):
        list(generate(asked(misshapen), task, misshapen))
    assert left_by(task) == []
    assert isinstance(list(generate(asked(studio), task, studio))[-1], Done)


def test_a_pack_is_opened_once_for_a_request(studio: Studio, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    uses: list[str] = []

    def noted(name: str, method: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object) -> object:
            uses.append(name)
            return method(*given)

        return call

    for name in ("list", "find", "resolve", "load"):
        monkeypatch.setattr(AvatarStore, name, noted(name, getattr(AvatarStore, name)))
    for body in ({"avatar": "solo"}, {"avatar_path": "precomputed/720p/solo_720p_precomputed.pkl"}):
        assert isinstance(list(generate(parse({"text": "one", **body}, studio), task, studio))[-1], Done)
    assert uses == ["find", "list", "load", "resolve", "load"]


def test_a_pack_that_is_removed_matters_only_to_the_next_request(studio: Studio, task: Task) -> None:
    pack = make_pack(studio.avatars.root, "brief", "720p")
    body = {"text": "one two three", "avatar": "brief"}
    request = parse(body, studio)
    pack.unlink()
    assert isinstance(list(generate(request, task, studio))[-1], Done)
    with pytest.raises(NotFound):
        parse(body, studio)


@pytest.mark.slow
def test_a_waiting_task_speaks_though_its_pack_is_removed(fake_packs: Path, tmp_path: Path) -> None:
    pack = make_pack(fake_packs, "fleeting", "720p")
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path) as server:
        slow = {"text": "slow " + "word " * 5, "avatar": "solo"}
        with server.stream(slow) as first, server.stream({"text": "one", "avatar": "fleeting"}) as second:
            assert next(second)["stage"] == "queued"
            pack.unlink()
            assert list(first)[-1]["type"] == "done"
            assert list(second)[-1]["type"] == "done"
        gone = server.post("/api/v2/lipsync", {"text": "one", "avatar": "fleeting"})
        assert gone.status_code == 404 and "fleeting" in gone.json()["error"]
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
