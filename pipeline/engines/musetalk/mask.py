"""Where the drawn face replaces the filmed one: the lower face, with a soft edge, in each frame.

The published method finds this area in every frame with a face-parsing network. Here it follows the face points:
nothing more to download, and the edge does not tremble with what such a network takes for skin.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.avatars.avatar import MASK_SIDE as SIDE
from pipeline.engines.musetalk.face_crop import Box
from pipeline.face.basis import OVAL

_NOSE = (6, 122, 351, 129, 358, 102, 331, 48, 278, 64, 294, 98, 327, 97, 326, 2)
"""Face points around the nose, which stays as it was filmed: speech does not move it, and redrawn it flickers."""
_CHEEKS = 0.235
"""Distance from the middle of the box at which the cheeks begin, relative to its longer side."""
_OUTER = 0.07
"""How much of each cheek's outer edge stays as it was filmed, relative to the box's longer side."""
_AROUND = 1.5
"""Size, in boxes, of the picture that defines the softness of the edge."""
_SOFT = 0.1
"""Size of the blur's kernel relative to that picture."""
_INSET = 1.5
"""Standard deviations of the blur between mask and edge of the box, so that nothing of it is cut off."""


def face_mask(points: np.ndarray, box: Box) -> np.ndarray:
    """Return how much of each place in a box is replaced, (128, 128) uint8: 0 nothing, 255 all.

    As in the published method, this is the lower half of the face, from the nose bridge down, without the nose and the
    outer cheeks. Its jaw is lengthened to the box's lower edge, since it will open. The upper half of the box stays
    unchanged but for the blur.

    Args:
        points: (478, 3) pixels.
        box: See ``face_box``.
    """
    left, top, right, bottom = box
    size = np.array([right - left, bottom - top])
    side = int(max(size) // 2 * _AROUND) * 2
    kernel = int(_SOFT * side // 2 * 2) + 1
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8  # OpenCV's own choice for a kernel
    softness = sigma * SIDE / size
    outline, nose = ((points[list(part), :2] - (left, top)) * SIDE / size for part in (OVAL, _NOSE))
    aside = outline[:, 0] - SIDE / 2
    cheeks, outer = np.array([_CHEEKS, _OUTER]) * max(size) * SIDE / size[0]
    inner = np.maximum(np.abs(aside) - outer, np.minimum(np.abs(aside), cheeks))
    outline[:, 0] = SIDE / 2 + np.sign(aside) * inner
    below = outline[outline[:, 1] > SIDE / 2] + (0, SIDE - outline[:, 1].max())
    mask = np.zeros((SIDE, SIDE), np.uint8)
    _fill(mask, np.concatenate([outline, below]), 255)
    _fill(mask, nose, 0)
    across, down = np.ceil(_INSET * softness).astype(int)
    mask[:, :across] = mask[:, SIDE - across :] = 0
    mask[: SIDE // 2] = mask[SIDE - down :] = 0
    soft: np.ndarray = cv2.GaussianBlur(
        mask, (0, 0), float(softness[0]), sigmaY=float(softness[1]), borderType=cv2.BORDER_CONSTANT
    )
    return soft


def _fill(mask: np.ndarray, points: np.ndarray, value: int) -> None:
    """Write `value` into a mask inside the hull of points (n, 2)."""
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), value)
