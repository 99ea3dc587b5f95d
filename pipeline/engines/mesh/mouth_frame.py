"""A mouth's own frame of reference: along the line between its corners, and from lip to lip.

A picture of a mouth in this frame has one column for each place along the line, and rows for the upper lip, the opening
and the lower lip, whatever their sizes are. So pictures of differently shaped mouths fit on each other.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from pipeline.face.basis import LOWER_LIP, UPPER_LIP
from pipeline.face.mesh_basis import LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER

CURVES = (UPPER_OUTER, UPPER_INNER, LOWER_INNER, LOWER_OUTER)
"""The edges of the lips, downwards."""
COLUMNS = 64
"""Places along the mouth at which the edges are known."""
_MIDDLE = slice(3, 6)
"""The middle of a lip."""
_CHIN = [152, 175, 199, 200]
_FINER = 4
"""Points on an edge for each point of the face."""


class MouthFrame(NamedTuple):
    """The frame of a mouth in a picture; a tuple, since numba knows no dataclasses.

    Attributes:
        origin: (2,) pixels, the corner of the mouth on the left of the picture.
        across: (2,) unit vector to the other corner.
        down: (2,) unit vector towards the chin.
        width: Pixels between the corners.
        edges: (4, COLUMNS) pixels down from the line between the corners, as ordered in `CURVES`.
    """

    origin: np.ndarray
    across: np.ndarray
    down: np.ndarray
    width: float
    edges: np.ndarray


def mouth_frame(points: np.ndarray) -> MouthFrame:
    """Return the frame of the mouth whose face points ((478 or more, 2) pixels) are given."""
    left, right = points[UPPER_INNER[0]], points[UPPER_INNER[-1]]
    width = max(float(np.hypot(*(right - left))), 1.0)
    across = (right - left) / width
    down = np.array([-across[1], across[0]])
    places = np.linspace(0, width, COLUMNS)
    fine = _smooth(len(UPPER_INNER)) @ (points[np.stack(CURVES)] - left)
    along = np.maximum.accumulate(fine @ across, axis=1)
    heights = fine @ down
    edges = np.stack([np.interp(places, x, y) for x, y in zip(along, heights, strict=True)])
    return MouthFrame(
        left.astype(np.float64), across.astype(np.float64), down, width, np.maximum.accumulate(edges, axis=0)
    )


def mouth_shape(movement: np.ndarray) -> np.ndarray:
    """Return the shape of a mouth, (4,) float32 basis units, all 0 when it is closed.

    That is how far it has opened, how much wider it has become, how far the upper lip has risen, and how far the chin
    has dropped.

    Args:
        movement: (478, 3) basis units, of the points from where they are when the mouth is closed.
    """
    upper, lower = movement[UPPER_LIP[0][_MIDDLE], 1].mean(), movement[LOWER_LIP[0][_MIDDLE], 1].mean()
    wider = movement[UPPER_INNER[-1], 0] - movement[UPPER_INNER[0], 0]
    return np.array([lower - upper, wider, -upper, movement[_CHIN, 1].mean()], np.float32)


@cache
def _smooth(count: int) -> np.ndarray:
    """Return (finer, count): the Catmull-Rom spline through `count` points from the first to the last."""
    points = np.eye(count)
    before, after = np.vstack([points[:1], points[:-2]]), np.vstack([points[2:], points[-1:]])
    first, second = points[:-1], points[1:]
    t = (np.arange(_FINER) / _FINER)[None, :, None]
    a, b = second - before, 2 * before - 5 * first + 4 * second - after
    c = 3 * (first - second) + after - before
    fine = first[:, None] + 0.5 * t * (a[:, None] + t * (b[:, None] + t * c[:, None]))
    return np.vstack([fine.reshape(-1, count), points[-1:]])
