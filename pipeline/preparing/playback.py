"""The pictures of a clip as players show them: decodable, deinterlaced, upright, in a pack's colours."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from pipeline.preparing.photo import Color
from pipeline.video.frame import Frame

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that support transparency in WebM, unlike FFmpeg's own."""


@dataclass(frozen=True)
class Orientation:
    """How stored pictures become upright, as one of the eight orientations of EXIF and display matrices.

    Attributes:
        transposed: Exchange rows and columns (first).
        mirrored: Exchange left and right.
        flipped: Exchange top and bottom.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    @property
    def upright(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.transposed or self.mirrored or self.flipped)

    def apply(self, frame: Frame) -> Frame:
        """Return a frame upright."""
        if self.upright:
            return frame
        height, width = (frame.width, frame.height) if self.transposed else (frame.height, frame.width)
        turned = Frame(np.empty((height * 3 // 2, width), np.uint8))
        for stored, upright in zip((frame.y, *frame.uv), (turned.y, *turned.uv), strict=True):
            plane = stored.T if self.transposed else stored
            plane = plane[:, ::-1] if self.mirrored else plane
            upright[:] = plane[::-1] if self.flipped else plane
        return turned


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return the orientation of a frame's display matrix, to the nearest quarter of a turn."""
    known: Any = frame.side_data  # a mapping by name; the stubs know only two of them
    if "DISPLAYMATRIX" not in known:
        return Orientation()
    # a point (x, y) of the stored picture is shown at (a x + c y, b x + d y)
    a, b, _, c, d, *_ = (int(number) for number in np.frombuffer(bytes(known["DISPLAYMATRIX"]), np.int32))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the pictures of a stream that can be decoded completely; others are skipped, as players do."""
    decoder: Any = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1" and decoder.name in _WITH_ALPHA:
        decoder = av.VideoCodecContext.create(_WITH_ALPHA[decoder.name], "r")
    decoder.thread_type = "AUTO"
    for packet in container.demux(stream):
        try:
            frames = decoder.decode(packet)  # the last packet, empty, flushes the decoder
        except av.error.InvalidDataError:
            continue
        yield from (frame for frame in frames if not frame.is_corrupt)


def deinterlaced(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield frames, interlaced ones deinterlaced by FFmpeg's bwdif, in their own field order.

    Frames that are not marked as interlaced are unchanged.
    """
    for kind, alike in itertools.groupby(frames, lambda frame: (frame.width, frame.height, frame.format.name)):
        graph = None
        for frame in alike:
            if graph is None and not frame.interlaced_frame:
                yield frame
                continue
            graph = graph or _bwdif(frame, *kind)
            graph.vpush(frame)
            yield from _pulled(graph)
        if graph is not None:
            graph.vpush(None)
            yield from _pulled(graph)


def _bwdif(frame: av.VideoFrame, width: int, height: int, pix_fmt: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat(pix_fmt, width, height), time_base=frame.time_base
    )
    # one picture per frame, not per field: packs have 30 a second at most
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


class Shaper:
    """Converts pictures to a size, upright, yuv420p in limited range.

    Args:
        width, height: Size in pixels.
        orientation: How they become upright.
        matrix: swscale's number of the resulting YUV matrix: 1 for BT.709, 5 for BT.601.
        wide: Whether they are HDR or BT.2020; libswscale maps tones and gamut into BT.709.
        background: Colour behind transparent parts.
    """

    def __init__(
        self, width: int, height: int, orientation: Orientation, matrix: int, wide: bool, background: Color
    ) -> None:
        self._size = (height, width) if orientation.transposed else (width, height)
        self._orientation, self._matrix, self._background = orientation, matrix, np.array(background, np.uint16)
        reformat = av.video.reformatter
        self._colors: dict[str, Any] = {}
        if wide:
            self._colors = {
                "dst_colorspace": reformat.Colorspace.ITU709,
                "dst_color_trc": reformat.ColorTrc.BT709,
                "dst_color_primaries": reformat.ColorPrimaries.BT709,
            }
        # one for all pictures: mapping HDR costs seconds of preparation
        self._to_rgb, self._to_yuv = reformat.VideoReformatter(), reformat.VideoReformatter()

    def shape(self, frame: av.VideoFrame) -> Frame:
        """Return a frame in the format of packs."""
        if any(component.is_alpha for component in frame.format.components):
            frame = self._flat(frame)
        elif self._colors:
            frame = self._to_rgb.reformat(frame, *self._size, format="rgb24", interpolation="BICUBIC", **self._colors)
        out = self._to_yuv.reformat(
            frame,
            *self._size,
            format="yuv420p",
            interpolation="BICUBIC",
            src_colorspace=self._source(frame),
            dst_colorspace=self._matrix,
            dst_color_range=av.video.reformatter.ColorRange.MPEG,
        )
        return self._orientation.apply(Frame(out.to_ndarray()))

    def _source(self, frame: av.VideoFrame) -> int | None:
        """Return the matrix of an untagged frame: players go by its height, so its values stay."""
        return self._matrix if not frame.format.is_rgb and int(frame.colorspace) in (0, 2, 3) else None

    def _flat(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return a frame over the background, in its own size: resized first, hidden pixels would show at the edges."""
        rgba = self._to_rgb.reformat(frame, format="rgba", src_colorspace=self._source(frame), **self._colors)
        picture = rgba.to_ndarray().astype(np.uint16)
        seen = picture[..., 3:]
        mixed = (picture[..., :3] * seen + self._background * (255 - seen) + 127) // 255
        return av.VideoFrame.from_ndarray(mixed.astype(np.uint8), format="rgb24")
