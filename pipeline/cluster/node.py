"""What a node does: it makes one video in a temporary folder, and reports all that happens."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pipeline import messages
from pipeline.cluster.parcels import (
    PIECE,
    SUFFIXES,
    WAV_HEADER,
    Broken,
    Bytes,
    Complete,
    Found,
    Memory,
    Parcel,
    Said,
    Sound,
)
from pipeline.core.cancel import CancelToken
from pipeline.core.growing_file import part_of
from pipeline.core.priority import give_way
from pipeline.errors import PipelineError, Unavailable
from pipeline.jobs.generate import generate, speech_of
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.speech_types import Speech

_OVER = object()


class _Growing:
    """Reads what has been added to the files of a task."""

    def __init__(self, task: Task) -> None:
        self._paths = {suffix: task.video.with_suffix(suffix) for suffix in SUFFIXES}
        self._files: dict[str, BinaryIO] = {}
        self._open = ExitStack()

    def __enter__(self) -> _Growing:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def added(self) -> Iterator[Bytes | Complete]:
        """Yield new bytes of each file, and which are complete."""
        for suffix, path in [*self._paths.items()]:
            complete = path.exists()  # checked first: what is read then is all of it
            if suffix not in self._files:
                with suppress(FileNotFoundError):
                    self._files[suffix] = self._open.enter_context((path if complete else part_of(path)).open("rb"))
            file = self._files.get(suffix)
            if file is None:
                continue
            offset = file.tell()
            while data := file.read(PIECE):
                yield Bytes(suffix, offset, data)
                offset += len(data)
            if complete:
                if suffix == ".wav":
                    file.seek(0)
                    yield Bytes(suffix, 0, file.read(WAV_HEADER))
                del self._paths[suffix]
                yield Complete(suffix, offset)


def perform(
    request: GenerateRequest, task_id: str, studio: Studio, memory: Memory, stop: CancelToken
) -> Iterator[Parcel]:
    """Make a video, and yield what happens; closing this stops it, and leaves no file behind.

    Speech, and what is found out about it, comes before any byte that it causes; bytes come before the event that
    reports them.

    Args:
        request: What to make.
        task_id: The task.
        studio: Avatars, voices and engines.
        memory: The speech and the findings of an earlier try.
        stop: Set when the task is cancelled.
    """
    folder = Path(tempfile.mkdtemp(prefix="avatar-"))
    parcels: queue.SimpleQueue[Any] = queue.SimpleQueue()
    task = TaskBook(folder, 0).files_of(task_id)

    def work() -> None:
        give_way()
        try:
            for event in generate(request, task, studio, _Voice(memory, parcels.put), _Recall(memory, parcels.put)):
                parcels.put(event)
        except PipelineError as error:
            parcels.put(Broken(error.afresh()))
        except Exception:  # of a library or of this program: its type need not be known on the other side
            parcels.put(Broken(RuntimeError(traceback.format_exc())))
        finally:
            parcels.put(_OVER)

    worker = threading.Thread(target=work, name=f"task-{task_id[:8]}", daemon=True)
    try:
        with _Growing(task) as files, stop.calling(task.cancel.cancel), task.grown.calling(lambda: parcels.put(None)):
            worker.start()
            yield from _in_order(parcels, files)
    finally:
        task.cancel.cancel()
        worker.join()
        shutil.rmtree(folder, ignore_errors=True)


def _in_order(parcels: queue.SimpleQueue[Any], files: _Growing) -> Iterator[Parcel]:
    """Yield what is queued and the bytes of the files, in the order that ``perform`` promises."""
    events: list[Any] = []
    while True:
        ready = events or [parcels.get()]
        ready += _waiting(parcels)
        added = list(files.added())
        later = _waiting(parcels)
        speech = [one for one in [*ready, *later] if isinstance(one, Sound | Said | Found)]
        events = [one for one in later if one is not None and not isinstance(one, Sound | Said | Found)]
        over = [one for one in ready if one is not None and not isinstance(one, Sound | Said | Found)]
        for parcel in [*speech, *added, *over]:
            if parcel is _OVER:
                return
            yield parcel


def _waiting(parcels: queue.SimpleQueue[Any]) -> list[Any]:
    items = []
    with suppress(queue.Empty):
        while True:
            items.append(parcels.get_nowait())
    return items


class _Voice:
    """Repeats the speech of an earlier try, and then goes on; sends what is new."""

    def __init__(self, memory: Memory, send: Callable[[Parcel], None]) -> None:
        self._said, self._complete, self._send = list(memory.pieces), memory.complete, send

    def __call__(self, request: GenerateRequest, studio: Studio, cancel: CancelToken) -> Generator[Speech, None, None]:
        yield from self._said
        if self._complete:
            return
        for number, piece in enumerate(speech_of(request, studio, cancel)):
            if number < len(self._said):  # the voice begins anew, at the same sentences
                if piece.text != self._said[number].text:
                    raise Unavailable(messages.cluster.NODE_DIFFERS())
                continue
            data = piece.samples.astype(np.float32).tobytes()
            for start in range(0, len(data), PIECE):
                self._send(Sound(data[start : start + PIECE]))
            self._send(Said(replace(piece, samples=np.zeros(0, np.float32))))
            yield piece
        self._send(Said(None))


class _Recall:
    """Returns what an earlier try found out, or finds it out and sends it."""

    def __init__(self, memory: Memory, send: Callable[[Parcel], None]) -> None:
        self._found, self._send = dict(memory.found), send

    def __call__(self, what: str, piece: int, find: Callable[[], Any]) -> Any:
        if (what, piece) not in self._found:
            value = self._found[what, piece] = find()
            self._send(Found(what, piece, value))
        return self._found[what, piece]
