"""The server's disk: temporary folders, and the error for a disk that cannot be written to."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import messages
from pipeline.errors import Unwritable

logger = logging.getLogger(__name__)

UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE}
)
"""Error numbers of a disk that cannot be written to at all."""


@contextmanager
def writing() -> Iterator[None]:
    """Turn an OSError of the block (no space, no permission, no such folder) into Unavailable, and log it."""
    try:
        yield
    except ConnectionError:  # not the disk
        raise
    except OSError as error:
        logger.warning("cannot write to the disk: %s", error)
        raise unwritable(error) from error


def unwritable(error: OSError) -> Unwritable:
    """Return the error for a client: the reason of an OSError, without a path of this machine."""
    reason = error.strerror or "I/O error"
    return Unwritable(messages.core.DISK_NOT_WRITABLE(reason=reason))


def temporary_folder(where: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a new temporary folder inside a folder, which is created if it is missing.

    Raises:
        Unavailable: The disk cannot be written to.
    """
    with writing():
        where.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True)


def restore_temporary() -> None:
    """Create the folder of temporary files again if it was deleted while the program ran.

    Raises:
        OSError: The folder cannot be created.
    """
    os.makedirs(tempfile.gettempdir(), exist_ok=True)
