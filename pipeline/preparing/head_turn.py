"""Turns the head of a photo in depth.

The mesh gives the depth of the face; ears, hair and the back of the head lie as far back as the axis through the ears.
Each pixel moves as a point at its depth does, less and less down the neck. The person moves in front of a background
that stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.face.finder import box_of
from pipeline.face.networks import MESH_POINTS

_STEP = 4
"""Pixels between the places where movement is computed; it is smooth."""
_BEHIND = 0.12
"""How far behind the front of the ears the head's axis lies, in widths of the face."""
_FALL = 0.55
"""Distance outside the face, in its widths, over which the depth falls back to the axis."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How a head differs from a photo.

    Attributes:
        yaw, pitch, roll: Degrees: to the right, down, and clockwise in the picture.
        aside: Movement to the right, in widths of the face.
        breath: How far the shoulders are lifted, 0..1.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    aside: float = 0.0
    breath: float = 0.0


class TurningHead:
    """A photo whose head turns and whose shoulders breathe."""

    def __init__(self, points: np.ndarray, matte: np.ndarray, background: np.ndarray, lift: float) -> None:
        """Measure the depth.

        Args:
            points: (478, 3) pixels of the face.
            matte: (height, width) share of the person, 0..1.
            background: The photo without the person, (height, width, 3) uint8 RGB.
            lift: How far breath lifts the shoulders, in pixels.
        """
        face = box_of(points)
        self._points, self._width, self._lift = points, face.width, lift
        height, width = matte.shape
        x = np.arange((width + _STEP - 1) // _STEP, dtype=np.float32) * _STEP + (_STEP - 1) / 2
        y = np.arange((height + _STEP - 1) // _STEP, dtype=np.float32) * _STEP + (_STEP - 1) / 2
        self._grid = np.stack(np.meshgrid(x, y))
        # the head turns about the middle of the axis through the ears, at the height of their lobes
        ears = points[[234, 454]]
        axis = float(ears[:, 2].mean()) + _BEHIND * face.width
        middle = np.array([ears[:, 0].mean(), face.y + 0.72 * face.height], np.float32)
        self._middle = middle
        self._away = self._grid - middle[:, None, None]
        self._near = _relief(points, axis, self._grid, face.width)
        chin = face.y + face.height
        across = np.abs(self._grid[0] - middle[0]) / face.width
        below = (self._grid[1] - chin) / face.height
        self._head = (1 - _smooth((below + 0.05) / 0.75)) * (1 - _smooth((across - 1.1) / 0.9))
        self._body = _smooth((below + 0.05) / 0.7) * (1 - 0.7 * _smooth((below - 1.0) / 2.0))
        self._body *= 1 - _smooth((across - 1.6) / 1.2)
        self._compose(matte, background)

    def _compose(self, matte: np.ndarray, background: np.ndarray) -> None:
        """Keep what is needed to put the moved person in front of the background, where anything moves."""
        height, width = matte.shape
        moves = _enlarged(np.maximum(self._head, self._body), width, height)
        moving = (matte > 0.02) & (moves > 0.01)
        self._matte = np.clip(2.0 * matte, 0, 1) * _smooth(moves / 0.05)
        rows, columns = np.flatnonzero(moving.any(1)), np.flatnonzero(moving.any(0))
        margin = max(2, round(0.06 * self._width))
        self._rows = slice(max(0, rows[0] - margin), min(height, rows[-1] + margin + 1))
        self._columns = slice(max(0, columns[0] - margin), min(width, columns[-1] + margin + 1))
        self._background = background[self._rows, self._columns].astype(np.float32)
        self._edge = self._matte[self._rows, self._columns]
        self._full = np.stack(
            np.meshgrid(
                np.arange(width, dtype=np.float32)[self._columns], np.arange(height, dtype=np.float32)[self._rows]
            )
        )

    def movement(self, pose: Pose) -> np.ndarray:
        """Return how far each place moves in a pose, (2, rows, columns) pixels, `_STEP` apart."""
        yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
        across, down = self._away
        aside = across * (math.cos(yaw) - 1) + self._near * math.sin(yaw) - down * math.sin(roll)
        lower = down * (math.cos(pitch) - 1) + self._near * math.sin(pitch) + across * math.sin(roll)
        breath = -self._lift * pose.breath
        moved_x = (aside + pose.aside * self._width) * self._head
        moved_y = (lower + 0.6 * breath) * self._head + breath * self._body * (1 - self._head)
        return np.stack([moved_x, moved_y]).astype(np.float32)

    def points_in(self, pose: Pose) -> np.ndarray:
        """Return the points of the face in a pose, (478, 3) float32 pixels: where the picture shows them."""
        moved, places = self.movement(pose), self._points[:, :2].astype(np.float32)
        at = ((places - (_STEP - 1) / 2) / _STEP)[:, None]
        shift = [cv2.remap(part, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in moved]
        across, down = (places - self._middle).T
        yaw, pitch = math.radians(pose.yaw), math.radians(pose.pitch)
        back = across * math.sin(yaw) + down * math.sin(pitch)
        turned: np.ndarray = self._points + np.stack([shift[0][:, 0], shift[1][:, 0], back], 1)
        return turned.astype(np.float32)

    def turn(self, photo: np.ndarray, pose: Pose) -> np.ndarray:
        """Return the photo, or one with other eyes, in a pose: (height, width, 3) uint8."""
        moved = self.movement(pose)
        # the pixel that comes here lies where its own movement starts, not the movement of this place
        at = (self._grid - moved - (_STEP - 1) / 2) / _STEP
        moved = np.stack(
            [cv2.remap(part, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in moved]
        )
        height, width = photo.shape[:2]
        back = self._full - np.stack([_enlarged(part, width, height)[self._rows, self._columns] for part in moved])
        person = cv2.remap(photo, back[0], back[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        matte = cv2.remap(self._matte, back[0], back[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)[..., None]
        out = photo.copy()
        here = out[self._rows, self._columns]
        behind = np.where(self._edge[..., None] > 0, self._background, here)
        here[:] = np.round(person * matte + behind * (1 - matte)).clip(0, 255).astype(np.uint8)
        return out


def _relief(points: np.ndarray, axis: float, grid: np.ndarray, size: float) -> np.ndarray:
    """Return how far each place of a grid lies in front of the head's axis, (rows, columns) pixels."""
    from scipy.interpolate import LinearNDInterpolator  # imported here: slow to load, and only photos need it

    solved = points[:MESH_POINTS]
    near = LinearNDInterpolator(solved[:, :2], axis - solved[:, 2])(grid[0], grid[1])
    outside = np.isnan(near)
    if outside.all():
        return np.zeros(outside.shape, np.float32)
    distance, labels = cv2.distanceTransformWithLabels(
        outside.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(labels.max() + 1, np.float32)
    values[labels[~outside]] = near[~outside]
    going_on = values[labels]
    fall = 1 - _smooth(distance * _STEP / (_FALL * size))
    flat = np.where(outside, going_on, near).astype(np.float32)
    soft = cv2.GaussianBlur(flat, (0, 0), max(0.5, 0.10 * size / _STEP))
    fine = cv2.GaussianBlur(flat, (0, 0), max(0.5, 0.025 * size / _STEP))
    from_edge = _smooth(distance * _STEP / (0.12 * size))
    relief: np.ndarray = ((fine * (1 - from_edge) + soft * from_edge) * fall).astype(np.float32)
    return relief


def _enlarged(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return values of the grid for every pixel."""
    size = values.shape[1] * _STEP, values.shape[0] * _STEP
    return np.asarray(cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_LINEAR))[:height, :width]


def _smooth(share: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 without a kink in speed or acceleration (Perlin 2002)."""
    share = np.clip(share, 0, 1)
    risen: np.ndarray = share**3 * (share * (share * 6 - 15) + 10)
    return risen
