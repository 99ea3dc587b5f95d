"""What a task held goes with it, however it ends: encoders, decoders, threads, memory.

Collecting garbage is off meanwhile: what only a collection would free is not freed in time, since one encoder, with
its threads and pictures, counts as one object of many there.
"""

from __future__ import annotations

import gc
import random
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.core.ahead import ahead, pushed
from pipeline.core.cancel import CancelToken
from pipeline.core.growing_file import part_of
from pipeline.engines.lipsync_engine import Stretch
from pipeline.errors import Cancelled, PipelineError, QueueFull, TookTooLong
from pipeline.jobs.events import Failed
from pipeline.jobs.generate import generate
from pipeline.jobs.request import GenerateRequest, parse
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.messages import Message
from pipeline.settings import Settings
from pipeline.speech_types import Speech
from pipeline.video.encoder import X264
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from pipeline.video.writer import Mp4Writer
from tests.servers import wait_for

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다. 먼저 자기소개를 부탁드립니다."
TASKS = 6
"""How many of a kind are ended early."""
NATIVE = ("CodecContext", "Container", "Graph", "Stream", "Resampler")
"""Ends of the names of what holds an encoder, a decoder, a file or a filter."""

Ending = Callable[[GenerateRequest, Task, Studio, random.Random], object]


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def studio() -> Studio:
    return make_studio(Settings())


def held() -> Counter[str]:
    """Count what is open now: native contexts by their kind, and threads."""
    kinds = (type(thing) for thing in gc.get_objects())
    native = (kind.__name__ for kind in kinds if str(kind.__module__).startswith("av."))
    count = Counter(name for name in native if name.endswith(NATIVE) and name != "OpaqueContainer")
    threads = Path("/proc/self/task")
    count["threads"] = len(list(threads.iterdir())) if threads.is_dir() else threading.active_count()
    return count


def cancelled(request: GenerateRequest, task: Task, studio: Studio, chances: random.Random) -> None:
    last = chances.randrange(5)
    for number, _ in enumerate(generate(request, task, studio)):
        if number >= last:
            task.cancel.cancel()


def cancelled_any_time(request: GenerateRequest, task: Task, studio: Studio, chances: random.Random) -> None:
    timer = threading.Timer(chances.uniform(0, 0.3), task.cancel.cancel)
    timer.start()
    try:
        for _ in generate(request, task, studio):
            pass
    finally:
        timer.join()


def too_long(request: GenerateRequest, task: Task, studio: Studio, chances: random.Random) -> None:
    for number, _ in enumerate(generate(request, task, studio)):
        if number == 2:
            task.cancel.cancel(TookTooLong(1))


def closed(request: GenerateRequest, task: Task, studio: Studio, chances: random.Random) -> None:
    events = generate(request, task, studio)
    for _ in range(chances.randrange(1, 5)):
        next(events)
    events.close()  # type: ignore[attr-defined]  # a generator


def engine_breaks(request: GenerateRequest, task: Task, studio: Studio, chances: random.Random) -> None:
    mesh, last = studio.engines["mesh"], chances.randrange(40)

    class Breaking:
        name = "mesh"
        concurrency, draws_on_gpu, notes = 1, False, ()

        def check(self) -> None:
            pass

        def render(
            self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
        ) -> Generator[Frame, None, None]:
            for number, frame in enumerate(mesh.render(avatar, stretches, cancel, first)):
                if number == last:
                    raise ZeroDivisionError
                yield frame

    list(generate(request, task, replace(studio, engines={"mesh": Breaking()})))


def voice_breaks(request: GenerateRequest, task: Task, studio: Studio, chances: random.Random) -> None:
    espeak, last = studio.tts["espeak"], chances.randrange(3)

    class Breaking:
        loudness = espeak.loudness

        def stream(
            self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
        ) -> Iterator[Speech]:
            for number, speech in enumerate(espeak.stream(text, voice, cancel)):
                if number == last:
                    raise ZeroDivisionError
                yield speech

    list(generate(request, task, replace(studio, tts={"espeak": Breaking()})))  # type: ignore[dict-item]


