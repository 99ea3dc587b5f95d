"""Where the drawn face replaces the filmed one: the lower face, with a soft edge, frame by frame.

The method as published finds this area in every frame with a face-parsing network. Here it follows the face points, so
that there is nothing more to download, and its edge does not tremble with what such a network takes for skin.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.avatar.basis import OVAL
from pipeline.avatar.pack import MASK_SIDE as SIDE
from pipeline.engines.musetalk.crop import Box

_AROUND = 1.5
"""Size of the picture that the edge's softness is measured by, in boxes."""
_SOFT = 0.1
"""Size of the blur's kernel in such pictures."""
_INSET = 1.5
"""Standard deviations of the blur that the mask stays away from the box's edge: nothing of it is cut off."""


def face_mask(points: np.ndarray, box: Box) -> np.ndarray:
    """Return how much of each place in BOX is to be replaced, (128, 128) uint8: 0 nothing, 255 all.

    POINTS ((478, 3) pixels) is the face. It is the face's lower half, from the nose bridge down, its jaw lengthened to
    the box's lower edge, since it will open; the upper half of the box stays as it is but for the blur.
    """
    left, top, right, bottom = box
    size = np.array([right - left, bottom - top])
    side = int(max(size) // 2 * _AROUND) * 2
    kernel = int(_SOFT * side // 2 * 2) + 1
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8  # OpenCV's own choice for a kernel
    softness = sigma * SIDE / size
    outline = (points[list(OVAL), :2] - (left, top)) * SIDE / size
    below = outline[outline[:, 1] > SIDE / 2] + (0, SIDE - outline[:, 1].max())
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(np.concatenate([outline, below])).astype(np.int32)), 255)
    across, down = np.ceil(_INSET * softness).astype(int)
    mask[:, :across] = mask[:, SIDE - across :] = 0
    mask[: SIDE // 2] = mask[SIDE - down :] = 0
    soft: np.ndarray = cv2.GaussianBlur(
        mask, (0, 0), float(softness[0]), sigmaY=float(softness[1]), borderType=cv2.BORDER_CONSTANT
    )
    return soft
