"""Tasks that share what draws: each has it for a sentence, nothing is drawn twice or out of order, no task starves."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.errors import Cancelled
from pipeline.jobs.eta import Pace, done_in, work_of
from pipeline.jobs.events import Done, Queued
from pipeline.jobs.generate import generate
from pipeline.jobs.request import GenerateRequest, parse
from pipeline.jobs.speak import LONG, LONGEST, pauses_between
from pipeline.jobs.studio import Studio
from pipeline.jobs.tasks import TaskBook
from pipeline.jobs.turns import Turns, Waits
from pipeline.server.page import bar
from pipeline.settings import Settings
from pipeline.speech_types import Mark, Speech, joined, silence
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.frame import Frame
from pipeline.video.writer import Mp4Writer
from tests.fakes import FPS, FakeEngine, FakeTTS
from tests.servers import Server, running, wait_for

SENTENCES = 12
LONG_TEXT = "slow word word. " * SENTENCES
"""Drawn in 4 s a sentence."""


class Noting(FakeEngine):
    """Notes whose stretch is drawn, and from which frame on; others would be told apart by their words."""

    def __init__(self, concurrency: int = 1) -> None:
        self.concurrency = concurrency
        self.drawn: list[tuple[str, int]] = []
        self.at_work = self.most_at_work = 0
        self._lock = threading.Lock()

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        with self._lock:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)

        def noted() -> Iterator[Stretch]:
            number = first
            for stretch in stretches:
                self.drawn.append((stretch.speech.text.split()[0], number))
                yield stretch
                number += len(stretch.mouth.weights)

        try:
            yield from super().render(avatar, noted(), cancel, first)
        finally:
            with self._lock:
                self.at_work -= 1


def studio_with(engine: FakeEngine, packs: Path) -> Studio:
    return Studio(
        settings=Settings(precomputed=packs),
        avatars=AvatarStore(packs),
        tts={"fake": FakeTTS()},
        espeak=EspeakEngine(),
        engines={"fake": engine},
    )


def shades(video: Path) -> list[int]:
    with av.open(str(video)) as container:
        return [round(float(frame.to_ndarray(format="yuv420p")[:48].mean())) for frame in container.decode(video=0)]


@pytest.mark.slow
@pytest.mark.parametrize("renderers", [1, 2])
def test_sentences_go_round_and_every_video_is_whole(fake_packs: Path, tmp_path: Path, renderers: int) -> None:
    engine = Noting(renderers)
    studio, book = studio_with(engine, fake_packs), TaskBook(tmp_path / "results", 0)
    texts = {name: f"{name} brisk one. " * count for name, count in (("A", 5), ("B", 3), ("C", 4))}
    tasks = {name: book.open(f"{number:032x}") for number, name in enumerate(texts)}

    def make(name: str) -> object:
        request = parse({"text": texts[name], "avatar": "solo"}, studio)
        return list(generate(request, tasks[name], studio))[-1]

    with ThreadPoolExecutor(3) as pool:
        assert all(isinstance(last, Done) for last in pool.map(make, texts))
    assert engine.most_at_work == renderers and engine.at_work == 0
    for name, text in texts.items():
        firsts = [first for one, first in engine.drawn if one == name]
        assert len(firsts) == text.count(".") and all(one < other for one, other in pairwise(firsts))
        seen = np.array(shades(tasks[name].video))
        assert np.abs(seen - (16 + np.arange(len(seen)) % 200)).max() <= 2  # every frame once, in order
    if renderers == 1:  # once all three speak, none is passed over
        names = "".join(name for name, _ in engine.drawn)
        together = names[names.index("C") : names.rindex("B") + 1]
        assert len(together) > 3 and all(len({*together[i : i + 3]}) == 3 for i in range(len(together) - 2))
    assert sum(task.waits.seconds for task in tasks.values()) > 0


def test_a_task_that_is_alone_keeps_the_turn(fake_packs: Path, tmp_path: Path) -> None:
    engine = Noting()
    studio = studio_with(engine, fake_packs)
    renders = 0

    class Counting(Noting):
        def render(
            self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
        ) -> Generator[Frame, None, None]:
            nonlocal renders
            renders += 1
            return super().render(avatar, stretches, cancel, first)

    studio = replace(studio, engines={"fake": Counting()})
    task = TaskBook(tmp_path / "results", 0).open("0" * 32)
    asked: list[None] = []
    with studio.turns.asked.calling(lambda: asked.append(None)):
        made = list(generate(parse({"text": "A b. " * 4, "avatar": "solo"}, studio), task, studio))
    assert isinstance(made[-1], Done) and renders == 1 and not asked


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(1), []
    held, begun, asked = threading.Event(), threading.Event(), threading.Semaphore(0)

    def take(name: str) -> None:
        for _ in range(3):
            with turns.turn(Waits(), CancelToken()):
                order.append(name)
                held.set()
                begun.wait(10)

    threads = [threading.Thread(target=take, args=(name,)) for name in "abc"]
    with turns.asked.calling(asked.release):
        threads[0].start()
        assert held.wait(10)
        for thread in threads[1:]:
            thread.start()
            assert asked.acquire(timeout=10)
    begun.set()
    for thread in threads:
        thread.join(10)
    assert "".join(order) == "abcabcabc" and not turns.wanted


@pytest.mark.parametrize("when", ["waiting", "drawing"])
def test_a_cancelled_task_gives_its_turn_on(when: str) -> None:
    turns, cancel = Turns(1), CancelToken()
    if when == "drawing":
        with pytest.raises(Cancelled), turns.turn(Waits(), cancel):
            cancel.cancel()
            cancel.check()
    else:
        with turns.turn(Waits(), CancelToken()):
            cancel.cancel()
            with pytest.raises(Cancelled), turns.turn(Waits(), cancel):
                pytest.fail("no task had a turn")
            assert not turns.wanted
    with turns.turn(Waits(), CancelToken()):  # it is free
        pass


@pytest.fixture(scope="module")
def sharing(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on stand-ins, with the usual sharing, whose tasks may take 5 s of their own."""
    environ = {"MAX_SHARING": "", "MAX_SECONDS": "5"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path_factory.mktemp("sharing"), **environ) as s:
        wait_for(lambda: "warm after" in s.log)
        yield s


