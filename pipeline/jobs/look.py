"""What is done to the pictures of a request after the face was drawn: cropped, captioned, marked."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.avatars.avatar import Avatar
from pipeline.core.best_effort import best_effort
from pipeline.settings import AI_LABELS
from pipeline.video import lettering
from pipeline.video.crop import Box
from pipeline.video.frame import Frame
from pipeline.video.lettering import Lettering

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

    def of(self, frame: Frame, caption: Lettering | None = None) -> Frame:
        """Return a picture as it is shown; the same one if nothing is done to it."""
        shown = self.box.cut(frame) if self.box else frame
        letters = [lettering.mark(self.label, shown.width, shown.height)] if self.label else []
        if caption:
            letters.append(caption)
        if letters and shown is frame:
            shown = Frame(frame.planes.copy())  # an engine may use its pictures again
        for one in letters:
            one.draw(shown)
        return shown


AS_FILMED = Look()


class BurntCaptions:
    """The captions in the pictures of one task. If one cannot be drawn, the task goes on without those that follow.

    Attributes:
        failed: Whether that happened.
    """

    def __init__(self) -> None:
        self.failed = False

    def drawn(self, text: str, width: int, height: int) -> Lettering | None:
        """Return a caption for pictures of a size; None for an empty one, and after a failure."""
        if not text or self.failed:
            return None
        with best_effort("captions in the pictures"):
            return lettering.caption(text, width, height)
        self.failed = True
        return None
