"""Modules that wait until somebody uses them."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.lazy_import import lazily


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of which nobody has heard before, with a module within it that needs the package to be whole."""
    folder = tmp_path / "unheard"
    folder.mkdir()
    slow = "import time\ntime.sleep(0.1)\ndef twice(n): return 2 * n\nANSWER = twice(21)\n"
    (folder / "__init__.py").write_text(slow)
    (folder / "within.py").write_text("from unheard import ANSWER\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "unheard"
    for name in ("unheard", "unheard.within"):
        sys.modules.pop(name, None)


def loaded(name: str) -> bool:
    return "ANSWER" in vars(sys.modules[name])


def test_a_module_waits_until_something_of_it_is_used(package: str) -> None:
    with lazily({package: ()}):
        module = importlib.import_module(package)
    assert importlib.import_module(package) is module and not loaded(package)
    assert module.ANSWER == 42 and loaded(package)
    assert not hasattr(module, "question")


def test_what_is_imported_by_name_waits_until_it_is_called(package: str) -> None:
    with lazily({package: ("twice",)}):
        from unheard import twice
    assert not loaded(package)
    assert twice(4) == 8 and loaded(package)


def test_a_module_within_it_finds_it_whole(package: str) -> None:
    with lazily({package: ()}):
        importlib.import_module(package)
    assert importlib.import_module(f"{package}.within").ANSWER == 42


def test_it_is_whole_for_all_threads_at_once(package: str) -> None:
    with lazily({package: ()}):
        module = importlib.import_module(package)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(module.ANSWER)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [42] * 4


def test_others_are_loaded_at_once(package: str) -> None:
    with lazily({"another": ()}):
        importlib.import_module(package)
    assert loaded(package)
    with lazily({"not_there_at_all": ()}), pytest.raises(ModuleNotFoundError):
        importlib.import_module("not_there_at_all")
