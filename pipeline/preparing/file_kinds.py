"""Which files avatars are made of, told apart by what is in them, not by their names; and how large they may be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from PIL import Image

from pipeline.errors import BadClip

PICTURES = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WebP": "WEBP",
    "AVIF": "AVIF",
    "HEIC": "HEIF",
    "GIF": "GIF",
    "TIFF": "TIFF",
    "BMP": "BMP",
}
"""Every kind of picture that is taken, and Pillow's name for it."""
VIDEOS = ("MP4", "MOV", "WebM", "MKV", "AVI", "MPEG")
"""Usual kinds of video; others that FFmpeg decodes are taken, too."""
MAX_PICTURE, MAX_VIDEO = 100_000_000, 36_000_000
"""Pixels of a picture, and of each picture of a video: 8K."""
MAX_ASPECT = 5
"""How many times as long as wide a picture may be."""
SHORTEST = 0.5
"""Seconds."""
LONGEST = 60.0
"""Seconds of clip that an avatar is made from; more only costs memory, since the clip loops."""
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Those of which several pictures in a file follow each other in time; elsewhere they are pages or views."""

_MARKS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
"""Of ISO files (``ftyp``) that are pictures."""

Kind = Literal["photo", "animation", "video"]


def kind_of(path: Path) -> Kind:
    """Return what the file at PATH is by its content: "video" for all that is no picture, also where it is nothing.

    Raises BadClip for a picture beyond the limits.
    """
    try:
        with opened(path) as image:
            animated = image.format in _ANIMATED and getattr(image, "is_animated", False)
            return "animation" if animated else "photo"
    except (OSError, SyntaxError, ValueError):  # broken: whoever reads it tells how
        return "photo" if _marked(path) else "video"


def _marked(path: Path) -> bool:
    """Whether the file at PATH begins as pictures do."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return head.startswith(_MARKS) or head[8:12] == b"WEBP" or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Give the picture at PATH, of which nothing is decoded yet. Raises BadClip beyond the limits, what Pillow does."""
    from pi_heif import register_heif_opener  # here, since few who start the server have a photo

    register_heif_opener()
    guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the limit below says in a sentence what is wrong
    try:
        with Image.open(path, formats=list(PICTURES.values())) as image:
            check_size(path, image.width, image.height, MAX_PICTURE)
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = guard


def check_size(path: Path, width: int, height: int, most: int) -> None:
    """Raise BadClip where WIDTH x HEIGHT is more than MOST pixels, or far longer than wide."""
    if width * height > most:
        ko = f"{most // 10**8}억" if most >= 10**8 else f"{most // 10**4:,}만"
        raise BadClip(
            f"{path.name}: 너무 큽니다 ({width}x{height}). {ko} 픽셀 이하로 줄이세요.",
            f"{path.name} is too large ({width}x{height}). Make it {most // 1_000_000} million pixels or fewer.",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadClip(
            f"{path.name}: 너무 길쭉합니다 ({width}x{height}). 긴 변이 짧은 변의 {MAX_ASPECT}배 이하가 되게 자르세요.",
            f"{path.name} is too long and narrow ({width}x{height}). Crop it: its long side may be at most "
            f"{MAX_ASPECT} times its short one.",
        )


def check_length(path: Path, begin: float, stop: float) -> None:
    """Raise BadClip where the part from BEGIN to STOP (s) of a clip is too short or too long."""
    if begin < 0 or stop - begin < SHORTEST:
        length = max(0.0, stop - begin)
        raise BadClip(
            f"{path.name}: 사용할 부분이 {length:.2f}초입니다. {SHORTEST}초 이상이어야 하고, 5초 이상을 권합니다.",
            f"{path.name}: the part to use is {length:.2f} s long. It must be {SHORTEST} s or more, better 5 s.",
        )
    if stop - begin > LONGEST:
        raise BadClip(
            f"{path.name}: 너무 깁니다 ({stop - begin:.0f}초). start와 end로 {LONGEST:.0f}초 이하를 고르세요.",
            f"{path.name} is too long ({stop - begin:.0f} s). Choose {LONGEST:.0f} s or less with start and end.",
        )
