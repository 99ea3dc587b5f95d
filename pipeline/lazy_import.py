"""Modules that are loaded when they are first used, not when they are imported.

It is what ``importlib.util.LazyLoader`` is for; but what that one has put off is loaded as soon as it is imported a
second time (Python 3.11), and nothing can be imported from it by name.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def lazily(functions: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Put off the loading of modules that are imported while the block lasts.

    FUNCTIONS has, by the names of the modules, which of their functions are imported from them by name. To call one of
    these loads the module, from any thread, and so does every other attribute of it, and every module within it.
    """
    finder = _Finder(functions)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def __init__(self, functions: Mapping[str, Sequence[str]]) -> None:
        self._functions = functions

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._functions else None
        if spec is not None and spec.loader is not None:
            spec.loader = _LazyLoader(spec.loader, self._functions[name])
        return spec


class _LazyLoader(Loader):
    def __init__(self, loader: Loader, functions: Sequence[str]) -> None:
        self._loader = loader
        self._functions = functions

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        _Unloaded(module, self._loader, self._functions)


class _Unloaded:
    """What a module is filled with until LOADER fills it."""

    def __init__(self, module: ModuleType, loader: Loader, functions: Sequence[str]) -> None:
        self._module = module
        self._loader: Loader | None = loader
        self._lock = threading.RLock()  # to load a module uses it
        self._path = None if functions else vars(module).pop("__path__", None)  # modules within it ask for it first
        vars(module).update({name: self._function(name) for name in functions}, __getattr__=self._attribute)

    def _load(self) -> None:
        with self._lock:
            if self._loader is None:
                return
            loader, self._loader = self._loader, None
            if self._path is not None:
                self._module.__path__ = self._path
            loader.exec_module(self._module)

    def _attribute(self, name: str) -> Any:
        if name != "__path__" or self._path is not None:  # "from module import name" asks every module for it
            self._load()
        own = vars(self._module)
        if name in own:
            return own[name]
        if own["__getattr__"] != self._attribute:
            return own["__getattr__"](name)
        raise AttributeError(f"module {self._module.__name__!r} has no attribute {name!r}")

    def _function(self, name: str) -> Callable[..., Any]:
        def function(*arguments: Any, **options: Any) -> Any:
            self._load()
            return vars(self._module)[name](*arguments, **options)

        return function
