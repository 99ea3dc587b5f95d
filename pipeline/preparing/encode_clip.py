"""Makes the video of a pack: copied, or encoded at near-source quality."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av

from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags, open_file

CLIP = {"preset": "faster", "crf": "16", "g": "250"}
"""Options for clips.

Differences from the source stay invisible; packs are read from their start, so key frames are few. The preset
medium takes 1.7 times as long for files of the same size that are nearer to the source by 0.5 of 50 dB.
"""
MATTE = {"preset": "veryfast", "crf": "18", "g": "250"}
"""Options for mattes: large even areas with an edge between them."""


def keep_stream(path: Path, number: int) -> bytes:
    """Return an mp4 of a stream of pictures, bit for bit, from time 0.

    Args:
        path: The clip.
        number: Number of the stream among those with pictures.
    """
    out, shift = io.BytesIO(), None
    with open_file(path) as source, av.open(out, mode="w", format="mp4") as target:
        stream = source.streams.video[number]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                # pictures before 0 would be hidden; the packet of the earliest picture comes first
                shift = (packet.dts if packet.pts is None else packet.pts) if shift is None else shift
                packet.dts -= shift
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.stream = copy
                target.mux(packet)
    return out.getvalue()


def encode(  # noqa: PLR0913 - all that makes a video different, and who reads it meanwhile
    frames: Iterable[Frame],
    width: int,
    height: int,
    fps: Fraction,
    colors: ColorTags,
    options: Mapping[str, str] = CLIP,
    grown: Callable[[bytes, bytes], object] = lambda header, packet: None,
) -> bytes:
    """Return an mp4 (H.264, yuv420p) of frames, resized and tagged.

    Resizing works on the YUV planes, so that colours stay the same.

    Args:
        frames: The pictures.
        width: Width in pixels.
        height: Height in pixels.
        fps: Frames per second.
        colors: The tags.
        options: Of x264.
        grown: Called with each packet as it comes, after what a decoder needs before the first of them.
    """
    out = io.BytesIO()
    with av.open(out, mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = dict(options)
        stream.codec_context.thread_type = "FRAME"
        colors.apply(stream.codec_context)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame.planes, format="yuv420p")
            if (frame.width, frame.height) != (width, height):
                picture = picture.reformat(width, height, interpolation="AREA" if width < frame.width else "LANCZOS")
            picture.pts, picture.time_base = number, 1 / fps
            _mux(container, stream, picture, grown)
        _mux(container, stream, None, grown)
    return out.getvalue()


def _mux(
    container: av.container.OutputContainer,
    stream: av.VideoStream,
    picture: av.VideoFrame | None,
    grown: Callable[[bytes, bytes], object],
) -> None:
    for packet in stream.encode(picture):
        grown(stream.codec_context.extradata or b"", bytes(packet))
        container.mux(packet)
