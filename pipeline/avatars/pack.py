"""Reads and writes avatar packs; the only place that unpickles.

A pack is a pickle, since API.md names avatars by ``.pkl`` paths, but a harmless one: a dict of builtins, bytes and
arrays. Reading it runs no code: ``pipeline.avatars.unpickle`` builds the values, within bounds, and even the few names
that it allows (numpy's) are its own stand-ins.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from pipeline import messages
from pipeline.avatars.avatar import CLIPS, GENDERS, LATENTS, MASK_SIDE, Avatar, Inpainting, Matte, OwnMouth, Teeth
from pipeline.avatars.points import POINTS, packed, unpacked
from pipeline.avatars.unpickle import Refused, restricted_head, restricted_loads
from pipeline.errors import AvatarNotFound, BadClip, BadPack, RenderFailed
from pipeline.messages import Message
from pipeline.video.reader import ClipReader

FORMAT = "avatar-pack"
VERSION = 2
OLDER_VERSIONS = (1,)
"""Versions that can be read, too: with face points as arrays."""
ORIGINAL_PICTURES = ("frames", "frame_list", "frames_cycle", "frame_cycle", "frame_list_cycle")
"""Keys of the pictures in packs of the original system; a cycle is a clip forwards and backwards."""
MAX_BYTES = 4 << 30
"""Packs of the original system store raw pictures: 1.5 GB for ten seconds of 1080p."""
MAX_FRAMES = 20_000
MAX_SIDE = 8192
"""Pixels."""
MAX_TEETH_SIDE = 1024
"""Pixels."""
MAX_MOUTHS, MAX_MOUTH_SIDE = 256, 512
"""Pictures of a mouth; pixels of each."""
OPENING = (0.5, 2.0)
"""Range of the factor of a mouth's opening."""
SOFTEST = 0.1
"""Highest softness of a face, in units of the face basis."""
_HEAD = 1024
"""Bytes of a pack that hold the entries before the video."""


def save(avatar: Avatar, path: Path) -> None:
    """Write a pack, completely or not at all; missing folders are created.

    Face points are rounded to a 64th of a pixel.

    Raises:
        OSError: The pack cannot be written.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": avatar.name,
        "resolution": avatar.resolution,
        "gender": avatar.gender,  # before the video, where ``gender_of`` finds it
        "width": avatar.width,
        "height": avatar.height,
        "fps": (avatar.fps.numerator, avatar.fps.denominator),
        **_filmed(avatar),
        "teeth": _parts(avatar.teeth),
        "mouth": _parts(avatar.mouth),
        "inpainting": _parts(avatar.inpainting),
        "opening": avatar.opening,
        "softness": avatar.softness,
        "clips": {name: _filmed(clip) for name, clip in avatar.clips.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            pickle.dump(content, file, protocol=4)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _filmed(avatar: Avatar) -> dict[str, object]:
    """Return the entries of a clip: its video, and what was measured in each frame."""
    same = np.array_equal(avatar.landmarks, avatar.rest)
    return {
        "video": avatar.video,
        "landmarks": packed(avatar.landmarks),
        "rest": None if same else packed(avatar.rest),
        "usable": np.ascontiguousarray(avatar.usable, bool),
        "gaze": None if avatar.gaze is None else np.ascontiguousarray(avatar.gaze, np.float32),
        "matte": _parts(avatar.matte),
    }


def _parts(value: Teeth | OwnMouth | Matte | Inpainting | None) -> tuple[object, ...] | None:
    return None if value is None else tuple(getattr(value, field.name) for field in fields(value))


Adopt = Callable[[Mapping[str, Any], str, str], Avatar]
"""Makes an avatar from the contents of a pack of the original system, its name and its resolution.

