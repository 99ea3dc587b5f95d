"""Animates a photo: a loop in which the head moves a little, the body breathes and the eyes blink.

Everything moves as one smooth field: rigid on the head, less on the body, fading out towards the picture's edges, at
most a few pixels. All movements repeat with the loop, so that its end meets its start.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps

from pipeline import messages
from pipeline.errors import BadClip
from pipeline.face.finder import FaceChoice, FaceFinder, box_of, choose
from pipeline.preparing.file_kinds import opened
from pipeline.video.frame import Frame

Color = tuple[int, int, int]
"""Red, green and blue, 0..255."""
BACKGROUND: Color = (224, 224, 224)
"""Default background of transparent pictures."""
FPS = Fraction(25)
SECONDS = 8
BLINKS = (1.9, 4.4, 7.0)
"""Seconds at which the lids begin to close; uneven, as people blink."""
_CLOSE, _SHUT, _OPEN = 0.10, 0.04, 0.20
"""Seconds that lids take to close, stay shut and open."""
_SWAY, _NOD, _TILT, _LEAN, _BREATH = 0.014, 0.010, 0.7, 0.005, 0.008
"""How far the head moves aside, up and down (face widths), tilts (degrees), comes closer; how far breathing lifts."""
_EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133), 105),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263), 334),
)
"""The upper lid's edge, the lower lid's, and a point of the brow of each eye, in the picture's order."""


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


def animate(photo: np.ndarray, points: np.ndarray) -> Iterator[Frame]:
    """Yield the frames of one loop.

    Args:
        photo: (height, width, 3) uint8 RGB, even.
        points: (478, 3) pixels of the face.
    """
    height, width = photo.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
    head, body = _weights(grid, points)
    face = box_of(points)
    neck = np.array([points[152, 0], points[152, 1] + 0.25 * face.height], np.float32)[:, None, None]
    for number in range(round(SECONDS * FPS)):
        time = number / float(FPS)
        shut = max(_lid(time - start) for start in BLINKS)
        picture = _blink(photo, points, shut) if shut > 0 else photo
        back = grid - _movement(time, grid, head, body, neck, face.width)
        moved = cv2.remap(picture, back[0], back[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        yield Frame(cv2.cvtColor(moved, cv2.COLOR_RGB2YUV_I420))


def _weights(grid: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each pixel moves with the head and with the body's breathing, (height, width) each, 0..1."""
    face = box_of(points)
    height, width = grid.shape[1:]
    center_x, center_y = face.x + face.width / 2, face.y + face.height * 0.4
    across, down = (grid[0] - center_x) / (1.0 * face.width), (grid[1] - center_y) / (1.0 * face.height)
    head = 1 - _smooth((np.hypot(across, down) - 0.75) / 1.5)
    chin = face.y + face.height
    body = _smooth((grid[1] - chin + 0.1 * face.height) / (1.2 * face.height))
    body *= 1 - _smooth((np.abs(grid[0] - center_x) / face.width - 0.8) / 2.0)
    margin = 0.12 * min(width, height)
    aside = np.minimum(grid[0], width - 1 - grid[0]) / margin
    edge = _smooth(np.minimum(aside, np.minimum(grid[1], height - 1 - grid[1]) / margin))
    return head * edge, body * edge


def _movement(
    time: float, grid: np.ndarray, head: np.ndarray, body: np.ndarray, neck: np.ndarray, size: float
) -> np.ndarray:
    """Return the movement of each pixel at a time (seconds), (2, height, width) pixels; periodic in `SECONDS`."""
    turn = 2 * math.pi * time / SECONDS
    aside = size * _SWAY * (0.7 * math.sin(turn) + 0.3 * math.sin(2 * turn + 1.1))
    nod = size * _NOD * (0.6 * math.sin(2 * turn + 0.4) + 0.4 * math.sin(3 * turn + 2.0))
    tilt = math.radians(_TILT) * (0.7 * math.sin(turn + 0.5) + 0.3 * math.sin(3 * turn))
    lean = _LEAN * math.sin(2 * turn + 2.2)
    breath = -size * _BREATH * (0.5 - 0.5 * math.cos(2 * turn))
    away = grid - neck
    headed = np.stack([aside + lean * away[0] - tilt * away[1], nod + breath + lean * away[1] + tilt * away[0]])
    lifted = np.stack([0.25 * aside * np.ones_like(body), breath * np.ones_like(body)])
    moved: np.ndarray = (headed * head + lifted * body * (1 - head)).astype(np.float32)
    return moved


def _smooth(share: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 without a kink in speed or acceleration (Perlin 2002)."""
    share = np.clip(share, 0, 1)
    risen: np.ndarray = share**3 * (share * (share * 6 - 15) + 10)
    return risen


def _lid(time: float) -> float:
    """Return how far lids are shut that began to close some seconds ago, 0..1."""
    if time < 0 or time > _CLOSE + _SHUT + _OPEN:
        return 0.0
    if time < _CLOSE:
        return 0.5 - 0.5 * math.cos(math.pi * time / _CLOSE)
    opening = max(0.0, time - _CLOSE - _SHUT) / _OPEN
    return 0.5 + 0.5 * math.cos(math.pi * opening)


def _blink(photo: np.ndarray, points: np.ndarray, shut: float) -> np.ndarray:
    """Return a photo with the lids shut (0..1).

    The upper lid's skin is drawn down over the eye, which stays in place.
    """
    out = photo.copy()
    for upper, lower, brow in _EYES:
        corners = points[[upper[0], upper[-1]], :2]
        along = (corners[1] - corners[0]) / np.linalg.norm(corners[1] - corners[0])
        length = float(np.linalg.norm(corners[1] - corners[0]))
        axes = np.stack([along, [-along[1], along[0]]])  # into the eye's own frame: along the slit, and down across it
        x0, y0 = np.floor(corners.mean(0) - length).astype(int).clip(0)
        x1, y1 = np.ceil(corners.mean(0) + length).astype(int)
        patch = photo[y0:y1, x0:x1]
        if min(patch.shape[:2]) < 4:
            continue
        x, y = np.meshgrid(np.arange(x0, x0 + patch.shape[1]), np.arange(y0, y0 + patch.shape[0]))
        u, v = np.einsum("ij,jhw->ihw", axes, np.stack([x, y]) - corners[0][:, None, None])
        own = (points[:, :2] - corners[0]) @ axes.T
        above, below = (np.interp(u, own[list(lid), 0], own[list(lid), 1]) for lid in (upper, lower))
        # the skin comes from between the brow and the lid's edge; lashes just above the edge move with it
        height = max(0.6 * float(np.median(above) - own[brow, 1]), 0.15 * length)
        end = above + shut * np.maximum(below - above, 0) * 1.05
        start = above - height
        inside = (v > start) & (v < end)
        share = np.clip((v - start) / np.maximum(end - start, 1e-3), 0, 1)
        # little at the crease, fully at the edge: the lid unfolds from below the brow
        source = np.where(inside, v - (end - above) * share**2 * (3 - 2 * share), v)
        back = np.einsum("ji,jhw->ihw", axes, np.stack([u, source])) + corners[0][:, None, None]
        map_x, map_y = (back[0] - x0).astype(np.float32), (back[1] - y0).astype(np.float32)
        lid = cv2.remap(patch, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        blend = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), max(0.5, length / 60))[..., None]
        out[y0:y1, x0:x1] = np.round(lid * blend + patch * (1 - blend)).astype(np.uint8)
    return out
