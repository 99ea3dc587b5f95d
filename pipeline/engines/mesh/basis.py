"""The face basis: how 52 ARKit face units move MediaPipe's 478 face points, and which points are what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).with_name("assets")

IMAGE_AXES = np.array([1.0, -1.0, -1.0], np.float32)
"""Basis axes (x right, y up, z to the viewer) -> landmark axes (x right, y down, z away)."""

UPPER_INNER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308])
"""The upper lip's inner edge from corner to corner; LOWER_INNER lies below it, point for point."""
LOWER_INNER = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308])
UPPER_OUTER = np.array([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291])
LOWER_OUTER = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291])
LEFT_EYE, RIGHT_EYE = (362, 263), (33, 133)
CHIN = (14, 17, 18, 200)
"""Points that ride on the jaw just below the lower teeth."""
OVAL = np.array(
    [
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ]
)
"""The outline of the face."""
STILL = np.array(
    [10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 33, 133, 362, 263, 70, 300, 105, 334, 127, 356, 234, 454, 107, 336, 2]
)
"""Points that speech does not move: they tell where the head is."""
MOVES_UP_TO, STILL_FROM = 6.56, 6.86
"""Heights in the basis: the nose's tip, below which jaw and mouth move the face in full, and the middle of its bridge,
above which they leave it alone: eyes that tremble with the jaw would be noticed, the pixels' cost would be wasted."""


@dataclass(frozen=True)
class FaceBasis:
    """neutral: (478, 3); delta: unit name -> (478, 3); triangles: (852, 3), counter-clockwise seen with y up."""

    neutral: np.ndarray
    delta: dict[str, np.ndarray]
    triangles: np.ndarray


@cache
def load_basis() -> FaceBasis:
    """Read the basis that ships with the engine (see ``assets/ASSETS.md``)."""
    with np.load(ASSETS / "face_basis.npz") as data:
        neutral = data["neutral"]
        delta = {str(name): _even_lips(d) for name, d in zip(data["names"], data["delta"], strict=True)}
    below = np.clip((STILL_FROM - neutral[:, 1:2]) / (STILL_FROM - MOVES_UP_TO), 0, 1)
    below = below * below * (3 - 2 * below)
    for name in delta:
        if name.startswith(("jaw", "mouth")):
            delta[name] = delta[name] * below
    return FaceBasis(neutral, delta, np.load(ASSETS / "triangles.npy").astype(np.int32))


def _even_lips(delta: np.ndarray) -> np.ndarray:
    """Smooth a unit's movement along the lips, whose measured points else overtake each other at round shapes."""
    smooth = delta.copy()
    for line in (UPPER_INNER, LOWER_INNER, UPPER_OUTER, LOWER_OUTER):
        for _ in range(2):
            d = smooth[line]
            d[1:-1] = 0.25 * d[:-2] + 0.5 * d[1:-1] + 0.25 * d[2:]
            smooth[line] = d
    return smooth
