"""Estimates the closed mouth of a person who speaks in the clip."""

from __future__ import annotations

import numpy as np

from pipeline.face.basis import LOWER_LIP, UPPER_LIP, head_pose, mouth_reach, unit
from pipeline.preparing.usable_frames import mouth_gap

CLOSED_GAP = 0.02
"""Lips closer than this, in distances between the outer corners of the eyes, touch: the mesh never returns zero."""
_FEWEST = 3
"""Fewest frames from which the closed mouth is computed."""
_SHARE = 0.08
"""Share of the frames, the most closed ones, that is used if few are closed."""
_PARTING = ("mouthLowerDown", "mouthUpperUp")
"""Units that part the lips, besides the jaw."""
_SHARED = 0.3
"""How far closing is distributed over jaw and lips, rather than left to the one that fits best."""


def closed_mouth(landmarks: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return landmarks with the mouth closed, (frames, 478, 3) float32.

    The head's pose is removed from every frame (Procrustes over the points that speech does not move, against this
    person's own average). Mouth, chin and jaw of the most closed frames, and their median, are the rest shape, which
    each frame's pose carries back. A mouth that never closes is closed with the jaw and lips of the basis.

    Args:
        landmarks: (frames, 478, 3) pixels.
        usable: (frames,) bool.
    """
    points = landmarks.astype(np.float64)
    pose = head_pose(points)
    own = np.median(pose.to_head(points)[usable], axis=0)
    pose = head_pose(points, own)
    heads = pose.to_head(points)
    gap = np.where(usable, mouth_gap(heads), np.inf)
    closed = np.flatnonzero(gap < CLOSED_GAP)
    if len(closed) < max(_FEWEST, _SHARE * usable.sum() / 2):
        closed = np.argsort(gap)[: max(_FEWEST, round(_SHARE * usable.sum()))]
        closed = closed[np.isfinite(gap[closed])]
    rest = _touching(_shut(np.median(heads[closed], axis=0)))
    # other parts follow each frame (cheeks lift, lids blink); those that speech moves take the rest shape
    reach = mouth_reach()[:, None]
    out: np.ndarray = pose.to_picture(heads * (1 - reach) + rest * reach).astype(np.float32)
    return out


def _shut(shape: np.ndarray) -> np.ndarray:
    """Close the mouth of a shape (478, 3) in the head's own frame if it is open, by reversing what parts lips."""
    if float(mouth_gap(shape[None])[0]) <= CLOSED_GAP:
        return shape
    from scipy.optimize import nnls  # imported here: slow to load and seldom needed

    movements = [unit("jawOpen"), *(unit(f"{name}Left") + unit(f"{name}Right") for name in _PARTING)]
    opens = np.stack([(move[LOWER_LIP[0]] - move[UPPER_LIP[0]])[:, 1] for move in movements], axis=1)
    gaps = (shape[LOWER_LIP[0]] - shape[UPPER_LIP[0]])[:, 1]
    size = float(np.linalg.norm(opens)) * _SHARED
    system = np.vstack([opens, size * np.eye(len(movements))])
    weights, _ = nnls(system, np.concatenate([gaps, np.zeros(len(movements))]))
    return shape - np.tensordot(weights, movements, 1)


def _touching(shape: np.ndarray) -> np.ndarray:
    """Bring the lips of a shape together along their whole length: a gap between them would show teeth."""
    shape = shape.copy()
    left = (shape[LOWER_LIP[0]] - shape[UPPER_LIP[0]])[:, 1] / 2
    for upper, lower, share in zip(UPPER_LIP, LOWER_LIP, (1.0, 0.9, 0.7, 0.5), strict=True):
        shape[upper, 1] += share * left
        shape[lower, 1] -= share * left
    return shape
