"""Opens clips of any kind: what they are, and their pictures at a wanted size and a constant frame rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline import messages
from pipeline.errors import BadClip
from pipeline.messages import Message
from pipeline.preparing.clip_times import Clock, Timeline, jumps, read_timeline, step_of, timed
from pipeline.preparing.file_kinds import LONGEST, MAX_VIDEO, check_length, check_size
from pipeline.preparing.photo import BACKGROUND, Color
from pipeline.preparing.playback import Orientation, Shaper, decoded, deinterlaced, orientation_of
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags, open_file

BT709 = ColorTags(1, 1, 1, 1)
BT601 = ColorTags(1, 6, 6, 6)
_RGB, _UNSPECIFIED = 0, 2
_PQ, _HLG = 16, 18
_BT2020 = 9
_LISTS = ("hls", "dash", "concat", "image2")
"""Formats that refer to other files, which the sender may not be allowed to read."""
_MOST_LOST = 0.1
"""Share of the pictures that may be broken; neighbours are shown in their place."""
_SOUGHT_FROM = 5.0
"""Seconds into a clip from which its index is used to find a part; before, decoding is as fast."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip as players show it.

    Attributes:
        path: The file.
        stream: Number of the stream of pictures that players show.
        width, height: Pixels as shown (upright, square pixels).
        orientation: How its pictures become upright.
        timeline: When they are shown.
        start, end: The part to use, in seconds from its first picture.
        colors: Its tags.
        plain: Whether its stream can be kept as it is: H.264 yuv420p, progressive, at a constant rate that packs have,
            upright, and used from start to end with no picture hidden.
    """

    path: Path
    stream: int
    width: int
    height: int
    orientation: Orientation
    timeline: Timeline = field(repr=False, compare=False)
    start: float
    end: float
    colors: ColorTags
    plain: bool

    @property
    def wanted_fps(self) -> Fraction:
        """The rate at which its pictures are sampled: its own, halved or doubled to what lips need."""
        return self.timeline.wanted_fps

    @property
    def wide(self) -> bool:
        """Whether its colours are HDR's (HLG, PQ) or BT.2020's, which packs do not have."""
        return self.colors.trc in (_PQ, _HLG) or self.colors.primaries == _BT2020

    @property
    def shown_colors(self) -> ColorTags:
        """The tags by which players show it; untagged clips go by their height."""
        if self.colors.space not in (_RGB, _UNSPECIFIED) or self.wide:
            return BT601 if self.colors.space in (5, 6) else BT709
        return BT709 if min(self.width, self.height) >= 720 else BT601

    @property
    def left_out(self) -> tuple[Message, ...]:
        """Parts of the file that players do not show, in sentences."""
        found = []
        for count, sentence in (
            (self.timeline.hidden, messages.preparing.HIDDEN_PART),
            (self.timeline.lost, messages.preparing.LOST_PART),
        ):
            if count:
                frames = messages.preparing.FRAMES if count > 1 else messages.preparing.ONE_FRAME
                found.append(sentence(part=frames(count=count, seconds=count / float(self.timeline.rate))))
        return tuple(found)


def open_clip(path: Path, start: float | None = None, end: float | None = None) -> Clip:
    """Read the header of a clip; decodes a single picture, unless the clip may be plain.

    Args:
        path: The file.
        start: Beginning of the part to use, in seconds, as players count.
        end: End of the part to use, likewise.

    Raises:
        BadClip: The file is no video, broken, or the part is shorter than 0.5 s or longer than a minute.
    """
    until = max((start or 0.0) + LONGEST, 0.0 if end is None else end)
    try:
        with open_file(path) as container:
            if container.format.name in _LISTS:
                raise unreadable(path, "a list of other files")
            stream = _shown_stream(path, container)
            check_size(path, stream.codec_context.width, stream.codec_context.height, MAX_VIDEO)
            first = next(decoded(container, stream))
            number, indexed = container.streams.video.index(stream), len(stream.index_entries)
            aspect = stream.sample_aspect_ratio or Fraction(1)
            codec, pix_fmt = stream.codec_context.name, stream.codec_context.pix_fmt
            header_seconds = None if container.duration is None else container.duration / av.time_base
        with open_file(path) as container:
            timeline = read_timeline(container, container.streams.video[number], first, until)
    except (av.error.FFmpegError, OSError, StopIteration, IndexError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or "no pictures") from error
    if timeline is None:
        raise unreadable(path, "no frame times")
    if timeline.whole and timeline.packets < 0.9 * indexed:
        raise unreadable(path, f"cut short: {timeline.packets} of {indexed} frames")
    begin, stop = _part(path, timeline, header_seconds, start, end)
    orientation = orientation_of(first)
    width, height, upright = _shown_size((first.width, first.height), orientation, aspect)
    check_size(path, width, height, MAX_VIDEO)
    colors = ColorTags(int(first.color_range), int(first.colorspace), int(first.color_primaries), int(first.color_trc))
    clip = Clip(
        path=path,
        stream=number,
        width=width,
        height=height,
        orientation=orientation,
        timeline=timeline,
        start=begin,
        end=stop,
        colors=colors,
        plain=False,
    )
    used = begin == 0 and stop == timeline.seconds and timeline.hidden == timeline.lost == 0
    kept_rate = timeline.even and clip.wanted_fps == timeline.rate
    if codec == "h264" and pix_fmt == "yuv420p" and upright and used and kept_rate and not clip.wide:
        return replace(clip, plain=_decodes_alike(clip, (first.width, first.height)))
    return clip


def _shown_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    """Return the stream of pictures that players show: no cover, and the default one of several."""
    kinds = av.stream.Disposition
    covers = kinds.attached_pic | kinds.timed_thumbnails | kinds.still_image
    streams = [s for s in container.streams.video if not s.disposition & covers and s.codec_context is not None]
    if not streams:
        raise BadClip(messages.preparing.NO_VIDEO(file=path.name))
    return next((one for one in streams if one.disposition & kinds.default), streams[0])


def _part(
    path: Path, timeline: Timeline, header_seconds: float | None, start: float | None, end: float | None
) -> tuple[float, float]:
    """Return the part to use in seconds from the first picture; before the first and after the last is none."""
    begin = 0.0 if start is None else start if start < 0 else max(0.0, start - timeline.lead)
    stop = timeline.seconds if end is None else min(end - timeline.lead, timeline.seconds)
    if not timeline.whole and end is None and header_seconds is not None:
        stop = max(stop, header_seconds)  # too long; only the header has the length
    check_length(path, begin, stop)
    return begin, stop


def _shown_size(stored: tuple[int, int], orientation: Orientation, aspect: Fraction) -> tuple[int, int, bool]:
    """Return the size as shown of stored pictures, and whether they are stored like that."""
    width, height = stored
    square = not 0 < aspect < 100 or aspect == 1
    if not square:
        width = max(1, round(width * aspect))
    if orientation.transposed:
        width, height = height, width
    return width, height, square and orientation.upright


def _decodes_alike(clip: Clip, size: tuple[int, int]) -> bool:
    """Return whether every picture of a clip is there, complete, progressive, yuv420p, and of a size."""
    count = 0
    with open_file(clip.path) as container:
        for frame in decoded(container, container.streams.video[clip.stream]):
            if frame.interlaced_frame or (frame.width, frame.height) != size or frame.format.name != "yuv420p":
                return False
            count += 1
    return count == clip.timeline.packets == len(clip.timeline.times)


def pictures(clip: Clip, width: int, height: int, background: Color = BACKGROUND) -> Iterator[Frame]:
    """Yield the pictures of a clip as yuv420p at its ``wanted_fps``, upright; one at a time.

    HDR becomes BT.709, with tones and gamut mapped by libswscale.

    Args:
        clip: The clip.
        width: Width in pixels.
        height: Height in pixels.
        background: Colour behind transparent parts.

    Raises:
        BadClip: The clip cannot be read or breaks off early.
    """
    matrix = 5 if clip.shown_colors == BT601 else 1
    shaper = Shaper(width, height, clip.orientation, matrix, clip.wide, background)
    # half a frame in: the middle of a picture's time, safe from rounding
    waiting = iter([clip.start + (n + 0.5) / float(clip.wanted_fps) for n in range(_expected(clip))])
    wanted, shown, shaped, seen = next(waiting, None), None, None, []
    try:
        for time, frame in _played(clip):
            while wanted is not None and shown is not None and time > wanted:
                shaped = shaped or shaper.shape(shown)
                yield shaped
                wanted = next(waiting, None)
            if wanted is None:
                break
            seen.append(time)
            shown, shaped = frame, None
        _check_seen(clip, np.array(seen))
        while wanted is not None and shown is not None:
            shaped = shaped or shaper.shape(shown)
            yield shaped
            wanted = next(waiting, None)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise unreadable(clip.path, getattr(error, "strerror", None) or "its stream is broken") from error


def _expected(clip: Clip) -> int:
    return round((clip.end - clip.start) * clip.wanted_fps)


def _played(clip: Clip) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield the pictures of a clip with their seconds, from its start or before."""
    if clip.start > _SOUGHT_FROM:
        with open_file(clip.path) as container:
            stream = container.streams.video[clip.stream]
            if not jumps(container) and stream.time_base:
                container.seek(int((clip.timeline.first + clip.start) / stream.time_base), stream=stream)
                found = _timed(clip, container, stream)
                first = next(found, None)
                if first is not None and first[0] <= clip.start:  # an index may be wrong
                    yield first
                    yield from found
                    return
    with open_file(clip.path) as container:
        yield from _timed(clip, container, container.streams.video[clip.stream])


def _timed(
    clip: Clip, container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[float, av.VideoFrame]]:
    clock = Clock(jumps(container), step_of(stream))
    return timed(deinterlaced(decoded(container, stream)), clip.timeline, clock)


def _check_seen(clip: Clip, seen: np.ndarray) -> None:
    """Check that most of the expected pictures were decoded, at times `seen` (seconds, ascending).

    Raises:
        BadClip: Too many are missing.
    """
    times = clip.timeline.times
    due = times[(times >= clip.start) & (times < clip.end)]
    after = np.searchsorted(seen, due).clip(0, len(seen) - 1) if len(seen) else np.zeros(len(due), int)
    near = (
        np.minimum(abs(seen[after] - due), abs(seen[(after - 1).clip(0)] - due)) if len(seen) else np.full(len(due), 9)
    )
    lost = int((near > 1.01 / float(clip.timeline.rate) + 0.001).sum())
    if lost > _MOST_LOST * len(due):
        raise unreadable(clip.path, f"{len(due) - lost} of {len(due)} frames")


def unreadable(path: Path, reason: str) -> BadClip:
    """Return the error for a file that is no clip, or a broken one."""
    return BadClip(messages.preparing.CLIP_NOT_READABLE(file=path.name, reason=reason))
