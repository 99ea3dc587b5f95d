"""The face basis as the mesh uses it: which points are lips and chin, and how face units move them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.face.basis import LOWER_LIP, UPPER_LIP, neutral, unit, unit_names
from pipeline.face.smooth_step import smooth_step

ASSETS = Path(__file__).with_name("assets")

UPPER_INNER = np.array([78, *UPPER_LIP[0], 308])
"""The upper lip's inner edge from corner to corner; LOWER_INNER lies below it, point for point."""
LOWER_INNER = np.array([78, *LOWER_LIP[0], 308])
UPPER_OUTER = np.array([61, *UPPER_LIP[-1], 291])
LOWER_OUTER = np.array([61, *LOWER_LIP[-1], 291])
_LAGGING = {
    183: (191, 184), 407: (415, 408),
    176: (140, 171), 149: (140, 170), 150: (170, 169), 136: (169, 135),
    400: (369, 396), 378: (369, 395), 379: (395, 394), 365: (394, 364),
}  # fmt: skip
"""Points that the basis moves half as far as their neighbours.

They take on the neighbours' movement instead. Two lie on the upper lip beside its corners. The others lie on the edge
of the jaw beside the chin, and were measured on the neck behind it; the mesh would fold over there, and cut the jaw to
straight lines.
"""
LEFT_EYE, RIGHT_EYE = (362, 263), (33, 133)
CHIN = (14, 17, 18, 200)
"""Points that move with the jaw, just below the lower teeth."""
MOVES_UP_TO, STILL_FROM = -6.56, -6.86
"""Heights in the basis (y down): the nose's tip, below which jaw and mouth move the face in full, and the middle of its
bridge, above which they leave it alone: eyes that tremble with the jaw would be noticed, the pixels' cost be wasted."""

_BROWS_UPPER = [70, 63, 105, 66, 107, 300, 293, 334, 296, 336]
_BROWS_LOWER = [46, 53, 52, 65, 55, 276, 283, 282, 295, 285]
"""The edges of the brows, point for point; they move alike, or a brow would swell when it rises."""
EXPRESSION_FROM, EXPRESSION_UP_TO = -6.72, -6.48
"""Heights in the basis above which brows, cheeks and lids move in full, and below which they leave the mouth alone."""


@dataclass(frozen=True)
class FaceBasis:
    """The face basis as the mesh uses it, in the axes of pictures (x right, y down, z away).

    Attributes:
        neutral: The face at rest, (478, 3).
        delta: Movement by the name of a unit that moves jaw or mouth, each (478, 3).
        triangles: Indices of points, (852, 3).
    """

    neutral: np.ndarray
    delta: dict[str, np.ndarray]
    triangles: np.ndarray


@cache
def load_basis() -> FaceBasis:
    """Return the face basis with smooth lips and jaw, and with everything above the nose still."""
    rest = neutral().astype(np.float32)
    below = smooth_step((rest[:, 1:2] - STILL_FROM) / (MOVES_UP_TO - STILL_FROM))
    names = (name for name in unit_names() if name.startswith(("jaw", "mouth")))
    delta = {name: _evened(unit(name).astype(np.float32)) * below for name in names}
    return FaceBasis(rest, delta, np.load(ASSETS / "triangles.npy").astype(np.int32))


@cache
def load_expressions() -> dict[str, np.ndarray]:
    """Return how the face units of an expression move the face, each (478, 3): brows, cheeks, lids and a smile.

    None of them parts the lips: a smile moves both alike, the others end above the mouth.
    """
    height = neutral()[:, 1:2].astype(np.float32)
    above = smooth_step((EXPRESSION_UP_TO - height) / (EXPRESSION_UP_TO - EXPRESSION_FROM))
    found = {}
    for name in unit_names():
        delta = unit(name).astype(np.float32)
        if name.startswith("mouthSmile"):
            delta = _evened(delta)
            for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
                delta[upper] = delta[lower] = (delta[upper] + delta[lower]) / 2
            found[name] = delta
        elif name.startswith(("brow", "cheekSquint", "eyeSquint")):
            found[name] = delta * above
            if name.startswith("brow"):
                found[name][_BROWS_LOWER] = found[name][_BROWS_UPPER]
    return found


def _evened(delta: np.ndarray) -> np.ndarray:
    """Smooth the movement of a unit along the jaw and the lips, where measured points would overtake each other."""
    smooth = delta.copy()
    for point, neighbours in _LAGGING.items():
        smooth[point] = delta[list(neighbours)].mean(0)
    for line in (UPPER_INNER, LOWER_INNER, UPPER_OUTER, LOWER_OUTER):
        for _ in range(2):
            d = smooth[line]
            d[1:-1] = 0.25 * d[:-2] + 0.5 * d[1:-1] + 0.25 * d[2:]
            smooth[line] = d
    return smooth
