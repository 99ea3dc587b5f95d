"""Moves pixels with a moving mesh, in the video's own planes."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numba
import numpy as np

from pipeline.core.numba_cache import compiled
from pipeline.video.frame import Frame

EDGE = 1e-4
"""How far outside a triangle, in barycentric coordinates, a pixel still counts as inside; prevents cracks."""
STAYS = 0.05
"""Pixels; smaller movements are ignored."""
POINT, PHASE = 16, 8
"""Fractional bits of a position in a picture (integers step faster than floats), and how many of them are used."""
LAST_PHASE = 2**PHASE - 1


def _cubic_weights() -> np.ndarray:
    """Return (2**PHASE, 4) float32: weights of the four pixels around a position between the middle two.

    Cubic convolution with a = -0.75 (Keys 1981, "Cubic convolution interpolation for digital image processing"; the
    value is OpenCV's).
    """
    place, a = np.arange(2**PHASE)[:, None] / 2**PHASE, -0.75
    away = np.abs(place - (-1, 0, 1, 2))
    near = ((a + 2) * away - (a + 3)) * away**2 + 1
    far = ((away - 5) * away + 8) * a * away - 4 * a
    weights: np.ndarray = np.where(away <= 1, near, far).astype(np.float32)
    return weights


_WEIGHTS = _cubic_weights()


@numba.njit(nogil=True, error_model="numpy")
def _moves(source: np.ndarray, target: np.ndarray, triangle: np.ndarray) -> bool:
    """Return whether a corner of a triangle moves visibly."""
    for corner in triangle:
        for axis in range(2):
            if abs(target[corner, axis] - source[corner, axis]) > STAYS:
                return True
    return False


@compiled
def _reach(source: np.ndarray, target: np.ndarray, triangles: np.ndarray) -> tuple[float, float, float, float]:
    """Return the bounds (left, top, right, bottom) of all movement; right is less than left if nothing moves."""
    left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
    for t in range(len(triangles)):
        if _moves(source, target, triangles[t]):
            for corner in triangles[t]:
                (ax, ay), (bx, by) = source[corner], target[corner]
                left, right = min(left, ax, bx), max(right, ax, bx)
                top, bottom = min(top, ay, by), max(bottom, ay, by)
    return left, top, right, bottom


@numba.njit(nogil=True, error_model="numpy", fastmath=True)
def _sample(plane: np.ndarray, x: int, y: int) -> np.uint8:
    """Return the value of a padded plane at a position (fixed-point pixels) inside it."""
    # the masks tell the compiler that no index is negative; support for negative ones costs a third of the time
    left, across = (x >> POINT) & 0xFFFF, _WEIGHTS[(x >> (POINT - PHASE)) & LAST_PHASE]
    top, down = (y >> POINT) & 0xFFFF, _WEIGHTS[(y >> (POINT - PHASE)) & LAST_PHASE]
    value = np.float32(0.5)
    for i in range(4):
        row = plane[top + i]
        value += down[i] * (
            across[0] * row[left] + across[1] * row[left + 1] + across[2] * row[left + 2] + across[3] * row[left + 3]
        )
    return np.uint8(min(max(value, np.float32(0)), np.float32(255)))


@numba.njit(nogil=True, error_model="numpy", fastmath=True)
def _fixed(place: float) -> int:
    """Return a position, not negative, as a fixed-point number, rounded to the nearest phase."""
    return int((place + 0.5 / (1 << PHASE)) * (1 << POINT))


@numba.njit(nogil=True, error_model="numpy", fastmath=True)
def _fill(row: np.ndarray, plane: np.ndarray, start: tuple[int, int], step: tuple[int, int], inside: bool) -> None:
    """Fill a row with a plane's values from a position on, in steps; outside the plane, its edge repeats.

    Args:
        row: (n,) uint8, changed in place.
        plane: Padded float32.
        start: Position (x, y) of the first value, in fixed-point pixels.
        step: From one value to the next, likewise.
        inside: Whether all positions are known to lie inside.
    """
    (x, y), (step_x, step_y) = start, step
    right, bottom = (plane.shape[1] - 4) << POINT, (plane.shape[0] - 4) << POINT
    if inside:
        for i in range(len(row)):
            row[i] = _sample(plane, x + i * step_x, y + i * step_y)
    else:
        for i in range(len(row)):
            row[i] = _sample(plane, min(max(x + i * step_x, 0), right), min(max(y + i * step_y, 0), bottom))


class _Mesh(NamedTuple):
    """Triangles before and after they move; a tuple, since numba knows no dataclasses.

    Attributes:
        source: (n, 2) pixels; float64, so that rounding does not lead outside.
        target: (n, 2) pixels, likewise.
        triangles: (m, 3) indices.
    """

    source: np.ndarray
    target: np.ndarray
    triangles: np.ndarray


@compiled
def _move(
    mesh: _Mesh,
    before: tuple[np.ndarray, np.ndarray, np.ndarray],
    planes: tuple[np.ndarray, np.ndarray, np.ndarray],
    corner: tuple[int, int],
) -> None:
    """Draw each triangle that moves; later ones cover earlier ones.

    Args:
        mesh: The triangles, relative to `corner`.
        before: Padded copy of the planes' part that begins at `corner`; pixels outside it are unchanged.
        planes: Y, U, V of the frame, changed in place.
        corner: Even pixel (x, y).
    """
    (left, top), source, target, triangles = corner, mesh.source, mesh.target, mesh.triangles
    height, width = before[0].shape[0] - 3, before[0].shape[1] - 3
    rows, columns = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
    after = planes[0][top : top + height, left : left + width], planes[1][rows, columns], planes[2][rows, columns]
    for t in range(len(triangles)):
        if not _moves(source, target, triangles[t]):
            continue
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = target[a, 0], target[a, 1], target[b, 0], target[b, 1], target[c, 0], target[c, 1]
        sax, say, sbx, sby = source[a, 0], source[a, 1], source[b, 0], source[b, 1]
        scx, scy = source[c, 0], source[c, 1]
        area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
        if not abs(area) > 1e-6:  # or NaN
            continue
        x0, x1 = max(int(np.ceil(min(ax, bx, cx))), 0), min(int(np.floor(max(ax, bx, cx))) + 1, width)
        y0, y1 = max(int(np.ceil(min(ay, by, cy))), 0), min(int(np.floor(max(ay, by, cy))) + 1, height)
        # change of the barycentric coordinates, and so of the position in the source, from pixel to pixel
        right_u, right_v, down_u, down_v = (by - cy) / area, (cy - ay) / area, (cx - bx) / area, (ax - cx) / area
        right_w, down_w = -right_u - right_v, -down_u - down_v
        right_x, right_y = right_u * sax + right_v * sbx + right_w * scx, right_u * say + right_v * sby + right_w * scy
        down_x, down_y = down_u * sax + down_v * sbx + down_w * scx, down_u * say + down_v * sby + down_w * scy
        inside = (
            min(sax, say, sbx, sby, scx, scy) >= 1
            and max(sax, sbx, scx) <= width - 2
            and max(say, sby, scy) <= height - 2
        )
        steps = int(right_x * (1 << POINT)), int(right_y * (1 << POINT))
        for y in range(y0, y1):
            u = right_u * (x0 - cx) + down_u * (y - cy)
            v = right_v * (x0 - cx) + down_v * (y - cy)
            w = 1 - u - v
            first, last = 0.0, x1 - x0 - 1.0  # the pixels of this row that lie inside, counted from x0
            for start, step in ((u, right_u), (v, right_v), (w, right_w)):
                if step > 1e-12:
                    first = max(first, np.ceil((-EDGE - start) / step))
                elif step < -1e-12:
                    last = min(last, np.floor((-EDGE - start) / step))
                elif start < -EDGE:
                    last = -1.0
            if first > last:
                continue
            begin, end = x0 + int(first), x0 + int(last) + 1
            from_x = u * sax + v * sbx + w * scx + first * right_x
            from_y = u * say + v * sby + w * scy + first * right_y
            _fill(after[0][y, begin:end], before[0], (_fixed(from_x), _fixed(from_y)), steps, inside)
            if y % 2 == 0:  # a pixel of chroma lies in the middle of four of luma, the first of them at even x and y
                middle = begin % 2 + 0.5
                half_x = _fixed((from_x + middle * right_x + 0.5 * down_x) / 2 - 0.25)
                half_y = _fixed((from_y + middle * right_y + 0.5 * down_y) / 2 - 0.25)
                half = slice((begin + 1) // 2, (end + 1) // 2)
                for plane in (1, 2):
                    _fill(after[plane][y // 2, half], before[plane], (half_x, half_y), steps, False)


def warp(frame: Frame, source: np.ndarray, target: np.ndarray, triangles: np.ndarray) -> None:
    """Move the pixels of a frame with its mesh, in place; pixels outside moving triangles stay untouched.

    Args:
        frame: The picture.
        source: (n, 2) float32 pixels, points of the mesh.
        target: (n, 2) float32 pixels, where they move.
        triangles: (m, 3) int32 indices.
    """
    reach = _reach(source, target, triangles)
    if reach[0] > reach[2]:
        return
    left, right = _even(reach[0], reach[2], frame.width)
    top, bottom = _even(reach[1], reach[3], frame.height)
    planes = frame.y, *frame.uv
    before = (
        _padded(planes[0][top:bottom, left:right]),
        _padded(planes[1][top // 2 : bottom // 2, left // 2 : right // 2]),
        _padded(planes[2][top // 2 : bottom // 2, left // 2 : right // 2]),
    )
    corner = np.array([left, top], np.float64)
    _move(_Mesh(source - corner, target - corner, triangles), before, planes, (left, top))


def _even(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the first pixel and the one after the last that samples between two positions need, within `size`.

    Both are even, so that chroma stays aligned.
    """
    first = min(max(int(low) // 2 * 2 - 2, 0), size - 2)
    return first, max(min(int(high) // 2 * 2 + 4, size), first + 2)


def _padded(plane: np.ndarray) -> np.ndarray:
    """Return a float32 copy of a plane with its edge repeated as far as samples at the edge reach."""
    return np.asarray(cv2.copyMakeBorder(plane, 1, 2, 1, 2, cv2.BORDER_REPLICATE), np.float32)
