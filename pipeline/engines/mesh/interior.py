"""What is seen between open lips: a dark cavity, the tongue, lower teeth on the jaw, upper teeth on the head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numba
import numpy as np

from pipeline.engines.mesh.basis import LOWER_INNER, UPPER_INNER, FaceBasis
from pipeline.engines.mesh.sprites import Sprite
from pipeline.video.frame import Frame

SUPERSAMPLE = 4
"""The opening's outline is drawn this much larger and shrunk, so that the lip line is smooth."""
TEETH_DEPTH = 0.06
"""How far the teeth sit behind the lips, in basis units."""
TONGUE_LIFT = 0.05
"""How far the tongue's tip rises at t, d, n, l, in basis units."""
CHEEKS = (205, 425, 50, 280, 36, 266)
"""Points on plain skin, lit as the mouth is."""
LIPS = (0, 17, 37, 267, 84, 314)
"""Points on the red of the lips."""


SEAM_DARKNESS, SEAM_WIDTH, SEAM_GONE = 0.8, 0.03, 0.06
"""The line between shut lips: how much it hides; its width, and the gap at which it is gone, in eye distances."""


@dataclass(frozen=True)
class Light:
    """How a face is lit. skin, lips: (3,) Y, U, V in 0..255."""

    skin: np.ndarray
    lips: np.ndarray


