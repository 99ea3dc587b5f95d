"""Whether memory stays flat: the most that a process holds while it renders one minute of speech, and ten.

    python -m benchmarks.long_speech [--resolution 720p] [--minutes 1 10]

Each length runs in a process of its own. The speech itself lies in memory as 32-bit samples (about 5 MiB a minute), and
is told apart, since it is given.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from benchmarks.machine import describe_machine, peak_memory
from pipeline.cancel import CancelToken
from pipeline.generate import make_studio, render_video, saying
from pipeline.settings import Settings
from pipeline.tasks import TaskBook
from pipeline.tts.base import Mark, Speech

SENTENCE = "먼저 자기소개를 부탁드립니다. 어떤 프로젝트를 맡으셨나요?"


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--resolution", default="720p")
    options.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    given = options.parse_args()
    print(f"machine: {describe_machine()}\n")
    print("| minutes of speech | frames | rendering s | peak MiB | of it speech MiB | picture ends after sound ms |")
    print("|---" * 6 + "|")
    for minutes in given.minutes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(_measure, (minutes, given.resolution)), flush=True)


def _measure(minutes: float, resolution: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(replace(Settings(), results=Path(folder)))
        avatar = studio.avatars.load(studio.avatars.find("talk_long", resolution))
        speech = _repeat(studio.espeak.synthesize(SENTENCE, "ko", CancelToken()), minutes * 60)
        task = TaskBook(Path(folder), 0).files_of("speech")
        start = time.perf_counter()
        with saying(lambda _: (piece for piece in [speech]), avatar, 1, task, studio) as speaker:
            for _ in render_video(avatar, speaker, task, studio.engine):
                pass
        seconds = time.perf_counter() - start
        peak = peak_memory()
        picture, sound = _end(task.video, "video"), _end(task.video, "audio")
    size, frames = speech.samples.nbytes / 2**20, round(picture * float(avatar.fps))
    return f"| {minutes:g} | {frames} | {seconds:.0f} | {peak:.0f} | {size:.0f} | {(picture - sound) * 1000:.0f} |"


def _end(path: Path, kind: str) -> float:
    """Return when the stream of KIND in the video at PATH ends, s."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        packets = (p for p in container.demux(stream) if p.pts is not None)
        return max(float(((p.pts or 0) + (p.duration or 0)) * (p.time_base or 0)) for p in packets)


def _repeat(speech: Speech, seconds: float) -> Speech:
    """Return SPEECH said over and over for SECONDS."""
    times = round(seconds / speech.duration)
    marks = tuple(
        Mark(m.kind, m.text, m.start + n * speech.duration, m.end + n * speech.duration)
        for n in range(times)
        for m in speech.marks
    )
    return replace(speech, samples=np.tile(speech.samples, times), marks=marks)


if __name__ == "__main__":
    main()
