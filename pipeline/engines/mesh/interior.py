"""Draws what is visible between open lips.

That is a dark cavity, the tongue, lower teeth on the jaw, and upper teeth on the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numba
import numpy as np

from pipeline.core.numba_cache import compiled
from pipeline.engines.mesh.sprites import Sprite
from pipeline.face.mesh_basis import LOWER_INNER, UPPER_INNER, FaceBasis
from pipeline.face.smooth_step import smooth_step
from pipeline.video.frame import Frame

LAYERS = ("tongue", "lower", "tongue", "upper")
"""The sprites in drawing order, back to front; a tongue between the teeth lies on the lower ones."""
SUPERSAMPLE = 4
"""Factor by which the outline of the opening is drawn larger and then shrunk, so that the lip line is smooth."""
TEETH_DEPTH = 0.06
"""How far the teeth sit behind the lips, in basis units."""
TONGUE_LIFT, TONGUE_THROUGH = 0.05, 0.03
"""How far the tongue's tip rises at t, d, n, l, and at th between the teeth, in basis units."""
TONGUE_BACK, BACK_DARKER = 0.55, 0.35
"""How much higher the tongue stands at k, g, when its back rises, as a share of its height, and how much darker it is:
the back is deep in the mouth."""
TIP_STAYS = 0.6
"""Share of the jaw's way that a risen tip does not go: it stays at the upper teeth. Between the teeth: all."""
FULL_COLOR = 0.6
"""Luma, in that of the tongue's brightest parts, from which what is inside the mouth shows its full colour."""
FRONT_LIGHT = 1.9
"""Least light on a tongue between the teeth, in that on the rest of the mouth: it lies in front of it."""
TIP_NARROWS = 0.25
"""How much narrower a tongue between the teeth is."""
NARROW_LIGHT, WIDE_GAP = 0.2, 0.10
"""Share of the light that enters the narrowest gap, and the gap, in eye distances, from which all of it does.

If teeth were as bright as the lips, a mouth that opens a little would look shut.
"""
HOODED, LEAST_HOODED = 6.0, 0.45
"""Share of the light that lips take from the teeth for each basis unit that they stand forward, and least light."""
WET_WIDTH, WET_SHARE = 0.035, 0.30
"""Width of the inner side of the lower lip that shows when it parts, at most, in eye distances and in gaps."""
WET_RED, WET_DARK, GLEAM = 1.2, 0.68, 0.10
"""Chroma and luma of that side, in those of the lip, and how much light gleams on it, as a share of the skin's."""
SHADOW, SHADOW_SHARE = 0.015, 0.2
"""How far the shadow between closed lips reaches onto the lower one, in eye distances and at most in gaps: it is gone
when they part."""
BRIGHTEST_WHITE = 228.0
"""Highest Y (16..235) of teeth."""
YELLOWED = np.array([0.6, 0.45])
"""Share of the skin's U and V that teeth of unknown colour show."""
OWN_RED, COLORED = 110.0, 0.15
"""How strongly gums and tongue show the chroma of their picture.

The chroma of lips, as a share of their luma, from which they show it in full: in a grey clip nothing is red.
"""
CHEEKS = (205, 425, 50, 280, 36, 266)
"""Points on plain skin, lit as the mouth is."""
LIPS = (0, 17, 37, 267, 84, 314)
"""Points on the red of the lips."""
ROOM = 3
"""Pixels of margin around the drawing."""
SEAM_DARKNESS, SEAM_WIDTH, SEAM_GONE = 0.7, 0.022, 0.06
"""The line between shut lips: its opacity; its width in the middle (it tapers to the corners), and the gap at which it
disappears, in eye distances."""


@dataclass(frozen=True)
class Light:
    """The light on a face.

    Attributes:
        skin, lips: (3,) Y, U, V in 0..255.
    """

    skin: np.ndarray
    lips: np.ndarray


