"""Puts frames into an order whose end meets its start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.avatars.avatar import Avatar
from pipeline.preparing.ends import pictures_meet
from pipeline.preparing.footage import Footage


def loop_order(footage: Footage, landmarks: np.ndarray) -> np.ndarray:
    """Return the numbers of the frames in the order in which they loop: as they are, or forwards and then backwards.

    Args:
        footage: The frames.
        landmarks: (frames, 478, 3) pixels.
    """
    order = np.arange(len(landmarks))
    return order if _loops(footage, landmarks) else np.concatenate([order, order[-2:0:-1]])


def reordered(avatar: Avatar, order: np.ndarray) -> Avatar:
    """Return an avatar with the measurements of its frames in another order (see ``loop_order``)."""
    return replace(
        avatar,
        landmarks=avatar.landmarks[order],
        rest=avatar.rest[order],
        usable=avatar.usable[order],
        gaze=None if avatar.gaze is None else avatar.gaze[order],
    )


def _loops(footage: Footage, landmarks: np.ndarray) -> bool:
    """Return whether the clip's end meets its start, in the picture and in the face."""
    moves = np.linalg.norm(np.diff(landmarks[..., :2], axis=0), axis=2).mean(1)
    seam = float(np.linalg.norm(landmarks[0, :, :2] - landmarks[-1, :, :2], axis=1).mean())
    same_face = seam <= max(1.0, 1.5 * float(np.percentile(moves, 95)))
    return same_face and pictures_meet(footage.frames)
