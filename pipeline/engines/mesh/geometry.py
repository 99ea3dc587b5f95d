"""Where every face point of an avatar is, and where it goes when the mouth moves."""

from __future__ import annotations

import numpy as np

from pipeline.avatar.basis import OVAL, head_pose
from pipeline.avatar.pack import Avatar
from pipeline.engines.mesh.basis import (
    CHIN,
    LEFT_EYE,
    LOWER_INNER,
    RIGHT_EYE,
    UPPER_INNER,
    FaceBasis,
)

RING_REACH = 0.35
"""How far outside the face the picture stands still, as a share of the distance from the face's middle."""
SHUT_GAP, OPEN_GAP = 0.05, 0.09
"""Lip gaps, in eye distances, up to which Face Mesh's lips count as shut and from which they count as open.

Face Mesh leaves a small gap between shut lips; the seam is drawn through its middle."""


CORNER_TAPER = np.array([1, 0.45, 0.78, 0.94, 1, 1, 1, 0.94, 0.78, 0.45, 1], np.float32)
"""How much of the measured gap is kept along the inner lips: a mouth opens like a lens, not like a letter box."""


class FaceGeometry:
    """The points of one avatar, prepared for the mesh.

    source, rest: (frames, 478 + 36, 2) float32 pixels: the points as they are, and with a closed mouth; the last 36
    are the still ring around the face. carry: (frames, 3, 2): basis movement -> pixels. eyes: (frames,) eye distance.
    """

    def __init__(self, avatar: Avatar, basis: FaceBasis) -> None:
        points, rest = avatar.landmarks.astype(np.float32), avatar.rest.astype(np.float32)
        self.eyes = np.linalg.norm(points[:, LEFT_EYE].mean(1) - points[:, RIGHT_EYE].mean(1), axis=1)
        pose = head_pose(points)
        self.carry = np.asarray((pose.scale[:, None, None] * pose.rotation)[:, :, :2], np.float32)
        source, rest = points[:, :, :2].copy(), rest[:, :, :2].copy()
        self._shut(source, always=False)
        self._shut(rest, always=True)
        outline = points[:, OVAL, :2]
        ring = outline + (outline - outline.mean(1, keepdims=True)) * RING_REACH
        self.source = np.ascontiguousarray(np.concatenate([source, ring], 1))
        self.rest = np.ascontiguousarray(np.concatenate([rest, ring], 1))
        self.down = self.carry[:, 1]  # the head's own downward direction in the picture
        self.down = self.down / np.linalg.norm(self.down, axis=1, keepdims=True)
        self._mesh_triangles = basis.triangles

    def _shut(self, points: np.ndarray, always: bool) -> None:
        """Bring the two inner edges of shut lips onto one seam, in place."""
        upper, lower = points[:, UPPER_INNER], points[:, LOWER_INNER]
        gap = np.linalg.norm(lower - upper, axis=2).max(1) / self.eyes
        open_ = np.zeros_like(gap) if always else np.clip((gap - SHUT_GAP) / (OPEN_GAP - SHUT_GAP), 0, 1)
        seam = (upper + lower) / 2
        keep = open_[:, None, None]
        points[:, UPPER_INNER] = seam + (upper - seam) * keep
        points[:, LOWER_INNER] = seam + (lower - seam) * keep

    def triangles(self) -> np.ndarray:
        """Return (n, 3) int32 indices: the mouth's inside, the skirt out to the ring, the face; drawn in order."""
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
        """Return the points (514, 2) of frame INDEX with MOVEMENT ((478, 3), basis units) added to the closed mouth."""
        target: np.ndarray = self.rest[index].copy()
        target[:478] += movement @ self.carry[index]
        upper, lower = target[UPPER_INNER], target[LOWER_INNER]
        gap = (lower - upper) @ self.down[index]
        # lips meet, they do not pass through each other; and they part less towards the corners
        change = np.where(gap < 0, -gap, (CORNER_TAPER - 1) * gap)[:, None] / 2 * self.down[index]
        target[UPPER_INNER] -= change
        target[LOWER_INNER] += change
        return target

    def jaw(self, index: int, movement: np.ndarray) -> np.ndarray:
        """Return how far (2,) px the lower teeth travel under the jaw's MOVEMENT ((478, 3), basis units)."""
        return np.asarray(movement[list(CHIN)].mean(0) @ self.carry[index])
