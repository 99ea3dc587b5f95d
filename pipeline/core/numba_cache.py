"""Compiles functions with numba and keeps the machine code on disk. Nothing happens before the first call."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_PACKAGE = Path(__file__).resolve().parent.parent


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba at its first call, and keep its code on disk for the next process.

    The code includes that of the functions it calls, which therefore need only numba's own decorator. It runs without
    the interpreter's lock and divides as NumPy does.

    Args:
        function: A function that numba can compile.

    Returns:
        A function that is called in the same way, from Python.
    """

    @cache
    def dispatcher() -> Callable[P, R]:
        import numba

        ensure_numba_cache()
        made: Callable[P, R] = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        return made

    @wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        return dispatcher()(*arguments, **named)

    call.dispatcher = dispatcher  # type: ignore[attr-defined]  # knows which variants were compiled
    return call


@cache
def ensure_numba_cache() -> None:
    """Give numba a folder for its code if the user's cache cannot be written to, as is common in containers.

    Without a folder, functions cannot be compiled with a cache, and libraries with such functions cannot be imported:
    call this before. The folder beside the module is no alternative: libraries are mostly installed by another user.
    The choice is this package's ``__pycache__``, else a temporary folder that lasts as long as this process.
    """
    import numba

    config: Any = numba.config
    own = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~")
    if config.CACHE_DIR or _writable(Path(own)):  # CACHE_DIR: from the environment
        return
    beside = _PACKAGE / "__pycache__"
    if _writable(beside):
        config.CACHE_DIR = str(beside)
    else:
        config.CACHE_DIR = folder = tempfile.mkdtemp(prefix="numba-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
