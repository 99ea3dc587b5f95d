"""Opens a photo as cameras and phones take them, and finds the face in it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from pipeline import messages
from pipeline.errors import BadClip
from pipeline.face.finder import FaceChoice, FaceFinder, box_of, choose
from pipeline.preparing.file_kinds import opened

Color = tuple[int, int, int]
"""Red, green and blue, 0..255."""
BACKGROUND: Color = (224, 224, 224)
"""Default background of transparent pictures."""


def color_of(text: str) -> Color:
    """Return the colour of a text, "rrggbb" with or without "#".

    Raises:
        ValueError: The text is no colour.
    """
    digits = text.strip().removeprefix("#")
    if not re.fullmatch("[0-9a-fA-F]{6}", digits):
        raise ValueError(f"{text:.20} is no colour; say RRGGBB, such as ffffff")
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def open_photo(path: Path, background: Color = BACKGROUND) -> np.ndarray:
    """Return a photo, upright, (height, width, 3) uint8 sRGB, with a background behind transparent parts.

    Raises:
        BadClip: The file is no picture, or beyond the limits (see ``file_kinds``).
    """
    try:
        with opened(path) as image:
            return flat(image, background)
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise unreadable_picture(path) from error


def unreadable_picture(path: Path) -> BadClip:
    """Return the error for a picture that is broken."""
    return BadClip(messages.preparing.PHOTO_NOT_READABLE(file=path.name))


def flat(image: Image.Image, background: Color) -> np.ndarray:
    """Return an image upright, in sRGB, (height, width, 3) uint8, with a background behind transparent parts."""
    image = ImageOps.exif_transpose(image)
    picture = np.array(_srgb(image))
    if not image.has_transparency_data:
        return picture
    seen = _opacity(image)[..., None].astype(np.uint16)
    behind = np.array(background, np.uint16)
    mixed: np.ndarray = ((picture * seen + behind * (255 - seen) + 127) // 255).astype(np.uint8)
    return mixed


def _opacity(image: Image.Image) -> np.ndarray:
    """Return the opacity of an image with transparent pixels, (height, width) uint8."""
    hidden = image.info.get("transparency")
    if image.mode.startswith("I") and hidden is not None:  # one of 65536 greys is transparent
        return np.where(np.asarray(image) == hidden, 0, 255).astype(np.uint8)
    return np.asarray(image.convert("RGBA").getchannel("A"))


def _srgb(image: Image.Image) -> Image.Image:
    """Return an image in the colours of videos; photos of phones have wider ones (Display P3)."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    elif image.mode == "F":  # of the range 0..1, or of 8 or 16 bits
        values = np.nan_to_num(np.asarray(image), posinf=0, neginf=0).clip(0)
        white = next((top for top in (1, 255, 65535) if values.max() <= top), values.max())
        image = Image.fromarray((values * (255 / white)).astype(np.uint8))
    elif image.mode in ("LA", "La"):
        image = image.convert("LA").convert("L")
    elif image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGBA").convert("RGB")  # by way of RGBA, since a palette may hold it
    if profile:
        try:
            own, wanted = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, own, wanted, outputMode="RGB") or image
        except (ImageCms.PyCMSError, OSError):  # ignore a broken profile, or one of another kind of picture
            pass
    return image.convert("RGB")


def face_of_photo(photo: np.ndarray, face: FaceChoice) -> np.ndarray:
    """Return the points of a face in a photo (RGB), (478, 3) pixels.

    Raises:
        BadClip: There is no face.
    """
    with FaceFinder() as finder:
        boxes = finder.boxes(photo)
        points = None
        if boxes:
            points = finder.points(photo, choose(boxes, photo.shape[1], photo.shape[0], face))
            # the mesh settles on its own result
            points = points if points is None else finder.points(photo, box_of(points))
    if points is None:
        raise BadClip(messages.preparing.NO_FACE_IN_PHOTO())
    return points
