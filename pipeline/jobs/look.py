"""What is done to the pictures of a request after the face was drawn: cropped, captioned, marked."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.avatars.avatar import Avatar
from pipeline.settings import AI_LABELS
from pipeline.video import lettering
from pipeline.video.crop import Box
from pipeline.video.frame import Frame

LABELS = AI_LABELS
NO_LABEL = AI_LABELS[0]
BURN = "burn"
CAPTIONS = ("file", BURN)
"""Where captions go: into a file of their own, or into the pictures as well."""


@dataclass(frozen=True)
class Look:
    """How the pictures of a request look.

    Attributes:
        box: The part of the pictures that is shown; None is all of them.
        label: A mark in the corner; "" for none.
        captioned: Whether captions are drawn.
    """

    box: Box | None = None
    label: str = ""
    captioned: bool = False

    def size(self, avatar: Avatar) -> tuple[int, int]:
        """Return width and height of the pictures of an avatar, in pixels."""
        return (self.box.width, self.box.height) if self.box else (avatar.width, avatar.height)

    def of(self, frame: Frame, caption: str = "") -> Frame:
        """Return a picture as it is shown; the same one if nothing is done to it."""
        shown = self.box.cut(frame) if self.box else frame
        letters = [lettering.mark(self.label, shown.width, shown.height)] if self.label else []
        if caption and (below := lettering.caption(caption, shown.width, shown.height)):
            letters.append(below)
        if letters and shown is frame:
            shown = Frame(frame.planes.copy())  # an engine may use its pictures again
        for one in letters:
            one.draw(shown)
        return shown


AS_FILMED = Look()
