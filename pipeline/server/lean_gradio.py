"""Imports Gradio, and has it lay out pages, without what this server does not need: most of the time it takes to start.

For other applications Gradio brings libraries for tables, models on other hosts, and its command line; for editors it
writes down which events its components have. Here the libraries wait until somebody uses them, and nothing is written
down. Where another Gradio does all this in another way, it takes its usual time.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import jinja2

from pipeline.lazy_import import lazily

UNUSED = {
    "gradio.cli": ("deploy",),
    "gradio.external": ("load", "load_chat", "load_openapi"),
    "httpx._main": ("main",),
    "pandas": (),
}
"""Modules that Gradio imports and this server does not use, with their functions that it imports by name."""


def import_gradio() -> None:
    """Import Gradio; must come before anybody else does."""
    file_of = inspect.getfile

    def no_file_of_gradio(thing: Any) -> str:
        """Raise OSError for what is Gradio's: it writes no stub file (.pyi) for a source that has no file."""
        if getattr(thing, "__module__", "").startswith("gradio."):
            raise OSError("no stub file is wanted")
        return file_of(thing)

    gc.disable()  # nothing of what is imported is garbage, and to look for it takes an eighth of the time
    try:
        with ExitStack() as stack:
            stack.enter_context(lazily(UNUSED))
            stack.enter_context(_replaced(inspect, "getfile", no_file_of_gradio))
            stack.enter_context(_replaced(jinja2, "Template", _Unrendered))
            # every client made here, and never used, would read the list of authorities again
            stack.enter_context(_replaced(ssl, "create_default_context", cache(ssl.create_default_context)))
            gradio = importlib.import_module("gradio")
        # whether "gradio app.py" runs this, to load it anew after each change; asking loads Gradio's command line
        gradio.Blocks._is_running_in_reload_thread = False
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def without_spare_apps() -> Iterator[None]:
    """Have Gradio make no web application while the block lays out a page; the one that is served is launch()'s.

    It makes one as a page is begun, and another as it ends.
    """
    from gradio.routes import App

    with _replaced(App, "create_app", staticmethod(lambda *arguments, **options: None)):
        yield


class _Unrendered:
    """Stands for a jinja2.Template whose text is good enough as it is: those of the docstrings of events."""

    def __init__(self, source: str) -> None:
        self._source = source

    def render(self, **_values: object) -> str:
        return self._source


@contextmanager
def _replaced(owner: object, name: str, stand_in: object) -> Iterator[None]:
    before = inspect.getattr_static(owner, name)
    setattr(owner, name, stand_in)
    try:
        yield
    finally:
        setattr(owner, name, before)
