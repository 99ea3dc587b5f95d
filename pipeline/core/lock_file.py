"""Locks among the processes of a machine; one that dies has none any more."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.cancel import CancelToken

LOOKING = 0.25
"""Seconds between two tries."""


class LockFile:
    """A lock that is held.

    Args:
        path: Its file.
        handle: The file, open and locked.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle = handle

    @property
    def there(self) -> bool:
        """Whether its file is there still; who removes it tells the holder that the work is not wanted any more."""
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._path))
        except FileNotFoundError:
            return False


@contextmanager
def locked(path: Path, cancel: CancelToken) -> Iterator[LockFile]:
    """Hold a lock while the block lasts; wait until nobody else does, in this process or another.

    The system releases it with the process. The file is removed with the lock.

    Args:
        path: A file in a folder that exists.
        cancel: Ends the waiting when it is set.

    Raises:
        OSError: The file cannot be made.
        PipelineError: The reason with which `cancel` was set.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            lock = LockFile(path, handle)
            _wait(handle, cancel)
            if lock.there:  # else it was removed while another held it
                try:
                    yield lock
                finally:
                    if lock.there:
                        path.unlink(missing_ok=True)
                return
        finally:
            os.close(handle)


def _wait(handle: int, cancel: CancelToken) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            cancel.wait(LOOKING)
            cancel.check()
