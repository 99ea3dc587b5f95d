"""One picture of a video, as planes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """One yuv420p picture of even width and height.

    Attributes:
        planes: (height * 3 / 2, width) uint8; Y, then U, then V.
    """

    planes: np.ndarray

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.planes.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.planes.shape[0]) * 2 // 3

    @property
    def y(self) -> np.ndarray:
        """Luma, (height, width); a view."""
        return self.planes[: self.height]

    @property
    def uv(self) -> tuple[np.ndarray, np.ndarray]:
        """Chroma U and V, each (height / 2, width / 2); views."""
        size, flat = self.height * self.width, self.planes.reshape(-1)
        shape = self.height // 2, self.width // 2
        return flat[size : size * 5 // 4].reshape(shape), flat[size * 5 // 4 :].reshape(shape)


def parts_of(frame: Frame) -> tuple[Frame, Frame]:
    """Return copies of the upper and the lower half of a picture, each of even height."""
    shape = frame.height * 3 // 4, frame.width
    halves = Frame(np.empty(shape, np.uint8)), Frame(np.empty(shape, np.uint8))
    for number, half in enumerate(halves):
        for own, whole in zip((half.y, *half.uv), (frame.y, *frame.uv), strict=True):
            own[:] = whole[number * len(own) : (number + 1) * len(own)]
    return halves


def parted(upper: Frame, lower: Frame) -> Frame:
    """Return a picture of two parts of the same size, one above the other."""
    whole = Frame(np.empty((upper.height * 3, upper.width), np.uint8))
    for plane, first, last in zip((whole.y, *whole.uv), (upper.y, *upper.uv), (lower.y, *lower.uv), strict=True):
        plane[: len(first)], plane[len(first) :] = first, last
    return whole
