"""The part of a face that the network sees: a box around it, resized to 256 x 256 pixels (MuseTalk 1.5)."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.face.basis import OVAL

SIDE = 256
"""Side of the network's pictures in pixels."""
BELOW_CHIN = 10
"""Pixels of neck in the box, whatever the face's size: room for an open jaw."""
_NOSE_BRIDGE = 5
"""The face point in the middle of the box; number 29 of the 68 points that the method was trained with."""
Box = tuple[int, int, int, int]
"""x and y of the top left corner and, exclusive, of the bottom right one, in pixels."""


def face_box(points: np.ndarray, width: int, height: int) -> Box | None:
    """Return the box of a face's points ((478, 3) pixels) in a picture; None if there is none.

    It reaches from ear to ear, with the nose bridge half way between the top and the chin, and some neck below. Parts
    outside the picture are cut off.
    """
    outline = points[list(OVAL), :2].astype(np.int32)
    (left, _), (right, chin) = outline.min(0), outline.max(0)
    bridge = int(points[_NOSE_BRIDGE, 1])
    top = bridge - (chin - bridge)
    box = max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(chin) + BELOW_CHIN)
    return box if box[0] < box[2] and box[1] < box[3] and chin < height else None


def face_crop(picture: np.ndarray, box: Box) -> np.ndarray:
    """Return a box of a picture ((height, width, 3) uint8) as (256, 256, 3) uint8."""
    left, top, right, bottom = box
    crop: np.ndarray = cv2.resize(picture[top:bottom, left:right], (SIDE, SIDE), interpolation=cv2.INTER_LANCZOS4)
    return crop
