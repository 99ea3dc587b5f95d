"""What is done to the pictures of a request after the face was drawn: cropped, captioned, marked."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.avatars.avatar import Avatar
from pipeline.core.best_effort import best_effort
from pipeline.settings import AI_LABELS
from pipeline.video import lettering
from pipeline.video.crop import Box
from pipeline.video.frame import Frame, parted, parts_of
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
        parted: Whether pictures have two parts, the person above and their matte below (see ``Background``).
    """

    box: Box | None = None
    label: str = ""
    captioned: bool = False
    parted: bool = False

    def shown_size(self, avatar: Avatar) -> tuple[int, int]:
        """Return width and height of what is shown of an avatar, in pixels."""
        return (self.box.width, self.box.height) if self.box else (avatar.width, avatar.height)

    def size(self, avatar: Avatar) -> tuple[int, int]:
        """Return width and height of the pictures of an avatar, in pixels."""
        width, height = self.shown_size(avatar)
        return width, 2 * height if self.parted else height

    def of(self, frame: Frame, caption: Lettering | None = None) -> Frame:
        """Return a picture as it is shown; the same one if nothing is done to it."""
        if self.parted:
            return self._both(frame, caption)
        shown = self.box.cut(frame) if self.box else frame
        letters = [lettering.mark(self.label, shown.width, shown.height)] if self.label else []
        if caption:
            letters.append(caption)
        if letters and shown is frame:
            shown = Frame(frame.planes.copy())  # an engine may use its pictures again
        for one in letters:
            one.draw(shown)
        return shown

    def _both(self, frame: Frame, caption: Lettering | None) -> Frame:
        """Return a picture of two parts as it is shown; letters are opaque as far as they are seen."""
        person, matte = parts_of(frame)
        if self.box:
            person, matte = self.box.cut(person), self.box.cut(matte)
        letters = [lettering.mark(self.label, person.width, person.height)] if self.label else []
        for one in [*letters, *([caption] if caption else [])]:
            one.draw(person)
            one.cover(matte)
        return parted(person, matte)


AS_FILMED = Look()


class BurntCaptions:
    """The captions in the pictures of one task. If one cannot be drawn, the task goes on without those that follow.

    Attributes:
        failed: Whether that happened.
        incomplete: Whether the font lacks letters, which were left out.
    """

    def __init__(self) -> None:
        self.failed = self.incomplete = False

    def drawn(self, text: str, width: int, height: int) -> Lettering | None:
        """Return a caption for pictures of a size; None for an empty one, and after a failure."""
        if not text or self.failed:
            return None
        with best_effort("captions in the pictures"):
            self.incomplete |= not lettering.complete(text)
            return lettering.caption(text, width, height)
        self.failed = True
        return None
