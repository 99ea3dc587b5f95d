"""Draws the inside of a mouth from what the person's own clip shows of it."""

from __future__ import annotations

import cv2
import numba
import numpy as np
from scipy.ndimage import uniform_filter1d

from pipeline.avatars.avatar import OwnMouth
from pipeline.core.numba_cache import compiled
from pipeline.engines.mesh.mouth_frame import COLUMNS, MouthFrame
from pipeline.video.frame import Frame

TONES, DETAIL = (12, 0.05), (6, 0.02)
"""Pictures that are blended, and the difference of shape, in basis units, by which one counts e times less.

What is in a mouth varies at the same shape, and the mean of many is nearest to any of them, but has no edges. So light
and colour come from many pictures, and edges from few.
"""
MOST_OF_ALL = 2 / 3
"""Share of all pictures that is blended at most: the farthest show another mouth."""
EDGES = 2.0
"""Standard deviation, in pixels of a picture, of the blur that separates its light from its edges."""
COUNTS = np.array([1.0, 0.65, 0.6, 0.2], np.float32)
"""How much a difference in each part of a shape counts (see ``mouth_shape``)."""
STRETCHED = 0.06
"""Share of a picture's opening, on either side of its darkest row, that is stretched when the mouth opens wider than it
is there. The rest keeps its size at either lip: teeth do not grow."""
DEPTH = 1.6
"""How much darker the depth of a mouth becomes that opens wider than in a picture."""
BAND = 1.0
"""Share of a lip's thickness over which the picture blends into the lip."""
SHUT, PARTED = 0.003, 0.015
"""Openings in basis units up to which nothing is drawn, and from which it is drawn in full."""
KNOWN, UNKNOWN = 1.8, 2.4
"""Openings, in those of the widest picture, up to which pictures are drawn, and from which they show nothing alike."""


