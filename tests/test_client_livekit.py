"""The avatar for LiveKit Agents, on the library's own runner and media sources, with a room that stands in for one.

LiveKit Agents has an environment of its own: set LIVEKIT_PYTHON to the Python of one in which ``livekit-agents`` and
the client's requirements are installed. What this leaves untested: a LiveKit server, its network, and subscribers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.servers import ROOT, Server

PYTHON = os.environ.get("LIVEKIT_PYTHON") or (sys.executable if find_spec("livekit") else "")
SCRIPT = ROOT / "clients" / "livekit" / "tests" / "fake_room.py"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason="livekit-agents is not installed")]


def test_an_agent_speaks_through_the_avatar_and_is_interrupted(fake_server: Server) -> None:
    done = subprocess.run([PYTHON, str(SCRIPT), fake_server.url, "solo"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    whole, cut = result["turns"]
    assert abs(whole["heard"] - 2) < 0.3 and abs(whole["position"] - 2) < 0.3 and whole["interrupted"] is False
    assert 0.3 < cut["heard"] < 1.8 and cut["interrupted"] is True and cut["late"] < 0.3
    assert abs(cut["position"] - cut["heard"]) < 0.3
    assert result["tracks"] == ["avatar_audio", "avatar_video"] and result["size"] == [64, 48]


def test_an_avatar_that_is_not_there_is_an_error(fake_server: Server) -> None:
    done = subprocess.run([PYTHON, str(SCRIPT), fake_server.url, "nobody"], capture_output=True, text=True, timeout=200)
    assert done.returncode != 0 and "ServerError" in done.stderr and "nobody" in done.stderr


def test_the_snippet_of_its_readme_works() -> None:
    text = (ROOT / "clients" / "livekit" / "README.md").read_text("utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    paths = os.pathsep.join(str(ROOT / "clients" / name) for name in ("python", "livekit"))
    body = "\n".join(f"    {line}" for line in code.splitlines())
    program = f"import asyncio\nasync def main():\n{body}\nasyncio.run(main())"  # it needs a running loop
    environ = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([PYTHON, "-c", program], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
