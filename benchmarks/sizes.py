"""What a frame costs in each resolution beside 720p, and with each option beside the same frames plain, in one run.

    python -m benchmarks.sizes [--clip CLIP] [--seconds 4] [--rounds 3] [--cut 720p]

The clip is prepared in all resolutions that it has; without one, a bundled clip is enlarged to 1080p. Counted is CPU
time of all threads from speech to finished mp4, which other work of the machine changes less than the clock's; the
tables show medians. Options are measured in one resolution, in turns: crops, other backgrounds (composed before), and
the WebM with alpha, which is made of the transparent mp4 and costs that as well.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from benchmarks.film import film
from benchmarks.machine import describe_machine, load
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import AS_FILMED, Background
from pipeline.avatars.framing import ASPECTS, SOURCE
from pipeline.avatars.pack import load as load_pack
from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.settings import ROOT, Settings
from pipeline.speech_types import Speech
from pipeline.tts.speech_engine import CUSTOM_VOICE
from pipeline.video.webm import transparent_copy

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다. 먼저 자기소개를 부탁드립니다."

PLAIN = "plain"
BACKGROUNDS = {
    "colour": Background("color", (232, 234, 237)),
    "blur": Background("blur"),
    "transparent, in two parts": Background("transparent"),
}


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clip", type=Path)
    options.add_argument("--seconds", type=float, default=4.0, help="of the bundled clip")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--cut", default="720p", help="resolution in which options are measured")
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
        options_of = [with_options(avatars[given.cut], [speech], studio) for _ in range(given.rounds + 1)][1:]
    print(f"{speech.duration:.1f} s of speech by {studio.espeak.name}\n")
    print("| resolution | ms of CPU a frame | beside 720p |\n|---|---|---|")
    for resolution, avatar in avatars.items():
        print(f"| {resolution} ({avatar.width}x{avatar.height}) | {row(rounds, resolution, '720p')} |")
    print(f"\n| option, {given.cut} | ms of CPU a frame | beside plain |\n|---|---|---|")
    for name in options_of[0]:
        print(f"| {name} | {row(options_of, name, PLAIN)} |")


def row(rounds: Sequence[Mapping[str, float]], name: str, beside: str) -> str:
    """Return the cells of a row: milliseconds, and how many times those of another row."""
    milliseconds = statistics.median(1000 * one[name] for one in rounds)
    times = statistics.median(one[name] / one[beside] for one in rounds)
    return f"{milliseconds:.1f} | {times:.2f}x"


def with_options(avatar: Avatar, pieces: Sequence[Speech], studio: Studio) -> dict[str, float]:
    """Return the seconds of CPU time for a frame with each option; plain ones come first and last, and are the mean."""
    first = per_frame(avatar, pieces, studio)
    found = {PLAIN: first}
    for aspect in ASPECTS:
        with suppress(BadRequest):  # its head does not fit
            found[f"aspect {aspect}"] = per_frame(avatar, pieces, studio, aspect=aspect)
    for kind, background in BACKGROUNDS.items():
        studio.backdrops.composed(avatar, background, CancelToken())
        found[kind] = per_frame(avatar, pieces, studio, background)
    task = TaskBook(studio.settings.results, 0).open(uuid.uuid4().hex)
    film(avatar, pieces, task, studio, background=Background("transparent"))
    started = time.process_time()
    transparent_copy(task.video, task.transparent)
    copied = (time.process_time() - started) / frames_of(task.video)
    found["WebM with alpha"] = found["transparent, in two parts"] + copied
    found[PLAIN] = (first + per_frame(avatar, pieces, studio)) / 2
    return found


def per_frame(
    avatar: Avatar,
    pieces: Sequence[Speech],
    studio: Studio,
    background: Background = AS_FILMED,
    aspect: str = SOURCE,
) -> float:
    """Return the seconds of CPU time for a frame of an avatar's video of some speech."""
    task = TaskBook(studio.settings.results, 0).open(uuid.uuid4().hex)
    started = time.process_time()
    film(avatar, pieces, task, studio, background=background, aspect=aspect)
    return (time.process_time() - started) / frames_of(task.video)


def frames_of(video: Path) -> int:
    """Return how many pictures a video has."""
    with av.open(str(video)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.pts is not None)


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
