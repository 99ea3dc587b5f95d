"""Lays an avatar's person over another background, once for all frames of the clip: only the face changes later."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import av
import cv2
import numpy as np
from PIL import Image

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import Background
from pipeline.core.cancel import CancelToken
from pipeline.preparing.encode_clip import encode
from pipeline.video.frame import Frame, parted, parts_of
from pipeline.video.reader import ColorTags

VERSION = 2
"""Changes whenever composed clips look different."""
_X264 = {"preset": "superfast", "tune": "zerolatency", "crf": "14", "g": "250"}
"""Finer than a pack's clip, since it is encoded once more; each picture can be read as soon as it is composed."""
AT_ONCE = max(1, min(4, os.cpu_count() or 1))
"""Frames that are composed at a time."""
_CLEAN = 0.015
"""Radius around a pixel at the edge within which the person's own colour is looked for, in heights of the picture."""
_NOBODY, _WHOLLY = 0.01, 0.99
"""Shares up to which a pixel has nothing of the person, and from which it has nothing else."""
_BLUR = 0.035
"""Softness of a blurred background (sigma), in heights of the picture."""
_SHRUNK = 4
"""Factor by which a background is shrunk while it is blurred."""
_SPILL = 0.6
"""How much chroma of a screen a person may have, as a share of their other chroma."""


def composed_video(
    avatar: Avatar,
    background: Background,
    cancel: CancelToken,
    told: Callable[[float], object] = lambda done: None,
    grown: Callable[[bytes, bytes], object] = lambda header, packet: None,
) -> bytes:
    """Return the clip of an avatar in front of another background, an mp4 like its own.

    With nothing behind the person, its pictures have two parts of the same size (see `Background`): above the person's
    own colours, which go on a little beyond the edge, below how far each pixel is theirs (luma: black none of it).

    Args:
        avatar: One with a matte.
        background: What is behind the person.
        cancel: Checked for every frame.
        told: Called with how much is done, 0..1, for every frame.
        grown: Called with each packet (see ``encode``).

    Raises:
        RenderFailed: A clip or its matte is broken.
        Cancelled: `cancel` is set.
    """
    reader = avatar.clip

    def counted(frames: Iterator[Frame]) -> Iterator[Frame]:
        for number, frame in enumerate(frames):
            cancel.check()
            told(number / max(1, reader.count))
            yield frame

    with closing(_frames(avatar, background)) as frames:
        height = height_of(avatar, background)
        return encode(counted(frames), avatar.width, height, reader.fps, reader.colors, _X264, grown)


def height_of(avatar: Avatar, background: Background) -> int:
    """Return the height of the pictures of an avatar in front of a background, in pixels."""
    return avatar.height * (2 if background.kind == "transparent" else 1)


def composed_picture(avatar: Avatar, background: Background) -> np.ndarray:
    """Return the first picture of an avatar in front of another background.

    Args:
        avatar: One with a matte.
        background: What is behind the person; with nothing, the picture is transparent.

    Returns:
        (height, width, 3) uint8 RGB, or (height, width, 4) with how opaque each pixel is.

    Raises:
        RenderFailed: The clip or its matte is broken.
    """
    with closing(_frames(avatar, background, 1)) as frames:
        frame = next(frames)
    tags = avatar.clip.colors
    if background.kind != "transparent":
        return _rgb(frame, tags)
    person, matte = parts_of(frame)
    low, high = _limits(tags.range == 2)
    share = (matte.y.astype(np.float32) - low) * (255 / (high - low))
    return np.dstack([_rgb(person, tags), np.rint(share).clip(0, 255).astype(np.uint8)])


def _rgb(frame: Frame, colors: ColorTags) -> np.ndarray:
    """Return a picture of a video with tags, (height, width, 3) uint8."""
    space, extent = _tags(colors)
    picture = av.VideoFrame.from_ndarray(frame.planes, format="yuv420p")
    return picture.reformat(format="rgb24", src_colorspace=space, src_color_range=extent).to_ndarray()


