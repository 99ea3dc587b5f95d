"""Files that are written beside their final name and renamed when they are complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from pipeline import messages
from pipeline.errors import RenderFailed
from pipeline.messages import Message


def part_of(path: Path) -> Path:
    """Return the path at which a file is written until it is complete."""
    return path.with_name(path.name + ".part")


def copy_once(source: Path, copy: Path, make: Callable[[Path], object]) -> Path:
    """Return the copy of a file, which is made if it is missing. Hold a lock meanwhile.

    It gets the time stamp of its source, so that both expire together. If it cannot be made, nothing of it remains.

    Args:
        source: The file.
        copy: Path of the copy.
        make: Writes the copy to a path.

    Raises:
        OSError: The disk is full, or the source is gone.
        Exception: What `make` raises.
    """
    if copy.exists():
        return copy
    part = part_of(copy)
    try:
        make(part)
        written = source.stat()
        os.utime(part, ns=(written.st_atime_ns, written.st_mtime_ns))
        part.replace(copy)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return copy


@contextmanager
def saving(what: Message) -> Iterator[None]:
    """Turn an OSError of the block into RenderFailed.

    Args:
        what: What is saved.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or "I/O error"  # the whole error would contain the path
        raise RenderFailed(messages.core.FILE_NOT_SAVED(what=what, reason=reason)) from error


class GrowingText:
    """A text file that grows while it can be read already; use it as a context manager.

    It is written at ``path`` + ".part" and renamed by ``finish``. If the block raises, nothing remains.

    Args:
        path: The finished file.
        what: What it holds, for errors.

    Raises:
        RenderFailed: The disk is full.
    """

    def __init__(self, path: Path, what: Message) -> None:
        self.path = path
        self._what = what
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        with saving(self._what):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = part_of(self.path).open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove_part()
        if kind is not None:
            self.drop()

    def write(self, text: str) -> None:
        """Append a text, which can be read at once."""
        assert self._file is not None
        with saving(self._what):
            self._file.write(text)
            self._file.flush()

    def finish(self) -> None:
        """Complete the file; do not append to it afterwards."""
        assert self._file is not None
        with saving(self._what):
            self._file.close()
            part_of(self.path).replace(self.path)

    def drop(self) -> None:
        """Remove the file."""
        self._remove_part()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _remove_part(self) -> None:
        """Remove the unfinished file, so that a thread that still runs cannot rename it later."""
        if self._file is not None:
            with suppress(OSError):  # a full disk, which the writer has reported
                self._file.close()
        with suppress(OSError):
            part_of(self.path).unlink(missing_ok=True)