May raise ValueError and BadClip.
"""


def load(path: Path, adopt: Adopt | None = None) -> Avatar:
    """Read a pack and check it against its own video; no code of it is run.

    Args:
        path: The pack.
        adopt: Opens packs of the original system; finding the face in their pictures takes seconds.

    Raises:
        NotFound: There is no such file.
        BadPack: It is truncated, no pack, contains code, or contradicts itself.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _bad(path, messages.avatars.PACK_TOO_LARGE())
        data = path.read_bytes()
    except OSError as error:
        raise AvatarNotFound(messages.avatars.PACK_GONE(file=path.name)) from error
    try:
        content = restricted_loads(data)
    except Refused as error:
        raise _bad(path, messages.avatars.PACK_BROKEN(reason=error)) from error
    try:
        if adopt is None or not _is_original(content):
            return _avatar(content)
        name, _, resolution = path.name.removesuffix("_precomputed.pkl").rpartition("_")
        return adopt(content, name, resolution)
    except (_Wrong, RenderFailed, BadClip, ValueError) as error:
        raise _bad(path, messages.avatars.PACK_WRONG(reason=error)) from error


def gender_of(path: Path) -> str:
    """Return the gender of a pack's person, from its first bytes; "" if it is unknown, or the file is no pack."""
    try:
        with path.open("rb") as file:
            head = restricted_head(file.read(_HEAD))
    except OSError:
        return ""
    gender = head.get("gender")
    return str(gender) if head.get("format") == FORMAT and gender in GENDERS else ""


def _is_original(content: object) -> TypeGuard[dict[str, Any]]:
    if not isinstance(content, dict) or "format" in content:
        return False
    return any(key in content for key in ORIGINAL_PICTURES)


class _Wrong(Exception):
    """A value of the pack is missing, of the wrong type or out of range."""


def _avatar(content: object) -> Avatar:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _Wrong(f"no {FORMAT}")
    if content.get("version") not in (VERSION, *OLDER_VERSIONS):
        raise _Wrong(f"another version than {VERSION}")
    width, height = (_integer(content, key, 16, MAX_SIDE) for key in ("width", "height"))
    if width % 2 or height % 2:
        raise _Wrong(f"odd size {width}x{height}")
    fps = _fps(content)
    filmed = _clip(content, (width, height), fps)
    name, resolution = _value(content, "name", str), _value(content, "resolution", str)
    inpainting = _inpainting(content, len(filmed["usable"]), (width, height))
    opening = _value(content, "opening", float) if "opening" in content else 1.0  # packs older than this entry
    if not OPENING[0] <= opening <= OPENING[1]:
        raise _Wrong(f"opening: {opening}")
    softness = _value(content, "softness", float) if "softness" in content else 0.0
    if not 0 <= softness <= SOFTEST:
        raise _Wrong(f"softness: {softness}")
    gender = _value(content, "gender", str) if "gender" in content else ""
    if gender not in ("", *GENDERS):
        raise _Wrong(f"gender: {gender:.20}")
    avatar = Avatar(
        name=name,
        resolution=resolution,
        width=width,
        height=height,
        fps=fps,
        **filmed,
        teeth=_teeth(content),
        mouth=_mouth(content),
        inpainting=inpainting,
        opening=opening,
        softness=softness,
        gender=gender,
    )
    clips = _value(content, "clips", dict) if "clips" in content else {}
    alone = replace(avatar, inpainting=None)
    found = {name: replace(alone, **_clip(clips[name], (width, height), fps)) for name in CLIPS if name in clips}
    return replace(avatar, clips=found)


