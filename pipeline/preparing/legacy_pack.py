"""Opens packs of the original system, which hold pictures, boxes and a network's latents, as avatars."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import MAX_BYTES, MAX_FRAMES, MAX_SIDE, ORIGINAL_PICTURES
from pipeline.preparing.encode_clip import encode
from pipeline.preparing.footage import PictureSource, read_footage
from pipeline.preparing.lend_mouth import lend_mouth
from pipeline.preparing.loop import loop_order, reordered
from pipeline.preparing.own_teeth import find_teeth
from pipeline.preparing.person import as_filmed, measure_person
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

_BT601 = ColorTags(1, 6, 6, 6)
"""The tags of OpenCV's conversion to YUV."""
_USUAL_RATE = 25
"""Frames per second of packs without a rate, as in that system."""


def adopt(content: Mapping[str, Any], name: str, resolution: str) -> Avatar:
    """Return the avatar of an original pack; its loop stays as it is, unless it is cut.

    Latents, masks and boxes are ignored, since they belong to one network.

    Args:
        content: Pictures ((height, width, 3) uint8 BGR) and their rate (25 if it is missing).
        name: Name of the avatar.
        resolution: "720p".

    Raises:
        ValueError: The pictures or their rate are invalid.
        BadClip: They show no face.
    """
    pictures = next((content[key] for key in ORIGINAL_PICTURES if content.get(key) is not None), None)
    if not isinstance(pictures, list | tuple | np.ndarray) or not len(pictures):
        raise ValueError("frames: no pictures")
    first = pictures[0]
    if not isinstance(first, np.ndarray) or first.ndim != 3 or first.shape[2] != 3 or min(first.shape[:2]) < 16:
        raise ValueError("frames: not pictures")
    if any(not isinstance(one, np.ndarray) or one.shape != first.shape or one.dtype != np.uint8 for one in pictures):
        raise ValueError("frames: not pictures of one size")
    if len(pictures) > MAX_FRAMES or len(pictures) * first.nbytes > MAX_BYTES or max(first.shape[:2]) > MAX_SIDE:
        raise ValueError("frames: too many or too large")  # a small file may refer to one picture many times
    rate = _USUAL_RATE if content.get("fps") is None else content["fps"]
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 1 <= rate <= 120:
        raise ValueError("fps: not a rate")
    fps = Fraction(rate).limit_denominator(1001)
    height, width = (side // 2 * 2 for side in first.shape[:2])

    def frames() -> Iterator[Frame]:
        for picture in pictures:
            even = np.ascontiguousarray(picture[:height, :width])
            yield Frame(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420))

    source = PictureSource(frames=frames(), fps=fps, colors=_BT601, count=len(pictures))
    with tempfile.TemporaryFile() as store, tempfile.TemporaryFile() as closed:
        footage = read_footage(source, "center", store, lambda share, doing: None)
        person = measure_person(footage)
        teeth = find_teeth(footage, person).teeth
        if person.findings.speaking:
            footage, person = lend_mouth(footage, person, closed)
        # of a cut clip one shot is used, whose end need not meet its start
        order = loop_order(footage, person.landmarks) if footage.is_cut else np.arange(len(footage.frames))
        video = encode(footage.in_order(order), width, height, fps, _BT601)
    return replace(
        reordered(as_filmed(footage, person), order), name=name, resolution=resolution, video=video, teeth=teeth
    )
