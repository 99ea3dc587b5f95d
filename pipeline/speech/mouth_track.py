"""How a mouth moves over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTED = {"jawOpen": 0.508, "mouthLowerDown": 0.034, "mouthUpperUp": 0.039}
"""How far apart each unit moves the lips, in eye distances of the face basis; a side of those of two."""
PARTING = tuple(PARTED)
"""Prefixes of the names of units that part the lips."""
WIDEST = 0.3
"""How far apart, in eye distances, lips are that are open as wide as loud speech has them."""


@dataclass(frozen=True)
class MouthTrack:
    """Weights of face units in each video frame.

    Attributes:
        fps: Frames per second.
        weights: (frames, units) float32 in 0..1. An all-zero row is the person's own closed mouth.
        units: ARKit names (jawOpen, mouthFunnel, ...).
    """

    fps: float
    weights: np.ndarray
    units: tuple[str, ...]

    @property
    def opening(self) -> np.ndarray:
        """How far the lips are apart in each frame, (frames,) float32 from 0 (closed) to 1 (see `WIDEST`)."""
        opening: np.ndarray = np.clip(self.weights @ parted_by(self.units) / WIDEST, 0, 1)
        return opening


def parted_by(units: tuple[str, ...]) -> np.ndarray:
    """Return how far apart each unit moves the lips, (units,) float32 eye distances; 0 for all others."""
    return np.array([next((way for name, way in PARTED.items() if u.startswith(name)), 0) for u in units], np.float32)
