"""Opens clips of any kind: what they are, and their pictures at a wanted size and a constant frame rate."""

from __future__ import annotations

import contextlib
import math
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from pipeline.avatar.kinds import LONGEST, MAX_VIDEO, check_length, check_size
from pipeline.errors import BadClip
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

MAX_FPS = 30
MIN_FPS = 24
"""Slower clips get each picture twice or more often: lips need the frames even where the base has none."""
BT709 = ColorTags(1, 1, 1, 1)
BT601 = ColorTags(1, 6, 6, 6)
_RGB, _SAID_NOTHING = 0, 2
_PQ, _HLG = 16, 18
_BT2020 = 9
_LISTS = ("hls", "dash", "concat", "image2")
"""Formats that name other files, which whoever sends one need not be allowed to read."""
_PACKETS_READ = 40_000
"""Enough for a minute at 600 frames a second: a longer film is not read to its end to find that out."""


@dataclass(frozen=True)
class Clip:
    """What is known of a clip. width, height: pixels as shown (turned upright, pixels square); turn: degrees,
    counterclockwise, by which its pictures are to be turned for that; fps: its rate, or the one it is brought to.

    start, end: the part to use, seconds; colors: the tags it carries; constant: whether its rate is; plain: H.264
    yuv420p at a constant rate, upright and used from start to end, so that its stream can be kept as it is.
    """

    path: Path
    width: int
    height: int
    turn: int
    fps: Fraction
    start: float
    end: float
    colors: ColorTags
    constant: bool
    plain: bool

    @property
    def wanted_fps(self) -> Fraction:
        """The rate that its pictures are taken at: its own, halved or doubled into what lips need."""
        if self.fps > MAX_FPS:
            return self.fps / math.ceil(self.fps / MAX_FPS)
        return self.fps * max(1, math.floor(MAX_FPS / self.fps)) if self.fps < MIN_FPS else self.fps

    @property
    def wide(self) -> bool:
        """Whether its colours are HDR's (HLG, PQ) or BT.2020's, which packs do not have."""
        return self.colors.trc in (_PQ, _HLG) or self.colors.primaries == _BT2020

    @property
    def shown_colors(self) -> ColorTags:
        """The tags by which players show it: where it says nothing they go by its height."""
        if self.colors.space not in (_RGB, _SAID_NOTHING):
            return BT601 if self.colors.space in (5, 6) else BT709
        return BT709 if min(self.width, self.height) >= 720 else BT601


def open_clip(path: Path, start: float | None = None, end: float | None = None) -> Clip:
    """Look at the clip at PATH, of which the part from START to END (s) is to be used; no picture is decoded but one.

    Raises BadClip when it is no video, broken, or the part is shorter than 0.5 s or longer than a minute.
    """
    try:
        with av.open(str(path), mode="r") as container:
            if container.format.name in _LISTS:
                raise unreadable(path, "a list of other files")
            covers = av.stream.Disposition.attached_pic
            if all(covers in stream.disposition for stream in container.streams.video):
                raise BadClip(
                    f"{path.name}: 영상이 없는 파일입니다. 얼굴이 나오는 동영상을 넣으세요.",
                    f"{path.name} has no picture. Give a video that shows a face.",
                )
            stream = container.streams.video[0]
            check_size(path, stream.codec_context.width, stream.codec_context.height, MAX_VIDEO)
            seconds = _header_seconds(container, stream)
            _check_part(path, seconds, start, end)
            times = _packet_times(container, stream)
            if len(times) < 0.9 * stream.frames:
                raise unreadable(path, f"cut short: {len(times)} of {stream.frames} frames")
            said = stream.average_rate
            aspect = stream.sample_aspect_ratio or Fraction(1)
            codec, pix_fmt = stream.codec_context.name, stream.codec_context.pix_fmt
        with av.open(str(path), mode="r") as container:
            first = next(container.decode(video=0))
            stored, turn = (first.width, first.height), round(first.rotation) % 360
            colors = ColorTags(
                int(first.color_range), int(first.colorspace), int(first.color_primaries), int(first.color_trc)
            )
    except (av.error.FFmpegError, OSError, StopIteration, IndexError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or "no pictures") from error
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if step <= 0:
        raise unreadable(path, "no frame times")
    length = float(times[-1] - times[0]) + step
    begin, stop = _check_part(path, length, start, end)
    constant = bool(np.abs(np.diff(times) - step).max() < 0.1 * step)
    measured = len(times) / length
    # the header's rate where the packets agree; a rate that wanders becomes a steady one
    agrees = constant and said is not None and abs(float(said) / measured - 1) < 0.01
    steady = Fraction(max(1, round(measured))) if constant else Fraction(25 if 24.5 <= measured <= 25.5 else MAX_FPS)
    fps = Fraction(said) if agrees and said else steady
    width, height, upright = _shown_size(stored, turn, aspect)
    check_size(path, width, height, MAX_VIDEO)
    whole = begin == 0 and stop == length
    plain = codec == "h264" and pix_fmt == "yuv420p" and constant and upright and whole
    clip = Clip(path, width, height, turn, fps, begin, stop, colors, constant, plain)
    return replace(clip, plain=False) if clip.wide else clip


def _header_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _packet_times(container: av.container.InputContainer, stream: av.VideoStream) -> np.ndarray:
    """Return when each picture is shown, sorted, in seconds; nothing is decoded."""
    base = stream.time_base or Fraction(1)
    times: list[float] = []
    for packet in container.demux(stream):
        stamp = packet.dts if packet.pts is None else packet.pts
        if packet.size and stamp is not None:
            times.append(float(stamp * base))
        if len(times) > _PACKETS_READ:
            break
    return np.sort(np.array(times))


