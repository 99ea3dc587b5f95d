"""Footage as if a clip had been read, for tests of what is measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from pipeline.avatar.footage import PATCH, Footage
from pipeline.video.reader import ColorTags


def as_footage(frames: Sequence[np.ndarray] | np.ndarray, points: np.ndarray, **known: Any) -> Footage:
    """Return FRAMES (planes) with the face at POINTS ((n, 478, 3)), crisp, at rest, at 25 fps but for what is KNOWN."""
    count = len(points)
    usual = {
        "motion": np.tile(np.eye(2, 3), (count, 1, 1)),
        "patches": np.zeros((count, PATCH, PATCH), np.uint8),
        "sharpness": np.full(count, 0.2),
        "fps": Fraction(25),
    }
    clip = np.array(frames)
    shot = {"read": clip, "shots": ((0, count),), "begin": 0}
    return Footage(frames=clip, points=points, colors=ColorTags(), seen=(), chosen=0, **{**usual, **shot, **known})
