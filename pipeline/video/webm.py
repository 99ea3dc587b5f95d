"""Copies a finished video of two parts, a person above their matte, into a WebM that is transparent."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from pipeline import messages
from pipeline.core import origin
from pipeline.core.growing_file import copy_once
from pipeline.errors import RenderFailed
from pipeline.video.frame import Frame, parts_of
from pipeline.video.reader import ColorTags

_VP9 = {"deadline": "realtime", "cpu-used": "7", "row-mt": "1", "crf": "24", "b": "0", "g": "125", "auto-alt-ref": "0"}
"""Nearly as quick as it can be, at constant quality; pictures that are not shown would have no alpha."""
_SOUND_BITS = 96_000
_MAKING = threading.Lock()
"""Held while a copy is made: it takes all cores, for about as long as the video lasts."""


def transparent_copy(source: Path, copy: Path) -> Path:
    """Return the transparent copy of a video of two parts, which is made if it is missing: VP9 with alpha, and Opus.

    The copy gets the time stamp of its source, so that both expire together.

    Args:
        source: The mp4.
        copy: Path of the copy.

    Raises:
        RenderFailed: It cannot be made; the disk may be full.
    """
    with _MAKING:
        try:
            return copy_once(source, copy, lambda part: _convert(source, part))
        except (OSError, av.error.FFmpegError) as error:
            reason = error.strerror or type(error).__name__  # the whole error would contain the path
            raise RenderFailed(messages.video.VIDEO_NOT_WRITTEN(reason=reason)) from error


def _convert(source: Path, target: Path) -> None:
    with av.open(str(source)) as old, av.open(str(target), "w", format="webm") as new:
        new.metadata.update({name: value for name, value in old.metadata.items() if name == origin.KEY})
        shown, heard = old.streams.video[0], old.streams.audio[0]
        video = cast("Any", new.add_stream("libvpx-vp9", rate=shown.average_rate))
        video.width, video.height, video.pix_fmt, video.options = shown.width, shown.height // 2, "yuva420p", dict(_VP9)
        video.codec_context.thread_count = os.cpu_count() or 1
        tags = shown.codec_context
        ColorTags(int(tags.color_range), int(tags.colorspace), int(tags.color_primaries), int(tags.color_trc)).apply(
            video.codec_context
        )
        sound = cast("Any", new.add_stream("libopus", rate=heard.rate, layout="mono"))
        sound.codec_context.bit_rate = _SOUND_BITS
        for frame in old.decode(shown, heard):
            if isinstance(frame, av.VideoFrame):
                picture = _transparent(Frame(frame.to_ndarray(format="yuv420p")), full=int(tags.color_range) == 2)
                picture.pts, picture.time_base = frame.pts, frame.time_base
                new.mux(video.encode(picture))
            elif isinstance(frame, av.AudioFrame):
                new.mux(sound.encode(frame))
        new.mux(sound.encode(None))
        new.mux(video.encode(None))


def _transparent(frame: Frame, full: bool) -> av.VideoFrame:
    """Return a picture of two parts as one with alpha, which always has the full range."""
    person, matte = parts_of(frame)
    low, span = (0, 255) if full else (16, 219)
    alpha = ((matte.y.astype(np.float32) - low) * (255 / span)).round().clip(0, 255).astype(np.uint8)
    picture = av.VideoFrame(person.width, person.height, "yuva420p")
    for plane, values in zip(picture.planes, (person.y, *person.uv, alpha), strict=True):
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a buffer
        lines[: len(values), : values.shape[1]] = values
    return picture
