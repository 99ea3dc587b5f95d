"""Files that grow beside their own name and take it when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import RenderFailed


def part_of(path: Path) -> Path:
    """Return where the file that will be PATH grows while it is being made."""
    return path.with_name(path.name + ".part")


@contextmanager
def saving(ko: str, en: str) -> Iterator[None]:
    """Turn what the disk raises into RenderFailed, which names what was to be saved in Korean and English."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "I/O error"  # the whole error would tell the path
        raise RenderFailed(
            f"{ko} 파일을 저장할 수 없습니다 ({reason}). 디스크 여유 공간을 확인하세요.",
            f"The {en} could not be saved ({reason}). Check for free disk space.",
        ) from error
