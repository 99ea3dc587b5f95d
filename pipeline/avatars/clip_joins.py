"""Where one clip of an avatar can go over into another: where their poses meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.avatars.avatar import Avatar


def distances(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how far the points of a face are from those of others at most, (n,) pixels.

    Args:
        one: (478, 3) pixels.
        others: (n, 478, 3) pixels.
    """
    return np.asarray(np.linalg.norm(others[:, :, :2] - one[:, :2], axis=2).max(1))


def best_entry(leaving: np.ndarray, clip: Avatar, entries: Sequence[int]) -> int:
    """Return the number in `entries`, frames of a clip, whose pose is nearest to that of points (478, 3)."""
    return int(distances(leaving, clip.landmarks[list(entries)]).argmin())


def largest_step(landmarks: np.ndarray) -> float:
    """Return how far a point of a face moves between two frames of a clip at most, in pixels."""
    steps = np.linalg.norm(np.diff(landmarks[:, :, :2], axis=0), axis=2)
    return float(steps.max()) if len(steps) else 0.0


def nearest(one: Avatar, other: Avatar) -> float:
    """Return how far apart the poses of two clips are where they are most alike, in face widths."""
    width = float(np.median(np.ptp(one.landmarks[:, :, 0], axis=1)))
    every = max(1, len(one.landmarks) // 50)
    return min(float(distances(points, other.landmarks).min()) for points in one.landmarks[::every]) / width