def _clip(content: object, size: tuple[int, int], fps: Fraction) -> dict[str, Any]:
    """Return the entries of a clip, which is in a size (width, height in pixels) and has a rate."""
    if not isinstance(content, dict):
        raise _Wrong("a clip: no dict")
    video = _value(content, "video", bytes)
    reader = ClipReader(video)
    if (reader.width, reader.height) != size or reader.codec != "h264" or reader.pix_fmt != "yuv420p":
        raise _Wrong(f"video is {reader.width}x{reader.height} {reader.codec} {reader.pix_fmt}")
    if not 1 <= reader.count <= MAX_FRAMES or abs(reader.fps - fps) > Fraction(1, 100):
        raise _Wrong(f"video has {reader.count} frames at {reader.fps} a second")
    landmarks = _points(content, "landmarks", reader.count, max(size))
    rest = landmarks if content.get("rest") is None else _points(content, "rest", reader.count, max(size))
    usable = _array(content, "usable", np.dtype(bool), (reader.count,))
    gaze, matte = _gaze(content, reader.count), _matte(content, reader)
    return {"video": video, "landmarks": landmarks, "rest": rest, "usable": usable, "gaze": gaze, "matte": matte}


def _gaze(content: Mapping[str, Any], frames: int) -> np.ndarray | None:
    if content.get("gaze") is None:  # also in packs older than this entry
        return None
    gaze = _array(content, "gaze", np.dtype(np.float32), (frames, 3))
    # nan compares as false
    if not ((np.abs(gaze[:, :2]) <= 90).all() and ((gaze[:, 2] >= 0) & (gaze[:, 2] <= 1)).all()):
        raise _Wrong("gaze: out of range")
    return gaze


def _matte(content: Mapping[str, Any], clip: ClipReader) -> Matte | None:
    if content.get("matte") is None:  # also in packs older than this entry
        return None
    parts = _named(content, "matte", Matte)
    video, key = _value(parts, "video", bytes), parts["key"]
    reader = ClipReader(video)
    if reader.codec != "h264" or reader.pix_fmt != "yuv420p":
        raise _Wrong(f"matte is {reader.codec} {reader.pix_fmt}")
    if (reader.width, reader.height, reader.count) != (clip.width, clip.height, clip.count):
        raise _Wrong(f"matte has {reader.count} frames of {reader.width}x{reader.height}")
    if key is not None:
        in_range = type(key) is tuple and len(key) == 2 and all(type(one) is int and 0 <= one <= 255 for one in key)
        if not in_range:
            raise _Wrong("matte: expected two bytes of a colour")
    return Matte(video, key)


