"""What is behind a person: what was filmed, a colour, a picture, what was filmed, blurred, or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import ImageColor

SOURCE, BLUR, TRANSPARENT = "source", "blur", "transparent"
COLORS = tuple(sorted(ImageColor.colormap))
"""The names of colours that CSS has."""
_DIGITS = re.compile("#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Background:
    """What is behind a person.

    Attributes:
        kind: "source" leaves it as it was filmed; "transparent" has pictures of two parts, the person above and their
            matte below.
        color: Red, green and blue, 0..255, of the kind "color".
        picture: A file of the kind "picture".
    """

    kind: Literal["source", "color", "picture", "blur", "transparent"] = "source"
    color: tuple[int, int, int] = (0, 0, 0)
    picture: Path | None = None

    def __bool__(self) -> bool:
        """Return whether it is another one than was filmed."""
        return self.kind != "source"


AS_FILMED = Background()


def color_of(text: str) -> tuple[int, int, int] | None:
    """Return the colour of a text, #rrggbb or a name of CSS; None if it is none."""
    name = text.strip().lower()
    if not (_DIGITS.fullmatch(name) or name in ImageColor.colormap):
        return None
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue
