"""The avatar pack: what is known of a person on video, and the only place that unpickles."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Avatar:
    """A person on video, ready to speak.

    name: "talk_long"; resolution: "720p"; width, height: pixels, even; fps: frames per second;
    video: an mp4 (H.264, yuv420p, no sound), one frame per row of landmarks, whose end meets its start;
    landmarks: (frames, 478, 3) float32, MediaPipe Face Mesh points in pixels of this video (x right, y down,
    z away from the viewer), smoothed over time, rows without a usable face hold the nearest usable ones;
    usable: (frames,) bool, False where the face is missing, covered or turned too far: those frames pass unchanged;
    rest: (478, 3) float32 or None: how far this person's points stand, in units of the face basis, from the
    closed mouth (None: the clip's own mouth is closed in every frame).
    """

    name: str
    resolution: str
    width: int
    height: int
    fps: Fraction
    video: bytes
    landmarks: np.ndarray
    usable: np.ndarray

    @property
    def id(self) -> str:
        """The name that API.md lists: ``talk_long_720p``."""
        return f"{self.name}_{self.resolution}"