def disk_is_full(request: GenerateRequest, task: Task, studio: Studio, chances: random.Random) -> None:
    file = chances.choice((task.audio, task.video, task.captions))
    file.parent.mkdir(exist_ok=True)
    part_of(file).symlink_to("/dev/full")
    list(generate(request, task, studio))


ENDINGS: tuple[Ending, ...] = (
    cancelled,
    cancelled_any_time,
    too_long,
    closed,
    engine_breaks,
    voice_breaks,
    disk_is_full,
)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_a_task_that_ends_early_leaves_nothing_open(
    ending: Ending, studio: Studio, tmp_path: Path, uncollected: None
) -> None:
    if ending is disk_is_full and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    request = parse({"text": TEXT, "avatar": "talk_short", "resolution": "360p", "tts_engine": "espeak"}, studio)
    book, chances = TaskBook(tmp_path / "results", 600), random.Random(1)

    def end(number: int) -> None:
        task = book.open(f"{number:032x}")
        try:
            ending(request, task, studio, chances)
        except (PipelineError, ZeroDivisionError) as error:
            if isinstance(error, PipelineError):
                task.history.add(Failed(error))
        book.close(task.id)  # which remembers it, with its history, as the server does

    end(0)  # loads what stays
    before = held()
    for number in range(1, TASKS + 1):
        end(number)
    # an engine that speaks is left to see its token by itself
    wait_for(lambda: held() <= before, 5)
    assert set(before) == {"threads"}


def test_an_error_that_is_kept_holds_nothing_of_where_it_was_raised() -> None:
    def raised() -> PipelineError:
        try:
            try:
                raise OSError
            except OSError as error:
                raise QueueFull(Message("가득", "full"), 7) from error
        except QueueFull as error:
            return error

    kept = Failed(raised()).error
    assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)
    assert isinstance(kept, QueueFull) and kept.retry_after == 7
    assert (str(kept), kept.message.ko, kept.message.en) == ("full", "가득", "full")
    token = CancelToken()
    token.cancel(raised())
    for _ in range(2):
        with pytest.raises(QueueFull, match="full"):
            token.check()
    assert token.reason.__traceback__ is None


class Big:
    """Something whose end is to be noticed."""

    alive = 0

    def __init__(self) -> None:
        Big.alive += 1

    def __del__(self) -> None:
        Big.alive -= 1


@pytest.mark.parametrize("taken", [0, 1, 3, 9])
@pytest.mark.parametrize("leave", [False, True])
@pytest.mark.parametrize("how", ["close", "cancel", "fail"])
def test_work_done_ahead_leaves_nothing(taken: int, leave: bool, how: str, uncollected: None) -> None:
    def items() -> Iterator[Big]:
        for _ in range(6):
            yield Big()
        if how == "fail":
            big = Big()
            raise ZeroDivisionError(str(big))

    cancel = CancelToken()

    def consume() -> None:
        made = ahead(items(), 2, cancel, leave=leave)
        try:
            for _, _ in zip(range(taken), made, strict=False):
                pass
            if how == "cancel":
                cancel.cancel()
                list(made)
        except (Cancelled, ZeroDivisionError):
            pass
        finally:
            made.close()

    consume()
    wait_for(lambda: not [one for one in threading.enumerate() if one.name == "ahead"], 5)
    wait_for(lambda: Big.alive == 0, 5)


@pytest.mark.parametrize("taken", [1, 9])
def test_work_that_pushes_leaves_nothing(taken: int, uncollected: None) -> None:
    def work(push: Callable[[Big], object], cancel: CancelToken) -> None:
        for _ in range(6):
            push(Big())
        raise ZeroDivisionError

    def consume() -> None:
        made = pushed(work, CancelToken())
        try:
            for _, _ in zip(range(taken), made, strict=False):
                pass
        except ZeroDivisionError:
            pass
        finally:
            made.close()

    consume()
    wait_for(lambda: Big.alive == 0, 5)


def test_a_writer_that_cannot_open_leaves_no_file(tmp_path: Path, uncollected: None) -> None:
    before = held()
    with pytest.raises(PipelineError):
        Mp4Writer(tmp_path / "a.mp4", 320, 180, Fraction(25), ColorTags(), replace(X264, options={"preset": "none"}))
    assert list(tmp_path.iterdir()) == [] and held() <= before
