"""How a mouth moves over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTING = ("jawOpen", "mouthLowerDown", "mouthUpperUp")
"""What the names of the units that part the lips begin with."""


@dataclass(frozen=True)
class MouthTrack:
    """Face unit weights per video frame.

    fps: frames per second; weights: (frames, units) float32 in 0..1; units: ARKit names
    (jawOpen, mouthFunnel, ...). An all-zero row is the person's own closed mouth.
    """

    fps: float
    weights: np.ndarray
    units: tuple[str, ...]
