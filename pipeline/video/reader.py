"""Reads the clip of an avatar frame by frame, in an endless loop."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline import messages
from pipeline.errors import RenderFailed
from pipeline.video.frame import Frame

HEADER = ("codec", "pix_fmt", "width", "height", "fps", "count", "colors")
"""What a clip says of itself before it is decoded, as attributes of its reader."""


@dataclass(frozen=True)
class ColorTags:
    """How to interpret the YUV values of a video, in the numbers of ITU-T H.273 (2: unspecified).

    Attributes:
        range: 0 unspecified, 1 limited (16-235), 2 full.
        space: The matrix.
        primaries: The primaries.
        trc: The transfer curve.
    """

    range: int = 0
    space: int = 2
    primaries: int = 2
    trc: int = 2

    def apply(self, codec_context: Any) -> None:
        """Set these tags on an encoder that is not open yet; other tags would change the colours."""
        codec_context.color_range = self.range
        codec_context.colorspace = self.space
        codec_context.color_primaries = self.primaries
        codec_context.color_trc = self.trc


def open_file(path: Path) -> av.container.InputContainer:
    """Open a media file whatever its name is; FFmpeg alone would take "10:30.mp4" for an address.

    Raises:
        OSError: The file cannot be read.
        av.error.FFmpegError: It is no media file.
    """
    return av.open(f"file:{path}", mode="r")


class ClipReader:
    """An mp4 in memory. The constructor reads its header, ``frames`` decodes it.

    Attributes:
        width, height: Size in pixels.
        fps: Frames per second.
        count: Frames in the clip.
        pix_fmt, codec: Names in FFmpeg.
        colors: Colour tags.

    Raises:
        RenderFailed: There is no video stream.
    """

    def __init__(self, video: bytes) -> None:
        self._video = video
        try:
            with av.open(io.BytesIO(video), mode="r") as container:
                stream = container.streams.video[0]
                context = stream.codec_context
                self.codec, self.pix_fmt = context.name, context.pix_fmt
                self.width, self.height = context.width, context.height
                self.fps = Fraction(stream.average_rate or 0)
                self.count = int(stream.frames)
                self.colors = ColorTags(
                    int(context.color_range),
                    int(context.colorspace),
                    int(context.color_primaries),
                    int(context.color_trc),
                )
        except (av.error.FFmpegError, OSError, IndexError, ValueError) as error:
            raise _broken(str(error)) from error

    @property
    def finished(self) -> bool:
        """Whether all of it is there."""
        return True

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """Yield the frames of the clip in an endless loop; memory holds only those that the decoder works on.

        Args:
            start: Number of the first frame; may lie beyond the first round.

        Raises:
            RenderFailed: The stream is broken, or has another number of frames than its header declares (landmarks
                would no longer match their pictures).
        """
        skip = start % max(1, self.count)
        while True:
            with closing(self.once()) as pictures:
                for number, frame in enumerate(pictures):
                    if number >= skip:
                        yield frame
            skip = 0

    def once(self) -> Generator[Frame, None, None]:
        """Yield the frames of the clip once, in order; raise as ``frames`` does."""
        yield from self._counted(self._read())

    def _read(self) -> Iterator[av.VideoFrame]:
        with av.open(io.BytesIO(self._video), mode="r") as container:
            container.streams.video[0].thread_type = "AUTO"
            yield from container.decode(video=0)

    def _counted(self, pictures: Iterator[av.VideoFrame]) -> Generator[Frame, None, None]:
        """Yield the frames of pictures, and raise as ``frames`` does."""
        number = 0
        try:
            for picture in pictures:
                number += 1
                yield Frame(self._planes(picture))
        except (av.error.FFmpegError, OSError) as error:
            raise _broken(str(error)) from error
        if number == 0 or number != self.count:
            raise _broken(f"{number} of {self.count} frames")

    def _planes(self, picture: av.VideoFrame) -> np.ndarray:
        """Copy a picture without the padding at the end of its rows (chroma of 854 pixels is 427 wide)."""
        width, height = self.width, self.height
        if (picture.width, picture.height) != (width, height) or picture.format.name != "yuv420p":
            raise _broken(f"{picture.width}x{picture.height} {picture.format.name} in {width}x{height} yuv420p")
        out = np.empty((height * 3 // 2, width), np.uint8)
        flat, begin = out.reshape(-1), 0
        for plane, rows, columns in zip(
            picture.planes, (height, height // 2, height // 2), (width, width // 2, width // 2), strict=True
        ):
            lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a buffer
            flat[begin : begin + rows * columns].reshape(rows, columns)[:] = lines[:rows, :columns]
            begin += rows * columns
        return out


def _broken(reason: str) -> RenderFailed:
    return RenderFailed(messages.video.AVATAR_VIDEO_BROKEN(reason=reason))
