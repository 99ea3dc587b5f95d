"""Reads animated pictures (GIF, WebP, AVIF, APNG) as the clips that they are.

FFmpeg knows not all of these; Pillow does, with each picture put together of its parts as the file says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import GifImagePlugin, Image

from pipeline.preparing.file_kinds import LONGEST, check_length, opened
from pipeline.preparing.photo import Color, flat, unreadable_picture
from pipeline.video.frame import Frame

GifImagePlugin.LOADING_STRATEGY = GifImagePlugin.LoadingStrategy.RGB_ALWAYS
"""So that a GIF's first picture is put together with the others as they are."""
_UNSAID, _LEAST = 0.1, 0.011
"""Seconds that browsers show a picture for which less than the second is asked."""


@dataclass(frozen=True)
class Animation:
    """An animated picture. width, height: pixels; times: (pictures + 1,) s at which each begins, and the last ends;
    start, end: the part to use, s; fps: the rate that its pictures are taken at; background: behind them."""

    path: Path
    width: int
    height: int
    times: np.ndarray
    start: float
    end: float
    fps: Fraction
    background: Color


def open_animation(path: Path, start: float | None, end: float | None, background: Color) -> Animation:
    """Look at the animated picture at PATH, of which the part from START to END (s) is to be used.

    Raises BadClip as ``open_clip`` and ``open_photo`` do.
    """
    longest = LONGEST + (start or 0.0)
    times = [0.0]
    try:
        with opened(path) as image:
            for _ in _shown(image):
                times.append(times[-1] + _seconds(image))
                if times[-1] > max(longest, end or 0.0):
                    break  # the rest is not used, or it is too long whatever else comes
            size = image.size if image.getexif().get(0x0112, 1) < 5 else image.size[::-1]
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise unreadable_picture(path) from error
    begin, stop = start or 0.0, times[-1] if end is None else min(end, times[-1])
    check_length(path, begin, stop)
    usual = round(1000 * float(np.median(np.diff(times))))
    fps = Fraction(25 if usual == 20 or usual % 40 == 0 else 30)  # rates that lips need
    return Animation(path, *size, np.array(times), begin, stop, fps, background)


def animated_pictures(animation: Animation, width: int, height: int) -> Iterator[Frame]:
    """Yield ANIMATION's pictures as WIDTH x HEIGHT yuv420p (BT.601) at its ``fps``; one at a time. Raises BadClip."""
    fps = float(animation.fps)
    wanted = animation.start + (np.arange(round((animation.end - animation.start) * fps)) + 0.5) / fps
    count = np.searchsorted(wanted, animation.times[1:]) - np.searchsorted(wanted, animation.times[:-1])
    how = cv2.INTER_AREA if width < animation.width else cv2.INTER_CUBIC
    try:
        with opened(animation.path) as image:
            for number, _ in zip(count, _shown(image), strict=False):
                if number:
                    picture = cv2.resize(flat(image, animation.background), (width, height), interpolation=how)
                    for _ in range(number):
                        yield Frame(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420))
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise unreadable_picture(animation.path) from error


def _shown(image: Any) -> Iterator[None]:
    """Go through the pictures of IMAGE, which shows each of them in turn."""
    # an APNG may begin with a picture for those who know none, which is not part of it
    first = int(bool(image.info.get("default_image")))
    for number in range(first, image.n_frames):
        image.seek(number)
        image.load()
        yield
        if image.format == "GIF" and image.dispose_extent and image.disposal_method in ((2, 3) if not number else (2,)):
            # the part is cleared, as browsers do it; Pillow would fill it with a colour that nobody shows
            left, top, right, bottom = image.dispose_extent
            image.im = image.im.convert("RGBA")
            image.dispose = Image.new("RGBA", (right - left, bottom - top)).im


def _seconds(image: Image.Image) -> float:
    """Return for how long IMAGE's picture is to be seen."""
    seconds = float(image.info.get("duration", 0)) / 1000
    return seconds if seconds >= _LEAST else _UNSAID
