"""Gives numba a folder for its compiled code; without one, modules with compiled functions cannot be imported."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
"""Where numba looks first, before the module's folder and the user's cache; read when numba is imported."""


def ensure_numba_cache(package: Path) -> None:
    """Set NUMBA_CACHE_DIR if the user's cache cannot be written to, as is common in containers.

    The folder beside the module is no alternative: libraries are mostly installed by another user. The choice is
    `package`'s ``__pycache__``, else a temporary folder that lasts as long as this process.

    Args:
        package: Folder of this package.
    """
    own = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~")
    if VARIABLE in os.environ or _writable(Path(own)):
        return
    beside = package / "__pycache__"
    if _writable(beside):
        os.environ[VARIABLE] = str(beside)
    else:
        os.environ[VARIABLE] = folder = tempfile.mkdtemp(prefix="numba-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
