"""Draws speech and mouth movement as one picture, so that you can look at lips, not only measure them.

python -m pipeline.tools.inspect VIDEO_OR_TASK [--out PNG]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from pipeline import messages
from pipeline.core.arguments import print_error, with_files
from pipeline.core.growing_file import part_of
from pipeline.errors import BadClip, PipelineError, RenderFailed
from pipeline.face.finder import FaceFinder, box_of, choose
from pipeline.jobs.tasks import is_task_id
from pipeline.preparing.usable_frames import mouth_gap
from pipeline.settings import Settings
from pipeline.speech.listen import listen
from pipeline.speech.record import SpeechRecord, read_record
from pipeline.speech.recording import load_audio

LONGEST = 60.0
"""Seconds of a video that are drawn."""
_SIDE = 480
"""Pixels of the short side of the pictures in which faces are detected."""
_MOUTH = 96
"""Side of a mouth's picture in pixels."""
_REACH = 1.7
"""Width of that picture, relative to the mouth."""
_CORNERS, _LIPS = (61, 291), (0, 17)
_INCHES_PER_SECOND, _LEAST_INCHES, _MOST_INCHES = 3.0, 9.0, 60.0
_DPI = 100
_SOUND, _OPENING, _CLOSED = "#94a3b8", "#dc2626", "#2563eb"
_BILABIAL = ("p", "b", "m")
_STAGES = {"tts": "speech", "first_byte": "first bytes", "total": "whole video"}


@dataclass(frozen=True)
class Mouths:
    """The mouth in the frames of a video.

    Attributes:
        times: (n,) seconds.
        opening: (n,) distance between the lips in eye distances; NaN without a face.
        pictures: (n, 96, 96, 3) uint8 RGB; black without a face.
    """

    times: np.ndarray
    opening: np.ndarray
    pictures: np.ndarray


def inspect(video: Path, out: Path) -> None:
    """Draw a video as a PNG, with the record of its task if that lies beside it.

    The picture shows, over the same seconds, the waveform with the opening between the lips, the phonemes (p, b, m in
    blue), and mouths; below them the duration of each stage, if it was recorded.

    Args:
        video: The video.
        out: The PNG.

    Raises:
        BadClip: The file is no video.
        BadRequest: It has no sound.
    """
    mouths = look(video)
    samples, rate = load_audio(video)
    samples = samples[: round(LONGEST * rate)]
    record = read_record(video.with_suffix(".json"))
    _draw(mouths, samples, rate, record or SpeechRecord(listen(samples, rate)), video.name, out)


def look(video: Path) -> Mouths:
    """Return the mouths in the first minute of a video.

    Raises:
        BadClip: The file is no video.
    """
    times, openings, pictures = [], [], []
    box = None
    try:
        with FaceFinder() as finder, av.open(str(video), mode="r") as container:
            for frame in container.decode(video=0):
                if (frame.time or 0.0) >= LONGEST:
                    break
                scale = min(1.0, _SIDE / min(frame.width, frame.height))
                picture = frame.to_ndarray(
                    format="rgb24", width=round(frame.width * scale), height=round(frame.height * scale)
                )
                if box is None:
                    boxes = finder.boxes(picture)
                    box = choose(boxes, picture.shape[1], picture.shape[0], "largest") if boxes else None
                points = None if box is None else finder.points(picture, box)
                box = None if points is None else box_of(points)
                times.append(frame.time or 0.0)
                openings.append(np.nan if points is None else float(mouth_gap(points[None])[0]))
                pictures.append(_mouth(picture, points))
    except (av.error.FFmpegError, IndexError) as error:
        raise BadClip(messages.tools.NOT_A_VIDEO(file=video.name)) from error
    return Mouths(np.array(times), np.array(openings), np.array(pictures))


