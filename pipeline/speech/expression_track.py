"""How a face moves beside its mouth, frame by frame, and how it is asked to behave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.text.cues import MOODS

UNITS = (
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "browDownLeft",
    "browDownRight",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookOutLeft",
    "eyeLookInRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "mouthSmileLeft",
    "mouthSmileRight",
)
"""The face units of an expression. Left and right are the person's own."""
NEUTRAL = MOODS[0]
USUAL_LIVELINESS = 0.5


@dataclass(frozen=True)
class ExpressionTrack:
    """Weights of face units in each video frame, beside those of the mouth.

    Attributes:
        weights: (frames, units) float32 in 0..1. An all-zero row leaves the face as it was filmed.
        units: ARKit names.
    """

    weights: np.ndarray
    units: tuple[str, ...] = UNITS

    def part(self, begin: int, end: int) -> ExpressionTrack:
        """Return the frames `begin` to `end`."""
        return ExpressionTrack(self.weights[begin:end], self.units)


@dataclass(frozen=True)
class ExpressionOptions:
    """How a face behaves in all of a request.

    Attributes:
        mood: One of `MOODS`.
        liveliness: How much it moves with the voice, 0 not at all .. 1 much.
    """

    mood: str = NEUTRAL
    liveliness: float = USUAL_LIVELINESS


STILL = ExpressionOptions(liveliness=0)
"""A face of which only the mouth moves."""