def _check_part(path: Path, seconds: float | None, start: float | None, end: float | None) -> tuple[float, float]:
    begin = 0.0 if start is None else start
    stop = seconds if end is None else end if seconds is None else min(end, seconds)
    if stop is None:
        return begin, LONGEST  # the header does not say: the packets will
    check_length(path, begin, stop)
    return begin, stop


def _shown_size(stored: tuple[int, int], turn: int, aspect: Fraction) -> tuple[int, int, bool]:
    """Return width and height as shown, of what is STORED to be turned by TURN degrees with pixels of ASPECT.

    Also return whether that is how they are stored.
    """
    width, height = stored
    square = not 0 < aspect < 100 or aspect == 1
    if not square:
        width = round(width * aspect)
    if turn in (90, 270):
        width, height = height, width
    return width, height, square and turn == 0


def pictures(clip: Clip, width: int, height: int) -> Iterator[Frame]:
    """Yield CLIP's pictures as WIDTH x HEIGHT yuv420p at its ``wanted_fps``, upright; one at a time.

    HDR becomes BT.709, its tones and gamut mapped by libswscale. Raises BadClip where the clip cannot be read or
    breaks off early.
    """
    # FFmpeg reads what says nothing as BT.601, so only BT.601 brings its YUV back unchanged
    spaces = av.video.reformatter.Colorspace
    matrix = spaces.ITU601 if clip.colors.space in (_RGB, _SAID_NOTHING, 5, 6) else spaces.ITU709
    fps, count = clip.wanted_fps, 0
    expected = round((clip.end - clip.start) * fps)
    # half a frame in: the middle of a picture's time, safe from rounding on either side
    times = [clip.start + (number + 0.5) / float(fps) for number in range(expected)]
    try:
        for picture in (_steady if clip.constant and not clip.wide else _decoded)(clip, width, height, times):
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            yield Frame(shown.reformat(format="yuv420p", dst_colorspace=matrix).to_ndarray())
            count += 1
    except (OSError, ValueError, KeyError, ZeroDivisionError, av.error.FFmpegError) as error:
        raise unreadable(clip.path, getattr(error, "strerror", None) or "its stream is broken") from error
    if count < 0.9 * expected:
        raise unreadable(clip.path, f"{count} of {expected} frames")


def _steady(clip: Clip, width: int, height: int, times: list[float]) -> Iterator[np.ndarray]:
    """Yield the RGB pictures of CLIP at TIMES (s) through MoviePy, until there are no more."""
    from moviepy import VideoFileClip

    movie = VideoFileClip(str(clip.path), audio=False, target_resolution=(width, height), resize_algorithm="bicubic")
    process = None
    try:
        for time in times:
            with warnings.catch_warnings(record=True) as said:  # that it has no such picture and repeats the last one
                warnings.simplefilter("always")
                picture = movie.get_frame(time)
            if said:
                return
            if process is not movie.reader.proc:  # seeking starts another
                process = movie.reader.proc
                threading.Thread(target=_drain, args=(process.stderr,), name="ffmpeg errors", daemon=True).start()
            yield np.asarray(picture)
    finally:
        process = movie.reader.proc
        movie.close()
        if process is not None:  # MoviePy leaves the pipes of a process that has ended by itself open
            process.stdout.close()
            process.stderr.close()
            process.wait()


def _drain(errors: BinaryIO) -> None:
    """Read ERRORS, what FFmpeg complains of, to its end: with a full pipe it would wait for ever."""
    with contextlib.suppress(ValueError, OSError):  # closed meanwhile
        while errors.read(1 << 16):
            continue


def _decoded(clip: Clip, width: int, height: int, times: list[float]) -> Iterator[np.ndarray]:
    """Yield the RGB pictures of CLIP, whose rate wanders or whose colours are wide, that are to be seen at TIMES (s).

    MoviePy would read a wandering rate as its clock's, for browsers' recordings a thousand pictures a second, and HDR
    as if it were none, grey and dull.
    """
    reformat = av.video.reformatter
    colors = (
        {
            "dst_colorspace": reformat.Colorspace.ITU709,
            "dst_color_trc": reformat.ColorTrc.BT709,
            "dst_color_primaries": reformat.ColorPrimaries.BT709,
        }
        if clip.wide
        else {}
    )
    stored = (height, width) if clip.turn in (90, 270) else (width, height)
    with av.open(str(clip.path), mode="r") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        reformatter = reformat.VideoReformatter()  # one for all: mapping HDR costs seconds of preparation
        waiting, shown, begin = iter(times), None, None
        time = next(waiting, None)
        for frame in container.decode(stream):
            if begin is None:
                begin = frame.time or 0.0
            while time is not None and shown is not None and (frame.time or 0.0) - begin > time:
                yield shown
                time = next(waiting, None)
            if time is None:
                return
            picture = reformatter.reformat(frame, *stored, format="rgb24", interpolation="BICUBIC", **colors)
            shown = np.rot90(picture.to_ndarray(), clip.turn // 90)
        while time is not None and shown is not None:
            yield shown
            time = next(waiting, None)


def unreadable(path: Path, detail: str) -> BadClip:
    """Return the error for a file that is no clip, or a broken one."""
    return BadClip(
        f"{path.name}: 동영상을 읽을 수 없습니다 ({detail:.120}). 재생되는 파일인지 확인하고 mp4로 다시 저장해 보세요.",
        f"{path.name} cannot be read ({detail:.120}). Check that it plays, and try saving it again as mp4.",
    )