def _mouth(picture: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    if points is None:
        return np.zeros((_MOUTH, _MOUTH, 3), np.uint8)
    left, right = points[list(_CORNERS), :2]
    across = (right - left) * _REACH / _MOUTH
    carry = np.array([across, (-across[1], across[0])]).T  # in pixels of the picture, upright
    middle = points[list(_CORNERS + _LIPS), :2].mean(0) - carry @ np.array([_MOUTH / 2, _MOUTH / 2])
    shown: np.ndarray = cv2.warpAffine(
        picture, np.column_stack([carry, middle]), (_MOUTH, _MOUTH), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    )
    return shown


def _draw(mouths: Mouths, samples: np.ndarray, rate: int, record: SpeechRecord, title: str, out: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    seconds = max(len(samples) / rate, float(mouths.times[-1]) if len(mouths.times) else 0.0, 0.1)
    inches = float(np.clip(seconds * _INCHES_PER_SECOND, _LEAST_INCHES, _MOST_INCHES))
    figure = Figure((inches, 5.6 if record.seconds else 4.6), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}   phonemes: {'as said' if record.known else 'as heard'}", fontsize=9)
    heights = [2.2, 0.5, 1.1] + [0.9] * bool(record.seconds)
    axes = figure.subplots(len(heights), 1, gridspec_kw={"height_ratios": heights})
    _draw_sound(axes[0], mouths, samples, rate)
    _draw_phonemes(axes[1], record, inches / seconds)
    _draw_mouths(axes[2], mouths, seconds, round(inches))
    for axis in axes[:3]:
        axis.set_xlim(0, seconds)
    if record.seconds:
        _draw_stages(axes[3], record.seconds)
    part = part_of(out)
    try:
        figure.savefig(part, format="png")
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RenderFailed(messages.tools.PICTURE_NOT_WRITTEN(file=out.name, reason=error.strerror)) from error


def _draw_sound(axis: Any, mouths: Mouths, samples: np.ndarray, rate: int) -> None:
    step = max(1, rate // 400)
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    times = (np.arange(len(blocks)) + 0.5) * step / rate
    axis.fill_between(times, blocks.min(1), blocks.max(1), color=_SOUND, linewidth=0)
    axis.set_ylabel("sound", fontsize=8)
    axis.set_ylim(-1, 1)
    axis.tick_params(labelsize=7)
    opening = axis.twinx()
    opening.plot(mouths.times, mouths.opening, color=_OPENING, linewidth=1.4)
    opening.set_ylabel("between the lips, eye distances", fontsize=8, color=_OPENING)
    opening.set_ylim(0, max(0.3, float(np.nanmax(mouths.opening, initial=0.0)) * 1.1))
    opening.tick_params(labelsize=7)


def _draw_phonemes(axis: Any, record: SpeechRecord, inches_per_second: float) -> None:
    axis.set_yticks([])
    axis.set_xticks([])
    for mark in record.phonemes:
        if not mark.text:
            continue
        shut = mark.text[0] in _BILABIAL
        axis.axvspan(mark.start, mark.end, 0, 1, facecolor=_CLOSED if shut else "#e2e8f0", edgecolor="white")
        if (mark.end - mark.start) * inches_per_second > 0.07 * len(mark.text):
            color = "white" if shut else "black"
            middle = (mark.start + mark.end) / 2
            axis.text(middle, 0.5, mark.text, ha="center", va="center", fontsize=8, color=color, clip_on=True)


def _draw_mouths(axis: Any, mouths: Mouths, seconds: float, count: int) -> None:
    axis.set_yticks([])
    axis.set_ylim(0, 1)
    axis.tick_params(labelsize=7)
    axis.set_xlabel("s", fontsize=8)
    if not len(mouths.times):
        return
    edges = np.linspace(0, seconds, count + 1)
    for begin, end in pairwise(edges):
        nearest = int(np.abs(mouths.times - (begin + end) / 2).argmin())
        axis.imshow(mouths.pictures[nearest], extent=(begin, end, 0, 1), aspect="auto", interpolation="bilinear")


def _draw_stages(axis: Any, seconds: Mapping[str, float]) -> None:
    bars = axis.barh(list(_STAGES.values()), [seconds[key] for key in _STAGES], color=_SOUND, height=0.6)
    axis.bar_label(bars, [f"{seconds[key]:.2f} s" for key in _STAGES], padding=3, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, seconds["total"] * 1.1)
    axis.tick_params(labelsize=7)
    axis.set_xlabel("s after the task began", fontsize=8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.tools.inspect", description="Draw the speech of a video and the movement of its mouth."
    )
    parser.add_argument("video", metavar="VIDEO_OR_TASK", help="a video with sound, or the id of a finished task")
    parser.add_argument("--out", type=Path, help="the PNG; default: beside the video")
    parser.add_argument("--json", action="store_true", help="write progress as lines of JSON, for programs")
    given = parser.parse_args(with_files(arguments))
    video = Path(given.video)
    if is_task_id(given.video):
        video = Settings.from_environment().results / f"{given.video}.mp4"
    out = given.out or video.with_suffix(".png")
    try:
        inspect(video.absolute(), out)  # FFmpeg would take "10:30.mp4" for an address
    except PipelineError as error:
        print_error(error, given.json)
        return 1
    print(json.dumps({"drawn": str(out)}) if given.json else out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
