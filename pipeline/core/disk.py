"""The server's disk: temporary folders on it, and what is told where it cannot be written to."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import Unavailable

logger = logging.getLogger(__name__)

UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE}
)
"""What the disk raises where nothing can be written, whatever is written."""


@contextmanager
def writing() -> Iterator[None]:
    """Turn what the disk raises in the block (no room, no permission, no such folder) into Unavailable, and log it."""
    try:
        yield
    except ConnectionError:  # not the disk
        raise
    except OSError as error:
        logger.warning("cannot write to the disk: %s", error)
        raise unwritable(error) from error


def unwritable(error: OSError) -> Unavailable:
    """Return what is told where the disk raises ERROR: its reason, and no path of this machine."""
    reason = error.strerror or "I/O error"
    return Unavailable(
        f"서버의 디스크에 쓸 수 없습니다 ({reason}). 디스크 공간과 폴더의 쓰기 권한을 확인한 뒤 다시 시도하세요.",
        f"The server cannot write to its disk ({reason}). Check the space on the disk, and that the server may write "
        "to its folders, then try again.",
    )


def temporary_folder(where: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a new temporary folder in WHERE, also where that was deleted. Raises Unavailable."""
    with writing():
        where.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True)


def restore_temporary() -> None:
    """Make the folder of temporary files again where it was deleted while the program ran. Raises OSError."""
    os.makedirs(tempfile.gettempdir(), exist_ok=True)
