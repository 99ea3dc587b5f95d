"""The examples that clients start from run as they are written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.conftest import ROOT, Server

TEXT = "안녕하세요."


def frames_of(path: Path) -> tuple[int, int, int]:
    """Return the number of frames in a video, and their width and height."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sum(1 for _ in container.decode(video=0)), stream.width, stream.height


def test_the_python_client(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples/client_python.py"), TEXT, server.url]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert "[tts_done]" in ended.stdout and "[done]" in ended.stdout
    count, *size = frames_of(tmp_path / "video.mp4")
    assert count > 10 and size == [1280, 720]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_shell_client(server: Server, tmp_path: Path) -> None:
    command = ["sh", str(ROOT / "examples/client.sh"), TEXT, server.url]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert '"success":true' in ended.stdout
    count, *size = frames_of(tmp_path / "video.mp4")
    assert count > 10 and size == [1280, 720]
