"""Face points of a clip in few bytes: in steps of a 64th of a pixel, each as it departs from an even movement."""

from __future__ import annotations

import zlib

import numpy as np

POINTS = 478
"""MediaPipe Face Mesh with refined eyes and lips."""
STEPS = 64
"""Steps of a pixel; networks find points to about a pixel."""
_FURTHEST = 1 << 20
"""Pixels; what is further away is no point of a picture."""


def packed(points: np.ndarray) -> bytes:
    """Return points, (frames, 478, 3) finite pixels, packed; a seventh of what floats take."""
    steps = np.rint(np.asarray(points, np.float64) * STEPS).astype(np.int64)
    turns = np.diff(steps, n=2, axis=0, prepend=np.zeros((2, *steps.shape[1:]), np.int64))
    small = ((turns << 1) ^ (turns >> 63)).astype("<u4")  # no signs: 0, -1, 1, -2, 2 ...
    # each point's way through the clip, and all lowest bytes first: most others are 0
    rows = np.ascontiguousarray(small.transpose(1, 2, 0)).view(np.uint8).reshape(-1, 4)
    return zlib.compress(rows.T.tobytes(), 9)


def unpacked(data: bytes, frames: int) -> np.ndarray:
    """Return the points that were packed, (frames, 478, 3) float32.

    Raises:
        ValueError: They are not those of so many frames.
    """
    size = frames * POINTS * 3 * 4
    try:
        unzip = zlib.decompressobj()
        found = unzip.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"points: {error}") from error
    if len(found) != size or not unzip.eof:
        raise ValueError(f"points: not those of {frames} frames")
    rows = np.frombuffer(found, np.uint8).reshape(4, -1).T
    small = np.ascontiguousarray(rows).view("<u4").reshape(POINTS, 3, frames).astype(np.int64)
    turns = (small >> 1) ^ -(small & 1)
    steps = np.cumsum(np.cumsum(turns, axis=2), axis=2)
    if np.abs(steps).max(initial=0) > _FURTHEST * STEPS:
        raise ValueError("points far outside any picture")
    return np.ascontiguousarray(steps.transpose(2, 0, 1) / STEPS, np.float32)
