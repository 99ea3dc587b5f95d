"""The disk of a node: the folder of packs, decoded clips and results of one run of the web server, and room."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

logger = logging.getLogger(__name__)

ROOM = 50 << 20
"""Bytes that must be free on the disk of a node: less than a long video needs."""
LOOK_SECONDS = 1.0
"""Seconds between two looks whether there is room."""


def has_room() -> bool:
    """Return whether the disk has room for a task."""
    return shutil.disk_usage(tempfile.gettempdir()).free >= ROOM


def wait_for_room() -> None:
    """Wait until the disk has room for a task."""
    if not has_room():
        logger.warning("the disk of this node is full; it takes no work until %d MiB are free", ROOM >> 20)
    while not has_room():
        time.sleep(LOOK_SECONDS)


def folder_of(run: str) -> Path:
    """Return the folder of a run of the web server, in one that no other user can write; remove those of earlier runs.

    Args:
        run: Which run of the web server this is, as a folder name: avatars that are deleted between two runs go, too.

    Raises:
        PermissionError: The folder belongs to another user.
    """
    home = Path(tempfile.gettempdir()) / f"avatar-packs-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    status = home.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise PermissionError(f"{home}: expected a folder that belongs to this user alone")
    for path in home.iterdir():
        if path.name != run:
            shutil.rmtree(path, ignore_errors=True)
    (home / run).mkdir(exist_ok=True)
    return home / run


def decoded_of(pack: Path) -> Path:
    """Return the folder of the decoded clips of a pack."""
    return pack.with_name(f"{pack.stem}-decoded")
