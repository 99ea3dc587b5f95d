"""Imports Gradio without the files that it writes for editors: half of the time that it takes to start.

Gradio compares a stub file (.pyi) beside each of its components with their source, class by class, whenever it is
imported. It leaves those out whose source has no file, and that is what it is told here of all of its own.
"""

from __future__ import annotations

import gc
import importlib
import inspect
from typing import Any


def import_gradio() -> None:
    """Import Gradio; must come before anybody else does. Where Gradio asks in another way, it takes its usual time."""
    file_of = inspect.getfile

    def no_file_of_gradio(thing: Any) -> str:
        if getattr(thing, "__module__", "").startswith("gradio."):
            raise OSError("no stub file is wanted")
        return file_of(thing)

    gc.disable()  # nothing of what is imported is garbage, and to look for it takes an eighth of the time
    inspect.getfile = no_file_of_gradio  # type: ignore[assignment]  # of one kind of thing
    try:
        importlib.import_module("gradio")
    finally:
        inspect.getfile = file_of
        gc.freeze()
        gc.enable()