class OwnMouthInterior:
    """Draws one person's mouth.

    Args:
        mouth: What the clip shows.
    """

    def __init__(self, mouth: OwnMouth) -> None:
        self._mouth = mouth
        self._darkest = _darkest_rows(mouth)
        self._light = np.stack([cv2.GaussianBlur(picture, (0, 0), EDGES) for picture in mouth.luma])
        self._chroma = np.ascontiguousarray(mouth.chroma.swapaxes(0, 1))

    def nearest(self, shape: np.ndarray, most: int, settled: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the pictures of the nearest shapes, and their weights, which sum to 1.

        Weights fall to zero where another picture takes over, so they change as smoothly as the mouth does.

        Args:
            shape: Of the mouth (see ``mouth_shape``).
            most: How many pictures at most.
            settled: Difference of shape by which one counts e times less.
        """
        apart = np.linalg.norm((self._mouth.shapes - shape) * COUNTS, axis=1)
        most = min(most, max(round(MOST_OF_ALL * len(apart)), 1))
        order = np.argsort(apart)[: most + 1]
        reach = max(float(apart[order[-1]]), 1e-6) if len(order) > most else np.inf
        near = order[:most]
        weights = np.clip(1 - apart[near] / reach, 0, 1) ** 2 * np.exp((apart[near[0]] - apart[near]) / settled)
        weights[0] = max(weights[0], 1e-9)
        return near, weights / weights.sum()

    def share(self, shape: np.ndarray) -> float:
        """Return how far the clip shows what a mouth of this shape looks like, 0..1."""
        wider = float(shape[0] / self._mouth.shapes[:, 0].max())
        return float(np.clip((UNKNOWN - wider) / (UNKNOWN - KNOWN), 0, 1))

    def draw(self, out: Frame, frame: MouthFrame, shape: np.ndarray, skin: np.ndarray) -> None:
        """Draw the inside of a mouth into a frame.

        Args:
            out: The frame.
            frame: Where the mouth is.
            shape: Its shape (see ``mouth_shape``).
            skin: (3,) Y, U, V of the skin in this light.
        """
        mouth = self._mouth
        strength = self.share(shape) * float(np.clip((shape[0] - SHUT) / (PARTED - SHUT), 0, 1))
        if strength <= 0:
            return
        corners = [
            frame.origin + x * frame.across + y * frame.down
            for x in (0.0, frame.width)
            for y in (float(frame.edges.min()), float(frame.edges.max()))
        ]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        left, top = max(int(low[0]) // 2 * 2, 0), max(int(low[1]) // 2 * 2, 0)
        right, bottom = min(int(high[0]) // 2 * 2 + 2, out.width), min(int(high[1]) // 2 * 2 + 2, out.height)
        if right - left < 4 or bottom - top < 4:
            return
        tones, detail = self._near(shape, *TONES), self._near(shape, *DETAIL)
        hollow = self._hollow(shape, *detail[:2])
        light = _blended(self._light, *tones, mouth.lip_rows, hollow)
        edges, blurred = (_blended(kind, *detail, mouth.lip_rows, hollow) for kind in (mouth.luma, self._light))
        u, v = (_blended(plane, *tones, mouth.lip_rows // 2, 0.0) for plane in self._chroma)
        gain = float((skin[0] - 16) / max(mouth.skin[0] - 16, 1))
        shift = (skin - mouth.skin)[1:].astype(np.float64)
        _paint(
            (out.y, *out.uv),
            (left, top, right, bottom),
            frame,
            (light + edges - blurred, u, v),
            (mouth.lip_rows, strength, gain, shift[0], shift[1]),
        )

    def _near(self, shape: np.ndarray, most: int, settled: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the nearest pictures, their weights, and how they part for an opening (see ``_blended``)."""
        near, weights = self.nearest(shape, most, settled)
        wider = np.clip(shape[0] / np.maximum(self._mouth.shapes[near, 0], 1e-3), 1, None)
        return near, weights, np.stack([wider, self._darkest[near]])

    def _hollow(self, shape: np.ndarray, near: np.ndarray, weights: np.ndarray) -> float:
        """Return how much darker the depth of a mouth is, 0..0.8, that opens wider than the blended pictures."""
        wider = float(shape[0]) / max(float(weights @ self._mouth.shapes[near, 0]), 1e-3)
        return min(DEPTH * max(1 - 1 / wider, 0), 0.8)


def _darkest_rows(mouth: OwnMouth) -> np.ndarray:
    """Return where the opening of each picture is darkest, (n,) 0..1: between the rows of teeth."""
    wide = mouth.luma.shape[2]
    opening = mouth.luma[:, mouth.lip_rows : -mouth.lip_rows, wide // 4 : -wide // 4].mean(2)
    rows = opening.shape[1]
    smooth = uniform_filter1d(opening, max(3, rows // 10), axis=1)
    first = round(0.25 * rows)
    return np.asarray((first + smooth[:, first : round(0.9 * rows)].argmin(1) + 0.5) / rows)


@compiled
def _blended(
    pictures: np.ndarray, near: np.ndarray, weights: np.ndarray, parting: np.ndarray, lip: int, hollow: float
) -> np.ndarray:
    """Return the weighted mean of some pictures, (h, w) float32.

    Args:
        pictures: (n, h, w) uint8.
        near: (k,) which.
        weights: (k,).
        parting: (2, k) how much wider than in the picture the mouth opens, 1 or more, and where in the picture's
            opening the upper part ends, 0..1.
        lip: Rows of each lip.
        hollow: How much darker the depth of a wide mouth is, 0..1.
    """
    height, width = pictures.shape[1:]
    rows = height - 2 * lip
    mixed = np.zeros((height, width), np.float32)
    for k in range(len(near)):
        picture, weight = pictures[near[k]], np.float32(weights[k])
        wider, split = parting[0, k], parting[1, k]
        begin, end = (split - STRETCHED) / wider, 1 - (1 - split - STRETCHED) / wider
        for row in range(height):
            place, lit = float(row), np.float32(1)
            if lip <= row < lip + rows and wider > 1:
                v = (row - lip + 0.5) / rows
                if v < begin:
                    s = v * wider
                elif v > end:
                    s = 1 - (1 - v) * wider
                else:
                    t = (v - begin) / (end - begin)
                    s = split + STRETCHED * (2 * t - 1)
                    lit = np.float32(1 - hollow * np.sqrt(4 * t * (1 - t)))
                place = min(max(lip + s * rows - 0.5, 0.0), height - 1.0)
            upper = min(int(place), height - 2)
            share = np.float32(place - upper)
            for column in range(width):
                a, b = np.float32(picture[upper, column]), np.float32(picture[upper + 1, column])
                value = a + share * (b - a)
                mixed[row, column] += weight * (16 + (value - 16) * lit)
    return mixed


@numba.njit(nogil=True, error_model="numpy", fastmath=True)
def _place(x: float, y: float, frame: MouthFrame) -> tuple[float, float, float]:
    """Return where a pixel lies in the frame of a mouth.

    Returns:
        Position along it, 0..1; position across the lips: 0..1 upper lip, 1..2 opening, 2..3 lower lip; and 1 inside,
        falling to 0 on the lips and outside the corners.
    """
    dx, dy = x - frame.origin[0], y - frame.origin[1]
    along = (dx * frame.across[0] + dy * frame.across[1]) / frame.width
    if along <= 0 or along >= 1:
        return 0.0, 0.0, 0.0
    height = dx * frame.down[0] + dy * frame.down[1]
    column = along * (COLUMNS - 1)
    left = min(int(column), COLUMNS - 2)
    share = column - left
    edges = frame.edges
    top = edges[0, left] + share * (edges[0, left + 1] - edges[0, left])
    upper = edges[1, left] + share * (edges[1, left + 1] - edges[1, left])
    lower = edges[2, left] + share * (edges[2, left + 1] - edges[2, left])
    bottom = edges[3, left] + share * (edges[3, left + 1] - edges[3, left])
    inside = 1.0
    if height < upper:
        across = (height - top) / max(upper - top, 0.5)
        inside = 1 - (1 - across) / BAND
    elif height > lower:
        across = (height - lower) / max(bottom - lower, 0.5)
        inside = 1 - across / BAND
        across += 2
    else:
        across = 1 + (height - upper) / max(lower - upper, 0.5)
    inside = min(inside, 20 * along, 20 * (1 - along))
    if inside <= 0:
        return 0.0, 0.0, 0.0
    return along, across, inside * inside * (3 - 2 * inside)


@numba.njit(nogil=True, error_model="numpy", fastmath=True)
def _sample(picture: np.ndarray, along: float, across: float, lip: int) -> float:
    """Return the value of a picture at a place in the frame of the mouth."""
    height, width = picture.shape
    if across < 1:
        row = across * lip
    elif across > 2:
        row = height - lip + (across - 2) * lip
    else:
        row = lip + (across - 1) * (height - 2 * lip)
    x, y = min(max(along * width - 0.5, 0.0), width - 1.001), min(max(row - 0.5, 0.0), height - 1.001)
    left, top = int(x), int(y)
    x, y = x - left, y - top
    above = picture[top, left] + x * (picture[top, left + 1] - picture[top, left])
    below = picture[top + 1, left] + x * (picture[top + 1, left + 1] - picture[top + 1, left])
    return float(above + y * (below - above))


@compiled
def _paint(
    planes: tuple[np.ndarray, np.ndarray, np.ndarray],
    box: tuple[int, int, int, int],
    frame: MouthFrame,
    pictures: tuple[np.ndarray, np.ndarray, np.ndarray],
    how: tuple[int, float, float, float, float],
) -> None:
    """Draw a picture of a mouth where its frame lies.

    Args:
        planes: Y, U, V of the frame, changed in place.
        box: Left, top, right, bottom, even.
        frame: The mouth's frame.
        pictures: Y, U, V, float32.
        how: Rows of a lip, opacity, factor of the luma, and what is added to U and V.
    """
    left, top, right, bottom = box
    lip, strength, gain, more_u, more_v = how
    for row in range(top // 2, bottom // 2):
        for column in range(left // 2, right // 2):
            cover = 0.0
            for part in range(4):
                y, x = 2 * row + part // 2, 2 * column + part % 2
                along, across, inside = _place(x, y, frame)
                if inside > 0:
                    alpha = inside * strength
                    luma = 16 + (_sample(pictures[0], along, across, lip) - 16) * gain
                    planes[0][y, x] = _byte(planes[0][y, x] + (luma - planes[0][y, x]) * alpha)
                    cover += alpha
            if cover > 0:
                along, across, inside = _place(2 * column + 0.5, 2 * row + 0.5, frame)
                if inside > 0:
                    u = _sample(pictures[1], along, across, lip // 2) + more_u
                    v = _sample(pictures[2], along, across, lip // 2) + more_v
                    planes[1][row, column] = _byte(planes[1][row, column] + (u - planes[1][row, column]) * cover / 4)
                    planes[2][row, column] = _byte(planes[2][row, column] + (v - planes[2][row, column]) * cover / 4)


@numba.njit(nogil=True, error_model="numpy")
def _byte(value: float) -> np.uint8:
    return np.uint8(min(max(value + 0.5, 0.0), 255.0))
