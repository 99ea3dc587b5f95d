"""The container: its files are linted, and what they say is done here, since no container engine may be there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import requests

from pipeline.settings import ROOT
from tests.servers import HALF_WRITTEN, free_port, wait_for

SCRIPTS = Path(sysconfig.get_path("scripts"))


def steps() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile: (name, what follows it), continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


@pytest.mark.skipif(not (SCRIPTS / "hadolint").exists(), reason="hadolint comes for Linux on x86-64 only")
def test_the_files_are_clean() -> None:
    subprocess.run([SCRIPTS / "hadolint", "--ignore", "DL3008", ROOT / "Dockerfile"], check=True)
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
    files = [ROOT / "compose.yaml", ROOT / "compose.gpu.yaml"]
    subprocess.run([SCRIPTS / "yamllint", "--strict", "-d", rules, *files], check=True)


def test_nothing_runs_as_root_and_nothing_secret_is_copied() -> None:
    users = [value for name, value in steps() if name == "USER"]
    assert users == ["1000"]
    after = [name for name, _ in steps()][[name for name, _ in steps()].index("USER") :]
    assert "RUN" not in after and "COPY" not in after
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*" and not any(".env" in line for line in ignored)
    assert "gpu" in (ROOT / "compose.gpu.yaml").read_text() and (ROOT / "requirements-gpu.txt").is_file()


@pytest.mark.slow
def test_what_is_copied_is_enough_to_serve_and_to_be_found_healthy(tmp_path: Path) -> None:
    app, environ = tmp_path / "app", {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    app.mkdir()
    for name, value in steps():
        match name:
            case "COPY":
                *sources, target = [part for part in shlex.split(value) if not part.startswith("--")]
                for source in (file for pattern in sources for file in ROOT.glob(pattern)):
                    if source.is_dir():
                        # with what was compiled of it, or that is made again
                        shutil.copytree(source, app / target, ignore=HALF_WRITTEN)
                    else:
                        shutil.copy(source, app / target)
            case "RUN" if value.startswith("mkdir"):
                subprocess.run(value.split("&&")[0], shell=True, cwd=app, check=True)
            case "ENV":
                environ |= dict(pair.split("=", 1) for pair in shlex.split(value))
    port = str(free_port())
    environ |= {"GRADIO_SERVER_PORT": port, "MODELS_DIR": str(app / "models"), "API_KEYS": "secret"}
    environ |= {"TTS_ENGINE": "espeak"}  # no other voice is asked for
    instructions = {name: value for name, value in steps() if name in ("CMD", "HEALTHCHECK")}
    check = json.loads(instructions["HEALTHCHECK"].split("CMD", 1)[1])
    with (tmp_path / "log").open("wb") as log:
        program = [sys.executable, *json.loads(instructions["CMD"])[1:]]
        server = subprocess.Popen(program, cwd=app, env=environ, stdout=log, stderr=subprocess.STDOUT)
    try:
        healthy = [sys.executable, *check[1:]]
        wait_for(lambda: server.poll() is not None or "ready: " in (tmp_path / "log").read_text(), 90)
        wait_for(lambda: server.poll() or subprocess.run(healthy, env=environ, capture_output=True).returncode == 0, 90)
        body = {"text": "안녕", "avatar": "talk_long", "resolution": "360p", "tts_engine": "espeak"}
        key = {"Authorization": "Bearer secret"}
        url = f"http://127.0.0.1:{port}/api/v2"
        reply = requests.post(f"{url}/lipsync", json=body, headers=key, timeout=120)
        assert reply.status_code == 200, reply.text
        assert (app / reply.json()["video_path"]).is_file()
        live = {"avatar": "talk_long", "resolution": "360p", "tts_engine": "espeak"}
        opened = requests.post(f"{url}/sessions", json=live, headers=key, timeout=60).json()
        session = f"{url}/sessions/{opened['session_id']}"
        requests.post(f"{session}/say", json={"text": "안녕"}, headers=key, timeout=60).raise_for_status()
        with requests.get(f"{session}/events", headers=key, stream=True, timeout=60) as events:
            assert any('"turn_ended"' in event for event in events.iter_lines(decode_unicode=True))
    finally:
        server.terminate()
        assert server.wait(30) == 0, (tmp_path / "log").read_text()
    assert subprocess.run(healthy, env=environ, capture_output=True).returncode != 0