@pytest.mark.slow
def test_two_words_do_not_wait_for_long_texts(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, MAX_SHARING="") as server:
        wait_for(lambda: "warm after" in server.log)
        long = {"text": LONG_TEXT, "avatar": "solo"}
        with server.stream(long) as one, server.stream(long) as other:
            tasks = [next(events)["task_id"] for events in (one, other)]
            wait_for(lambda: next(one)["stage"] == "lipsync")
            assert server.events({"text": "two words", "avatar": "solo"})[-1]["type"] == "done"
            assert [server.get(f"/api/v2/tasks/{task}").json()["state"] for task in tasks] == ["running"] * 2
            for task in tasks:
                assert server.post(f"/api/cancel/{task}").json()["state"] == "running"
        frozen = {"text": "frozen words", "avatar": "solo"}
        with server.stream(frozen) as one:
            drawing = next(one)["task_id"]
            wait_for(lambda: next(one)["stage"] == "lipsync")
            with server.stream(frozen) as other:  # only now: of two at once, either may be the one that draws
                waiting = next(other)["task_id"]
                wait_for(lambda: f"task {waiting} starts" in server.log)
                for task in (drawing, waiting):
                    assert server.post(f"/api/cancel/{task}").json()["state"] == "running"
            assert server.events({"text": "two words", "avatar": "solo"})[-1]["type"] == "done"
        server.wait_idle()
        assert not server.half_made()


@pytest.mark.slow
def test_seconds_for_which_others_draw_are_not_counted(sharing: Server) -> None:
    """Each of three takes 2.5 s of its own, all together more than the 5 s that one may take."""
    body = {"text": "slow a. b c.", "avatar": "solo"}
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(sharing.events, [body] * 3))
    assert [events[-1]["type"] for events in results] == ["done"] * 3
    assert max(events[-1]["elapsed"]["total"] for events in results) > 5
    assert sharing.events({"text": "slow " + "word " * 20, "avatar": "solo"})[-1]["type"] == "error"


def test_the_page_shows_how_long_you_wait() -> None:
    assert bar.at_event(Queued(2, 12.3), "ko")["message"] == "대기 중... (2번째), 약 12초 뒤 완료"
    assert bar.at_event(Queued(2, 12.3), "en")["message"] == "Waiting... (number 2 in the queue), ready in about 12 s"
    assert bar.at_event(Queued(2), "en")["message"] == "Waiting... (number 2 in the queue)"


