"""Where the face is that the network sees: a box around it, resized to 256 x 256 pixels (MuseTalk 1.5)."""

from __future__ import annotations

import av
import cv2
import numpy as np

from pipeline.avatar.basis import OVAL
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

SIDE = 256
"""Pixels, both ways, of what the network sees and draws."""
BELOW_CHIN = 10
"""Pixels of neck in the box, whatever the face's size: room for a jaw that opens."""
_NOSE_BRIDGE = 5
"""The face point in the middle of the box; number 29 of the 68 points that the method was trained with."""
BT709, BT601 = 1, 6
KNOWN_MATRICES = {BT709: (0.2126, 0.0722), 5: (0.299, 0.114), BT601: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Red's and blue's share of luma (ITU-R BT.709, BT.601 and BT.2020), by the matrix' number in H.273."""
Box = tuple[int, int, int, int]
"""x and y of the top left corner and, exclusive, of the bottom right one, in pixels."""


def face_box(points: np.ndarray, width: int, height: int) -> Box | None:
    """Return the box of a face's POINTS ((478, 3) pixels) in a WIDTH x HEIGHT picture; None where there is none.

    From ear to ear, with the nose bridge half way between the top and the chin, and a little neck below. What lies
    outside the picture is cut off.
    """
    outline = points[list(OVAL), :2].astype(np.int32)
    (left, _), (right, chin) = outline.min(0), outline.max(0)
    bridge = int(points[_NOSE_BRIDGE, 1])
    top = bridge - (chin - bridge)
    box = max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(chin) + BELOW_CHIN)
    return box if box[0] < box[2] and box[1] < box[3] and chin < height else None


def rgb_of(frame: Frame, colors: ColorTags) -> np.ndarray:
    """Return FRAME as (height, width, 3) uint8 RGB, by the matrix and range that COLORS name; see ``matrix_of``."""
    picture = av.VideoFrame.from_ndarray(frame.planes, format="yuv420p")
    picture.colorspace, picture.color_range = matrix_of(colors, frame.height), colors.range
    return picture.to_ndarray(format="rgb24")


def matrix_of(colors: ColorTags, height: int) -> int:
    """Return which matrix (the number that H.273 gives it) a video of HEIGHT lines with COLORS is made with.

    Where they name none, BT.709 from 720 lines up and BT.601 below, which is what players take it for.
    """
    return colors.space if colors.space in KNOWN_MATRICES else BT709 if height >= 720 else BT601


def face_crop(picture: np.ndarray, box: Box) -> np.ndarray:
    """Return BOX of PICTURE ((height, width, 3) uint8) as (256, 256, 3) uint8."""
    left, top, right, bottom = box
    crop: np.ndarray = cv2.resize(picture[top:bottom, left:right], (SIDE, SIDE), interpolation=cv2.INTER_LANCZOS4)
    return crop
