"""Pictures of teeth and tongue in basis space."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.avatars.avatar import Teeth

ASSETS = Path(__file__).with_name("assets")
DENSITY = 1.5
"""Pixels of a sprite per pixel of the picture that it is drawn into."""
GUM = 0.03
"""Chroma v from which a pixel of a sprite is no tooth."""
BRIGHTEST = 95
"""Percentile of the luma of teeth that counts as their white."""
FRONT = 0.12
"""Half the width, in basis units, of the four upper incisors without their outer edges."""
SHOWN = 0.018
"""Least length of the upper incisors below the line at which the lips meet, in basis units.

The 1.9 mm that men show when the lips just part; women show 3.4 (Vig & Brundo, "The kinetics of anterior tooth
display", 1978).
"""


@dataclass(frozen=True)
class Sprite:
    """A picture in basis space.

    Attributes:
        picture: (h, w, 4) float32: luma 0..1 (own teeth may be brighter), chroma u and v as offsets from grey, alpha
            0..1.
        corners: (3, 2) basis x, y (y down) of its top left, top right and bottom left.
        tint: (2,) U, V of its white parts as offsets from grey (-128..127); None if only the light decides.
    """

    picture: np.ndarray
    corners: np.ndarray
    tint: np.ndarray | None = None


def load_sprites(
    pixels_per_unit: float, lip_line: float, own: Teeth | None = None, softness: float = 0.0
) -> dict[str, Sprite]:
    """Read teeth and tongue, shrunk to about the size at which they appear.

    The person's own teeth replace the drawn ones; where they are unknown, drawn ones of the same brightness and colour
    continue them.

    Args:
        pixels_per_unit: Size of the face.
        lip_line: Basis y (down) at which the person's closed lips meet.
        own: The person's own teeth, if known.
        softness: Blur of what is drawn (sigma, basis units); own teeth are as blurred as the clip.
    """
    places = json.loads((ASSETS / "mouth.json").read_text())
    density = DENSITY * pixels_per_unit
    crisp = {name: _read(name, place, density) for name, place in places.items()}
    upper = crisp["upper"] = _lowered(crisp["upper"], lip_line + SHOWN)
    sprites = {name: _softened(sprite, softness) for name, sprite in crisp.items()}
    if own is None:
        return sprites
    teeth = (upper.picture[..., 3] > 0.9) & (upper.picture[..., 2] < GUM)
    bright = own.white / float(np.percentile(upper.picture[teeth, 0], BRIGHTEST))
    for name in ("upper", "lower"):
        picture = sprites[name].picture.copy()
        picture[..., 0] *= bright
        sprites[name] = Sprite(picture, sprites[name].corners, own.tint)
    if own.picture is not None:
        sprites["upper"] = _completed(own, own.picture, sprites["upper"], density)
    return sprites


def _lowered(upper: Sprite, end: float) -> Sprite:
    """Return the upper teeth, moved down if the incisors would not reach basis y `end`."""
    height, width = upper.picture.shape[:2]
    (left, top), (right, _), (_, bottom) = upper.corners
    front = slice(*((np.array([-FRONT, FRONT]) - left) / (right - left) * width).round().astype(int))
    drop = end - (top + _edge(upper.picture[:, front]) / height * (bottom - top))
    return replace(upper, corners=upper.corners + np.array([0, max(drop, 0)], np.float32))


def _completed(own: Teeth, picture: np.ndarray, drawn: Sprite, density: float) -> Sprite:
    """Return a picture of own teeth; where it is unknown, the drawn ones, moved so that both rows end level."""
    across, down = (np.ptp(own.corners, axis=0) * density).round().astype(int)
    shrinks = across < picture.shape[1]
    seen = cv2.resize(picture, (across, down), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    luma, alpha, known = cv2.split(seen.astype(np.float32) / 255)
    luma *= own.white
    teeth = np.dstack([luma, np.zeros_like(luma), np.zeros_like(luma), alpha])
    place = (drawn.corners - own.corners[0]) * density
    front = slice(*((np.array([-FRONT, FRONT]) - own.corners[0, 0]) * density).round().astype(int))
    drop = _edge(teeth[:, front]) - _edge(_laid(drawn, place, (across, down))[:, front])
    rest = _laid(drawn, place + np.array([0, drop], np.float32), (across, down))
    share = (1 - known) * rest[..., 3]
    mixed = teeth.copy()
    mixed[..., 3] = known * alpha + share
    # transparent places keep the teeth's luma, so that their edge does not darken when the picture is resized
    mixed[..., :3] += (share / np.maximum(mixed[..., 3], 0.02))[..., None] * (rest - teeth)[..., :3]
    return Sprite(mixed, own.corners, own.tint)


def _laid(sprite: Sprite, corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a sprite with its corners at `corners` (pixels) of a picture of `size`, (h, w, 4)."""
    height, width = sprite.picture.shape[:2]
    affine = cv2.getAffineTransform(np.array([[0, 0], [width, 0], [0, height]], np.float32), corners)
    return np.asarray(cv2.warpAffine(sprite.picture, affine, size))


def _edge(picture: np.ndarray) -> float:
    """Return the row at which the teeth of a picture ((h, w, 4)) end below: the median over its columns."""
    solid = picture[..., 3] > 0.5
    ends = (len(solid) - solid[::-1].argmax(0))[solid.any(0)]
    return float(np.median(ends)) if len(ends) else 0.0


def _read(name: str, place: dict[str, float], density: float) -> Sprite:
    stored = cv2.imread(str(ASSETS / f"mouth_{name}.png"), cv2.IMREAD_UNCHANGED)
    assert stored is not None, f"mouth_{name}.png is missing"
    picture = stored.astype(np.float32) / 255
    height, width = picture.shape[:2]
    unit = place["units_per_pixel"]
    left, top = place["left"], place["top"]
    corners = np.array([[left, -top], [left + width * unit, -top], [left, height * unit - top]], np.float32)
    scale = min(1.0, density * unit)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    blue, green, red, alpha = cv2.split(small)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return Sprite(np.dstack([luma, (blue - luma) * 0.564, (red - luma) * 0.713, alpha]), corners)


def _softened(sprite: Sprite, softness: float) -> Sprite:
    """Return a sprite blurred by `softness` (sigma, basis units)."""
    height, width = sprite.picture.shape[:2]
    corner, right, down = sprite.corners
    sigma = softness * width / float(right[0] - corner[0])
    if sigma < 0.1:
        return sprite
    room = int(np.ceil(3 * sigma))
    wide = np.pad(sprite.picture, ((room, room), (room, room), (0, 0)))
    solid = cv2.GaussianBlur(wide[..., :3] * wide[..., 3:], (0, 0), sigma)
    alpha = cv2.GaussianBlur(wide[..., 3], (0, 0), sigma)
    across, along = room / width * (right - corner), room / height * (down - corner)
    corners = np.stack([corner - across - along, right + across - along, down - across + along])
    return replace(sprite, picture=np.dstack([solid / np.maximum(alpha, 1e-3)[..., None], alpha]), corners=corners)
