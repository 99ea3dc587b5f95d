"""How a mouth moves over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTING = ("jawOpen", "mouthLowerDown", "mouthUpperUp")
"""Prefixes of the names of units that part the lips."""


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
