"""Cuts a part out of pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.video.frame import Frame


@dataclass(frozen=True)
class Box:
    """A part of a picture in pixels, all even: chroma has half the pixels."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, frame: Frame) -> Frame:
        """Return the part of a picture, as a picture of its own."""
        planes = np.empty((self.height * 3 // 2, self.width), np.uint8)
        part = Frame(planes)
        rows, columns = slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
        part.y[:] = frame.y[rows, columns]
        rows, columns = (slice(one.start // 2, one.stop // 2) for one in (rows, columns))
        for own, whole in zip(part.uv, frame.uv, strict=True):
            own[:] = whole[rows, columns]
        return part
