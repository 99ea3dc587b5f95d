"""How a mouth moves over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTING = ("jawOpen", "mouthLowerDown", "mouthUpperUp")
"""Prefixes of the names of units that part the lips."""
WIDEST = 1.3
"""Sum of their weights when a mouth is open as wide as loud speech has it."""


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
        parting = [number for number, unit in enumerate(self.units) if unit.startswith(PARTING)]
        opening: np.ndarray = np.clip(self.weights[:, parting].sum(1) / WIDEST, 0, 1)
        return opening
