"""Accepted kinds of files, detected by their contents, not their names; and their limits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from PIL import Image

from pipeline import messages
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
def opened(path: Path, most: int = MAX_PICTURE) -> Iterator[Image.Image]:
    """Give a picture, of which nothing is decoded yet; also raises what Pillow does.

    Args:
        path: The file.
        most: Most pixels.

    Raises:
        BadClip: The picture is beyond the limits.
    """
    from pi_heif import register_heif_opener  # imported here: seldom needed

    register_heif_opener()
    guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the limit below has a clearer message
    try:
        with Image.open(path, formats=list(PICTURES.values())) as image:
            check_size(path, image.width, image.height, most)
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
        many = messages.preparing.HUNDRED_MILLIONS(count=most // 10**8)
        limit = many if most >= 10**8 else messages.preparing.MILLIONS(count=most // 10**6)
        raise BadClip(messages.preparing.TOO_MANY_PIXELS(file=path.name, width=width, height=height, limit=limit))
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadClip(messages.preparing.TOO_NARROW(file=path.name, width=width, height=height, limit=MAX_ASPECT))


def check_length(path: Path, begin: float, stop: float) -> None:
    """Check the length of the part of a clip from `begin` to `stop` (seconds).

    Raises:
        BadClip: It is too short or too long.
    """
    if begin < 0 or stop - begin < SHORTEST:
        length = max(0.0, stop - begin)
        raise BadClip(messages.preparing.PART_TOO_SHORT(file=path.name, length=length, shortest=SHORTEST))
    if stop - begin > LONGEST:
        raise BadClip(messages.preparing.CLIP_TOO_LONG(file=path.name, length=stop - begin, limit=LONGEST))
