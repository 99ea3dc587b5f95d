"""Tasks and their results, and the small decisions around a request."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from pipeline.core.gpu import Gpu
from pipeline.errors import TaskNotFound
from pipeline.jobs.eta import Pace, work_of
from pipeline.jobs.events import Failed
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import KEPT_TASKS, AvatarJob, Task, TaskBook, is_task_id
from pipeline.server.reply_language import language_of
from pipeline.settings import ROOT, Settings

ID = "0123456789abcdef" * 2


def age(path: Path, seconds: float) -> Path:
    path.write_bytes(b"x")
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_a_task_knows_its_files_and_addresses(tmp_path: Path) -> None:
    task = TaskBook(tmp_path, 0).open(ID)
    assert task.video == tmp_path / f"{ID}.mp4" and task.audio == tmp_path / f"{ID}.wav"
    assert task.video_part == tmp_path / f"{ID}.mp4.part"
    assert task.video_url == f"/video/{ID}.mp4" and task.audio_url == f"/assets/audio/{ID}.wav"


def test_the_path_in_replies_is_where_the_video_lies(tmp_path: Path) -> None:
    usual = TaskBook(Settings().results, 0).open(ID)
    assert usual.video_path == f"results/realtime/{ID}.mp4"  # as documented
    assert TaskBook(tmp_path, 0).open(ID).video_path == f"{tmp_path}/{ID}.mp4"
    assert TaskBook(ROOT / "results" / "other", 0).open(ID).video_path == f"results/other/{ID}.mp4"


@pytest.mark.parametrize("kind", [Task.kind, AvatarJob.kind])
def test_a_job_is_cancelled_only_while_it_is_open(kind: str, tmp_path: Path) -> None:
    book = TaskBook(tmp_path, 0)
    ends: list[tuple[str, str]] = []
    supervisor = Supervisor(book, lambda job, last: ends.append((job.kind, type(last).__name__)))
    job = book.files_of(ID) if kind == Task.kind else AvatarJob(id=ID)
    book.note(job)
    assert book.get(ID) is job and book.find(ID) is job
    assert asyncio.run(supervisor.cancel(ID)) == "running" and job.cancel.cancelled
    supervisor.end(job, Failed(job.cancel.reason))
    supervisor.end(job, Failed(job.cancel.reason))
    assert ends == [(kind, "Failed")]  # reported once
    assert book.get(ID) is None and book.find(ID) is job
    with pytest.raises(TaskNotFound):
        asyncio.run(supervisor.cancel(ID))


def test_the_end_of_the_program_cancels_every_task(tmp_path: Path) -> None:
    book = TaskBook(tmp_path, 0)
    tasks = [book.open(character * 32) for character in "abc"]
    book.cancel_all()
    assert all(task.cancel.cancelled for task in tasks)


def test_a_task_is_expected_to_take_as_long_as_its_text_and_picture_ask_for() -> None:
    pace = Pace()
    assert pace.seconds(work_of("안녕하세요", 100)) is None
    pace.note(work_of("a" * 80, 100), 2.0)
    assert pace.seconds(work_of("a" * 80, 100)) == pytest.approx(2.0)
    assert pace.seconds(work_of("a" * 180, 100)) == pytest.approx(4.0)  # every task costs as much as 20 bytes more
    assert pace.seconds(work_of("a" * 80, 25)) == pytest.approx(0.5)
    pace.note(None, 4.0)
    assert pace.seconds(None) == 3.0  # of a recording the mean is all that is known
    assert pace.seconds(work_of("a" * 80, 100)) == pytest.approx(2.0)


@pytest.mark.parametrize("step", [-(10**7), 10**7])
def test_a_clock_that_is_set_neither_removes_results_nor_keeps_them_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    book = TaskBook(tmp_path, 100)
    book.sweep()
    now, passed = time.time(), time.monotonic()
    task = book.open(ID)
    result = age(task.video, 0)
    book.close(ID)
    monkeypatch.setattr(time, "time", lambda: now + step)
    book.sweep()
    assert result.exists() and book.find(ID) is task
    for path, seconds in ((task.audio, 50), (tmp_path / f"{'b' * 32}.wav", 90)):
        monkeypatch.setattr(time, "monotonic", lambda seconds=seconds: passed + seconds)
        age(path, 0)
        book.sweep()
        assert result.exists() and path.exists()
    monkeypatch.setattr(time, "monotonic", lambda: passed + 101)
    book.sweep()
    assert not result.exists() and book.find(ID) is None
    assert task.audio.exists()  # younger, whatever the clock says


@pytest.mark.slow
def test_finished_tasks_are_not_remembered_without_end(tmp_path: Path) -> None:
    book = TaskBook(tmp_path, 0)
    for number in range(KEPT_TASKS + 1):
        book.open(f"{number:032x}")
        book.close(f"{number:032x}")
    assert book.find(f"{0:032x}") is None and book.find(f"{1:032x}") is not None


def test_a_sweep_takes_what_is_old_and_nothing_else(tmp_path: Path) -> None:
    book = TaskBook(tmp_path, 100)
    running = book.open("f" * 32)
    old = [age(tmp_path / f"{'a' * 32}.mp4", 101), age(tmp_path / f"{'a' * 32}.wav", 101)]
    abandoned = age(tmp_path / f"{'b' * 32}.mp4.part", 90)
    kept = [
        age(tmp_path / f"{'c' * 32}.mp4", 50),
        age(tmp_path / f"{'d' * 32}.wav.part", 5),
        age(running.audio, 500),
        age(tmp_path / "holiday.mp4", 5000),
    ]
    book.sweep()
    assert not any(path.exists() for path in (*old, abandoned))
    assert all(path.exists() for path in kept)


def test_a_time_of_0_keeps_results_for_ever(tmp_path: Path) -> None:
    path = age(tmp_path / f"{ID}.mp4", 10**8)
    TaskBook(tmp_path, 0).sweep()
    assert path.exists()


def test_a_sweep_of_a_folder_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    TaskBook(tmp_path / "none", 1).sweep()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["", "x" * 32, "A" * 32, "0" * 31, "0" * 33, "../" + "0" * 29, "0" * 32 + "\n"])
def test_what_is_no_task_id_is_distinguished(text: str) -> None:
    assert not is_task_id(text) and is_task_id(ID)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "ko"),
        ("", "ko"),
        ("*", "ko"),
        ("fr-FR", "ko"),
        ("en", "en"),
        ("EN-us", "en"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("ko;q=0.5, en;q=0.6", "en"),
        ("fr, en;q=0.1", "en"),
        ("en;q=0", "ko"),
        ("en;q=nonsense", "ko"),
        ("ko, en", "ko"),
        ("en, ko", "en"),
    ],
)
def test_messages_follow_accept_language(header: str | None, language: str) -> None:
    assert language_of(header) == language


def test_a_card_reports_its_memory_or_nothing_at_all() -> None:
    memory = Gpu().memory().to_json()
    assert list(memory) == ["total", "used", "free"]
    known = [value for value in memory.values() if value is not None]
    assert known == [] or (len(known) == 3 and all(isinstance(value, int) and value >= 0 for value in known))
