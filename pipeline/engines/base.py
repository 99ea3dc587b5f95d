"""The seam between mouth movement and pixels: what a lipsync engine takes and gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pipeline.avatar.pack import Avatar
from pipeline.cancel import CancelToken
from pipeline.speech.track import MouthTrack
from pipeline.tts.base import Speech
from pipeline.video.frame import Frame


class LipsyncEngine(Protocol):
    """Turns an avatar, speech and its mouth movement into video frames; knows no transport and no files."""

    name: str

    def available(self) -> bool:
        """Whether it can render now (its device and weights are there)."""
        ...

    def render(self, avatar: Avatar, speech: Speech, mouth: MouthTrack, cancel: CancelToken) -> Iterator[Frame]:
        """Yield one frame per row of MOUTH, lazily, starting at the avatar's first frame and looping over its clip.

        Raises RenderFailed and Cancelled.
        """
        ...
