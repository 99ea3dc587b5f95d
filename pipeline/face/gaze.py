"""Where eyes look, from the 478 points."""

from __future__ import annotations

import numpy as np

from pipeline.face.basis import head_pose, neutral
from pipeline.face.eyes import IRISES, UPPER_LIDS

BALL = 0.103
"""From the middle of an eyeball to its iris, in units of the basis: 10.5 mm where an iris has a radius of 5.9."""
_SET_BACK = 0.035
"""How far that middle lies behind the corners of the eye: 3.5 mm."""
_BELOW = -0.019
"""How far it lies below them, so that people who look at the camera do so on average."""


def reach(points: np.ndarray) -> np.ndarray:
    """Return the pixels that an iris moves for a sine of 1, (frames,); `points` are (frames, 478, 3) pixels."""
    return np.asarray(head_pose(points).scale * BALL)


def gaze(points: np.ndarray) -> np.ndarray:
    """Return how far the eyes look past the camera, (frames, 2) degrees, to the right and down in the picture.

    Eyes that look at the camera have their irises before the middle of the eyeball, however the head is turned. That
    middle lies at the same place of the head in all frames, and is found from the corners of each eye. Both eyes are
    taken together: what they differ by is their shape, and what points err by. People differ by about two degrees.

    Args:
        points: (frames, 478, 3) pixels, of one person.
    """
    pose, basis = head_pose(points), neutral()
    own = pose.to_head(points.astype(np.float64))
    past = []
    for lid, iris in zip(UPPER_LIDS, IRISES, strict=True):
        corners = [lid[0], lid[-1]]
        aside = basis[iris, 0] - basis[corners, 0].mean()
        middle = np.median(own[:, corners].mean(1), axis=0) + np.array([aside, _BELOW, _SET_BACK])
        shown = pose.to_picture(np.tile(middle, (len(points), 1, 1)))[:, 0]
        past.append((points[:, iris] - shown)[:, :2])
    sines = np.mean(past, axis=0) / (pose.scale * BALL)[:, None]
    return np.asarray(np.degrees(np.arcsin(np.clip(sines, -1, 1))))
