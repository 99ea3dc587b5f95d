"""The face points of an avatar, and their targets when the mouth moves."""

from __future__ import annotations

import math

import numba
import numpy as np

from pipeline.avatars.avatar import Avatar
from pipeline.core.numba_cache import compiled
from pipeline.face.basis import LOWER_LIP, OVAL, UPPER_LIP, head_pose
from pipeline.face.mesh_basis import (
    LEFT_EYE,
    LOWER_INNER,
    LOWER_OUTER,
    RIGHT_EYE,
    UPPER_INNER,
    UPPER_OUTER,
    FaceBasis,
)

RING_REACH = 0.35
"""Distance from the face at which the picture stands still, as a share of the distance from the face's middle."""
SHUT_GAP, OPEN_GAP = 0.025, 0.055
"""Lip gaps, in eye distances, at most of shut lips and at least of open ones, as Face Mesh measures them.

Face Mesh leaves a small gap between shut lips; the seam is drawn through its middle.
"""
INSET = 0.15
"""Share of an open lip that is left out at its inner edge: it borders on teeth, which must not move with it."""
CORNER_TAPER = np.array([0.45, 0.78, 0.94, 1, 1, 1, 0.94, 0.78, 0.45])
"""How much of the measured gap is kept along the inner lips, without their corners: a mouth opens like a lens, not like
a letter box."""
ROUND_TAPER = np.array([0.08, 0.34, 0.73, 0.96, 1, 0.96, 0.73, 0.34, 0.08])
"""How much of that a round mouth keeps: its corners stay together, and the opening is a hole in its middle."""
ROUNDED = (0.97, 0.85)
"""Width of a mouth, in that at rest, from which it counts as round, and at which it is quite round."""
FULLNESS, FULLEST = 0.7, (0.8, 1.3)
"""Lips keep their volume: power of the mouth's width with which they thin and bulge, and range of their thickness."""
SQUEEZED = 0.4
"""Least distance of the skin below the lower lip from it, as a share of that at rest."""
BELOW_LIP = np.array([
    [43, 106, 182, 83, 18, 313, 406, 335, 273], [202, 204, 194, 201, 200, 421, 418, 424, 422],
])  # fmt: skip
"""The rings of skin below the lower lip, point for point."""
FOLLOWING = (1.0, 0.67, 0.33, 0.0)
"""Share by which the lips' rings of points, innermost first, follow when their inner edges are moved into place."""


class FaceGeometry:
    """The points of one avatar, prepared for the mesh.

    Attributes:
        source, rest: (frames, 478 + 36, 2) float32 pixels: the points as they are, and with a closed mouth. The last 36
            are the still ring around the face.
        parted: (frames,) how far the lips of the clip are apart, 0 shut .. 1 open.
        carry: (frames, 3, 2) basis movement -> pixels.
        eyes: (frames,) eye distance.
    """

    def __init__(self, avatar: Avatar, basis: FaceBasis) -> None:
        points, rest = avatar.landmarks.astype(np.float32), avatar.rest.astype(np.float32)
        self.eyes = np.linalg.norm(points[:, LEFT_EYE].mean(1) - points[:, RIGHT_EYE].mean(1), axis=1)
        pose = head_pose(points)
        self.carry = np.asarray((pose.scale[:, None, None] * pose.rotation)[:, :, :2], np.float32)
        source, rest = points[:, :, :2].copy(), rest[:, :, :2].copy()
        gap = np.linalg.norm(source[:, LOWER_INNER] - source[:, UPPER_INNER], axis=2).max(1) / self.eyes
        self.parted = np.clip((gap - SHUT_GAP) / (OPEN_GAP - SHUT_GAP), 0, 1)
        _part(source, self.parted[:, None, None])
        _part(rest, np.zeros((len(rest), 1, 1)))
        outline = points[:, OVAL, :2]
        ring = outline + (outline - outline.mean(1, keepdims=True)) * RING_REACH
        self.source = np.ascontiguousarray(np.concatenate([source, ring], 1))
        self.rest = np.ascontiguousarray(np.concatenate([rest, ring], 1))
        self.down = self.carry[:, 1]  # the head's own downward direction in the picture
        self.down = self.down / np.linalg.norm(self.down, axis=1, keepdims=True)
        self._wide = np.linalg.norm(self.rest[:, UPPER_INNER[-1]] - self.rest[:, UPPER_INNER[0]], axis=1)
        below = np.concatenate([LOWER_LIP[-1:], BELOW_LIP])
        heights = np.einsum("fknc,fc->fkn", self.rest[:, below], self.down)
        self._room = np.maximum(np.diff(heights, axis=1), 1e-3)
        self._mesh_triangles = basis.triangles

    def triangles(self) -> np.ndarray:
        """Return (n, 3) int32 indices in drawing order: the mouth's inside, the skirt out to the ring, the face."""
        up, lo, n = UPPER_INNER, LOWER_INNER, len(OVAL)
        inside = [t for i in range(len(up) - 1) for t in ((up[i], up[i + 1], lo[i]), (up[i + 1], lo[i + 1], lo[i]))]
        skirt = [
            t
            for i in range(n)
            for j in ((i + 1) % n,)
            for t in ((OVAL[i], OVAL[j], 478 + i), (OVAL[j], 478 + j, 478 + i))
        ]
        return np.concatenate([np.array(inside), np.array(skirt), self._mesh_triangles], dtype=np.int32)

    def moved(self, index: int, movement: np.ndarray) -> np.ndarray:
        """Return the points (514, 2) of a frame with a movement ((478, 3), basis units) added to the closed mouth."""
        target: np.ndarray = self.rest[index].copy()
        target[:478] += movement @ self.carry[index]
        across = target[UPPER_INNER[-1]] - target[UPPER_INNER[0]]
        width = max(float(np.hypot(*across)), 1.0) / float(self._wide[index])
        _meet(target, self.down[index], width)
        thicker = min(max(width**-FULLNESS, FULLEST[0]), FULLEST[1]) - 1
        _keep_volume(target, self.down[index], thicker, self._room[index])
        return target


