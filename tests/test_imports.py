"""Importing a module changes nothing: what the package does, it does when it is called."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = '''
import importlib, os, pkgutil, signal, sys, tempfile, threading
from pathlib import Path

import pytest
from types import ModuleType

LIBRARIES = "gradio", "fastapi", "starlette.applications", "sse_starlette", "uvicorn", "httpx", "torch", "numba", "cv2"
LIBRARIES += "av", "PIL.Image", "numpy", "scipy.ndimage", "soxr", "elevenlabs", "logging", "asyncio", "json", "pickle"
LIBRARIES += ("ssl",)
for name in LIBRARIES:
    importlib.import_module(name)  # what these do where they are imported is their own affair


def functions():
    """What every module and class of others calls by which name."""
    found = {}
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or name.split(".")[0] in ("pipeline", "__main__"):
            continue
        for key, value in list(vars(module).items()):
            if callable(value):
                found[name, key] = value
            if isinstance(value, type) and value.__module__ == name:
                found |= {(name, key, own): each for own, each in list(vars(value).items()) if callable(each)}
    return found


def state():
    return {
        "environment": dict(os.environ),
        "import hooks": list(map(repr, sys.meta_path)),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "exception hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook),
        "threads": threading.enumerate(),
        "folder": os.getcwd(),
        "files": sorted(str(path) for path in Path.cwd().rglob("*")),
        "children": Path("/proc/thread-self/children").read_text() if sys.platform == "linux" else "",
    }


state_before, functions_before = state(), functions()
import pipeline

assert Path(pipeline.__file__).parent.name == "pipeline"
names = [module.name for module in pkgutil.walk_packages(pipeline.__path__, "pipeline.")]
names.remove("pipeline.preparing.__main__")  # which is a program
for name in names:
    importlib.import_module(name)
state_after, functions_after = state(), functions()
assert len(names) > 100, names
for what, before in state_before.items():
    assert state_after[what] == before, (what, before, state_after[what])
replaced = [name for name, before in functions_before.items() if functions_after.get(name) is not before]
assert not replaced, replaced
'''


@pytest.mark.slow
def test_importing_every_module_changes_nothing(tmp_path: Path) -> None:
    home, temp = tmp_path / "no folder", tmp_path / "temp"
    home.touch()
    temp.mkdir()
    environ = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environ |= {"PYTHONPATH": str(ROOT), "HOME": str(home), "TMPDIR": str(temp), "MPLCONFIGDIR": str(temp)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_test_imports_from_another() -> None:
    """What tests share lies in modules whose names say so; importing a test file would load its own imports, too."""
    files = [*(ROOT / "tests").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    modules = {
        (path.name, module)
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in [
            getattr(node, "module", None),
            *(f"{getattr(node, 'module', '')}.{one.name}" for one in node.names),
        ]
    }
    assert len(modules) > 1000
    assert not [one for one in modules if one[1] and re.search(r"\btests\.(test_|conftest)", one[1])]


def test_no_two_modules_have_the_same_name() -> None:
    """A reader finds a part by its name; those with what a package tells people have the name of that package."""
    modules = [
        path.stem
        for path in (ROOT / "pipeline").rglob("*.py")
        if not path.stem.startswith("__") and path.parent.name != "messages"
    ]
    assert len(modules) > 100
    assert not [name for name, count in Counter(modules).items() if count > 1]


def test_files_that_documents_name_are_there() -> None:
    """Those of the past are in the list of changes alone."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    documents = [ROOT / name for name in files if name.endswith(".md") and name != "CHANGELOG.md"]
    named = {one for document in documents for one in re.findall(r"`([\w/]+\.py)`", document.read_text("utf-8"))}
    assert len(named) > 20
    assert not [one for one in named if not any(f"/{name}".endswith(f"/{one}") for name in files)]
