"""Fits a photo of any shape to the shape of a video, with the person at a sensible place and no bars.

What is too much is cut off. What is missing is continued: the edge's colours go on outwards, softer and softer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from pipeline.face.finder import box_of

Shape = Literal["wide", "upright", "square", "own"]
"""Shape of a photo's avatar: 16:9, 9:16, 1:1, or the photo's own."""
SHAPES = get_args(Shape)
_ASPECTS = {"wide": (16, 9), "upright": (9, 16), "square": (1, 1)}
_LARGEST_FACE, _WIDEST_FACE = 0.5, 0.6
"""Most of the picture's height and width that a face may fill before something is added around it."""
_SMALLEST_FACE, _FINE = 0.25, 720
"""A photo is cut closer where its face would fill less of the height, as long as so many of its pixels stay."""
_EYES_AT = 0.42
"""Where the eyes are, from the top."""
_HAIR, _HEAD_ROOM = 0.4, 0.05
"""How far hair reaches above the face, in heights of the face; least room above it, in heights of the picture."""
_LONGEST_BAR, _PLAIN, _STEP = 0.4, 16.0, 20.0
"""A bar takes this share of a side at most; so little it varies, and so much it differs from the picture (0..255)."""
_MIRRORED = 0.07
"""Share of a side that is seen, mirrored, in what is added beside it."""
_SOFTNESS = (0.0, 0.006, 0.02, 0.05, 0.10)
"""Blur of what is added, near the photo and further away, in heights of the picture."""


@dataclass(frozen=True)
class Cut:
    """A part of a photo that may reach beyond it, in pixels."""

    x: float
    y: float
    width: float
    height: float


def without_bars(photo: np.ndarray) -> np.ndarray:
    """Return a photo without bars and lines of one colour along its edges, which screenshots and scans have.

    A plain background is none: a bar ends at a straight edge.
    """
    top, bottom = _bar(photo), _bar(photo[::-1])
    photo = photo[top : len(photo) - bottom]
    across = photo.transpose(1, 0, 2)
    left, right = _bar(across), _bar(across[::-1])
    return photo[:, left : photo.shape[1] - right]


def _bar(photo: np.ndarray) -> int:
    """Return how many rows at the top are a bar."""
    most = int(_LONGEST_BAR * len(photo))
    lines = photo[: most + 2].astype(np.float32)
    if len(lines) < 4:
        return 0
    colour = np.median(lines[0], axis=0)
    differs = np.abs(lines - colour).max(2)
    plain = np.percentile(differs, 90, axis=1) < _PLAIN
    count = int(np.argmin(plain)) if not plain.all() else 0
    # a row between the bar and the picture may be mixed of both
    return count + 1 if 0 < count <= most and np.mean(differs[count + 1] > _STEP) > 0.6 else 0


def cut_for(width: int, height: int, points: np.ndarray, shape: Shape) -> Cut:
    """Return the part of a photo that an avatar shows.

    Args:
        width: Of the photo, in pixels.
        height: Of the photo, in pixels.
        points: (478, 3) pixels of the face.
        shape: Of the avatar.
    """
    across, down = _ASPECTS.get(shape, (width, height))
    aspect = across / down
    face = box_of(points)
    # as large as the photo allows without adding anything, unless the face fills too much then
    tall = min(height, width / aspect)
    if aspect > width / height or face.width > _WIDEST_FACE * tall * aspect:
        wanted = max(face.height / _LARGEST_FACE, face.width / (_WIDEST_FACE * aspect))
        tall = max(tall, min(wanted, max(height, width / aspect)))
    if shape != "own":
        tall = min(tall, max(face.height / _SMALLEST_FACE, _FINE * max(1.0, 1 / aspect)))
    wide = tall * aspect
    eyes = float(points[[33, 133, 362, 263], 1].mean())
    # what is added is better above a head than below a chest
    top = min(eyes - (_EYES_AT if tall <= height else 0.5) * tall, face.y - _HAIR * face.height - _HEAD_ROOM * tall)
    return Cut(_placed(face.center[0] - wide / 2, wide, width), _placed(top, tall, height), wide, tall)


def size_of(cut: Cut, shape: Shape) -> tuple[int, int]:
    """Return a size, (width, height), that has the shape of a cut exactly."""
    return _ASPECTS.get(shape, (round(cut.width), round(cut.height)))


def _placed(start: float, length: float, side: int) -> float:
    """Return where a length begins that shows as much of a side as it can."""
    least, most = min(0.0, side - length), max(0.0, side - length)
    return min(max(start, least), most)


def fitted(photo: np.ndarray, cut: Cut, width: int, height: int) -> np.ndarray:
    """Return a part of a photo in a size, continued where it reaches beyond the photo.

    Args:
        photo: (h, w, 3) uint8.
        cut: The part.
        width: Of the result, in pixels.
        height: Of the result, in pixels.
    """
    scale = height / cut.height
    x, beside = _continued(cut.x, cut.width, photo.shape[1], width)
    y, above = _continued(cut.y, cut.height, photo.shape[0], height)
    if scale < 1:  # Pillow's way to shrink, without moire
        size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
        small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        x, y = ((x + 0.5) * size[0] / photo.shape[1] - 0.5), ((y + 0.5) * size[1] / photo.shape[0] - 0.5)
    else:
        small = photo
    map_x, map_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    out = cv2.remap(small, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    away = np.maximum(beside[None], above[:, None]) / height
    return _softened(out, away) if away.max() > 0 else out


def _continued(start: float, length: float, side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where `count` pixels lie along a side of the photo, and how far beyond it they are (pixels of the result).

    Beyond the photo the places turn back, slower and slower.
    """
    step = length / count
    places = start + (np.arange(count) + 0.5) * step - 0.5
    low, high, depth = 0.0, side - 1.0, _MIRRORED * side
    before, after = np.maximum(low - places, 0) if start < -0.5 else 0 * places, np.zeros(count)
    if start + length > side + 0.5:
        after = np.maximum(places - high, 0)
    inside = np.clip(places, low if start < -0.5 else -0.5, high if start + length > side + 0.5 else side - 0.5)
    turned = inside + depth * (1 - np.exp(-before / depth)) - depth * (1 - np.exp(-after / depth))
    return turned, (before + after) / step


def _softened(picture: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Return a picture that is softer the further its pixels are away (heights of the picture)."""
    height = picture.shape[0]
    # from one blur to the next: each is reached when so far away
    reach = np.array([0.0, 0.012, 0.05, 0.14, 0.35])
    level = np.interp(away, reach, np.arange(len(reach)))
    out = np.zeros(picture.shape, np.float32)
    values = picture.astype(np.float32)
    for number, softness in enumerate(_SOFTNESS):
        share = np.clip(1 - np.abs(level - number), 0, 1)
        if not share.any():
            continue
        blurred = values if softness == 0 else _blurred(values, softness * height)
        out += blurred * share[..., None]
    soft: np.ndarray = np.round(out).clip(0, 255).astype(np.uint8)
    return soft


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Return values blurred (Gaussian); wide blurs are computed in a smaller size."""
    shrink = max(1, math.floor(sigma / 3))
    size = max(1, values.shape[1] // shrink), max(1, values.shape[0] // shrink)
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, values.shape[1::-1], interpolation=cv2.INTER_LINEAR))
