"""Streams of videos and sounds that tests write and read, with what PyAV's own types leave open settled."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.frame import Frame
from av.packet import Packet
from av.video.stream import VideoStream


def add_video(
    container: OutputContainer, codec: str, width: int, height: int, pix_fmt: str = "yuv420p", **options: str
) -> VideoStream:
    """Add pictures at 25 fps to CONTAINER, encoded by CODEC with its OPTIONS."""
    stream = container.add_stream(codec, rate=25, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
    return stream


def add_audio(container: OutputContainer, codec: str, rate: int, layout: str = "mono") -> AudioStream:
    """Add sound at RATE (Hz) to CONTAINER, encoded by CODEC."""
    stream = container.add_stream(codec, rate=rate, layout=layout)
    assert isinstance(stream, AudioStream)
    return stream


def encode_audio(container: OutputContainer, stream: AudioStream, frames: Iterable[av.AudioFrame]) -> None:
    """Write FRAMES, of any rate and format, as the whole STREAM of CONTAINER."""
    resampler = av.AudioResampler(stream.format, stream.layout, stream.rate, stream.frame_size or 1024)
    for frame in (*frames, None):
        for piece in resampler.resample(frame):
            container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def time_of(moment: Frame | Packet) -> Fraction:
    """When MOMENT is shown or sounds."""
    assert moment.pts is not None and moment.time_base is not None
    return moment.pts * moment.time_base


def delay(packet: Packet, by: float) -> None:
    """Have PACKET come BY seconds later."""
    assert packet.pts is not None and packet.dts is not None
    later = round(by / packet.time_base)
    packet.pts, packet.dts = packet.pts + later, packet.dts + later


def image(content: bytes) -> np.ndarray:
    """Decode a PNG or JPEG file: (h, w, 3) uint8 BGR."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture)
