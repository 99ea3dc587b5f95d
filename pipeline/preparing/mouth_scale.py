"""Measures how wide a mouth looks when it opens, so that all mouths look equally wide at the same sound.

The same movement looks wider on full lips, whose dark inner side shows, than on thin ones, which end where the teeth
begin. So the mouth is opened by known amounts in a few frames, and Face Mesh, which was trained on real mouths,
measures the opening. The movement is scaled by the difference.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.engines.mesh.mover import FaceMover
from pipeline.face.basis import head_pose
from pipeline.face.finder import FaceFinder, box_of
from pipeline.face.mesh_basis import LOWER_INNER, UPPER_INNER
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person, as_filmed
from pipeline.video.frame import Frame

USUAL = 1.15
"""Apparent width of a drawn opening, as a share of its width, on the face for which the mouth shapes were made."""
LIMITS = (0.85, 1.3)
"""Least and greatest factor of a mouth's movement."""
FRAMES = 6
"""Frames in which the mouth is opened, among those that are turned least."""
OPENINGS = (0.0, 0.2, 0.3, 0.4, 0.5)
"""Weights of the jaw that are measured: speech uses up to about half."""
_UNITS = ("jawOpen", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")
_VOWEL = np.array([1, 0.45, 0.45, 0.25, 0.25], np.float32)
"""Weight of each unit, relative to the jaw's, in an open vowel."""
_MIDDLE = slice(3, 8)
"""The middle of the inner lips, where an open mouth is open."""
_SETTLED = 3
"""Times that Face Mesh gets a picture: it starts from the face of the picture before."""


def opening_of(footage: Footage, person: Person, softness: float = 0.0) -> float:
    """Return the factor of a person's mouth movement, within `LIMITS`; 1 if Face Mesh never sees the mouth open.

    Args:
        footage: Pictures with the mouth closed.
        person: The person in them.
        softness: As in ``Avatar``.
    """
    mover = FaceMover(replace(as_filmed(footage, person), softness=softness), _UNITS)
    drawn, seen = [], []
    with FaceFinder() as finder:
        for number in _straight(person):
            points = person.landmarks[number]
            for weight in OPENINGS:
                frame = Frame(footage.frames[number].copy())
                mover.move(frame, number, weight * _VOWEL)
                picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
                found = finder.points(picture, box_of(points), _SETTLED)
                if found is not None:
                    drawn.append(_gap(mover.target(number, weight * _VOWEL)))
                    seen.append(_gap(found[:, :2]))
    if len(drawn) < len(OPENINGS) or np.ptp(drawn) == 0:
        return 1.0
    slope = float(np.polyfit(drawn, seen, 1)[0])
    return float(np.clip(USUAL / slope, *LIMITS)) if slope > 0 else 1.0


def _straight(person: Person) -> np.ndarray:
    """Return the numbers of usable frames, spread over the half of the clip that is turned least."""
    usable = np.flatnonzero(person.findings.usable)
    pose = head_pose(person.landmarks[usable])
    turned = np.hypot(pose.yaw - np.median(pose.yaw), pose.pitch - np.median(pose.pitch)) + np.abs(pose.yaw)
    straight = usable[turned <= np.median(turned)]
    return np.asarray(straight[np.linspace(0, len(straight) - 1, min(FRAMES, len(straight))).round().astype(int)])


def _gap(points: np.ndarray) -> float:
    """Return the gap between the middles of the lips, in pixels, from points ((n, 2) pixels)."""
    apart = points[LOWER_INNER[_MIDDLE]] - points[UPPER_INNER[_MIDDLE]]
    return float(np.linalg.norm(apart, axis=1).mean())
