"""The face basis: where the head is, and which face points speech and blinks move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

_FILE = Path(__file__).with_name("assets") / "face_basis.npz"
_TO_PICTURE = np.array([1.0, -1.0, -1.0])
"""The basis has y up and z towards the viewer; pictures have y down and z away."""
STILL = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 33, 133, 362, 263, 70, 300, 105, 334, 127, 356, 234, 454, 107, 336, 2)
"""Points that speech does not move; they give the pose of the head."""
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
"""The face's outline, clockwise from the top."""
UPPER_LIP = np.array([
    [191, 80, 81, 82, 13, 312, 311, 310, 415], [183, 42, 41, 38, 12, 268, 271, 272, 407],
    [184, 74, 73, 72, 11, 302, 303, 304, 408], [185, 40, 39, 37, 0, 267, 269, 270, 409],
])  # fmt: skip
"""The rings of points of the upper lip, innermost first, each from left to right in the picture.

Corners are left out.
"""
LOWER_LIP = np.array([
    [95, 88, 178, 87, 14, 317, 402, 318, 324], [96, 89, 179, 86, 15, 316, 403, 319, 325],
    [77, 90, 180, 85, 16, 315, 404, 320, 307], [146, 91, 181, 84, 17, 314, 405, 321, 375],
])  # fmt: skip
"""The rings of the lower lip; each point lies below the upper lip's point with the same index."""


@dataclass(frozen=True)
class HeadPose:
    """Poses of the head in each frame: ``picture = head * scale @ rotation + center``.

    Attributes:
        scale: (frames,) pixels per unit of the basis.
        rotation: (frames, 3, 3).
        center: (frames, 3) pixels.
    """

    scale: np.ndarray
    rotation: np.ndarray
    center: np.ndarray

    @property
    def yaw(self) -> np.ndarray:
        """How far the head is turned aside, (frames,) degrees; 0 faces the camera."""
        angles: np.ndarray = np.degrees(np.arctan2(self.rotation[:, 2, 0], self.rotation[:, 2, 2]))
        return angles

    @property
    def pitch(self) -> np.ndarray:
        """How far the head nods, (frames,) degrees."""
        angles: np.ndarray = np.degrees(np.arcsin(np.clip(self.rotation[:, 2, 1], -1, 1)))
        return angles

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """Return picture points (frames, n, 3) in the head's own frame, in units of the basis."""
        own: np.ndarray = (points - self.center[:, None]) @ self.rotation.transpose(0, 2, 1)
        own /= self.scale[:, None, None]
        return own

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Return points (frames, n, 3) of the head's own frame in the picture, in pixels."""
        shown: np.ndarray = points * self.scale[:, None, None] @ self.rotation + self.center[:, None]
        return shown


@cache
def _basis() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with np.load(_FILE) as file:
        delta = file["delta"] * _TO_PICTURE
        return file["neutral"] * _TO_PICTURE, dict(zip(file["names"].tolist(), delta, strict=True))


def neutral() -> np.ndarray:
    """Return the face of the basis at rest, (478, 3), in the axes of pictures."""
    return _basis()[0]


def unit(name: str) -> np.ndarray:
    """Return how an ARKit unit, such as "jawOpen", moves the points: (478, 3), in the axes of pictures."""
    return _basis()[1][name]


def unit_names() -> tuple[str, ...]:
    """Return the names of all units."""
    return tuple(_basis()[1])


def head_pose(points: np.ndarray, shape: np.ndarray | None = None) -> HeadPose:
    """Return the poses that carry a face shape onto the points of each frame.

    Least squares over the still points (orthogonal Procrustes, Umeyama 1991).

    Args:
        points: (frames, 478, 3) pixels.
        shape: (478, 3); the face of the basis by default.
    """
    shape = neutral() if shape is None else shape
    still = list(STILL)
    middle = shape[still].mean(0)
    source, target = shape[still] - middle, points[:, still].astype(np.float64)
    center = target.mean(1, keepdims=True)
    left, stretch, right = np.linalg.svd(source.T @ (target - center))
    stretch[:, 2] *= np.sign(np.linalg.det(left @ right))
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    rotation = left @ right
    scale = stretch.sum(1) / (source**2).sum()
    return HeadPose(scale, rotation, center[:, 0] - (middle * scale[:, None, None] @ rotation)[:, 0])


def mouth_reach() -> np.ndarray:
    """Return how much speech moves each point, (478,) from 0 (not at all) to 1 (lips, chin, jaw)."""
    moves = [np.linalg.norm(delta, axis=1) for name, delta in _basis()[1].items() if name.startswith(("jaw", "mouth"))]
    reach: np.ndarray = np.clip(np.max(moves, axis=0) / 0.05, 0, 1)
    return reach


def lid_reach() -> np.ndarray:
    """Return how much blinking and looking around move each point, (478,) from 0 to 1."""
    moves = np.linalg.norm(unit("eyeBlinkLeft") + unit("eyeBlinkRight"), axis=1)
    reach: np.ndarray = np.clip(moves / 0.03, 0, 1)
    reach[468:] = 1  # the irises
    return reach
