"""Whether the end of a clip meets its start in the picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import cv2
import numpy as np


def pictures_meet(frames: Iterable[np.ndarray]) -> bool:
    """Return whether the last picture is as like the first as pictures that follow each other.

    Args:
        frames: I420 planes, (height * 3 / 2, width) uint8 each.
    """
    small = [cv2.resize(frame[: len(frame) * 2 // 3], (160, 160), interpolation=cv2.INTER_AREA) for frame in frames]
    steps = [float(cv2.absdiff(a, b).mean()) for a, b in itertools.pairwise(small)] or [0.0]
    return float(cv2.absdiff(small[0], small[-1]).mean()) <= max(0.5, 2 * float(np.percentile(steps, 95)))
