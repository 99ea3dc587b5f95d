"""Which H.264 encoder writes the videos: x264 on the CPU, or NVENC, the one that NVIDIA cards have in hardware."""

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
"""Mean error of luma (0..255) up to which decoded pictures are those that were encoded."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """An H.264 encoder. name: as settings call it; codec: as FFmpeg does; options: FFmpeg's; threads: of the CPU.

    With these options each picture is encoded before the next one is taken, none refers to a later one, quality is
    constant, and a picture that is marked as a key frame becomes one.
    """

    name: str
    codec: str
    options: Mapping[str, str]
    threads: int = 2

    def add_stream(
        self, container: OutputContainer, width: int, height: int, fps: Fraction, gop: int, colors: ColorTags
    ) -> VideoStream:
        """Add a stream of WIDTH x HEIGHT yuv420p pictures to CONTAINER, and open it: no key frame is GOP frames away.

        Raises av.error.FFmpegError where the encoder does not open, and ValueError where FFmpeg was built without it.
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
    {"preset": "ultrafast", "tune": "zerolatency", "crf": "19", "sc_threshold": "0", "forced-idr": "1"},
)
"""ultrafast takes half the time of veryfast; its larger files are bought back by nobody waiting."""
X264_BESIDE_CARD = replace(X264, threads=max(2, min(4, os.cpu_count() or 2)))
"""For pictures that a card draws faster than two threads encode; each is cut in four, which adds 1 % to the file."""
NVENC = Encoder(
    "nvenc",
    "h264_nvenc",
    {
        "preset": "p4",
        "tune": "ull",
        "profile": "baseline",  # as ultrafast's: the page tells the browser which one comes before it has seen any
        "rc": "vbr",
        "cq": "19",
        "bf": "0",
        "delay": "0",  # FFmpeg's own default keeps pictures back until the card's buffers are full
        "zerolatency": "1",
        "forced-idr": "1",  # without it FFmpeg passes over the mark on a picture
    },
)
_NAMES = (AUTO, X264.name, NVENC.name)


def check_setting(setting: str) -> None:
    """Raise ValueError where SETTING (``VIDEO_ENCODER``) names no encoder."""
    if setting not in _NAMES:
        raise ValueError(f"VIDEO_ENCODER={setting!r}: expected {', '.join(_NAMES[:-1])} or {_NAMES[-1]}")


def encoder_for(setting: str, drawn_on_gpu: bool, width: int, height: int) -> Encoder:
    """Return the encoder for pictures of WIDTH x HEIGHT; SETTING is ``VIDEO_ENCODER``.

    With "auto" NVENC where a card draws them, which is then faster than the CPU alone can encode; else x264, whose
    files are the same everywhere. Where NVENC does not work (not every card has it: A100, H100 and H200 do not), x264.
    """
    wanted = setting == NVENC.name or (setting == AUTO and drawn_on_gpu)
    if wanted and works(NVENC, width, height):
        return NVENC
    return X264_BESIDE_CARD if drawn_on_gpu else X264


@cache
def works(encoder: Encoder, width: int, height: int) -> bool:
    """Whether ENCODER can do what is asked of it here: found out once, with a few pictures that are decoded again."""
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
    """Return what is wrong with a short video that ENCODER makes, in English; "" where it is right."""
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
