"""Reads animated pictures (GIF, WebP, AVIF, APNG) as clips.

FFmpeg does not know all of these. Pillow does, and composes each picture of its parts as the file describes.
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
"""Seconds for which browsers show a picture whose file declares less than the second value."""


@dataclass(frozen=True, kw_only=True)
class Animation:
    """An animated picture.

    Attributes:
        path: The file.
        width, height: Pixels.
        times: (pictures + 1,) seconds at which each picture begins, and the last one ends.
        start, end: The part to use, in seconds.
        fps: The rate at which its pictures are sampled.
        background: Colour behind transparent parts.
    """

    path: Path
    width: int
    height: int
    times: np.ndarray
    start: float
    end: float
    fps: Fraction
    background: Color


def open_animation(path: Path, start: float | None, end: float | None, background: Color) -> Animation:
    """Read the header and the times of an animated picture.

    Args:
        path: The file.
        start: Beginning of the part to use, in seconds.
        end: End of the part to use, in seconds.
        background: Colour behind transparent parts.

    Raises:
        BadClip: As ``open_clip`` and ``open_photo`` raise it.
    """
    longest = LONGEST + (start or 0.0)
    times = [0.0]
    try:
        with opened(path) as image:
            for _ in _shown(image):
                times.append(times[-1] + _seconds(image))
                if times[-1] > max(longest, end or 0.0):
                    break  # the rest is not used, or the clip is too long anyway
            size = image.size if image.getexif().get(0x0112, 1) < 5 else image.size[::-1]
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise unreadable_picture(path) from error
    begin, stop = start or 0.0, times[-1] if end is None else min(end, times[-1])
    check_length(path, begin, stop)
    usual = round(1000 * float(np.median(np.diff(times))))
    fps = Fraction(25 if usual == 20 or usual % 40 == 0 else 30)  # rates that lips need
    width, height = size
    return Animation(
        path=path,
        width=width,
        height=height,
        times=np.array(times),
        start=begin,
        end=stop,
        fps=fps,
        background=background,
    )


def animated_pictures(animation: Animation, width: int, height: int) -> Iterator[Frame]:
    """Yield the pictures as yuv420p (BT.601) of a size, at the animation's ``fps``; one at a time.

    Raises:
        BadClip: The file is broken.
    """
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
    """Step through the pictures of an image, which shows each of them in turn."""
    # an APNG may begin with a fallback picture, which is not part of the animation
    first = int(bool(image.info.get("default_image")))
    for number in range(first, image.n_frames):
        image.seek(number)
        image.load()
        yield
        if image.format == "GIF" and image.dispose_extent and image.disposal_method in ((2, 3) if not number else (2,)):
            # clear the part, as browsers do; Pillow would fill it with a background colour that browsers ignore
            left, top, right, bottom = image.dispose_extent
            image.im = image.im.convert("RGBA")
            image.dispose = Image.new("RGBA", (right - left, bottom - top)).im


def _seconds(image: Image.Image) -> float:
    """Return how long the current picture is shown."""
    seconds = float(image.info.get("duration", 0)) / 1000
    return seconds if seconds >= _LEAST else _UNSAID
