"""How well lips follow speech at the other end of a Pipecat pipeline: WebRTC, on this computer.

    PIPECAT_PYTHON=... python -m benchmarks.webrtc [--times 3] [--avatar talk_long] [--text ...]

Starts the server. Scripted speech goes through the video service of `clients/pipecat` and SmallWebRTC to a peer
(aiortc), which records what it gets at the time of its arrival; ``benchmarks.lip_judge`` judges the recording.
PIPECAT_PYTHON is the Python of an environment with ``pipecat-ai[webrtc]`` and the client's requirements.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lip_judge import check
from benchmarks.machine import describe_machine, load
from benchmarks.serving import URL, serving
from pipeline.core.cancel import CancelToken
from pipeline.speech_types import Speech
from pipeline.tts.espeak import EspeakEngine

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다. 아빠가 바다를 보며 밥을 먹습니다."
LOOPBACK = Path(__file__).resolve().parent.parent / "clients" / "pipecat" / "tests" / "loopback.py"
LATEST = 80
"""Most milliseconds that lips may be late or early."""
ASKED = ("lag_ms", "corr", "closure", "face_found", "audio_match", "pictures_per_second", "first_sound")


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=3)
    options.add_argument("--avatar", default="talk_long")
    options.add_argument("--text", default=TEXT)
    options.add_argument("--voice", default="ko", help="voice of eSpeak NG")
    options.add_argument("--keep", type=Path, help="folder for what was received")
    given = options.parse_args()
    python = os.environ.get("PIPECAT_PYTHON")
    if not python:
        raise SystemExit("set PIPECAT_PYTHON to the Python of an environment with pipecat-ai[webrtc]")
    speech = EspeakEngine().synthesize(given.text, given.voice, CancelToken())
    rows = []
    with tempfile.TemporaryDirectory() as temporary, serving(TTS_ENGINE="espeak"):
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        sound = _save(speech, Path(temporary) / "speech.wav")
        for number in range(given.times):
            out = folder / f"received_{number}.mp4"
            rows.append(_judged(python, given.avatar, sound, out, speech) | {"load": round(load(), 1)})
    print(f"machine: {describe_machine()}\n{given.avatar}, 360p, {speech.duration:.1f} s of speech\n")
    names = (*ASKED, "load")
    print(f"| | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for number, row in enumerate(rows, 1):
        print(f"| {number} | {' | '.join(str(row.get(name)) for name in names)} |")
    lags = [row["lag_ms"] for row in rows if row.get("lag_ms") is not None]
    if len(lags) < len(rows):
        raise SystemExit(f"not judged: {[row.get('error') for row in rows]}")
    worst = max(map(abs, lags))
    print(f"\nlag: median {statistics.median(lags):.0f} ms, worst {worst:.0f} ms, bar {LATEST} ms")


def _save(speech: Speech, path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.rate)
        file.writeframes((np.clip(speech.samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def _judged(python: str, avatar: str, sound: Path, out: Path, speech: Speech) -> dict[str, Any]:
    """Run the pipeline once; return what the peer got and how it is judged."""
    command = [python, str(LOOPBACK), URL, avatar, str(sound), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    got: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if got["errors"]:
        raise SystemExit(f"errors of the pipeline: {got['errors']}")
    return {**got, **check(out, speech)}


if __name__ == "__main__":
    main()