def _tags(colors: ColorTags) -> tuple[av.video.reformatter.Colorspace, av.video.reformatter.ColorRange]:
    """Return the colour space and range of a video as PyAV names them."""
    tags = av.video.reformatter
    return (
        tags.Colorspace.ITU709 if colors.space == 1 else tags.Colorspace.ITU601,
        tags.ColorRange.JPEG if colors.range == 2 else tags.ColorRange.MPEG,
    )


def _frames(avatar: Avatar, background: Background, at_once: int = AT_ONCE) -> Generator[Frame, None, None]:
    """Yield the frames of a clip in front of another background, several of which are composed at a time."""
    assert avatar.matte is not None, "requests without one are refused"
    colors, key = avatar.clip.colors, avatar.matte.key
    still = None if background.kind == "blur" else _still(background, avatar.width, avatar.height, colors)

    def compose(frame: Frame, matte: Frame) -> Frame:
        share = matte.y.astype(np.float32) / 255
        if background.kind == "transparent":
            return _parted(frame, share, colors.range == 2, key)
        return _over(frame, share, _blurred(frame, share) if still is None else still, key)

    pairs = zip(avatar.clip.once(), avatar.matte.clip.once(), strict=True)
    with ThreadPoolExecutor(at_once, "compose") as pool:
        waiting: deque[Future[Frame]] = deque()
        for frame, matte in pairs:
            waiting.append(pool.submit(compose, frame, matte))
            if len(waiting) >= at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _limits(full: bool) -> tuple[int, int]:
    """Return luma of black and of white."""
    return (0, 255) if full else (16, 235)


def _parted(frame: Frame, share: np.ndarray, full: bool, key: tuple[int, int] | None) -> Frame:
    """Return a picture of two parts: a person's own colours, and below them their shares.

    Args:
        frame: The picture.
        share: (height, width) float32, 0..1.
        full: Whether luma has the full range.
        key: U and V of the screen that was behind the person.
    """
    dark = Frame(np.full_like(frame.planes, 128))
    low, high = _limits(full)
    dark.y[:] = low
    sure = np.minimum(1, cv2.blur(share, (5, 5)) * 6)  # hair is not to be mixed with black
    own = _over(frame, share, dark, key, opaque=sure)
    dark.y[:] = np.rint(low + (high - low) * share)
    return parted(own, dark)


def _over(
    frame: Frame, share: np.ndarray, behind: Frame, key: tuple[int, int] | None, opaque: np.ndarray | None = None
) -> Frame:
    """Return the person of a frame over a background.

    Args:
        frame: The picture.
        share: (height, width) float32, how far each pixel belongs to the person, 0..1.
        behind: The background.
        key: U and V of the screen that was behind the person.
        opaque: (height, width) float32, how much of the person's own colours is seen; by default `share`.
    """
    out = Frame(behind.planes.copy())
    half = share.shape[1] // 2, share.shape[0] // 2
    halved = cv2.resize(share, half, interpolation=cv2.INTER_AREA)
    seen = share if opaque is None else opaque
    seen_halved = halved if opaque is None else cv2.resize(opaque, half, interpolation=cv2.INTER_AREA)
    chroma = frame.uv if key is None else _without_spill(frame.uv, key)
    radius = _CLEAN * frame.height
    _lay(frame.y, share, seen, out.y, radius)
    for own, plane in zip(chroma, out.uv, strict=True):
        _lay(own, halved, seen_halved, plane, radius / 2)
    return out


