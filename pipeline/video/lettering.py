"""Draws letters onto pictures: captions and marks, in a font that has Korean and comes with a package.

The font is Noto Sans KR (SIL Open Font Licence), of the package ``pylopdf-fonts-ko``, of which only the file is read.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline import messages
from pipeline.errors import Unavailable
from pipeline.video.frame import Frame

logger = logging.getLogger(__name__)

SAFE = 0.05
"""Share of the picture's width and height at each side in which no letters stand."""
CAPTION, MARK = 0.055, 0.04
"""Height of the letters as a share of the picture's short side: of captions, and of a mark in the corner."""
SMALLEST = 0.6
"""How much smaller letters of captions become, at most, so that they fit into two lines."""
LINES = 2
_MOST = 500
"""Letters of a caption that are looked at: more than two lines of the narrowest hold."""
_WHITE, _BLACK = 235, 16
"""Luma of the letters and of their outline."""
_PLAIN = "AI"
"""A mark for which no font is needed."""
_KANA = "\u3041-\u309f\u30fc"
_HAN = "\u3005\u30a0-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f"
_OPENS, _CLOSES = "「『（【《〈〔", "、。，．：；！？」』）】》〉〕…"
_UNBROKEN = re.compile(
    rf"[{_OPENS}]*(?:[{_HAN}]+[{_KANA}]*|[{_KANA}]+|[^\s{_HAN}{_KANA}{_OPENS}]+|(?<=[{_OPENS}]))[{_CLOSES}]*\s*"
)
"""What lines keep together: words between blanks and, in Japanese, other letters with the hiragana behind them."""
_PACKAGE, _FILE = "pylopdf_fonts_ko", "NotoSansKR-Regular.otf"


