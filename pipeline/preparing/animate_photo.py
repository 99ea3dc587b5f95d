"""Brings a photo to life: a loop in which the head turns and nods, the shoulders breathe, the eyes look and blink.

Movements are as large as those of somebody who sits and listens. All of them repeat with the loop, so that its end
meets its start.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np

from pipeline.face.finder import box_of
from pipeline.preparing.head_turn import Pose, TurningHead
from pipeline.preparing.lids import Lids
from pipeline.preparing.matte import person_matte, without_person
from pipeline.preparing.photo_gaze import Gaze
from pipeline.video.frame import Frame

FPS = Fraction(25)
SECONDS = 8
FRAMES = round(SECONDS * FPS)
BLINKS = (47, 110, 175)
"""Frames at which the lids begin to close; uneven, as people blink."""
BLINK = (0.30, 0.80, 1.0, 0.90, 0.60, 0.30, 0.10)
"""How far the lids are shut in each frame of a blink; they close faster than they open (VanderWerf et al. 2003)."""
FIXATIONS = (
    (0.0, 0.0, 0.0),
    (1.3, 1.6, -0.4),
    (1.96, 0.2, 0.2),
    (3.5, -1.5, 0.6),
    (4.48, 0.3, -0.2),
    (6.1, -0.8, -1.2),
    (6.9, 0.0, 0.0),
)
"""From when on (seconds) the eyes look where: degrees to the right and down of where they look in the photo.

They jump: a saccade of three degrees takes less than a frame.
"""
MOST_GAZE = 5.0
"""Degrees by which the eyes turn in the head at most."""
_YAW, _PITCH, _ROLL, _ASIDE = 2.6, 1.1, 0.9, 0.006
"""How far the head turns aside, nods and tilts (degrees) and moves aside (widths of the face), about its mean."""
_NOD, _NOD_AT, _NOD_SECONDS = 1.8, 5.0, 1.4
"""Degrees of a nod, when it begins, and how long it takes (seconds)."""
_BREATHS = 2
"""In a loop: fifteen a minute."""
_LIFT, _MOST_LIFT = 0.009, 2.5 / 720
"""How far breathing lifts the shoulders: widths of the face, but at most this share of the picture's short side."""
_WAVES = {
    "yaw": ((0.62, 0.4), (0.26, 2.9), (0.12, 5.1)),
    "pitch": ((0.45, 3.6), (0.35, 1.2), (0.20, 0.3)),
    "roll": ((0.60, 5.5), (0.25, 4.0), (0.15, 2.2)),
    "aside": ((0.70, 1.1), (0.30, 4.6)),
}
"""Share and phase of each movement's parts, which repeat once, twice... in the loop."""


class LivingPhoto:
    """A photo that is alive for one loop."""

    def __init__(self, photo: np.ndarray, points: np.ndarray) -> None:
        """Measure what moves.

        Args:
            photo: (height, width, 3) uint8 RGB, even.
            points: (478, 3) pixels of the face.
        """
        matte = person_matte(photo, points)
        lift = min(_LIFT * box_of(points).width, _MOST_LIFT * min(photo.shape[:2]))
        self._photo = photo
        self._head = TurningHead(points, matte, without_person(photo, matte), lift)
        self._gaze, self._lids = Gaze(photo, points), Lids(photo, points)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        return map(self.frame, range(FRAMES))

    def frame(self, number: int) -> Frame:
        """Return one of the frames."""
        picture = self._lids.close(self._gaze.look(self._photo, *gaze_at(number)), shut_at(number))
        turned = self._head.turn(picture, pose_at(number))
        return Frame(cv2.cvtColor(turned, cv2.COLOR_RGB2YUV_I420))

    def points(self) -> np.ndarray:
        """Return where the points of the face are in each frame, (frames, 478, 3) float32 pixels.

        They are known, so they neither tremble nor drift. Lids are where they are while they are open.
        """
        return np.array([self._head.points_in(pose_at(number)) for number in range(FRAMES)])


def pose_at(number: int) -> Pose:
    """Return how the head is held in a frame of the loop."""
    turn = 2 * math.pi * number / FRAMES
    wave = {
        name: sum(share * math.sin((times + 1) * turn + phase) for times, (share, phase) in enumerate(parts))
        for name, parts in _WAVES.items()
    }
    nodding = (number / float(FPS) - _NOD_AT) / _NOD_SECONDS
    nod = _NOD * math.sin(2 * math.pi * nodding) ** 2 * (1 - 0.6 * nodding) if 0 < nodding < 1 else 0.0
    return Pose(
        yaw=_YAW * wave["yaw"],
        pitch=_PITCH * wave["pitch"] + nod,
        roll=_ROLL * wave["roll"],
        aside=_ASIDE * wave["aside"],
        breath=0.5 - 0.5 * math.cos(_BREATHS * turn),
    )


def gaze_at(number: int) -> tuple[float, float]:
    """Return where the eyes look in a frame of the loop, relative to the head: degrees to the right, and down.

    While the head turns they turn back, and so stay on what they look at (vestibulo-ocular reflex).
    """
    seconds, pose = number / float(FPS), pose_at(number)
    _, aside, down = FIXATIONS[bisect_right(FIXATIONS, (seconds, math.inf)) - 1]
    aside, down = aside - pose.yaw, down - pose.pitch
    share = min(1.0, MOST_GAZE / max(1e-6, math.hypot(aside, down)))
    return aside * share, down * share


def shut_at(number: int) -> float:
    """Return how far the lids are shut in a frame of the loop, 0..1."""
    return max((BLINK[number - start] for start in BLINKS if 0 <= number - start < len(BLINK)), default=0.0)