def light_of(frame: Frame, points: np.ndarray) -> Light:
    """Read from FRAME how skin and lips are lit; POINTS: (478, 2) px."""

    def mean(indices: tuple[int, ...]) -> np.ndarray:
        x, y = points[list(indices)].round().astype(int).T
        x, y = np.clip(x, 0, frame.width - 1), np.clip(y, 0, frame.height - 1)
        u, v = frame.uv
        chroma_x, chroma_y = np.minimum(x // 2, u.shape[1] - 1), np.minimum(y // 2, u.shape[0] - 1)
        return np.array([np.median(frame.y[y, x]), np.median(u[chroma_y, chroma_x]), np.median(v[chroma_y, chroma_x])])

    return Light(mean(CHEEKS), mean(LIPS))


def teeth_white(light: Light) -> float:
    """Return the Y (16..235) of a sprite's white where teeth are lit by LIGHT."""
    return float(min(1.12 * light.skin[0] + 12, 228.0))


class MouthInterior:
    """Draws the inside of a mouth in one avatar's light."""

    def __init__(self, basis: FaceBasis, sprites: dict[str, Sprite]) -> None:
        self._rest = basis.neutral[[0, 13]].mean(0)
        self._sprites = sprites

    def draw(
        self,
        out: Frame,
        target: np.ndarray,
        anchor: np.ndarray,
        carry: np.ndarray,
        jaw: np.ndarray,
        tongue: float,
        eyes: float,
        light: Light,
    ) -> None:
        """Fill the opening between the lips of OUT.

        target: (n, 2) px, the moved points; anchor: (2,) px, the upper lip at rest; carry: (3, 2) basis -> px;
        jaw: (2,) px, the lower teeth's travel; tongue: height of its tip, 0..1; eyes: eye distance, px.
        """
        points = np.concatenate([target[UPPER_INNER], target[LOWER_INNER][-2:0:-1]])
        outline = _spline(len(points), 4) @ points
        gap = float(np.linalg.norm(target[LOWER_INNER] - target[UPPER_INNER], axis=1).max())
        if gap < 0.4:
            return
        box = _box(outline, out, 3)
        if box is None:
            return
        left, top, right, bottom = box
        size = right - left, bottom - top
        mask = _coverage(outline - (left, top), size)
        # little light falls through a narrow gap
        lit = float(np.clip(0.6 + gap / (0.20 * eyes) * 0.4, 0.6, 1.0))
        patch = self._inside(size, anchor - (left, top), carry, jaw, tongue, lit, light)
        patch = _shade(patch, mask, outline - (left, top), lit)
        _blend(out.y[top:bottom, left:right], patch[..., 0], mask)
        half = size[0] // 2, size[1] // 2
        small, half_mask = (cv2.resize(a, half, interpolation=cv2.INTER_AREA) for a in (patch, mask))
        for i, plane in enumerate(out.uv, 1):
            _blend(plane[top // 2 : bottom // 2, left // 2 : right // 2], small[..., i], half_mask)

    def draw_seam(self, out: Frame, target: np.ndarray, strength: float, eyes: float, light: Light) -> None:
        """Draw the dark line between lips that were open in the clip and are shut now; STRENGTH: 0..1."""
        gap = float(np.linalg.norm(target[LOWER_INNER] - target[UPPER_INNER], axis=1).max()) / eyes
        alpha = SEAM_DARKNESS * strength * (1 - np.clip(gap / SEAM_GONE, 0, 1))
        if alpha < 0.02:
            return
        line = (target[UPPER_INNER] + target[LOWER_INNER]) / 2
        box = _box(line, out, 3)
        if box is None:
            return
        left, top, right, bottom = box
        large = np.zeros(((bottom - top) * SUPERSAMPLE, (right - left) * SUPERSAMPLE), np.uint8)
        points = np.round((line - (left, top) + 0.5) * SUPERSAMPLE).astype(np.int32)
        cv2.polylines(large, [points], False, 255, max(1, round(SEAM_WIDTH * eyes * SUPERSAMPLE)), cv2.LINE_AA)
        small = cv2.resize(large, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        mask = cv2.GaussianBlur(small.astype(np.float32) / 255, (0, 0), 0.6) * alpha
        _blend(out.y[top:bottom, left:right], np.float32(16 + 0.3 * (light.lips[0] - 16)), mask)
        half_mask = cv2.resize(mask, ((right - left) // 2, (bottom - top) // 2), interpolation=cv2.INTER_AREA)
        for plane, color in zip(out.uv, light.lips[1:], strict=True):
            _blend(plane[top // 2 : bottom // 2, left // 2 : right // 2], np.float32(color), half_mask)

    def _inside(
        self,
        size: tuple[int, int],
        anchor: np.ndarray,
        carry: np.ndarray,
        jaw: np.ndarray,
        tongue: float,
        lit: float,
        light: Light,
    ) -> np.ndarray:
        """Return the mouth's inside, (h, w, 3) float32 Y, U, V."""
        skin, lips = light.skin, light.lips
        red = lips[1:] - 128
        patch = np.empty((size[1], size[0], 3), np.float32)
        patch[:] = (16 + 0.07 * (skin[0] - 16), *(128 + 0.35 * red))
        raised = -tongue * TONGUE_LIFT * carry[1]
        teeth = teeth_white(light)
        for name, offset, white, bright in (
            ("tongue", jaw + raised, 0.8 * skin[0], 0.62 + 0.25 * tongue),
            ("lower", jaw, teeth, 0.9),
            ("upper", np.zeros(2), teeth, 1.0),
        ):
            sprite = self._sprites[name]
            # where no colour is known, teeth take on a part of the light's
            tint = 0.42 * (skin[1:] - 128) if sprite.tint is None else sprite.tint
            layer = _place(sprite, self._corners(sprite, anchor + offset, carry), size)
            _lay_over(patch, layer, float((white - 16) * bright), tint, 0.6 * red)
        return patch

    def _corners(self, sprite: Sprite, anchor: np.ndarray, carry: np.ndarray) -> np.ndarray:
        offset = np.concatenate([sprite.corners - self._rest[:2], np.full((3, 1), TEETH_DEPTH)], 1)
        return np.asarray(anchor + offset @ carry, np.float32)


def _place(sprite: Sprite, corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return SPRITE laid over its CORNERS: (h, w, 4) luma, chroma u, chroma v, alpha."""
    height, width = sprite.picture.shape[:2]
    affine = cv2.getAffineTransform(np.array([[0, 0], [width, 0], [0, height]], np.float32), corners)
    return np.asarray(
        cv2.warpAffine(sprite.picture, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    )


@numba.njit(cache=True, nogil=True)
def _lay_over(patch: np.ndarray, layer: np.ndarray, white: float, tint: np.ndarray, red: np.ndarray) -> None:
    """Lay LAYER ((h, w, 4): luma, chroma u and v, alpha) over PATCH ((h, w, 3) Y, U, V), in place.

    WHITE: Y of its brightest parts over black; TINT: (2,) U, V of white things in this light; RED: (2,) added where
    the layer itself is red, since gums and tongue have the colour of the person's lips.
    """
    for row in range(patch.shape[0]):
        for column in range(patch.shape[1]):
            luma, u, v, alpha = layer[row, column]
            if alpha > 0:
                gum = min(max(v / 0.12, 0), 1)
                pixel = patch[row, column]
                pixel[0] += (16 + white * luma - pixel[0]) * alpha
                pixel[1] += (128 + 110 * u * gum + tint[0] * (1 - gum) + red[0] * gum - pixel[1]) * alpha
                pixel[2] += (128 + 110 * v * gum + tint[1] * (1 - gum) + red[1] * gum - pixel[2]) * alpha


@cache
def _spline(n: int, pieces: int) -> np.ndarray:
    """Return (n * pieces, n): the closed Catmull-Rom spline through n points, sharp at points 0 and n / 2."""
    points = np.eye(n, dtype=np.float32)
    p0, p1, p2, p3 = (np.roll(points, -shift, axis=0) for shift in (-1, 0, 1, 2))
    for corner in (0, n // 2):
        p0[corner], p3[corner - 1] = p1[corner], p2[corner - 1]
    a, b, c = p2 - p0, 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * (p1 - p2) + p3 - p0
    t = (np.arange(pieces, dtype=np.float32) / pieces)[None, :, None]
    fine = p1[:, None] + 0.5 * t * (a[:, None] + t * (b[:, None] + t * c[:, None]))
    return np.asarray(fine.reshape(-1, n))


def _coverage(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (h, w) float32 0..1: how much of each pixel lies in OUTLINE, softened by under a pixel."""
    large = np.zeros((size[1] * SUPERSAMPLE, size[0] * SUPERSAMPLE), np.uint8)
    shift = 4  # fractional bits of fillPoly
    points = np.round((outline + 0.5) * SUPERSAMPLE * 2**shift - 0.5 * 2**shift).astype(np.int32)
    cv2.fillPoly(large, [points], 255, shift=shift)
    small = cv2.resize(large, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.7))


def _shade(patch: np.ndarray, mask: np.ndarray, outline: np.ndarray, lit: float) -> np.ndarray:
    """Darken towards the rim and the corners, where lips and cheeks keep the light away."""
    low, high = outline.min(0), outline.max(0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1)
    x = (np.arange(mask.shape[1]) - middle[0]) / half[0]
    y = (np.arange(mask.shape[0]) - low[1]) / (2 * half[1])
    sides = 1 - 0.6 * np.clip(np.abs(x), 0, 1) ** 2.5
    under_lip = np.clip(0.74 + y * 1.3, 0, 1)
    inner = cv2.GaussianBlur(mask, (0, 0), max(0.8, float(half[1]) * 0.25))
    shade = (sides[None] * under_lip[:, None] * np.clip(0.45 + 0.7 * inner, 0, 1) * lit).astype(np.float32)
    shaded = patch.copy()
    shaded[..., 0] = 16 + (patch[..., 0] - 16) * shade
    return shaded


def _box(points: np.ndarray, out: Frame, margin: int) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom (even) around POINTS ((n, 2) px) within OUT; None where nothing is left."""
    left, top = (max(int(v) // 2 * 2, 0) for v in np.floor(points.min(0)) - margin)
    right, bottom = (-(-int(v) // 2) * 2 for v in np.ceil(points.max(0)) + margin + 1)
    right, bottom = min(right, out.width), min(bottom, out.height)
    return (left, top, right, bottom) if right - left >= 4 and bottom - top >= 4 else None


def _blend(plane: np.ndarray, patch: np.ndarray | np.float32, mask: np.ndarray) -> None:
    """Lay PATCH over PLANE (uint8 view, changed in place) by MASK."""
    mixed = plane + (patch - plane) * mask
    plane[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