@pytest.mark.parametrize(
    ("running_now", "waiting", "places", "renderers", "seconds"),
    [
        ([], [3], 1, 1, 3),
        ([2], [3, 4], 1, 1, 9),
        ([2], [3], 2, 1, 5),  # half the speed for 4 s, then 1 s alone
        ([10], [1], 2, 1, 2),  # half the speed
        ([10, 10], [1], 3, 1, 3),
        ([10, 1], [1], 2, 1, 4),  # 2 s until a place is free, 2 s at half the speed
        ([4, 4], [3], 2, 2, 7),  # two cards, two places
        ([0.0], [2], 1, 1, 2),
        ([5, 5, 5], [1, 1], 4, 2, 4),
    ],
)
def test_the_end_of_a_waiting_task_is_known(
    running_now: list[float], waiting: list[float], places: int, renderers: int, seconds: float
) -> None:
    assert done_in(running_now, waiting, places, renderers) == pytest.approx(seconds)


def spoken(*ends: float, pause: float = 0.4) -> list[Mark]:
    """Return sounds that end at ENDS (s), each PAUSE after the one before."""
    starts = [0.0, *(end + pause for end in ends[:-1])]
    return [Mark("phoneme", "a", start, end) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize(
    ("marks", "seconds", "parts"),
    [
        (spoken(3, 5.5), 5.5, [5.5]),  # short
        (spoken(3, 7, 12), 12, [7.2, 12]),  # at the first pause after LONG
        (spoken(*range(2, 31, 2)), 30, [6.2, 12.2 + 0.0, 18.2 + 0.2, 30]),
        (spoken(29.9), 29.9, [LONGEST, 29.9]),  # without a pause
        (spoken(8, 8.6), 8.6, [8.6]),  # what would be left is no part of its own
        ([], 15.0, [15.0]),
    ],
)
def test_long_speech_is_divided_in_its_pauses(marks: list[Mark], seconds: float, parts: list[float]) -> None:
    frames = round(25 * seconds)
    found = list(pauses_between(marks, frames, 25.0))
    assert found[0][0] == 0 and found[-1][1] == frames
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert all(end - begin <= LONGEST * 25 for begin, end in found) and LONG < LONGEST
    if len(parts) < 4:
        assert [end / 25 for _, end in found] == pytest.approx(parts, abs=0.05)


def test_the_time_of_a_text_goes_with_its_sounds_and_pixels() -> None:
    assert work_of("가나다", 100) == work_of("abcdefghi", 100) == work_of("abcdefghi", 50) * 2
    pace = Pace()
    assert pace.seconds(10.0) is None
    for work, seconds in ((10.0, 2.0), (30.0, 4.0), (None, 9.0)):
        pace.note(work, seconds)
    assert pace.seconds(20.0) == pytest.approx(3.0) and pace.seconds(None) == pytest.approx(5.0)


class Late:
    """Says a piece only when almost all frames of those before are encoded: slower than the pictures are."""

    def __init__(self, pieces: list[Speech], monkeypatch: pytest.MonkeyPatch) -> None:
        self._pieces = pieces
        self._encoded = threading.Condition()
        self._count = 0
        write = Mp4Writer.write_frame

        def noted(writer: Mp4Writer, frame: Frame) -> bool:
            with self._encoded:
                self._count += 1
                self._encoded.notify()
            return write(writer, frame)

        monkeypatch.setattr(Mp4Writer, "write_frame", noted)

    def __call__(
        self, _request: GenerateRequest, _studio: Studio, _cancel: CancelToken
    ) -> Generator[Speech, None, None]:
        frames = 0
        for piece in self._pieces:
            with self._encoded:
                assert self._encoded.wait_for(partial(self._has_encoded, frames - 2), 30)
            yield piece
            frames += int(piece.duration * FPS)

    def _has_encoded(self, frames: int) -> bool:
        return self._count >= frames


def test_a_video_does_not_depend_on_how_fast_it_is_spoken(
    fake_packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "one two three. four five six. seven eight."
    spoken = FakeTTS().stream(text, "alto", CancelToken())
    # each ends shortly after a key frame, with which a fragment is written
    pieces = [joined([one, silence(0.6, one)]) for one in (replace(piece, rate=22_050) for piece in spoken)]
    files = []
    for late in (False, True):
        studio = studio_with(FakeEngine(), fake_packs)
        speak = Late(pieces, monkeypatch) if late else lambda *_: (piece for piece in pieces)
        task = TaskBook(tmp_path / str(late), 0).open("0" * 32)
        list(generate(parse({"text": text, "avatar": "solo"}, studio), task, studio, speak))
        files.append([path.read_bytes() for path in (task.video, task.audio, task.captions)])
    assert files[0] == files[1]
