"""Chooses the H.264 encoder of the videos: x264 on the CPU, or NVENC, the hardware encoder of NVIDIA cards."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, cast

import av
import numpy as np

from pipeline.video.reader import ColorTags

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)

AUTO = "auto"
TRIAL_FRAMES = 4
TRIAL_ERROR = 3.0
"""Highest mean error of luma (0..255) at which decoded pictures count as correct."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """An H.264 encoder and its options.

    The options make it encode each picture before it takes the next one, without references to later pictures, at
    constant quality, and with a key frame wherever a picture is marked as one.

    Attributes:
        name: Its name in the settings.
        codec: Its name in FFmpeg.
        options: Options of FFmpeg.
        threads: CPU threads.
    """

    name: str
    codec: str
    options: Mapping[str, str]
    threads: int = 2

    def add_stream(
        self, container: OutputContainer, width: int, height: int, fps: Fraction, gop: int, colors: ColorTags
    ) -> VideoStream:
        """Add a stream of yuv420p pictures to a container and open its encoder.

        Args:
            container: The file.
            width: Width of the pictures in pixels.
            height: Height of the pictures in pixels.
            fps: Frames per second.
            gop: Most frames from one key frame to the next.
            colors: Colour tags of the stream.

        Raises:
            av.error.FFmpegError: The encoder does not open.
            ValueError: FFmpeg was built without the encoder.
        """
        stream = cast("VideoStream", container.add_stream(self.codec, rate=fps))
        stream.options = {**self.options, "g": str(gop), "keyint_min": str(gop)}
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = self.threads
        colors.apply(stream.codec_context)
        stream.codec_context.open()
        return stream


X264 = Encoder(
    "x264",
    "libx264",
    {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "crf": "19",
        "sc_threshold": "0",
        "forced-idr": "1",
        "deblock": "0:0",  # ultrafast leaves the filter out, though it costs little
    },
)
"""The preset ultrafast takes half the time of veryfast. Its files are larger, but speed matters more here."""
X264_BESIDE_CARD = replace(X264, threads=max(2, min(4, os.cpu_count() or 2)))
"""For pictures that a card draws faster than two threads encode. Each is cut in four, which adds 1 % to the file."""
NVENC = Encoder(
    "nvenc",
    "h264_nvenc",
    {
        "preset": "p4",
        "tune": "ull",
        "profile": "baseline",  # as ultrafast's: the page declares one codec before it has seen the video
        "rc": "vbr",
        "cq": "19",
        "bf": "0",
        "delay": "0",  # FFmpeg's default holds pictures until the card's buffers are full
        "zerolatency": "1",
        "forced-idr": "1",  # without it FFmpeg ignores the mark of a key frame
    },
)
_NAMES = (AUTO, X264.name, NVENC.name)


def check_setting(setting: str) -> None:
    """Check the setting ``VIDEO_ENCODER``.

    Raises:
        ValueError: There is no such encoder.
    """
    if setting not in _NAMES:
        raise ValueError(f"VIDEO_ENCODER={setting!r}: expected {', '.join(_NAMES[:-1])} or {_NAMES[-1]}")


def encoder_for(setting: str, drawn_on_gpu: bool, width: int, height: int) -> Encoder:
    """Return the encoder of a video.

    "auto" takes NVENC if a card draws the pictures, since the card is then faster than the CPU can encode; otherwise
    x264, whose files are the same everywhere. Where NVENC does not work (A100, H100 and H200 have none), x264 takes its
    place.

    Args:
        setting: The setting ``VIDEO_ENCODER``.
        drawn_on_gpu: Whether a card draws the pictures.
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
    """
    wanted = setting == NVENC.name or (setting == AUTO and drawn_on_gpu)
    if wanted and works(NVENC, width, height):
        return NVENC
    return X264_BESIDE_CARD if drawn_on_gpu else X264


@cache
def works(encoder: Encoder, width: int, height: int) -> bool:
    """Return whether an encoder works on this machine; tried once, with a few pictures that are decoded again."""
    try:
        problem = _try(encoder, width, height)
    except av.error.FFmpegError as error:
        problem = error.strerror or "it fails"
    except ValueError:
        problem = "FFmpeg was built without it"
    if problem:
        logger.warning("%s does not encode %dx%d here (%s): x264 does", encoder.name, width, height, problem)
    return not problem


def _try(encoder: Encoder, width: int, height: int) -> str:
    """Return what is wrong with a short trial video, in English; "" if it is correct."""
    ramp = np.linspace(40, 160, width, dtype=np.uint8)
    shown = [np.tile(ramp + 10 * number, (height, 1)) for number in range(TRIAL_FRAMES)]
    keys, types = [0, TRIAL_FRAMES - 2], av.video.frame.PictureType
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = encoder.add_stream(container, width, height, Fraction(25), TRIAL_FRAMES, ColorTags())
        for number, luma in enumerate(shown):
            chroma = np.full((height // 2, width), 128, np.uint8)
            picture = av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")
            picture.pts = number
            picture.pict_type = types.I if number in keys else types.NONE
            packets = stream.encode(picture)
            if len(packets) != 1:
                return "it keeps pictures back"
            container.mux(packets)
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as written:
        pictures = list(written.decode(video=0))
    if [number for number, picture in enumerate(pictures) if picture.key_frame] != keys:
        return "its key frames are not where they were asked for"
    seen = [picture.to_ndarray(format="yuv420p")[:height] for picture in pictures]
    if len(seen) != len(shown) or np.abs(np.subtract(seen, shown, dtype=np.float32)).mean() > TRIAL_ERROR:
        return "its pictures are others"
    return ""