@compiled
def _meet(target: np.ndarray, down: np.ndarray, width: float) -> None:
    """Have lips meet instead of passing through each other, and part less towards the corners, in place.

    Args:
        target: (n, 2) pixels, the points.
        down: (2,) unit vector towards the chin.
        width: Of the mouth, in widths at rest.
    """
    usual, quite = ROUNDED
    roundness = min(max((usual - width) / (usual - quite), 0.0), 1.0)
    for k in range(UPPER_LIP.shape[1]):
        gap = _down_from(target, UPPER_LIP[0, k], LOWER_LIP[0, k], down)
        taper = CORNER_TAPER[k] * (1 + roundness * (ROUND_TAPER[k] - 1))
        change = (-gap if gap < 0 else (taper - 1) * gap) / 2
        for ring in range(len(FOLLOWING)):
            _move(target, UPPER_LIP[ring, k], down, -FOLLOWING[ring] * change)
            _move(target, LOWER_LIP[ring, k], down, FOLLOWING[ring] * change)


@compiled
def _keep_volume(target: np.ndarray, down: np.ndarray, thicker: float, room: np.ndarray) -> None:
    """Thin lips that are spread, thicken rounded ones, and squeeze the skin below instead of folding it, in place.

    Args:
        target: (n, 2) pixels, the points.
        down: (2,) unit vector towards the chin.
        thicker: Share of their thickness by which the lips bulge; negative if they thin.
        room: (2, 9) pixels down to each point of `BELOW_LIP` from the one above it, at rest.
    """
    for k in range(UPPER_LIP.shape[1]):
        for lip in (UPPER_LIP, LOWER_LIP):
            for ring in range(1, len(lip)):
                _move(target, lip[ring, k], down, thicker * _down_from(target, lip[0, k], lip[ring, k], down))
        above = LOWER_LIP[-1, k]
        for ring in range(len(BELOW_LIP)):
            below = BELOW_LIP[ring, k]
            share = _down_from(target, above, below, down) / room[ring, k]
            if share < 1:
                kept = 1 - (SQUEEZED - 1) * math.expm1((share - 1) / (1 - SQUEEZED))
                _move(target, below, down, (kept - share) * room[ring, k])
            above = below


@numba.njit(nogil=True, error_model="numpy")
def _down_from(points: np.ndarray, one: int, other: int, down: np.ndarray) -> float:
    """Return how far one point lies below another."""
    return float((points[other, 0] - points[one, 0]) * down[0] + (points[other, 1] - points[one, 1]) * down[1])


@numba.njit(nogil=True, error_model="numpy")
def _move(points: np.ndarray, point: int, down: np.ndarray, by: float) -> None:
    """Move a point down, in place."""
    points[point, 0] += by * down[0]
    points[point, 1] += by * down[1]


def _part(points: np.ndarray, parted: np.ndarray) -> None:
    """Move the inner edges of shut lips onto one seam, and those of open lips slightly into the lip, in place."""
    upper, lower = points[:, UPPER_INNER], points[:, LOWER_INNER]
    seam = (upper + lower) / 2
    for inner, outer, edge in ((UPPER_INNER, UPPER_OUTER, upper), (LOWER_INNER, LOWER_OUTER, lower)):
        edge = edge + (points[:, outer] - edge) * INSET
        points[:, inner] = seam + (edge - seam) * parted
