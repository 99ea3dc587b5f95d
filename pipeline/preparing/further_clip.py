"""Further recordings of an avatar's person: listening, nodding, greeting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline import messages
from pipeline.avatars.avatar import CLIPS, Avatar, Matte
from pipeline.avatars.clip_joins import nearest
from pipeline.errors import BadClip, BadRequest
from pipeline.preparing.encode_clip import MATTE, encode
from pipeline.video.reader import ClipReader, ColorTags

FARTHEST = 0.5
"""How far apart the poses of two clips may be where they are most alike, in face widths: what half a second bridges."""
SHAPES = 0.02
"""By how much the shapes (width / height) of two clips may differ."""


@dataclass(frozen=True)
class FurtherClip:
    """A further clip in the working size of its avatar.

    Attributes:
        video: An mp4 in that size, at the avatar's rate.
        filmed: What was measured in it, without a video.
        matte: Where the person is, in the same size and rate.
    """

    video: bytes
    filmed: Avatar
    matte: Matte | None = None

    def at(self, avatar: Avatar) -> Avatar:
        """Return the clip in the size of an avatar, as one of its clips."""
        reader = ClipReader(self.video)
        video, matte = self.video, self.matte
        if (reader.width, reader.height) != (avatar.width, avatar.height):
            size = avatar.width, avatar.height
            video = encode(reader.once(), *size, avatar.fps, reader.colors)
            if matte is not None:
                matte = Matte(encode(matte.clip.once(), *size, avatar.fps, ColorTags(), MATTE), matte.key)
        across, down = avatar.width / self.filmed.width, avatar.height / self.filmed.height
        scale = np.array([across, down, across], np.float32)
        return replace(
            avatar,
            video=video,
            landmarks=self.filmed.landmarks * scale,
            rest=self.filmed.rest * scale,
            usable=self.filmed.usable,
            gaze=self.filmed.gaze,
            matte=matte,
            inpainting=None,
            clips={},
        )


def check_clips(clips: Mapping[str, Path]) -> None:
    """Check the names of further clips.

    Raises:
        BadRequest: There is no such clip; the message lists those that there are.
    """
    for name in clips:
        if name not in CLIPS:
            raise BadRequest(messages.preparing.CLIP_UNKNOWN(name=name, choices=", ".join(CLIPS)))


def check_meeting(name: str, filmed: Avatar, whole: Avatar) -> None:
    """Check that a clip can be joined to the avatar's own.

    Raises:
        BadClip: Its picture has another shape, or the face is elsewhere.
    """
    if abs(filmed.width / filmed.height - whole.width / whole.height) > SHAPES:
        raise BadClip(
            messages.preparing.CLIP_OF_OTHER_SHAPE(
                name=name, size=f"{filmed.width}x{filmed.height}", wanted=f"{whole.width}x{whole.height}"
            )
        )
    scale = np.float32(whole.width / filmed.width)
    apart = nearest(whole, replace(filmed, landmarks=filmed.landmarks * scale))
    if apart > FARTHEST:
        raise BadClip(messages.preparing.CLIP_DOES_NOT_MEET(name=name, apart=apart))


def at_rate(order: np.ndarray, fps: Fraction, wanted: Fraction) -> np.ndarray:
    """Return an order of frames that shows a clip of one rate at another, as fast as before."""
    if fps == wanted:
        return order
    count = max(1, round(len(order) * wanted / fps))
    return np.asarray(order[np.minimum((np.arange(count) * float(fps / wanted)).astype(int), len(order) - 1)])
