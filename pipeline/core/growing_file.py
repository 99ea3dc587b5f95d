"""Files that are written beside their final name and renamed when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import RenderFailed


def part_of(path: Path) -> Path:
    """Return the path at which a file is written until it is complete."""
    return path.with_name(path.name + ".part")


@contextmanager
def saving(ko: str, en: str) -> Iterator[None]:
    """Turn an OSError of the block into RenderFailed.

    Args:
        ko: What is saved, in Korean.
        en: What is saved, in English.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or "I/O error"  # the whole error would contain the path
        raise RenderFailed(
            f"{ko} 파일을 저장할 수 없습니다 ({reason}). 디스크 여유 공간을 확인하세요.",
            f"The {en} could not be saved ({reason}). Check for free disk space.",
        ) from error
