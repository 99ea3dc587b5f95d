"""The package: what it needs, and that what is installed runs from any folder."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import requests

from pipeline.settings import ROOT
from tests.servers import HALF_WRITTEN, free_port, wait_for

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

ELSEWHERE = {"spaces"}
"""Modules that are only where they are used: on ZeroGPU."""


def required(file: str) -> list[str]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


@pytest.mark.parametrize(
    ("extra", "file"),
    [
        ("gpu", "requirements-gpu.txt"),
        ("voices", "requirements-voices.txt"),
        ("transcription", "requirements-transcription.txt"),
        ("c2pa", "requirements-c2pa.txt"),
        ("cluster", "requirements-cluster.txt"),
    ],
)
def test_extras_are_the_requirements_files(extra: str, file: str) -> None:
    assert PROJECT["optional-dependencies"][extra] == required(file)


def test_dependencies_are_the_requirements_files() -> None:
    assert PROJECT["dependencies"] == required("requirements.txt")
    own, *others = PROJECT["optional-dependencies"]["dev"]
    assert own == f"{PROJECT['name']}[gpu]" and others == required("requirements-dev.txt")


@pytest.mark.slow
def test_what_is_imported_is_declared() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "pipeline").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    roots = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"pipeline"}
    extras = PROJECT["optional-dependencies"]
    own = [*PROJECT["dependencies"], *extras["gpu"], *extras["voices"], *extras["transcription"]]
    lines = [*own, *extras["c2pa"], *extras["cluster"]]
    declared = {plain(re.split(r"[<>=~;\[ ]", line)[0]) for line in lines}
    packages = packages_distributions()
    undeclared = {
        root: packages.get(root, [root])
        for root in roots - ELSEWHERE
        if not declared & {plain(name) for name in packages.get(root, [root])}
    }
    assert not undeclared


def plain(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(folder / "site")
    _take_compiled(folder / "site")
    assert {"pipeline/server/embed/v1.js", "pipeline/server/rest/result.html"} <= set(names)
    assert "pipeline/py.typed" in names and "pipeline/precomputed/720p/talk_long_720p_precomputed.pkl" in names
    assert not [name for name in names if name.startswith(("tests/", "app.py"))]
    return folder / "site"


def _take_compiled(site: Path) -> None:
    """Give what is installed the compiled code of the sources, in place of half a minute in which it is made again."""
    for path in (site / "pipeline").rglob("*.py"):
        source = ROOT / path.relative_to(site)
        assert path.read_bytes() == source.read_bytes()
        shutil.copystat(source, path)  # by which compiled code is known
    for folder in (ROOT / "pipeline").rglob("__pycache__"):
        shutil.copytree(folder, site / folder.relative_to(ROOT), ignore=HALF_WRITTEN)


@pytest.mark.slow
def test_the_installed_server_answers_from_an_empty_folder(site: Path, tmp_path: Path) -> None:
    [entry_points] = site.glob("*.dist-info/entry_points.txt")
    assert "avatar-server = pipeline.server.main:main" in entry_points.read_text()
    port = free_port()
    environ = {**os.environ, "PYTHONPATH": str(site), "GRADIO_SERVER_PORT": str(port), "TTS_ENGINE": "espeak"}
    code = "import sys; from pipeline.server.main import main; sys.exit(main())"
    with (tmp_path / "log").open("w") as log:
        (tmp_path / "empty").mkdir()
        server = subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path / "empty", env=environ, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: "ready: " in (tmp_path / "log").read_text(), 60)
        asked = {"text": "안녕하세요.", "avatar": "talk_long", "resolution": "360p"}
        lines = requests.post(f"{url}/api/v2/lipsync/stream", json=asked, stream=True, timeout=120).iter_lines()
        events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
        assert events[-1]["type"] == "done", events[-1]
        assert requests.get(url + events[-1]["video_url"], timeout=60).content[4:8] == b"ftyp"
        assert (tmp_path / "empty" / "results" / "realtime").is_dir()
    finally:
        server.terminate()
        server.wait(30)