@dataclass(frozen=True, eq=False)
class Lettering:
    """Letters at a place of a picture.

    Attributes:
        left, top: Of the letters, in pixels, even.
        light: (height, width) uint16, luma times opacity.
        clear: (height, width) uint16, 255 where the picture is seen, 0 where it is covered.
        clear_chroma: (height / 2, width / 2) uint16, the same of the chroma.
    """

    left: int
    top: int
    light: np.ndarray
    clear: np.ndarray
    clear_chroma: np.ndarray

    def cover(self, matte: Frame) -> None:
        """Make a matte opaque where the letters are seen, in place; its luma is limited to 16..235."""
        height, width = self.clear.shape
        part = matte.y[self.top : self.top + height, self.left : self.left + width]
        part[:] = (part * self.clear + np.uint16(_WHITE) * (255 - self.clear)) // 255

    def draw(self, frame: Frame) -> None:
        """Draw the letters onto a picture, in place."""
        height, width = self.clear.shape
        part = frame.y[self.top : self.top + height, self.left : self.left + width]
        part[:] = (part * self.clear + self.light) // 255
        for plane in frame.uv:
            part = plane[self.top // 2 : (self.top + height) // 2, self.left // 2 : (self.left + width) // 2]
            part[:] = (part * self.clear_chroma + np.uint16(128) * (255 - self.clear_chroma)) // 255


@lru_cache(maxsize=64)
def caption(text: str, width: int, height: int) -> Lettering | None:
    """Return a caption at the bottom of pictures of a size, in at most two lines; None if the font has no letter of it.

    Letters become smaller before a third line would be needed; what is longer still is cut at the end.
    """
    text = _known(" ".join(text.split()))[:_MOST]
    if not text:
        return None
    room = width * (1 - 2 * SAFE)
    size = CAPTION * min(width, height) if width >= height else 1.2 * CAPTION * width
    for shrink in np.linspace(1, SMALLEST, 9):
        font = _font(max(10, round(size * shrink)))
        lines = _lines(text, font, room)
        if len(lines) <= LINES:
            break
    lines = [*lines[: LINES - 1], _cut(lines[LINES - 1], font, room)] if len(lines) > LINES else lines
    lines = [line.strip() for line in lines]
    outline = max(1, round(font.size / 12))
    block = round(font.size * 1.25) * len(lines) + 2 * outline
    wide = math.ceil(max(map(font.getlength, lines))) + 2 * outline
    image = Image.new("LA", (_even(wide), _even(block)), (0, 0))
    ImageDraw.Draw(image).multiline_text(
        (image.width / 2, image.height / 2),
        "\n".join(lines),
        (_WHITE, 255),
        font,
        anchor="mm",
        align="center",
        spacing=font.size * 0.08,
        stroke_width=outline,
        stroke_fill=(_BLACK, 255),
    )
    top = height * (1 - SAFE) - image.height
    return _placed(image, (width - image.width) / 2, top, width, height)


@lru_cache(maxsize=16)
def mark(text: str, width: int, height: int) -> Lettering:
    """Return a mark at the top right of pictures of a size: light letters in a dark, half transparent field.

    A mark may be prescribed by law, so it never fails: without the font it is ``AI``, in letters that OpenCV has.
    """
    try:
        image = _mark(text, width, height)
    except Exception:
        logger.exception("no font for the mark %r: it becomes %r", text, _PLAIN)
        image = _plain_mark(width, height)
    return _placed(image, width * (1 - SAFE / 2) - image.width, height * SAFE / 2, width, height)


def _mark(text: str, width: int, height: int) -> Image.Image:
    upright = 1.4 if width < height else 1.0  # people hold it closer
    font = _font(max(9, round(MARK * min(width, height) * upright)))
    pad = round(font.size * 0.4)
    wide, high = math.ceil(font.getlength(text)) + 2 * pad, round(font.size * 1.2) + pad
    image = Image.new("LA", (_even(wide), _even(high)), (0, 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, image.width - 1, image.height - 1), pad, (_BLACK, 150))
    letters = Image.new("L", image.size, 0)
    ImageDraw.Draw(letters).text((image.width / 2, image.height / 2), text, 255, font, anchor="mm")
    image.paste((_WHITE, 255), (0, 0), letters)
    return image


def _plain_mark(width: int, height: int) -> Image.Image:
    """Return a mark that needs no font."""
    thick = max(1, round(MARK * min(width, height) / 12))
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, max(6, round(MARK * min(width, height))), thick)
    (wide, high), _ = cv2.getTextSize(_PLAIN, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    pad = high // 2
    letters = np.zeros((_even(high + 2 * pad), _even(wide + 2 * pad)), np.uint8)
    cv2.putText(letters, _PLAIN, (pad, pad + high), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    light = _BLACK + letters * ((_WHITE - _BLACK) / 255)
    image = Image.fromarray(light.astype(np.uint8))
    opacity = Image.fromarray(np.maximum(letters, 150))
    return Image.merge("LA", (image, opacity))


def check() -> None:
    """Check that letters can be drawn.

    Raises:
        Unavailable: The font is not installed, or damaged.
    """
    if _path() is None:
        raise Unavailable(messages.video.FONT_MISSING())
    try:
        _font(24).getmask("가")
    except Exception as error:  # whatever a damaged font does to FreeType
        raise Unavailable(messages.video.FONT_BROKEN(reason=error)) from error


def _placed(image: Image.Image, left: float, top: float, width: int, height: int) -> Lettering:
    """Return an image as letters at a place of pictures of a size, of which it is cut to fit a tiny one."""
    image = image.crop((0, 0, min(image.width, width), min(image.height, height)))
    light, opacity = (np.asarray(band, np.uint16) for band in image.split())
    high, wide = opacity.shape
    halved = opacity.reshape(high // 2, 2, wide // 2, 2).mean((1, 3)).astype(np.uint16)
    return Lettering(
        left=min(max(0, int(left) & ~1), width - wide),
        top=min(max(0, int(top) & ~1), height - high),
        light=light * opacity,
        clear=255 - opacity,
        clear_chroma=255 - halved,
    )


def _lines(text: str, font: ImageFont.FreeTypeFont, room: float) -> list[str]:
    """Return a text in lines of about the same width, or in full ones if it needs more than `LINES`.

    What is wider than a line is cut anywhere.
    """
    parts: list[str] = []
    for word in _UNBROKEN.findall(text):
        parts += [word] if font.getlength(word.rstrip()) <= room else word
    whole = font.getlength(text)
    for count in range(math.ceil(whole / room), LINES + 1):
        for limit in np.linspace(whole / count, room, 8):
            lines = _filled(parts, font, float(limit))
            if len(lines) <= count and max(font.getlength(line.rstrip()) for line in lines) <= room:
                return lines
    return _filled(parts, font, room)


def _filled(parts: list[str], font: ImageFont.FreeTypeFont, limit: float) -> list[str]:
    """Return lines that take as many parts as stay below a width, one at least."""
    lines = [""]
    for part in parts:
        if lines[-1] and font.getlength((lines[-1] + part).rstrip()) > limit:
            lines.append("")
        lines[-1] += part
    return lines


def _cut(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    while text and font.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _even(pixels: int) -> int:
    return pixels + pixels % 2


def complete(text: str) -> bool:
    """Return whether the font has every letter of a text; the others are left out of captions.

    Raises:
        OSError: The font is not installed, or damaged.
    """
    return all(_has(letter) for letter in unicodedata.normalize("NFC", text) if letter.isalnum())


def _known(text: str) -> str:
    """Return a text without letters that the font does not have, and without signs that nobody sees."""
    letters = unicodedata.normalize("NFC", text)  # the font has few marks that stand alone
    return " ".join("".join(letter for letter in letters if letter.isspace() or _has(letter)).split())


@cache
def _has(letter: str) -> bool:
    if unicodedata.category(letter) == "Cf":
        return False
    font = _font(24, ImageFont.Layout.BASIC)  # another layout would put a circle under a mark that stands alone
    return bytes(font.getmask(letter)) != bytes(font.getmask("\U0010ffff"))


def _path() -> Path | None:
    found = importlib.util.find_spec(_PACKAGE)
    path = Path(found.origin).parent / _FILE if found and found.origin else None
    return path if path and path.is_file() else None


@lru_cache(maxsize=32)
def _font(size: int, layout: ImageFont.Layout | None = None) -> ImageFont.FreeTypeFont:
    path = _path()
    if path is None:
        raise FileNotFoundError(_FILE)
    return ImageFont.truetype(str(path), size, layout_engine=layout)
