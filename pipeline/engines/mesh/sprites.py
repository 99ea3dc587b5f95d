"""Pictures of teeth and tongue in basis space."""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.engines.mesh.basis import ASSETS


@dataclass(frozen=True)
class Sprite:
    """A picture in basis space. picture: (h, w, 4) float32: luma 0..1, chroma u and v as offsets from grey, alpha
    0..1; corners: (3, 2) basis x, y (y down) of its top left, top right and bottom left; tint: (2,) U, V of its white
    parts as offsets from grey (-128..127), None where only the light's colour says."""

    picture: np.ndarray
    corners: np.ndarray
    tint: np.ndarray | None = None

    def only(self, mask: np.ndarray) -> Sprite:
        """Return the part of the picture that MASK ((h, w), 0..1) keeps."""
        picture = self.picture.copy()
        picture[..., 3] *= mask
        return Sprite(picture, self.corners, self.tint)


def load_sprites(pixels_per_unit: float) -> dict[str, Sprite]:
    """Read teeth and tongue, shrunk to about the size at which they will be seen."""
    places = json.loads((ASSETS / "mouth.json").read_text())
    upper, lower = (_read(name, places[name], pixels_per_unit) for name in ("upper", "lower"))
    tongue = _tongue_mask(lower)
    return {
        "upper": upper,
        "lower": lower.only(1 - tongue),
        "tongue": lower.only(tongue),
    }


def _read(name: str, place: dict[str, float], pixels_per_unit: float) -> Sprite:
    picture = cv2.imread(str(ASSETS / f"mouth_{name}.png"), cv2.IMREAD_UNCHANGED).astype(np.float32) / 255
    height, width = picture.shape[:2]
    unit = place["units_per_pixel"]
    left, top = place["left"], place["top"]
    corners = np.array([[left, -top], [left + width * unit, -top], [left, height * unit - top]], np.float32)
    scale = min(1.0, pixels_per_unit * unit * 1.5)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    blue, green, red, alpha = cv2.split(small)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return Sprite(np.dstack([luma, (blue - luma) * 0.564, (red - luma) * 0.713, alpha]), corners)


def _tongue_mask(lower: Sprite) -> np.ndarray:
    """Return (h, w) 0..1: where the lower picture shows the tongue, which lies above and behind the teeth."""
    rows = np.linspace(0, 1, len(lower.picture))[:, None]
    pink = np.clip((lower.picture[..., 2] - 0.03) / 0.03, 0, 1)
    return np.asarray(pink * np.clip((0.30 - rows) / 0.06, 0, 1), np.float32)
