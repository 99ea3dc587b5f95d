"""Turns the eyes of an avatar to the camera, in the pictures of its clips.

What moves is the eyeball between the lids: the iris in one piece, and less and less of the white around it. The upper
lid follows it up and down. What the lids hid is made of what was beside it. The way is that of warping methods for
video calls (Kononenko & Lempitsky 2015, "Learning to look up"; Wolf et al. 2010), with known angles in place of learnt
ones.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from copy import copy

import cv2
import numpy as np

from pipeline.avatars.avatar import Avatar
from pipeline.face.eyes import IRISES, LOWER_LIDS, UPPER_LIDS
from pipeline.face.gaze import reach
from pipeline.face.smooth_step import smooth_step
from pipeline.video.frame import Frame
from pipeline.video.reader import HEADER, ClipReader

UNSEEN = 0.1
"""Pixels of movement that no viewer sees; the eye stays as it is."""
RIGID, STILL = 1.15, 2.4
"""Distances from the middle of the iris, in its radii, within which all moves with it, and beyond which nothing."""
EDGE = 0.16
"""Half the width of the border between eyeball and lids, in radii of the iris."""
LID, FOLD = 0.5, 1.5
"""Share by which the upper lid follows an eye that looks up or down, and how far above it skin moves with it, in radii
of the iris."""


def with_eye_contact(avatar: Avatar) -> Avatar:
    """Return an avatar that looks at the camera in its own clip, wherever that is safe; else it looks as filmed."""
    if avatar.gaze is None:
        return avatar
    changed = copy(avatar)  # with its opened clip
    changed.__dict__["clip"] = _TurnedClip(avatar, avatar.gaze)
    return changed


def looks_at_camera(avatar: Avatar) -> bool:
    """Return whether an avatar comes from `with_eye_contact`."""
    return isinstance(avatar.__dict__.get("clip"), _TurnedClip)


class _TurnedClip(ClipReader):
    """The clip of an avatar with its eyes turned to the camera."""

    def __init__(self, avatar: Avatar, gaze: np.ndarray) -> None:
        self._clip = avatar.clip
        for name in HEADER:
            setattr(self, name, getattr(avatar.clip, name))
        self._points = avatar.landmarks[:, :, :2]
        angles, share = np.radians(gaze[:, :2]), gaze[:, 2:]
        self._shifts = -np.sin(angles) * share * reach(avatar.landmarks)[:, None]

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """Yield the frames in an endless loop; see ``ClipReader.frames``."""
        with closing(self._clip.frames(start)) as frames:
            for number, frame in enumerate(frames, start):
                yield self._turned(frame, number % len(self._points))

    def once(self) -> Generator[Frame, None, None]:
        """Yield the frames once; see ``ClipReader.once``."""
        with closing(self._clip.once()) as frames:
            for number, frame in enumerate(frames):
                yield self._turned(frame, number)

    def _turned(self, frame: Frame, number: int) -> Frame:
        turn_eyes(frame, self._points[number], self._shifts[number])
        return frame


def turn_eyes(frame: Frame, points: np.ndarray, shift: np.ndarray) -> None:
    """Move both irises within the openings of the eyes, in place.

    Args:
        frame: The picture.
        points: (478, 2) pixels of the face.
        shift: (2,) pixels, to the right and down.
    """
    if float(np.hypot(*shift)) < UNSEEN:
        return
    for upper, lower, iris in zip(UPPER_LIDS, LOWER_LIDS, IRISES, strict=True):
        _turn_eye(frame, points[list(upper)], points[list(lower)], points[iris : iris + 5], shift)


def _turn_eye(frame: Frame, upper: np.ndarray, lower: np.ndarray, iris: np.ndarray, shift: np.ndarray) -> None:
    """Move an iris; `upper` and `lower` are (n, 2) pixels from corner to corner, `iris` its middle and four points."""
    radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
    left, right = (int(np.clip(x, 0, frame.width)) & ~1 for x in (upper[0, 0], upper[-1, 0] + 3))
    top, bottom = (
        int(np.clip(y, 0, frame.height)) & ~1 for y in (upper[:, 1].min() - (FOLD + 1) * radius, lower[:, 1].max() + 4)
    )
    if right - left < 4 or bottom - top < 4:
        return
    x, y = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    edge = max(EDGE * radius, 0.5)
    above, below = (np.interp(x[0], lid[:, 0], lid[:, 1]) for lid in (upper, lower))
    along = np.clip((x[0] - upper[0, 0]) / (upper[-1, 0] - upper[0, 0]), 0, 1)
    lift = LID * shift[1] * np.sqrt(np.maximum(np.sin(np.pi * along), 0))
    raised = np.minimum(above + lift, below)
    skin = np.where(y < raised, (y - raised) / (FOLD * radius) + 1, (below - y) / np.maximum(below - raised, 1))
    skin_y = y - lift * smooth_step(skin)
    away = np.hypot(x - iris[0, 0] - shift[0], y - iris[0, 1] - shift[1]) / radius
    follows = smooth_step((STILL - away) / (STILL - RIGID))
    ball_x, ball_y = x - shift[0] * follows, y - shift[1] * follows
    # what the lids hid comes from as far from the middle of the iris, which is round, to its left or right
    seen_y = _between(ball_x, ball_y, upper, lower, edge)
    farther = np.sqrt(np.maximum((away * radius) ** 2 - (seen_y - iris[0, 1]) ** 2, (ball_x - iris[0, 0]) ** 2))
    beside = iris[0, 0] + np.where(ball_x < iris[0, 0], -farther, farther)
    ball_x = np.where(seen_y == ball_y, ball_x, np.clip(beside, upper[0, 0] + edge, upper[-1, 0] - edge))
    ball_y = _between(ball_x, seen_y, upper, lower, edge)
    sides = np.minimum(x - upper[0, 0], upper[-1, 0] - x)
    ball = smooth_step(np.minimum(y - raised, below - y) / (2 * edge)) * smooth_step(sides / (2 * edge))
    from_x, from_y = x + (ball_x - x) * ball - left, skin_y + (ball_y - skin_y) * ball - top
    _move(frame.y[top:bottom, left:right], from_x, from_y)
    # a pixel of chroma lies in the middle of four of luma
    rows, columns = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    for plane in frame.uv:
        _move(plane[rows, columns], _halved(from_x) / 2 - 0.25, _halved(from_y) / 2 - 0.25)


def _between(x: np.ndarray, y: np.ndarray, upper: np.ndarray, lower: np.ndarray, edge: float) -> np.ndarray:
    """Return heights moved to between the lids (pixels, at places `x`), `edge` away from them."""
    over, under = (np.interp(x, lid[:, 0], lid[:, 1]) for lid in (upper, lower))
    middle = (over + under) / 2
    return np.asarray(np.clip(y, np.minimum(over + edge, middle), np.maximum(under - edge, middle)))


def _halved(part: np.ndarray) -> np.ndarray:
    half: np.ndarray = (part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2]) / 4
    return half


def _move(part: np.ndarray, from_x: np.ndarray, from_y: np.ndarray) -> None:
    """Move the pixels of a plane, in place: each comes from a place, in pixels."""
    where = from_x.astype(np.float32), from_y.astype(np.float32)
    part[:] = cv2.remap(part.copy(), *where, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
