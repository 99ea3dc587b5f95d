"""What a frame costs in each resolution, from speech to finished mp4, beside 720p in the same run.

    python -m benchmarks.sizes [--clip CLIP] [--seconds 4] [--rounds 3]

The clip is prepared in all resolutions that it has; without one, a bundled clip is enlarged to 1080p. Counted is CPU
time of all threads, which other work of the machine changes less than the clock's; the table shows the median.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from benchmarks.film import film
from benchmarks.machine import describe_machine, load
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import load as load_pack
from pipeline.core.cancel import CancelToken
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.settings import ROOT, Settings
from pipeline.speech_types import Speech
from pipeline.tts.speech_engine import CUSTOM_VOICE

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다. 먼저 자기소개를 부탁드립니다."


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clip", type=Path)
    options.add_argument("--seconds", type=float, default=4.0, help="of the bundled clip")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = given.clip or enlarged(ROOT / "examples" / "talk_short.mp4", folder / "clip.mp4", given.seconds)
        started = time.process_time()
        packs = prepare(clip, PrepareOptions(name="sizes", out=folder / "packs"))
        print(f"machine: {describe_machine()}; load {load():.1f}")
        made = ", ".join(one.parent.name for one in packs)
        print(f"prepared in {time.process_time() - started:.1f} s of CPU: {made}")
        avatars = {avatar.resolution: avatar for avatar in map(load_pack, packs)}
        studio = make_studio(replace(Settings(), results=folder))
        speech = studio.espeak.synthesize(TEXT, CUSTOM_VOICE, CancelToken())
        rounds = [
            {resolution: per_frame(avatar, [speech], studio) for resolution, avatar in avatars.items()}
            for _ in range(given.rounds + 1)
        ][1:]  # the first one warms up
    print(f"{speech.duration:.1f} s of speech by {studio.espeak.name}\n")
    print("| resolution | ms of CPU a frame | beside 720p |\n|---|---|---|")
    for resolution, avatar in avatars.items():
        milliseconds = statistics.median(1000 * one[resolution] for one in rounds)
        beside = statistics.median(one[resolution] / one["720p"] for one in rounds)
        print(f"| {resolution} ({avatar.width}x{avatar.height}) | {milliseconds:.1f} | {beside:.2f}x |")


def per_frame(avatar: Avatar, pieces: Sequence[Speech], studio: Studio) -> float:
    """Return the seconds of CPU time for a frame of an avatar's video of some speech."""
    task = TaskBook(studio.settings.results, 0).open(uuid.uuid4().hex)
    started = time.process_time()
    film(avatar, pieces, task, studio)
    seconds = time.process_time() - started
    with av.open(str(task.video)) as container:
        frames = sum(1 for packet in container.demux(video=0) if packet.pts is not None)
    return seconds / frames


def enlarged(source: Path, target: Path, seconds: float) -> Path:
    """Write the beginning of a clip in 1920x1080; return its path."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream("libx264", rate=25, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number, frame in enumerate(islice(old.decode(video=0), round(25 * seconds))):
            picture = frame.reformat(1920, 1080, "yuv420p", interpolation="LANCZOS")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            new.mux(stream.encode(picture))
        new.mux(stream.encode(None))
    return target


if __name__ == "__main__":
    main()