def light_of(frame: Frame, points: np.ndarray) -> Light:
    """Measure the light on skin and lips in a frame whose face points are given ((478, 2) pixels)."""

    def mean(indices: tuple[int, ...]) -> np.ndarray:
        x, y = np.clip(points[list(indices)].round().astype(int), 0, (frame.width - 1, frame.height - 1)).T
        u, v = (plane[y // 2, x // 2] for plane in frame.uv)
        return np.asarray(np.median([frame.y[y, x], u, v], axis=1))

    return Light(mean(CHEEKS), mean(LIPS))


def teeth_white(light: Light) -> float:
    """Return the Y (16..235) of a sprite's white in a light."""
    return float(min(1.12 * light.skin[0] + 12, BRIGHTEST_WHITE))


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPose:
    """Where a mouth is drawn in a frame, and how its inside has moved.

    Attributes:
        target: (n, 2) pixels, the moved points.
        anchor: (2,) pixels, the upper lip at rest.
        carry: (3, 2) basis -> pixels.
        jaw: (2,) pixels, movement of the lower teeth.
        tongue: Height of the tongue's tip, 0..1.
        back: Height of the tongue's back, 0..1.
        through: How far the tongue's tip lies between the teeth, 0..1.
        forward: How far the lips stand forward, in basis units.
        eyes: Eye distance in pixels.
    """

    target: np.ndarray
    anchor: np.ndarray
    carry: np.ndarray
    jaw: np.ndarray
    tongue: float = 0.0
    back: float = 0.0
    through: float = 0.0
    forward: float = 0.0
    eyes: float

    @property
    def gap(self) -> float:
        """How far the inner lips are apart at most, in pixels."""
        return float(np.linalg.norm(self.target[LOWER_INNER] - self.target[UPPER_INNER], axis=1).max())


class MouthInterior:
    """Draws the inside of a mouth in the light of one avatar."""

    def __init__(self, basis: FaceBasis, sprites: dict[str, Sprite], softness: float = 0.0) -> None:
        """Prepare the sprites.

        Args:
            basis: The face basis.
            sprites: Pictures by layer.
            softness: Blur of the opening's edge beyond a crisp one (sigma, pixels).
        """
        self._softness = softness
        tints = [sprites[name].tint for name in LAYERS]
        self._tinted = np.array([[tint is not None] for tint in tints])
        self._tints = np.array([(0, 0) if tint is None else tint for tint in tints], np.float64)
        self._pictures = tuple(_bordered(sprites[name].picture) for name in LAYERS)
        self._axes = np.stack([_axes(sprites[name], basis.neutral[[0, 13]].mean(0)) for name in LAYERS])

    def draw(self, out: Frame, pose: MouthPose, light: Light) -> None:
        """Fill the opening between the lips.

        Args:
            out: The frame to draw into.
            pose: The mouth.
            light: The light on the face.
        """
        gap = pose.gap
        if gap < 0.4:
            return
        shadow = min(SHADOW * pose.eyes, SHADOW_SHARE * gap) * _direction(pose.carry[1])
        points = np.concatenate([pose.target[UPPER_INNER], pose.target[LOWER_INNER][-2:0:-1] + shadow])
        outline = _spline(len(points), 4) @ points
        low, high = outline.min(0), outline.max(0)
        room = 2 * self._softness
        box = _box(low - room, high + room, out)
        if box is None:
            return
        left, top, right, bottom = box
        mask = _coverage(outline - (left, top), (right - left, bottom - top), self._softness)
        lit = NARROW_LIGHT + (1 - NARROW_LIGHT) * float(smooth_step(np.array(gap / (WIDE_GAP * pose.eyes))))
        lit *= max(1 - HOODED * pose.forward, LEAST_HOODED)
        skin, red = light.skin, light.lips[1:] - 128
        colored = min(float(np.hypot(*red)) / max(float(light.lips[0]) - 16, 1) / COLORED, 1.0)
        white = teeth_white(light)
        spots = self._axes @ pose.carry
        spots[:, 0] += pose.anchor - (left, top)
        spots[:3, 0] += pose.jaw
        self._move_tongue(spots[0], pose)
        spots[2] = spots[0]
        near = max(pose.tongue, pose.through)
        tongue = (0.8 * skin[0] - 16) * (0.82 + 0.25 * near) * (1 - BACK_DARKER * pose.back)
        sprites = _PlacedSprites(
            pictures=self._pictures,
            spots=spots,
            shown=np.array([1 - pose.through, 1, pose.through, 1]),
            whites=np.array([tongue, (white - 16) * 0.9, tongue * max(FRONT_LIGHT / lit, 1), white - 16]),
            # teeth of unknown colour take on a part of the light's, and are yellower than it
            tints=np.where(self._tinted, self._tints, YELLOWED * (skin[1:] - 128)),
            red=0.6 * red,
            own_red=OWN_RED * colored,
        )
        shade = cv2.GaussianBlur(mask, (0, 0), max(0.8, float(high[1] - low[1]) * 0.125))
        _darken(shade, low - (left, top), high - (left, top), lit)
        cavity = np.array([16 + 0.07 * (skin[0] - 16), *(128 + 0.35 * red)])
        middle, reach = (low[0] + high[0]) / 2 - left, max((high[0] - low[0]) / 2, 1)
        wet = _wet_side(mask, min(WET_WIDTH * pose.eyes, WET_SHARE * gap) * _direction(pose.carry[1]), middle, reach)
        lip = np.array([16 + WET_DARK * (light.lips[0] - 16), *(128 + WET_RED * red)])
        opening = _Opening(mask, shade, cavity, wet, lip, GLEAM * (skin[0] - 16))
        _paint((out.y, *out.uv), (left, top), opening, sprites)

    def _move_tongue(self, spot: np.ndarray, pose: MouthPose) -> None:
        """Move the place of the tongue's picture ((3, 2): where it begins, and its steps right and down) in place."""
        rows, columns = self._pictures[0].shape[:2]
        down, right = spot[2].copy(), spot[1].copy()
        spot[0] -= (pose.tongue * TONGUE_LIFT + pose.through * TONGUE_THROUGH) * pose.carry[1]
        spot[0] -= max(TIP_STAYS * pose.tongue, pose.through) * pose.jaw
        spot[0] -= TONGUE_BACK * pose.back * rows * down
        spot[2] += TONGUE_BACK * pose.back * down
        spot[0] += TIP_NARROWS * pose.through * columns / 2 * right
        spot[1] -= TIP_NARROWS * pose.through * right

    def draw_seam(self, out: Frame, pose: MouthPose, light: Light, strength: float) -> None:
        """Draw the dark line between lips that are open in the clip and shut now.

        Args:
            out: The frame to draw into.
            pose: The mouth.
            light: The light on the face.
            strength: Opacity, 0..1.
        """
        gap = pose.gap / pose.eyes
        alpha = SEAM_DARKNESS * strength * (1 - np.clip(gap / SEAM_GONE, 0, 1))
        if alpha < 0.02:
            return
        line = (pose.target[UPPER_INNER] + pose.target[LOWER_INNER]) / 2
        color = np.array([16 + 0.3 * (light.lips[0] - 16), *light.lips[1:]])
        draw_line(out, line, SEAM_WIDTH * pose.eyes, float(alpha), color)


def draw_line(out: Frame, line: np.ndarray, width: float, alpha: float, color: np.ndarray) -> None:
    """Draw a soft line that tapers to its ends.

    Args:
        out: The frame to draw into.
        line: (n, 2) pixels.
        width: Of its middle, in pixels.
        alpha: Opacity, 0..1.
        color: Y, U, V.
    """
    box = _box(line.min(0), line.max(0), out)
    if box is None:
        return
    left, top, right, bottom = box
    large = np.zeros(((bottom - top) * SUPERSAMPLE, (right - left) * SUPERSAMPLE), np.uint8)
    points = np.round((line - (left, top) + 0.5) * SUPERSAMPLE).astype(np.int32)
    count = len(line) - 1
    widths = width * SUPERSAMPLE * np.sqrt(np.sin(np.pi * (np.arange(count) + 0.5) / count))
    for begin, end, wide in zip(points[:-1], points[1:], widths.tolist(), strict=True):
        cv2.line(large, begin.tolist(), end.tolist(), 255, max(1, round(wide)), cv2.LINE_AA)
    small = cv2.resize(large, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    mask = cv2.GaussianBlur(small.astype(np.float32) / 255, (0, 0), 0.6) * alpha
    _blend(out.y[top:bottom, left:right], np.float32(color[0]), mask)
    half_mask = cv2.resize(mask, ((right - left) // 2, (bottom - top) // 2), interpolation=cv2.INTER_AREA)
    for plane, shade in zip(out.uv, color[1:], strict=True):
        _blend(plane[top // 2 : bottom // 2, left // 2 : right // 2], np.float32(shade), half_mask)


def blur_across(out: Frame, outline: np.ndarray, across: np.ndarray, alpha: float) -> None:
    """Blur the light of an area in one direction, so that stretched skin shows no streaks.

    Args:
        out: The frame to draw into.
        outline: (n, 2) pixels.
        across: (2,) pixels, the direction and the standard deviation of the blur.
        alpha: Opacity, 0..1.
    """
    box = _box(outline.min(0), outline.max(0), out)
    if box is None:
        return
    left, top, right, bottom = box
    size, area = (right - left, bottom - top), out.y[top:bottom, left:right]
    steps = np.linspace(-2, 2, 9)
    weights = np.exp(-(steps**2) / 2) / np.exp(-(steps**2) / 2).sum()
    blurred = np.zeros(area.shape, np.float32)
    for step, weight in zip(steps, weights, strict=True):
        place = np.array([[1, 0, step * across[0]], [0, 1, step * across[1]]])
        moved = cv2.warpAffine(area.astype(np.float32), place, size, borderMode=cv2.BORDER_REPLICATE)
        blurred += np.float32(weight) * moved
    _blend(area, blurred, _coverage(outline - (left, top), size, 1.0) * np.float32(alpha))


def _axes(sprite: Sprite, rest: np.ndarray) -> np.ndarray:
    """Return (3, 3) in basis space: the corner of a sprite relative to `rest`, and its steps right and down."""
    height, width = sprite.picture.shape[:2]
    corner, right, down = sprite.corners
    plane = np.stack([corner - rest[:2], (right - corner) / width, (down - corner) / height])
    return np.column_stack([plane, (TEETH_DEPTH, 0, 0)]).astype(np.float64)


def _bordered(picture: np.ndarray) -> np.ndarray:
    """Return a picture with a transparent pixel around it, so that it fades out at its edge."""
    return np.ascontiguousarray(np.pad(picture, ((1, 1), (1, 1), (0, 0))), np.float32)


class _Opening(NamedTuple):
    """The opening between the lips, over an even box of the frame; a tuple, since numba knows no dataclasses.

    Attributes:
        mask: (h, w) 0..1, opacity.
        shade: (h, w) 0..1, factor of the luma.
        cavity: Y, U, V of the mouth's depth.
        wet: (h, w) 0..1, where the inner side of the lower lip shows.
        lip: Y, U, V of that side.
        gleam: Y that is added where it is wettest.
    """

    mask: np.ndarray
    shade: np.ndarray
    cavity: np.ndarray
    wet: np.ndarray
    lip: np.ndarray
    gleam: float


class _PlacedSprites(NamedTuple):
    """The pictures of tongue and teeth where they lie in an opening.

    Attributes:
        pictures: (h, w, 4) each: luma, chroma u and v, alpha; back to front.
        spots: (n, 3, 2) pixels in the opening's box: where the pictures begin, and their steps right and down.
        shown: (n,) 0..1, opacity.
        whites: (n,) Y of their brightest parts above black.
        tints: (n, 2) U, V of white things in this light.
        red: (2,) added where a picture is red, since gums and tongue have the colour of the person's lips.
        own_red: Factor of the picture's own chroma there.
    """

    pictures: tuple[np.ndarray, ...]
    spots: np.ndarray
    shown: np.ndarray
    whites: np.ndarray
    tints: np.ndarray
    red: np.ndarray
    own_red: float


@compiled
def _paint(
    planes: tuple[np.ndarray, np.ndarray, np.ndarray],
    corner: tuple[int, int],
    opening: _Opening,
    sprites: _PlacedSprites,
) -> None:
    """Draw the inside of the mouth.

    Args:
        planes: Y, U, V of the frame, changed in place.
        corner: Even pixel (x, y) at which the opening's box begins.
        opening: Where the inside is visible.
        sprites: What is inside.
    """
    (left, top), mask, shade, cavity = corner, opening.mask, opening.shade, opening.cavity
    pictures, spots, whites, tints = sprites.pictures, sprites.spots, sprites.whites, sprites.tints
    red, own_red, shown = sprites.red, sprites.own_red, sprites.shown
    wet, lip, gleam, full = opening.wet, opening.lip, opening.gleam, FULL_COLOR * whites[0]
    height, width = mask.shape
    luma, half_left, half_top = planes[0][top : top + height, left : left + width], left // 2, top // 2
    chroma_u = planes[1][half_top : half_top + height // 2, half_left : half_left + width // 2]
    chroma_v = planes[2][half_top : half_top + height // 2, half_left : half_left + width // 2]
    for row in range(chroma_u.shape[0]):
        for column in range(chroma_u.shape[1]):
            sum_u, sum_v, cover = 0.0, 0.0, 0.0
            for part in range(4):
                y, x = 2 * row + part // 2, 2 * column + part % 2
                weight = mask[y, x]
                if weight > 0:
                    color_y, color_u, color_v = cavity[0], cavity[1], cavity[2]
                    for k in range(len(pictures)):
                        if shown[k] <= 0:
                            continue
                        picture = pictures[k]
                        (begin_x, begin_y), (right_x, right_y), (down_x, down_y) = spots[k]
                        dx, dy, area = x - begin_x, y - begin_y, right_x * down_y - right_y * down_x
                        from_x, from_y = (
                            1 + (down_y * dx - down_x * dy) / area,
                            1 + (right_x * dy - right_y * dx) / area,
                        )
                        if 0 <= from_x < picture.shape[1] - 1 and 0 <= from_y < picture.shape[0] - 1:
                            white, u, v, alpha = _mixed(picture, from_x, from_y)
                            alpha *= shown[k]
                            gum = min(max(v / 0.12, 0), 1)
                            color_y += (16 + whites[k] * white - color_y) * alpha
                            color_u += (128 + (own_red * u + red[0]) * gum + tints[k, 0] * (1 - gum) - color_u) * alpha
                            color_v += (128 + (own_red * v + red[1]) * gum + tints[k, 1] * (1 - gum) - color_v) * alpha
                    color_y = 16 + (color_y - 16) * shade[y, x]
                    # what gets little light has little colour
                    colored = min(max((color_y - 16) / full, 0.2), 1)
                    color_u = 128 + (color_u - 128) * colored
                    color_v = 128 + (color_v - 128) * colored
                    share = wet[y, x]
                    if share > 0:
                        color_y += (lip[0] + gleam * share * share - color_y) * share
                        color_u += (lip[1] - color_u) * share
                        color_v += (lip[2] - color_v) * share
                    luma[y, x] = _byte(luma[y, x] + (color_y - luma[y, x]) * weight)
                    sum_u += color_u * weight
                    sum_v += color_v * weight
                    cover += weight
            if cover > 0:
                rest = 4 - cover
                chroma_u[row, column] = _byte((chroma_u[row, column] * rest + sum_u) / 4)
                chroma_v[row, column] = _byte((chroma_v[row, column] * rest + sum_v) / 4)


@numba.njit(nogil=True, error_model="numpy")
def _mixed(picture: np.ndarray, x: float, y: float) -> tuple[float, float, float, float]:
    """Return the four channels of a picture, interpolated between the four pixels around a place."""
    left, top = int(x), int(y)
    x, y = x - left, y - top
    a, b = picture[top, left], picture[top, left + 1]
    c, d = picture[top + 1, left], picture[top + 1, left + 1]
    wa, wb, wc, wd = (1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y
    return (
        wa * a[0] + wb * b[0] + wc * c[0] + wd * d[0],
        wa * a[1] + wb * b[1] + wc * c[1] + wd * d[1],
        wa * a[2] + wb * b[2] + wc * c[2] + wd * d[2],
        wa * a[3] + wb * b[3] + wc * c[3] + wd * d[3],
    )


@numba.njit(nogil=True, error_model="numpy")
def _byte(value: float) -> np.uint8:
    return np.uint8(min(max(value + 0.5, 0.0), 255.0))


@cache
def _spline(n: int, pieces: int) -> np.ndarray:
    """Return (n * pieces, n): the closed Catmull-Rom spline through n points, with corners at points 0 and n / 2."""
    points = np.eye(n, dtype=np.float32)
    p0, p1, p2, p3 = (np.roll(points, -shift, axis=0) for shift in (-1, 0, 1, 2))
    for corner in (0, n // 2):
        p0[corner], p3[corner - 1] = p1[corner], p2[corner - 1]
    a, b, c = p2 - p0, 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * (p1 - p2) + p3 - p0
    t = (np.arange(pieces, dtype=np.float32) / pieces)[None, :, None]
    fine = p1[:, None] + 0.5 * t * (a[:, None] + t * (b[:, None] + t * c[:, None]))
    return np.asarray(fine.reshape(-1, n))


def _coverage(outline: np.ndarray, size: tuple[int, int], softness: float) -> np.ndarray:
    """Return how much of each pixel lies in an outline, (h, w) float32 0..1, blurred by `softness` and half a pixel."""
    large = np.zeros((size[1] * SUPERSAMPLE, size[0] * SUPERSAMPLE), np.uint8)
    shift = 4  # fractional bits of fillPoly
    points = np.round((outline + 0.5) * SUPERSAMPLE * 2**shift - 0.5 * 2**shift).astype(np.int32)
    cv2.fillPoly(large, [points], 255, shift=shift)
    small = cv2.resize(large, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(small, (0, 0), float(np.hypot(0.7, softness))))


def _wet_side(mask: np.ndarray, rise: np.ndarray, middle: float, reach: float) -> np.ndarray:
    """Return where the inner side of the lower lip shows, (h, w) float32 0..1.

    Args:
        mask: (h, w) float32 0..1, the opening.
        rise: (2,) pixels from the upper edge of that side to the lip.
        middle: x of the mouth's middle.
        reach: Half its width.
    """
    place = np.array([[1, 0, -rise[0]], [0, 1, -rise[1]]])
    raised = cv2.warpAffine(mask, place, mask.shape[::-1], borderMode=cv2.BORDER_CONSTANT)
    raised = cv2.GaussianBlur(raised, (0, 0), max(0.5, float(np.hypot(*rise)) / 2))
    aside = np.clip(np.abs(np.arange(mask.shape[1]) - middle) / reach, 0, 1)
    return np.asarray(np.clip(mask - raised, 0, 1) * (1 - aside**3), np.float32)


def _direction(vector: np.ndarray) -> np.ndarray:
    """Return a vector of length 1 in the direction of another."""
    return np.asarray(vector / max(float(np.hypot(*vector)), 1e-6))


@compiled
def _darken(inner: np.ndarray, low: np.ndarray, high: np.ndarray, lit: float) -> None:
    """Darken the mouth towards its edge and corners, where lips and cheeks block the light, in place.

    Args:
        inner: (h, w) float32 that falls from 1 to 0 across the edge; becomes 0..1.
        low: (2,) pixels, bounds of the mouth.
        high: (2,) pixels, bounds of the mouth.
        lit: Light at the brightest place, 0..1.
    """
    middle, half_width, height = (low[0] + high[0]) / 2, max((high[0] - low[0]) / 2, 1), max(high[1] - low[1], 2)
    for x in range(inner.shape[1]):
        sides = 1 - 0.6 * min(abs(x - middle) / half_width, 1) ** 2.5
        for y in range(inner.shape[0]):
            under_lip = min(max(0.74 + 1.3 * (y - low[1]) / height, 0), 1)
            inner[y, x] = lit * sides * under_lip * min(0.45 + 0.7 * inner[y, x], 1)


def _box(low: np.ndarray, high: np.ndarray, out: Frame) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom (even) around an area with margin, within the frame; None if nothing is left."""
    left, top = max(int(low[0] - ROOM) // 2 * 2, 0), max(int(low[1] - ROOM) // 2 * 2, 0)
    right, bottom = min(int(high[0] + ROOM) // 2 * 2 + 2, out.width), min(int(high[1] + ROOM) // 2 * 2 + 2, out.height)
    return (left, top, right, bottom) if right - left >= 4 and bottom - top >= 4 else None


def _blend(plane: np.ndarray, patch: np.ndarray | np.float32, mask: np.ndarray) -> None:
    """Blend a patch into a plane (uint8 view, changed in place) with a mask."""
    mixed = plane + (patch - plane) * mask
    plane[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
