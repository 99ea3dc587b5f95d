"""Files that are written beside their final name and renamed when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
