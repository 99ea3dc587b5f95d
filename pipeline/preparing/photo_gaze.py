"""Moves the irises of a photo's eyes within their openings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.face.eyes import IRISES, LOWER_LIDS, OUTLINES, UPPER_LIDS
from pipeline.face.smooth_step import smooth_step

_TURN = 12.0 / 5.9
"""Radius of the eyeball in radii of the iris."""
_SHUT_BELOW = 0.5
"""An eye that is open by less than this many radii of its iris stays as it is."""
_SMALLEST = 2.0
"""Pixels of an iris below which its direction cannot be seen."""


class Gaze:
    """Where both eyes look."""

    def __init__(self, photo: np.ndarray, points: np.ndarray) -> None:
        """Measure the eyes.

        Args:
            photo: (height, width, 3) uint8 RGB.
            points: (478, 3) pixels of the face.
        """
        eyes = [_Eye.of(photo, points, number) for number in range(2)]
        self._eyes = [eye for eye in eyes if eye is not None]

    def look(self, photo: np.ndarray, aside: float, down: float) -> np.ndarray:
        """Return the photo with the eyes turned to the right and down of where they look in it, in degrees."""
        out = photo.copy()
        for eye in self._eyes:
            eye.look(out, aside, down)
        return out


@dataclass(frozen=True, kw_only=True)
class _Eye:
    """One eye.

    Attributes:
        x, y: Where its part of the picture begins.
        ball: That part, (h, w, 3) uint8: the eyeball goes on beyond the lids, and nothing glints on it.
        glints: What glints on it, (h, w, 3) float32; this belongs to the light, and stays.
        opening: Where the eyeball is seen, (h, w), 0..1.
        follows: How far each pixel moves with the iris, (h, w), 0..1; the white stretches on one side of it.
        radius: Of the iris, in pixels.
    """

    x: int
    y: int
    ball: np.ndarray
    glints: np.ndarray
    opening: np.ndarray
    follows: np.ndarray
    radius: float

    @classmethod
    def of(cls, photo: np.ndarray, points: np.ndarray, number: int) -> _Eye | None:
        """Return an eye (0 is left in the picture), or None if it is shut or too small."""
        iris = points[IRISES[number] : IRISES[number] + 5, :2].astype(np.float64)
        radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        lids = points[list(OUTLINES[number]), :2].astype(np.float64)
        apart = points[list(UPPER_LIDS[number]), :2] - points[list(LOWER_LIDS[number]), :2]
        open_by = float(np.linalg.norm(apart, axis=1).max())
        if radius < _SMALLEST or open_by < _SHUT_BELOW * radius:
            return None
        margin = 1.2 * radius
        x0, y0 = np.floor(lids.min(0) - margin).astype(int).clip(0)
        x1, y1 = np.ceil(lids.max(0) + margin).astype(int) + 1
        part = photo[y0:y1, x0:x1]
        if min(part.shape[:2]) < 4:
            return None
        fine = np.zeros((4 * part.shape[0], 4 * part.shape[1]), np.uint8)
        cv2.fillPoly(fine, [np.round(4 * (lids - (x0, y0)) + 1.5).astype(np.int32)], 255)
        opening = cv2.resize(fine, part.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        # a little inside the lids' edges, whose lashes and shadows do not move
        opening = cv2.GaussianBlur(cv2.erode(opening, np.ones((3, 3))), (0, 0), 0.7)
        across, down = np.meshgrid(
            np.arange(part.shape[1]) + x0 - iris[0, 0], np.arange(part.shape[0]) + y0 - iris[0, 1]
        )
        away = np.hypot(across, down) / radius
        ball, glints = _without_glints(part, (away < 0.75) & (opening > 0.5), radius)
        outside = (opening < 0.5).astype(np.uint8)
        near = cv2.dilate(1 - outside, np.ones((3, 3)), iterations=max(2, math.ceil(0.35 * radius)))
        ball = cv2.inpaint(ball, outside & near, max(2, radius / 3), cv2.INPAINT_TELEA)
        return cls(
            x=int(x0),
            y=int(y0),
            ball=ball,
            glints=glints,
            opening=opening[..., None],
            follows=smooth_step((2.4 - away) / 1.2).astype(np.float32),
            radius=radius,
        )

    def look(self, picture: np.ndarray, aside: float, down: float) -> None:
        """Turn this eye in a picture by some degrees."""
        height, width = self.follows.shape
        part = picture[self.y : self.y + height, self.x : self.x + width]
        reach = _TURN * self.radius
        shift_x, shift_y = reach * math.sin(math.radians(aside)), reach * math.sin(math.radians(down))
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        turned = cv2.remap(
            self.ball,
            (x - shift_x * self.follows).astype(np.float32),
            (y - shift_y * self.follows).astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        shown = (turned + self.glints) * self.opening + part * (1 - self.opening)
        part[:] = np.round(shown.clip(0, 255)).astype(np.uint8)


def _without_glints(part: np.ndarray, iris: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of an eye without the glints on its iris, and the glints alone (float32)."""
    light = part.max(-1).astype(np.float32)
    if not iris.any():
        return part.copy(), np.zeros(part.shape, np.float32)
    usual = float(np.median(light[iris]))
    bright = iris & (light > usual + max(40.0, 0.35 * (255 - usual)))
    if not bright.any() or bright.sum() > 0.25 * iris.sum():  # that many are no glints, but a light iris
        return part.copy(), np.zeros(part.shape, np.float32)
    size = 2 * max(1, round(0.12 * radius)) + 1
    mask = cv2.dilate(bright.astype(np.uint8), np.ones((size, size)))
    dull = cv2.inpaint(part, mask, max(2, radius / 3), cv2.INPAINT_TELEA)
    return dull, part.astype(np.float32) - dull
