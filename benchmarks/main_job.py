"""How long one sentence takes from text to finished mp4, stage by stage, beside a plain transcode of the same frames.

    python -m benchmarks.main_job [--resolution 720p] [--rounds 5] [--frame-skip 1]

Everything is measured warm, in one process and one run; the table shows the median and the best of the rounds. The
voice is the one that the server would choose, which measures its voices first; name another with --tts-engine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

from benchmarks.machine import describe_machine, load, peak_memory
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.select import AUTO
from pipeline.jobs.events import Done
from pipeline.jobs.generate import generate
from pipeline.jobs.request import parse
from pipeline.jobs.studio import Studio, make_studio, warm_up
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.settings import Settings
from pipeline.speech.articulate import articulate
from pipeline.speech.expression_track import NEUTRAL, USUAL_LIVELINESS
from pipeline.speech.phonemes import phonemes_of
from pipeline.text.cues import MOODS
from pipeline.video.writer import Mp4Writer

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다."


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--avatar", default="talk_long")
    options.add_argument("--resolution", default="720p")
    options.add_argument("--text", default=TEXT)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--frame-skip", type=int, default=1)
    options.add_argument("--tts-engine", default=AUTO)
    options.add_argument("--mood", choices=MOODS, default=NEUTRAL)
    options.add_argument("--liveliness", type=float, default=USUAL_LIVELINESS)
    given = options.parse_args()
    body = {"text": given.text, "avatar": given.avatar, "resolution": given.resolution, "tts_engine": given.tts_engine}
    body |= {"frame_skip": given.frame_skip, "mood": given.mood, "liveliness": given.liveliness}
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(replace(Settings(), results=Path(folder)))
        warm_up(studio)  # as the server does
        rounds = [_round(studio, body, Path(folder)) for _ in range(given.rounds + 1)][1:]  # the first one warms up
    voice = parse(body, studio)
    speech_seconds = rounds[0].pop("seconds of speech")
    for later in rounds[1:]:
        later.pop("seconds of speech")

    print(f"machine: {describe_machine()}; load {load():.1f}")
    print(
        f"{given.avatar} {given.resolution}, {speech_seconds:.2f} s of speech by {voice.tts_engine}, "
        f"frame_skip {given.frame_skip}, mood {given.mood}, liveliness {given.liveliness}"
    )
    print("\n| stage | median s | best s |\n|---|---|---|")
    for stage in rounds[0]:
        values = [r[stage] for r in rounds]
        print(f"| {stage} | {statistics.median(values):.3f} | {min(values):.3f} |")
    ratios = [r["lipsync: speech in memory to finished mp4"] / r["plain transcode of the same frames"] for r in rounds]
    print(f"\nlipsync / plain transcode: {statistics.median(ratios):.2f} (median), {min(ratios):.2f} (best)")
    print(f"peak memory of the process: {peak_memory():.0f} MiB")


def _round(studio: Studio, body: dict[str, object], folder: Path) -> dict[str, float]:
    """Return seconds by stage of one round; the whole job first, then its stages alone, then the transcode."""
    request = parse(body, studio)
    done = next(e for e in generate(request, _task(folder), studio) if isinstance(e, Done))
    times = {
        "seconds of speech": done.audio_duration,
        "total: text to finished mp4": done.total,
        "first bytes of the video": done.first_byte,
        "speech": done.tts,
        "lipsync: speech in memory to finished mp4": done.lipsync,
    }
    avatar = request.avatar
    speech = studio.tts[request.tts_engine].synthesize(request.text, request.tts_voice, CancelToken())
    fps, clip = float(avatar.fps), avatar.clip
    count = round(done.audio_duration * avatar.fps)
    mouth = articulate(phonemes_of(speech, studio.espeak), speech, count, fps, request.frame_skip)
    times["alone: mouth movement"] = _timed(
        lambda: articulate(phonemes_of(speech, studio.espeak), speech, count, fps, request.frame_skip)
    )
    times["alone: decode"] = _timed(lambda: [None for _ in islice(clip.frames(), count)])
    times["alone: decode and render"] = _timed(
        lambda: [None for _ in studio.engine.render(avatar, [Stretch(speech, mouth)], CancelToken())]
    )

    def transcode() -> None:
        with Mp4Writer(folder / "transcode.mp4", avatar.width, avatar.height, Fraction(avatar.fps), clip.colors) as out:
            for frame in islice(clip.frames(), count):
                out.write_frame(frame)

    times["plain transcode of the same frames"] = _timed(transcode)
    return times


def _task(folder: Path) -> Task:
    return TaskBook(folder, 0).files_of(uuid.uuid4().hex)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
