"""Files that are written beside their final name and renamed when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
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
