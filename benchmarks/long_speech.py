"""Whether memory stays flat: the most that a process holds while it makes a video of one minute of speech, and of ten.

    python -m benchmarks.long_speech [--resolution 720p] [--minutes 1 10]

Each length is one text, from its first letter to the finished file, in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av

from benchmarks.machine import describe_machine, peak_memory
from pipeline.core.cancel import CancelToken
from pipeline.jobs.events import Done
from pipeline.jobs.generate import generate
from pipeline.jobs.request import parse
from pipeline.jobs.studio import make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings

SENTENCE = "먼저 자기소개를 부탁드립니다. 어떤 프로젝트를 맡으셨나요?"


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--resolution", default="720p")
    options.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    given = options.parse_args()
    print(f"machine: {describe_machine()}\n")
    print("| minutes of speech | first pictures s | all s | peak MiB | picture ends after sound ms |")
    print("|---" * 5 + "|")
    for minutes in given.minutes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(_measure, (minutes, given.resolution)), flush=True)


def _measure(minutes: float, resolution: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(replace(Settings(), results=Path(folder)))
        seconds_each = studio.espeak.synthesize(f"{SENTENCE} {SENTENCE}", "ko", CancelToken()).duration / 2
        text = " ".join([SENTENCE] * round(minutes * 60 / seconds_each))
        body = {"text": text, "avatar": "talk_long", "resolution": resolution, "tts_engine": "espeak"}
        request = parse(body, studio)
        task = TaskBook(Path(folder), 0).files_of("speech")
        start = time.perf_counter()
        done = next(event for event in generate(request, task, studio) if isinstance(event, Done))
        seconds = time.perf_counter() - start
        peak = peak_memory()
        picture, sound = _end(task.video, "video"), _end(task.video, "audio")
    return (
        f"| {done.audio_duration / 60:.1f} | {done.first_byte:.2f} | {seconds:.0f} | {peak:.0f} "
        f"| {(picture - sound) * 1000:.0f} |"
    )


def _end(path: Path, kind: str) -> float:
    """Return when the stream of KIND in the video at PATH ends, s."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        packets = (p for p in container.demux(stream) if p.pts is not None)
        return max(float(((p.pts or 0) + (p.duration or 0)) * (p.time_base or 0)) for p in packets)


if __name__ == "__main__":
    main()
