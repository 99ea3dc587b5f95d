"""The reader gives a clip's own planes, in order, round and round."""

from __future__ import annotations

import io
import itertools
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.errors import RenderFailed
from pipeline.preparing.encode_clip import encode
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader, ColorTags

FRAMES, FPS = 12, Fraction(25)


def _clip(width: int, height: int, colors: ColorTags = ColorTags()) -> bytes:  # noqa: B008  # frozen
    frames = []
    for number in range(FRAMES):
        planes = np.empty((height * 3 // 2, width), np.uint8)
        frame = Frame(planes)
        frame.y[:] = np.linspace(20, 200, width, dtype=np.uint8)
        frame.y[:, : width // 2] = 20 + 15 * number
        frame.uv[0][:], frame.uv[1][:] = 100, 160
        frames.append(frame)
    return encode(frames, width, height, FPS, colors)


@pytest.mark.parametrize("size", [(64, 48), (854, 480), (270, 480)], ids=str)
def test_planes_are_those_of_the_video_whatever_the_padding(size: tuple[int, int]) -> None:
    video = _clip(*size)
    with av.open(io.BytesIO(video), mode="r") as container:
        expected = [picture.to_ndarray() for picture in container.decode(video=0)]
    got = list(ClipReader(video).once())
    assert len(got) == FRAMES
    for frame, wanted in zip(got, expected, strict=True):
        np.testing.assert_array_equal(frame.planes, wanted)
    assert abs(int(got[3].y[5, 5]) - 65) <= 2 and abs(int(got[3].uv[1].mean()) - 160) <= 2


@pytest.mark.parametrize("start", [0, 5, FRAMES, 3 * FRAMES + 7])
def test_the_clip_loops_from_any_start(start: int) -> None:
    reader = ClipReader(_clip(64, 48))
    once = [frame.planes for frame in reader.once()]
    for number, frame in enumerate(itertools.islice(reader.frames(start), 2 * FRAMES + 3)):
        np.testing.assert_array_equal(frame.planes, once[(start + number) % FRAMES])


def test_the_header_is_read() -> None:
    reader = ClipReader(_clip(854, 480, ColorTags(1, 1, 1, 1)))
    assert (reader.width, reader.height, reader.fps, reader.count) == (854, 480, FPS, FRAMES)
    assert (reader.codec, reader.pix_fmt) == ("h264", "yuv420p")
    assert reader.colors == ColorTags(range=1, space=1, primaries=1, trc=1)
    assert ClipReader(_clip(64, 48)).colors == ColorTags()


def test_broken_video_is_reported() -> None:
    video = _clip(64, 48)
    for broken in (b"", b"nothing", video[: len(video) // 2]):
        with pytest.raises(RenderFailed):
            list(itertools.islice(ClipReader(broken).frames(), FRAMES + 1))


def test_pictures_missing_inside_the_stream_are_reported() -> None:
    video = bytearray(_clip(64, 48))
    begin = video.index(b"mdat") + 4
    video[begin : begin + 400] = bytes(400)
    with pytest.raises(RenderFailed, match="Prepare the avatar again"):
        list(itertools.islice(ClipReader(bytes(video)).frames(), 2 * FRAMES))


def test_a_clip_of_fewer_pictures_than_its_header_states_is_refused() -> None:
    """An edit list may hide pictures without any error: landmarks would no longer belong to theirs."""
    video = bytearray(_clip(64, 48))
    edit, header = video.index(b"elst") + 16, video.index(b"mdhd") + 16
    (begin,), (scale,) = struct.unpack_from(">i", video, edit), struct.unpack_from(">I", video, header)
    struct.pack_into(">i", video, edit, begin + 3 * scale // int(FPS))
    reader = ClipReader(bytes(video))
    assert reader.count == FRAMES
    with pytest.raises(RenderFailed, match=f"{FRAMES - 3} of {FRAMES} frames"):
        list(itertools.islice(reader.frames(), 2 * FRAMES))
