"""Compiled code finds a place in any surroundings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

VARIABLE = "NUMBA_CACHE_DIR"
ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """
import numba
from pipeline.doubling import doubled
print(doubled(0.5), numba.config.CACHE_DIR or None)
"""
FUNCTION = """
from pipeline.core.numba_cache import compiled

@compiled
def doubled(value):
    return 2 * value
"""
"""Compiles in a third of the time that a function of the program takes."""

SOUND = """
import numba
import numpy as np
from pipeline.speech_types import Speech
from pipeline.tts.finish import finished

sound = np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)
pieces = iter([Speech(samples=sound, rate=16000, text="", language="en")])
print(len(next(finished(pieces, None, 2.0)).samples), numba.config.CACHE_DIR or None)
"""
LIBRARY = """
import numba

@numba.vectorize(["float64(float64)"], cache=True)
def same(value):
    return value

def pitch_shift(y, **options):
    return same(y)
"""
"""What the program uses of librosa, which compiles many functions where it is imported; these take a second."""


def run(where: Path, program: str = PROGRAM, **environ: str) -> tuple[float, str]:
    """Run PROGRAM on the sources at WHERE; return what it computed and the folder that was chosen."""
    inherited = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=where,
        env={**inherited, "PYTHONPATH": str(where), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    value, folder = done.stdout.split()
    return float(value), folder


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pipeline" / "doubling.py").write_text(FUNCTION)
    (tmp_path / "no folder").touch()
    return tmp_path


def test_the_users_own_cache_is_left_alone(sources: Path) -> None:
    assert run(sources, HOME=str(sources)) == (1.0, "None")


def test_without_a_home_code_is_kept_beside_the_package(sources: Path) -> None:
    assert run(sources, HOME=str(sources / "no folder")) == (1.0, str(sources / "pipeline" / "__pycache__"))
    assert list((sources / "pipeline" / "__pycache__").rglob("*.nbi"))


def test_with_no_place_at_all_code_is_kept_while_the_process_runs(sources: Path) -> None:
    for folder in [sources / "pipeline", *(sources / "pipeline").rglob("*")]:
        if folder.is_dir():
            (folder / "__pycache__").touch()  # a file where a folder should be made: not even root can
    value, kept = run(sources, HOME=str(sources / "no folder"), TMPDIR=str(sources))
    assert value == 1.0
    assert Path(kept).parent == sources and not Path(kept).exists()


def test_what_the_user_names_is_taken(sources: Path) -> None:
    own = str(sources / "own")
    assert run(sources, HOME=str(sources / "no folder"), NUMBA_CACHE_DIR=own) == (1.0, own)
    assert list((sources / "own").rglob("*.nbi"))


def test_libraries_that_compile_where_they_are_imported_find_a_place(sources: Path) -> None:
    (sources / "librosa").mkdir()
    (sources / "librosa" / "__init__.py").touch()
    (sources / "librosa" / "effects.py").write_text(LIBRARY)
    nowhere_else = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "HOME": str(sources / "no folder")}
    assert run(sources, SOUND, **nowhere_else) == (16000.0, str(sources / "pipeline" / "__pycache__"))
    assert list((sources / "pipeline" / "__pycache__").rglob("effects.same-*.nbi"))
