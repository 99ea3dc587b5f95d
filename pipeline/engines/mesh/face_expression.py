"""Moves what is not the mouth: brows, lids, cheeks and eyes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.interior import Light, blur_across, draw_line
from pipeline.face.eyes import IRISES, LOWER_LIDS, UPPER_LIDS
from pipeline.face.mesh_basis import load_expressions
from pipeline.speech.expression_track import UNITS
from pipeline.video.frame import Frame


class _Eye(NamedTuple):
    """The points of an eye, each row of a lid from left to right in the picture."""

    blink: str
    sideways: str
    upwards: str
    corners: tuple[int, int]
    upper: list[int]
    lower: list[int]
    fold: list[int]
    """The crease of the upper lid, above `upper` point for point."""
    below: list[int]
    iris: int


_BESIDE_LIDS = (
    ([247, 30, 29, 27, 28, 56, 190], [25, 110, 24, 23, 22, 26, 112]),
    ([414, 286, 258, 257, 259, 260, 467], [341, 256, 252, 253, 254, 339, 255]),
)
"""The crease above each upper lid and the skin below each lower one, point for point."""
_EYES = tuple(
    _Eye(*units, (upper[0], upper[-1]), list(upper[1:-1]), list(lower[1:-1]), fold, below, iris)
    for units, upper, lower, (fold, below), iris in zip(
        (
            ("eyeBlinkRight", "eyeLookInRight", "eyeLookUpRight"),
            ("eyeBlinkLeft", "eyeLookOutLeft", "eyeLookUpLeft"),
        ),
        UPPER_LIDS,
        LOWER_LIDS,
        _BESIDE_LIDS,
        IRISES,
        strict=True,
    )
)
UPPER_SHARE = 0.94
"""Share of a closing eye that the upper lid moves; the lower one does the rest."""
SKIN_ABOVE = 0.6
"""How far above the lid's edge its skin begins, as a share of the way to its crease: a shut lid shows that skin.
Below it lie lashes, and the shade on the eyeball, which would become streaks."""
OVERLAP = 0.10
"""How far the shut lid goes beyond the lower one, in slits: nothing of the eyeball is left between them."""
LASHES, LASHES_DARK, LASHES_FROM = 0.05, 0.75, 0.3
"""Width of the line of lashes of a shut lid, in lengths of the eye, its opacity, and the blink from which it shows."""
STREAKS = 0.06
"""Standard deviation of the blur along a shut lid, in lengths of the eye: its skin is stretched downwards from a few
rows, and what varies along them would become streaks."""
FOLD_SHARE, BELOW_SHARE = 0.35, 0.5
"""How far the skin beside each lid follows it."""
ASIDE, UPWARDS = 0.16, 0.10
"""How far an iris moves at most, in widths of the eye."""
SHUT, OPEN = 0.55, 0.80
"""Openings of an eye, relative to its usual one, at which it is shut, and open."""
APART = 0.7
"""Seconds before and after a blink of the clip in which none is drawn."""


class FaceExpression:
    """How expressions move the points of one avatar.

    Attributes:
        triangles: (n, 3) int32 in drawing order: the inside of the eyes, which lids cover, and then the face's.
        alone: (frames,) how much of a blink may be drawn: 0 around those that the clip shows.
    """

    def __init__(self, geometry: FaceGeometry, triangles: np.ndarray, fps: float) -> None:
        units = load_expressions()
        still = np.zeros((478, 3), np.float32)
        self._delta = np.stack([units.get(unit, still) for unit in UNITS])
        self.triangles = np.concatenate([np.array([t for eye in _EYES for t in _inside(eye)], np.int32), triangles])
        openings = [
            np.linalg.norm(geometry.source[:, eye.upper[2:5]] - geometry.source[:, eye.lower[2:5]], axis=2).mean(1)
            for eye in _EYES
        ]
        opening = np.mean(openings, axis=0) / geometry.eyes
        self.opening = opening / max(float(np.median(opening)), 1e-6)
        self._awake = np.clip((self.opening - SHUT) / (OPEN - SHUT), 0, 1)
        near = maximum_filter1d(1 - self._awake, 2 * round(APART * fps) + 1, mode="wrap")
        self.alone = np.clip(1 - gaussian_filter1d(near, 0.06 * fps, mode="wrap") * 1.5, 0, 1)

    def movement(self, weights: np.ndarray) -> np.ndarray:
        """Return how weights (units,) move the points, (478, 3) in units of the basis; lids and eyes come after."""
        used = np.flatnonzero(weights)
        return np.asarray(np.einsum("u,upc->pc", weights[used], self._delta[used]))

    def move_eyes(self, source: np.ndarray, target: np.ndarray, index: int, weights: np.ndarray) -> None:
        """Close the lids and turn the eyes, in place.

        Args:
            source: (n, 2) pixels, the points as they are; the edges of closing lids are taken from a little above,
                where their skin begins.
            target: (n, 2) pixels, the moved points.
            index: Number of the frame.
            weights: (units,).
        """
        for eye in _EYES:
            upper, lower = target[eye.upper], target[eye.lower]
            slit = lower - upper
            blink = float(weights[UNITS.index(eye.blink)]) * self.alone[index]
            if blink:
                source[eye.upper] += SKIN_ABOVE * blink * (source[eye.fold] - source[eye.upper])
                target[eye.upper] += (UPPER_SHARE + OVERLAP) * blink * slit
                target[eye.fold] += UPPER_SHARE * FOLD_SHARE * blink * slit
                target[eye.lower] -= (1 - UPPER_SHARE) * blink * slit
                target[eye.below] -= (1 - UPPER_SHARE) * BELOW_SHARE * blink * slit
            aside, up = (float(weights[UNITS.index(unit)]) for unit in (eye.sideways, eye.upwards))
            if aside or up:
                left, right = target[list(eye.corners)]
                across = (right - left) * self._awake[index]
                target[eye.iris] += ASIDE * aside * across - UPWARDS * up * np.array([-across[1], across[0]])

    def draw_lashes(self, out: Frame, target: np.ndarray, index: int, weights: np.ndarray, light: Light) -> None:
        """Smooth the stretched skin of lids that close, and draw their line of lashes.

        Args:
            out: The frame, with its points moved.
            target: (n, 2) pixels, where they are.
            index: Number of the frame.
            weights: (units,).
            light: The light on the face.
        """
        for eye in _EYES:
            blink = float(weights[UNITS.index(eye.blink)]) * self.alone[index]
            if blink > LASHES_FROM:
                left, right = target[list(eye.corners)]
                lid = np.concatenate([[left], target[eye.fold], [right], target[eye.upper][::-1]])
                blur_across(out, lid, STREAKS * (right - left), blink)
                line = np.concatenate([[left], target[eye.upper], [right]])
                alpha = LASHES_DARK * (blink - LASHES_FROM) / (1 - LASHES_FROM)
                color = np.array([16 + 0.22 * (light.skin[0] - 16), *(128 + 0.4 * (light.skin[1:] - 128))])
                draw_line(out, line, LASHES * float(np.hypot(*(right - left))), alpha, color)


def _inside(eye: _Eye) -> list[tuple[int, int, int]]:
    """Return the triangles between the lids: a fan around the iris."""
    left, right = eye.corners
    ring = [left, *eye.upper, right, *reversed(eye.lower)]
    return [(one, other, eye.iris) for one, other in zip(ring, [*ring[1:], left], strict=True)]
