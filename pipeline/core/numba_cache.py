"""Finds numba a folder for the code it compiles: without one, modules with compiled functions cannot be imported."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
"""Where numba looks first, and then beside the module and in the user's own cache; read when it is imported."""


def ensure_numba_cache(package: Path) -> None:
    """Set NUMBA_CACHE_DIR where the user has no place of their own: to a folder in PACKAGE, or else a temporary one.

    A home that cannot be written to is common in containers. What lies beside the module would not do for libraries,
    which are as a rule installed by somebody else. The temporary folder lasts as long as this process.
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