def _lay(own: np.ndarray, share: np.ndarray, opaque: np.ndarray, plane: np.ndarray, radius: float) -> None:
    """Lay a person over a plane, in place.

    At the edge it is the person's own value that is mixed in, without what shone through there: that would be a halo.
    It is the mean of their values near the pixel, and what the pixel itself adds to the mixture of both means (Forte,
    "Approximate Fast Foreground Colour Estimation", 2021).

    Args:
        own: (h, w) uint8, the person as filmed.
        share: (h, w) float32, how far each pixel is theirs.
        opaque: (h, w) float32, how much of them is seen there.
        plane: (h, w) uint8, what is behind them.
        radius: In which their values are looked for, in pixels.
    """
    np.copyto(plane, own, where=share >= _WHOLLY)
    at = np.flatnonzero((opaque > _NOBODY) & (share < _WHOLLY))
    if not len(at):
        return
    half = max(2, own.shape[1] // 2), max(2, own.shape[0] // 2)  # means are smooth
    small = cv2.resize(own, half, interpolation=cv2.INTER_AREA).astype(np.float32)
    part = cv2.resize(share, half, interpolation=cv2.INTER_AREA)
    size = (2 * max(2, round(radius / 2)) + 1,) * 2
    rows, columns = np.divmod(at, own.shape[1])
    near = np.minimum(rows // 2, half[1] - 1) * half[0] + np.minimum(columns // 2, half[0] - 1)

    def mean(weight: np.ndarray) -> np.ndarray:
        weight = weight * weight  # to the fourth power: pixels that are nearly all the person's count most
        weight = weight * weight
        total, weights = (np.take(cv2.blur(one, size), near) for one in (small * weight, weight))
        found: np.ndarray = total / (weights + 1e-6)
        return found

    person, rest = mean(part), mean(1 - part)
    alpha, seen, behind = (np.take(one, at) for one in (share, own, plane))
    clean = (person + alpha * (seen - alpha * person - (1 - alpha) * rest)).clip(0, 255)
    much = np.take(opaque, at)
    np.put(plane, at, np.rint(clean * much + behind * (1 - much)))


def _without_spill(chroma: tuple[np.ndarray, np.ndarray], key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return U and V of a person without the light of a screen on them, whose U and V are given."""
    toward = np.array(key, np.float32) - 128
    toward /= max(float(np.linalg.norm(toward)), 1e-6)
    u, v = (plane.astype(np.float32) - 128 for plane in chroma)
    along, across = u * toward[0] + v * toward[1], np.abs(v * toward[0] - u * toward[1])
    excess = np.maximum(along - _SPILL * across, 0)
    found = (np.rint(128 + plane - excess * part).clip(0, 255) for plane, part in zip((u, v), toward, strict=True))
    first, second = (plane.astype(np.uint8) for plane in found)
    return first, second


def _blurred(frame: Frame, share: np.ndarray) -> Frame:
    """Return what is behind the person in a frame, blurred, without the person."""
    out = Frame(np.empty_like(frame.planes))
    for plane, own, shrink in (
        (out.y, frame.y, _SHRUNK),
        *((a, b, _SHRUNK // 2) for a, b in zip(out.uv, frame.uv, strict=True)),
    ):
        size = max(4, own.shape[1] // shrink), max(4, own.shape[0] // shrink)
        rest = 1 - cv2.resize(share, size, interpolation=cv2.INTER_AREA)
        rest = np.where(rest > 0.9, rest, 0).astype(np.float32)  # nothing of the person
        small = cv2.resize(own, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        total, weight = small * rest, rest
        sigma = _BLUR * frame.height / _SHRUNK
        near = [cv2.GaussianBlur(one, (0, 0), sigma) for one in (total, weight)]
        far = [cv2.blur(one, (size[0] | 1, size[1] | 1)) for one in (total, weight)]  # deep behind the person
        soft = (near[0] + 1e-3 * far[0]) / (near[1] + 1e-3 * far[1] + 1e-6)
        plane[:] = cv2.resize(soft, own.shape[::-1], interpolation=cv2.INTER_LINEAR).round().clip(0, 255)
    return out


def _still(background: Background, width: int, height: int, colors: ColorTags) -> Frame:
    """Return a colour or a picture in a size, in the colours of a video; a picture is cropped to fill it."""
    if background.picture is None:
        picture = np.full((height, width, 3), background.color, np.uint8)
    else:
        with Image.open(background.picture) as image:
            picture = _filling(np.asarray(image.convert("RGB")), width, height)
    space, extent = _tags(colors)
    shown = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=space, dst_color_range=extent
    )
    return Frame(shown.to_ndarray())


def _filling(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the middle of a picture in a size, as much of it as its shape allows."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, size, interpolation=how)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])
