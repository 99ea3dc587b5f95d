"""The video service for Pipecat, in a real pipeline down to a WebRTC peer.

Pipecat is large, so it has an environment of its own: set PIPECAT_PYTHON to the Python of one in which
``pipecat-ai[webrtc]`` and the client's requirements are installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.tts.espeak import EspeakEngine
from tests.recordings import write_wav
from tests.servers import ROOT, Server, running

PYTHON = os.environ.get("PIPECAT_PYTHON") or (sys.executable if find_spec("pipecat") else "")
SCRIPT = ROOT / "clients" / "pipecat" / "tests" / "loopback.py"
RATE, SECONDS = 24_000, 3.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason="pipecat is not installed")]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spoken = EspeakEngine().synthesize("아빠가 바다를 바라봅니다. 아이가 노래합니다.", "ko", CancelToken())
    times = np.arange(round(SECONDS * RATE)) / RATE
    samples = np.interp(times, np.arange(len(spoken.samples)) / spoken.rate, spoken.samples, right=0.0)
    return write_wav(tmp_path_factory.mktemp("speech") / "speech.wav", samples, RATE)


@pytest.fixture(scope="module")
def mouths(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on stand-ins whose pictures are bright while they speak."""
    environ = {"FAKE_ENGINES": "mouth", "LIPSYNC_ENGINE": "mouth"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path_factory.mktemp("mouths"), **environ) as s:
        yield s


def shown(server: Server, speech: Path, out: Path, *more: str) -> dict[str, Any]:
    command = [PYTHON, str(SCRIPT), server.url, "solo", str(speech), str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert result["errors"] == []
    return result


def test_what_the_pipeline_says_arrives_with_pictures(mouths: Server, speech: Path, tmp_path: Path) -> None:
    result = shown(mouths, speech, tmp_path / "out.mp4")
    assert 0.7 * SECONDS < result["sound_seconds"] < SECONDS + 0.3  # there are pauses in it
    assert result["pictures"] > 50
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (64, 48)
        pictures = [(frame.time, float(frame.to_ndarray(format="gray").mean())) for frame in video.decode(video=0)]
    with av.open(str(tmp_path / "out.mp4")) as video:
        sound = [(frame.time, np.abs(frame.to_ndarray()).max()) for frame in video.decode(audio=0)]
    bright = [time for time, shade in pictures if time is not None and shade > 120]
    loud = [time for time, level in sound if time is not None and level > 0.02]
    assert abs(bright[0] - loud[0]) < 0.3 and abs(bright[-1] - loud[-1]) < 0.3  # the mouth is open while it is heard
    assert min(shade for _, shade in pictures) < 60  # and shut before and after


def test_an_interruption_silences_it(fake_server: Server, speech: Path, tmp_path: Path) -> None:
    result = shown(fake_server, speech, tmp_path / "out.mp4", "1.2")
    assert 0.2 < result["sound_seconds"] < 2.0 and result["sound_after_interruption"] < 1.0


def test_an_avatar_that_is_not_there_is_an_error_of_the_pipeline(fake_server: Server, speech: Path) -> None:
    code = f"""
import asyncio, sys
sys.path[:0] = [{str(ROOT / "clients" / "python")!r}, {str(ROOT / "clients" / "pipecat")!r}]
from pipecat.frames.frames import ErrorFrame, TTSAudioRawFrame
from pipecat.tests.utils import run_test
from realtime_avatar_pipecat import RealtimeAvatarVideoService
service = RealtimeAvatarVideoService(url={fake_server.url!r}, avatar="nobody")
frames = [TTSAudioRawFrame(bytes(100), 24000, 1)]
down, up = asyncio.run(run_test(service, frames_to_send=frames, start_timeout=30))
print(next(one.error for one in up if isinstance(one, ErrorFrame)), [type(one).__name__ for one in down])
"""
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "nobody" in done.stdout and "TTSAudioRawFrame" in done.stdout  # speech is heard, without pictures


def test_the_snippet_of_its_readme_works() -> None:
    text = (ROOT / "clients" / "pipecat" / "README.md").read_text("utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    paths = os.pathsep.join(str(ROOT / "clients" / name) for name in ("python", "pipecat"))
    environ = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([PYTHON, "-c", code], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
