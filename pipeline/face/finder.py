"""Finds faces and their 478 points.

Face Mesh alone misses faces that are small in the picture. The full-range detector finds them from about 60 pixels of
width; the mesh is then solved on an enlarged crop around one of them, which follows the face from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Literal

import cv2
import numpy as np

from pipeline import messages
from pipeline.errors import BadClip
from pipeline.face.basis import OVAL
from pipeline.face.networks import FaceDetector, FaceMesh

FaceChoice = Literal["center", "largest"] | int
"""Which of several faces speaks: the one nearest the middle, the largest, or a number counted from the left from 1."""

_CROP = 480
"""Pixels of the enlarged crop in which the mesh is solved."""
_REACH = 1.1
"""Half the side of the crop, in heights or widths of the face, whichever is larger."""
_DETECTION = 0.6
"""The lowest score of a face, 0..1; MediaPipe's own graph uses this value whatever threshold you set."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A face in a picture.

    Attributes:
        x, y: Left and top edge in pixels.
        width, height: Size in pixels.
        score: Score of the detector, 0..1.
    """

    x: float
    y: float
    width: float
    height: float
    score: float = 1.0

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box, (x, y) in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    def overlap(self, other: Box) -> float:
        """Return the intersection over union with another box, 0..1."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if across <= 0 or down <= 0:
            return 0.0
        both = across * down
        return both / (self.width * self.height + other.width * other.height - both)


def choose(boxes: list[Box], width: int, height: int, which: FaceChoice) -> Box:
    """Return the face that speaks.

    Args:
        boxes: The faces of the picture, left to right; at least one.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        which: How to choose.

    Raises:
        BadClip: `which` is a number that no face has.
    """
    if which == "largest":
        return max(boxes, key=lambda box: box.width * box.height)
    if which == "center":
        return min(boxes, key=lambda box: np.hypot(box.center[0] - width / 2, box.center[1] - height / 2))
    if not 1 <= which <= len(boxes):
        raise BadClip(messages.face.NO_SUCH_FACE(number=which, found=len(boxes)))
    return boxes[which - 1]


class FaceFinder:
    """The detector and the mesh together. Use it as a context manager, from one thread."""

    def __enter__(self) -> FaceFinder:
        self._detector, self._mesh = FaceDetector(near=False, threshold=_DETECTION), FaceMesh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._detector, self._mesh

    def boxes(self, picture: np.ndarray) -> list[Box]:
        """Return the faces of a picture ((height, width, 3) uint8 RGB), left to right."""
        faces = self._detector.find(picture)[:, [0, 1, 2, 3, 16]].tolist()
        found = [
            Box(x=left, y=top, width=right - left, height=bottom - top, score=score)
            for left, top, right, bottom, score in faces
        ]
        return sorted(found, key=lambda box: box.x)

    def points(self, picture: np.ndarray, box: Box, times: int = 1) -> np.ndarray | None:
        """Return the points of the face in a box of a picture ((height, width, 3) uint8 RGB).

        Args:
            picture: Where the face is.
            box: Its place, about.
            times: How often the mesh gets the picture; it starts from the face of the one before.

        Returns:
            (478, 3) float32 pixels, or None if there is no face.
        """
        center, reach = np.array(box.center), max(box.width, box.height) * _REACH
        scale = _CROP / (2 * reach)
        carry = np.array([[scale, 0, _CROP / 2 - center[0] * scale], [0, scale, _CROP / 2 - center[1] * scale]])
        how = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_CUBIC
        crop = cv2.warpAffine(picture, carry, (_CROP, _CROP), flags=how, borderMode=cv2.BORDER_REPLICATE)
        for _ in range(times):
            points = self._mesh.find(crop)
        if points is None:
            return None
        points[:, :2] -= _CROP / 2
        points /= scale
        points[:, :2] += center
        return points


def box_of(points: np.ndarray) -> Box:
    """Return the box of a face from its points ((478, 3) pixels), about as the detector would draw it."""
    oval = points[list(OVAL), :2]
    (left, top), (right, bottom) = oval.min(0), oval.max(0)
    return Box(x=float(left), y=float(top), width=float(right - left), height=float(bottom - top))
