"""Measures how wide a mouth looks when it opens, so that everybody's looks as wide at the same sound.

The same movement looks wider on full lips, whose dark inner side shows, than on thin ones, which end where the teeth
begin. So the mouth is opened by known amounts in a few frames, and Face Mesh, which was trained on real mouths, says
how far open it takes them to be. What the movement lacks, or has too much, is made up for when the mouth is moved.
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
"""About how wide a drawn opening looks, as a share of its width, on the face by which the mouth's shapes were made."""
LIMITS = (0.85, 1.3)
"""What a mouth's movement is multiplied by, at least and at most."""
FRAMES = 6
"""Frames in which the mouth is opened, spread over those that are turned least."""
OPENINGS = (0.0, 0.2, 0.3, 0.4, 0.5)
"""Weights of the jaw at which the mouth is looked at: speech opens it by up to about half."""
_UNITS = ("jawOpen", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")
_VOWEL = np.array([1, 0.45, 0.45, 0.25, 0.25], np.float32)
"""How much of the jaw's weight each of them has in an open vowel."""
_MIDDLE = slice(3, 8)
"""The inner lips' middle, where a mouth is open at all."""
_SETTLED = 3
"""Times that a picture is shown to Face Mesh: it starts from the face of the picture before."""


def opening_of(footage: Footage, person: Person, softness: float = 0.0) -> float:
    """Return what this PERSON's mouth movement is to be multiplied by, in FOOTAGE whose mouth is closed: LIMITS.

    softness: as in ``Avatar``. 1 where Face Mesh does not see the mouth open at all.
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
                for _ in range(_SETTLED):
                    found = finder.points(picture, box_of(points))
                if found is not None:
                    drawn.append(_gap(mover.target(number, weight * _VOWEL)))
                    seen.append(_gap(found[:, :2]))
    if len(drawn) < len(OPENINGS) or np.ptp(drawn) == 0:
        return 1.0
    slope = float(np.polyfit(drawn, seen, 1)[0])
    return float(np.clip(USUAL / slope, *LIMITS)) if slope > 0 else 1.0


def _straight(person: Person) -> np.ndarray:
    """Return the numbers of FRAMES usable frames, spread over the clip's half that is turned least."""
    usable = np.flatnonzero(person.findings.usable)
    pose = head_pose(person.landmarks[usable])
    turned = np.hypot(pose.yaw - np.median(pose.yaw), pose.pitch - np.median(pose.pitch)) + np.abs(pose.yaw)
    straight = usable[turned <= np.median(turned)]
    return np.asarray(straight[np.linspace(0, len(straight) - 1, min(FRAMES, len(straight))).round().astype(int)])


def _gap(points: np.ndarray) -> float:
    """Return how far the lips of POINTS ((n, 2) px) are apart in their middle, px."""
    apart = points[LOWER_INNER[_MIDDLE]] - points[UPPER_INNER[_MIDDLE]]
    return float(np.linalg.norm(apart, axis=1).mean())
