"""Accepted kinds of files, detected by their contents, not their names; and their limits."""

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
"""Accepted kinds of pictures, with Pillow's names."""
VIDEOS = ("MP4", "MOV", "WebM", "MKV", "AVI", "MPEG")
"""Usual kinds of video; others that FFmpeg decodes are accepted, too."""
MAX_PICTURE, MAX_VIDEO = 100_000_000, 36_000_000
"""Most pixels of a picture, and of each picture of a video: 8K."""
MAX_ASPECT = 5
"""Highest ratio of the long side to the short one."""
SHORTEST = 0.5
"""Seconds."""
LONGEST = 60.0
"""Seconds of clip for an avatar; more only costs memory, since the clip loops."""
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats in which several pictures of a file follow each other in time; in others they are pages or views."""

_MARKS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
"""Brands of ISO files (``ftyp``) that are pictures."""

Kind = Literal["photo", "animation", "video"]


def kind_of(path: Path) -> Kind:
    """Return the kind of a file by its contents; "video" for everything that is no picture.

    Raises:
        BadClip: The file is a picture beyond the limits.
    """
    try:
        with opened(path) as image:
            animated = image.format in _ANIMATED and getattr(image, "is_animated", False)
            return "animation" if animated else "photo"
    except (OSError, SyntaxError, ValueError):  # broken: reading it raises the right error
        return "photo" if _marked(path) else "video"


def _marked(path: Path) -> bool:
    """Return whether a file begins like a picture."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return head.startswith(_MARKS) or head[8:12] == b"WEBP" or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Give a picture, of which nothing is decoded yet; also raises what Pillow does.

    Raises:
        BadClip: The picture is beyond the limits.
    """
    from pi_heif import register_heif_opener  # imported here: seldom needed

    register_heif_opener()
    guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the limit below has a clearer message
    try:
        with Image.open(path, formats=list(PICTURES.values())) as image:
            check_size(path, image.width, image.height, MAX_PICTURE)
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = guard


def check_size(path: Path, width: int, height: int, most: int) -> None:
    """Check the size of a picture.

    Args:
        path: The file, for the message.
        width: Width in pixels.
        height: Height in pixels.
        most: Most pixels.

    Raises:
        BadClip: It is too large, or too long and narrow.
    """
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
    """Check the length of the part of a clip from `begin` to `stop` (seconds).

    Raises:
        BadClip: It is too short or too long.
    """
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
