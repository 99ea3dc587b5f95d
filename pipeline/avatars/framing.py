"""Where to crop an avatar's pictures, so that the person stays in them with room above the head."""

from __future__ import annotations

from copy import copy
from fractions import Fraction

import numpy as np

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.errors import AvatarCannot
from pipeline.video.crop import Box

SOURCE = "source"
"""The aspect of the clip itself."""
ASPECTS = {"16:9": Fraction(16, 9), "9:16": Fraction(9, 16), "1:1": Fraction(1), "4:5": Fraction(4, 5)}
RATES = (24, 25, 30)
"""Frames per second that a request may ask for."""
PACES = 0.75, 1.34
"""How much slower and quicker a person may move than in the clip."""
_SAME = 0.01
"""By how much aspects may differ that are the same: 854x480 is 16:9."""
_HAIR, _EARS = 0.4, 0.15
"""How far a head reaches beyond the face points: above, a share of their height; at each side, of their width."""
_ROOM = 0.1
"""Share of the height of a crop that is left above the head."""


def box_of(avatar: Avatar, aspect: str) -> Box | None:
    """Return the part of an avatar's pictures in an aspect: as large as possible, in the pixels of the clip.

    The head is in the middle, as far as the picture goes on beside it, and has room above it.

    Args:
        avatar: The person.
        aspect: One of `ASPECTS`, or `SOURCE`.

    Returns:
        None if the whole picture has that aspect.

    Raises:
        AvatarCannot: The head does not fit into it; the message lists the aspects that can be had.
    """
    box = None if aspect == SOURCE else _cropped(avatar, ASPECTS[aspect])
    if box is not None and not _fits(avatar, box):
        possible = [SOURCE]
        for name, ratio in ASPECTS.items():
            other = _cropped(avatar, ratio)
            if other is None or _fits(avatar, other):
                possible.append(name)
        raise AvatarCannot(messages.avatars.ASPECT_TOO_NARROW(aspect=aspect, choices=", ".join(possible)))
    return box


def at_rate(avatar: Avatar, rate: int) -> Avatar:
    """Return an avatar with another number of frames per second.

    Each picture of the clip is one picture of the video, so that nothing jerks; the person moves a little slower or
    quicker than in the clip, and the mouth goes with the voice.

    Raises:
        AvatarCannot: It would move too slowly or too quickly; the message lists the rates that can be had.
    """
    if rate == avatar.fps:
        return avatar
    possible = [one for one in RATES if PACES[0] <= one / avatar.fps <= PACES[1]]
    if rate not in possible:
        listed = ", ".join(map(str, possible)) or "-"
        raise AvatarCannot(messages.avatars.RATE_IMPOSSIBLE(rate=rate, own=float(avatar.fps), choices=listed))
    return played_at(avatar, Fraction(rate))


def played_at(avatar: Avatar, fps: Fraction) -> Avatar:
    """Return an avatar with another number of frames per second, whichever it is."""
    changed = copy(avatar)  # with its opened clip
    object.__setattr__(changed, "fps", fps)
    clips = {name: copy(clip) for name, clip in avatar.clips.items()}
    for clip in clips.values():
        object.__setattr__(clip, "fps", fps)
    object.__setattr__(changed, "clips", clips)
    return changed


def _cropped(avatar: Avatar, aspect: Fraction) -> Box | None:
    width, height = avatar.width, avatar.height
    if abs(width / height / float(aspect) - 1) < _SAME:
        return None
    if width / height > aspect:
        width = int(height * aspect) & ~1
    else:
        height = int(width / aspect) & ~1
    left, top, right, _ = _head(avatar)
    return Box(
        _within((left + right) / 2 - width / 2, avatar.width - width),
        _within(top - _ROOM * height, avatar.height - height),
        width,
        height,
    )


def _within(offset: float, most: int) -> int:
    return int(np.clip(round(offset), 0, most)) & ~1


def _head(avatar: Avatar) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the head in nearly all frames, in pixels."""
    points = avatar.landmarks[..., :2]
    low, high = np.percentile(points.min(1), 2, axis=0), np.percentile(points.max(1), 98, axis=0)
    face = np.median(np.ptp(points, axis=1), axis=0)
    aside, above = _EARS * face[0], _HAIR * face[1]
    return float(low[0] - aside), float(low[1] - above), float(high[0] + aside), float(high[1])


def _fits(avatar: Avatar, box: Box) -> bool:
    """Return whether the head is in a part of the pictures as far as it is in them."""
    left, top, right, bottom = _head(avatar)
    across = max(left, 0) >= box.left - 1 and min(right, avatar.width) <= box.left + box.width + 1
    return across and max(top, 0) >= box.top - 1 and min(bottom, avatar.height) <= box.top + box.height + 1
