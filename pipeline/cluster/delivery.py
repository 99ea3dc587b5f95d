"""Writes what a node sends into the files of a task, as if the video were made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

from pipeline import messages
from pipeline.cluster.parcels import (
    SUFFIXES,
    WAV_HEADER,
    Alive,
    Broken,
    Bytes,
    Complete,
    Found,
    Memory,
    Parcel,
    Said,
    Sound,
)
from pipeline.core.growing_file import part_of, saving
from pipeline.errors import Unavailable
from pipeline.jobs.events import Composing, Done, Event, Lipsync, TtsDone, TtsStarted
from pipeline.jobs.tasks import Task

COMPARED = (".mp4", ".wav")
"""Files of which a second node must send the same bytes."""


class Delivery:
    """The files and events of one task, whichever nodes they come from.

    Args:
        task: The task.

    Attributes:
        memory: What another node needs to go on.
    """

    def __init__(self, task: Task) -> None:
        self.memory = Memory()
        self._task = task
        self._files: dict[str, BinaryIO] = {}
        self._written: dict[str, int] = {}
        self._started = perf_counter()
        self._first_byte = 0.0
        self._reached = -1.0

    def take(self, parcel: Parcel) -> Iterator[Event]:
        """Take what a node sends; yield the event that follows, if it is new.

        Raises:
            Unavailable: A second node makes another video; may be tried again.
            RenderFailed: The disk of this machine is full.
            Exception: What the node raised.
        """
        match parcel:
            case Bytes():
                with saving(messages.cluster.RESULT_FILE()):
                    self._write(parcel)
            case Complete(suffix, size):
                with saving(messages.cluster.RESULT_FILE()):
                    self._complete(suffix, size)
            case Sound() | Said() | Found():
                self.memory.note(parcel)
            case Alive():
                pass
            case Broken(error):
                self._task.cancel.check()
                raise error
            case _:
                if self._is_new(parcel):
                    yield self._ours(parcel)

    def _is_new(self, event: Event) -> bool:
        """Return whether a first try has not emitted an event already."""
        match event:
            case TtsStarted():
                reached = 0.0
            case Composing(progress=progress):
                reached = 0.1 + 0.8 * progress
            case TtsDone():
                reached = 1.0
            case Lipsync(progress=progress):
                reached = 2.0 + progress
            case _:
                reached = 4.0
        is_new = reached > self._reached
        self._reached = max(reached, self._reached)
        return is_new

    def _ours(self, event: Event) -> Event:
        """Return an event with this machine's paths and times."""
        if not isinstance(event, Done):
            return event
        total = perf_counter() - self._started
        return replace(
            event,
            video_path=self._task.video_path,
            total=total,
            lipsync=max(0.0, total - event.tts),
            first_byte=self._first_byte,
        )

    def _path(self, suffix: str) -> Path:
        return self._task.video.with_suffix(suffix)

    def _file(self, suffix: str) -> BinaryIO:
        if suffix not in self._files:
            path = self._path(suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            # a second try sends once more what is complete already
            file = path.open("r+b", 0) if path.exists() else part_of(path).open("w+b", 0)
            self._files[suffix] = file  # unbuffered: readers see it at once
            self._task.grown.notify()
        return self._files[suffix]

    def _write(self, parcel: Bytes) -> None:
        file, have = self._file(parcel.suffix), self._written.get(parcel.suffix, 0)
        offset, data = parcel.offset, parcel.data
        header = WAV_HEADER if parcel.suffix == ".wav" and not offset else 0
        again = min(max(0, have - offset), len(data)) if parcel.suffix in COMPARED else 0
        if again:
            file.seek(offset)
            if file.read(again)[header:] != data[header:again]:
                raise Unavailable(messages.cluster.NODE_DIFFERS())
        if header:  # which states the length once that is known
            file.seek(0)
            file.write(data[:header])
        if again < len(data):
            file.seek(offset + again)
            file.write(data[again:])
            self._written[parcel.suffix] = offset + len(data)
            if parcel.suffix == ".mp4":
                self._first_byte = self._first_byte or perf_counter() - self._started
                self._task.grown.notify()

    def _complete(self, suffix: str, size: int) -> None:
        if suffix in COMPARED and self._written.get(suffix, 0) != size:
            raise Unavailable(messages.cluster.NODE_DIFFERS())
        with self._file(suffix) as file:
            file.truncate(size)  # what is not compared may have been longer
        del self._files[suffix]
        if part_of(self._path(suffix)).exists():
            part_of(self._path(suffix)).replace(self._path(suffix))

    def close(self) -> None:
        """Close the files; what is not complete is removed."""
        for file in self._files.values():
            file.close()
        self._files = {}
        for suffix in SUFFIXES:
            part_of(self._path(suffix)).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove all files."""
        self.close()
        for suffix in SUFFIXES:
            self._path(suffix).unlink(missing_ok=True)