def _value(content: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = content.get(key)
    if type(value) is not kind:  # a bool is no int here
        raise _Wrong(f"{key}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def _integer(content: Mapping[str, Any], key: str, lowest: int, highest: int) -> int:
    value: int = _value(content, key, int)
    if not lowest <= value <= highest:
        raise _Wrong(f"{key}: {value}")
    return value


def _fps(content: Mapping[str, Any]) -> Fraction:
    value = _value(content, "fps", tuple)
    if len(value) != 2 or any(type(part) is not int or not 0 < part < 10_000_000 for part in value):
        raise _Wrong("fps: expected two whole numbers")
    fps = Fraction(*value)
    if not 1 <= fps <= 120:
        raise _Wrong(f"fps: {fps}")
    return fps


def _array(content: Mapping[str, Any], key: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    array: np.ndarray = _value(content, key, np.ndarray)
    if array.dtype != dtype or array.shape != shape:
        raise _Wrong(f"{key}: {array.shape} {array.dtype}, expected {shape} {dtype}")
    array.setflags(write=False)
    return array


def _points(content: Mapping[str, Any], key: str, frames: int, side: int) -> np.ndarray:
    value = content.get(key)
    if isinstance(value, bytes):
        points = unpacked(value, frames)
        points.setflags(write=False)
    else:
        points = _array(content, key, np.dtype(np.float32), (frames, POINTS, 3))
    if not np.isfinite(points).all() or np.abs(points).max() > 4 * side:
        raise _Wrong(f"{key}: points far outside the picture")
    return points


def _teeth(content: Mapping[str, Any]) -> Teeth | None:
    if content.get("teeth") is None:  # also in packs older than this entry
        return None
    parts = _named(content, "teeth", Teeth)
    white = _value(parts, "white", float)
    tint = _array(parts, "tint", np.dtype(np.float32), (2,))
    corners = _array(parts, "corners", np.dtype(np.float32), (3, 2))
    size = float(corners[1, 0] - corners[0, 0]), float(corners[2, 1] - corners[0, 1])
    sized = 0.05 < min(size) <= max(size) < 1 and np.abs(corners).max() < 16
    if not (sized and 0 < white < 16 and np.abs(tint).max() <= 128):
        raise _Wrong(f"teeth: white {white}, tint {tint}, {size[0]} by {size[1]} units")
    picture = parts["picture"]
    if picture is not None:
        height, width = np.shape(picture)[:2] if np.ndim(picture) == 3 else (0, 0)
        picture = _array(parts, "picture", np.dtype(np.uint8), (height, width, 3))
        if not (0 < height <= MAX_TEETH_SIDE and 0 < width <= MAX_TEETH_SIDE):
            raise _Wrong(f"teeth: a picture of {width} x {height}")
    return Teeth(white, tint, picture, corners)


def _mouth(content: Mapping[str, Any]) -> OwnMouth | None:
    if content.get("mouth") is None:  # also in packs older than this entry
        return None
    parts = _named(content, "mouth", OwnMouth)
    count, height, width = np.shape(parts["luma"]) if np.ndim(parts["luma"]) == 3 else (0, 0, 0)
    lip = _integer(parts, "lip_rows", 2, MAX_MOUTH_SIDE)
    sized = 0 < count <= MAX_MOUTHS and 4 <= min(height, width) <= max(height, width) <= MAX_MOUTH_SIDE
    if not sized or 2 * lip + 2 > height or height % 2 or width % 2 or lip % 2:
        raise _Wrong(f"mouth: {count} pictures of {width} x {height} with {lip} rows for a lip")
    shapes = _array(parts, "shapes", np.dtype(np.float32), (count, 4))
    skin = _array(parts, "skin", np.dtype(np.float32), (3,))
    # nan compares as false
    if not (np.abs(shapes) < 16).all() or not (shapes[:, 0] > 0).all() or not ((skin >= 0) & (skin <= 255)).all():
        raise _Wrong(f"mouth: shapes or skin {skin} out of range")
    return OwnMouth(
        shapes=shapes,
        luma=_array(parts, "luma", np.dtype(np.uint8), (count, height, width)),
        chroma=_array(parts, "chroma", np.dtype(np.uint8), (count, 2, height // 2, width // 2)),
        lip_rows=lip,
        skin=skin,
    )


def _named(
    content: Mapping[str, Any], key: str, kind: type[Teeth] | type[OwnMouth] | type[Matte] | type[Inpainting]
) -> dict[str, Any]:
    """Return the fields of a saved object by name."""
    value = _value(content, key, tuple)
    if len(value) != len(fields(kind)):
        raise _Wrong(f"{key}: {len(value)} parts")
    return {field.name: part for field, part in zip(fields(kind), value, strict=True)}


def _inpainting(content: Mapping[str, Any], frames: int, size: tuple[int, int]) -> Inpainting | None:
    if content.get("inpainting") is None:  # also in packs older than this entry
        return None
    parts = _named(content, "inpainting", Inpainting)
    boxes = _array(parts, "boxes", np.dtype(np.int32), (frames, 4))
    start, stop = boxes[:, :2], boxes[:, 2:]
    if (start < 0).any() or (stop > size).any() or not ((stop > start).all(1) | (boxes == 0).all(1)).all():
        raise _Wrong("boxes: outside the picture")
    latents = _array(parts, "latents", np.dtype(np.float32), (frames, *LATENTS))
    if not np.isfinite(latents).all():
        raise _Wrong("latents: not numbers")
    return Inpainting(boxes, latents, _array(parts, "masks", np.dtype(np.uint8), (frames, MASK_SIDE, MASK_SIDE)))


def _bad(path: Path, why: Message) -> BadPack:
    return BadPack(messages.avatars.PACK_UNUSABLE(file=path.name, why=why))
