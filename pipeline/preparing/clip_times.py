"""Reads when the pictures of a clip are shown from its packets, as players interpret them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

MAX_FPS = 30
MIN_FPS = 24
"""Pictures of slower clips are repeated: lips need the frames even if the clip has none."""
_TS_DISCONT = 512
"""FFmpeg's flag of formats whose clock may jump, such as MPEG-TS; in others a leap is a picture that is held."""
_HIDING = ("mov", "matroska")
"""Formats, by the beginning of FFmpeg's names, of which players skip everything before 0."""
_LEAP = 1.0
"""Seconds between two pictures from which such a clock has jumped."""
_REORDERED = 2.0
"""Seconds by which packets may precede others that are shown earlier."""
_USUAL_FPS = Fraction(25)
"""FFmpeg's assumption for a bare stream without times and rate."""


class Clock:
    """Converts time stamps to seconds; continues evenly where the clock jumps (MPEG-TS: wraps, gaps, joined files)."""

    def __init__(self, jumps: bool, step: float) -> None:
        self._jumps, self._step, self._shift = jumps, step, 0.0
        self._last: float | None = None

    def follow(self, time: float) -> float:
        """Return what to add to the stamps around a time (seconds), which is later than the one before or a jump."""
        if not self._jumps:
            return 0.0
        passed = 0.0 if self._last is None else time - self._last
        self._last = time
        if passed < -self._step / 2 or passed > _LEAP:
            self._shift += self._step - passed
        elif passed > 0:
            self._step = passed
        return self._shift


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When the pictures of a clip are shown.

    Attributes:
        times: (n,) seconds, ascending; the first is 0.
        first: The container's own time of the first picture, in seconds.
        lead: Seconds of sound or nothing before the first picture.
        rate: Pictures per second; the mean unless `constant`.
        constant: Whether all steps are equal, except where pictures are missing.
        even: No picture is missing.
        packets: Number of packets that were read.
        hidden: Pictures that are trimmed off, which players never show.
        lost: Pictures before the first that can be decoded.
        bare: There are no times; pictures are shown one after the other.
        whole: Everything was read; otherwise the clip is longer than requested.
    """

    times: np.ndarray
    first: float
    lead: float
    rate: Fraction
    constant: bool
    even: bool
    packets: int
    hidden: int
    lost: int
    bare: bool
    whole: bool

    @property
    def seconds(self) -> float:
        """Length from the first picture to the end of the last."""
        return float(self.times[-1]) + float(1 / self.rate)

    @property
    def wanted_fps(self) -> Fraction:
        """The rate that lips need: the clip's own if it is constant, halved or doubled; else the nearest usual one."""
        if not self.constant:
            usual = min((24, 25, 30), key=lambda fps: abs(fps - self.rate))
            return Fraction(usual if abs(usual / self.rate - 1) < 0.02 else MAX_FPS)
        if self.rate > MAX_FPS:
            return self.rate / -(-self.rate // MAX_FPS)
        return self.rate * max(1, MAX_FPS // self.rate) if self.rate < MIN_FPS else self.rate


def jumps(container: av.container.InputContainer) -> bool:
    """Return whether the clock of a format may jump."""
    return bool(int(container.format.flags) & _TS_DISCONT)


def step_of(stream: av.VideoStream) -> float:
    """Return the seconds between pictures according to the header."""
    return float(1 / (stream.average_rate or stream.base_rate or stream.guessed_rate or _USUAL_FPS))


def read_timeline(
    container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame, until: float
) -> Timeline | None:
    """Return when the pictures of a stream are shown; nothing is decoded.

    Args:
        container: The file.
        stream: Its pictures.
        first: The first picture that can be decoded.
        until: Seconds after which reading stops.

    Returns:
        None if fewer than two pictures have times.
    """
    origin = 0.0 if container.start_time is None else container.start_time / av.time_base
    base, begin, step = stream.time_base or Fraction(1), first.time, step_of(stream)
    hides, clock = container.format.name.startswith(_HIDING), Clock(jumps(container), step)
    from_zero = container.format.name.startswith(_HIDING[0])
    # for an edit list, FFmpeg returns packets for decoding only, some twice, and none beyond it
    beyond = max(0, stream.frames - len({entry.pos for entry in stream.index_entries})) if from_zero else 0
    times: list[float] = []
    hidden, seen = set[int | None](), set[int | None]()
    packets = lost = timeless = 0
    whole = True
    for packet in container.demux(stream):
        if not packet.size:
            continue
        packets += 1
        shown = packet.dts if packet.pts is None else packet.pts
        if shown is None:
            timeless += 1
            whole = timeless * step <= until + _REORDERED
        else:
            shift = clock.follow(float((shown if packet.dts is None else packet.dts) * base))
            time = float(shown * base) + shift
            if packet.is_discard or (hides and time < -step / 2):
                hidden.add(packet.pos)
            elif begin is not None and time < begin - step / 2:
                lost += 1
            else:
                times.append(time)
                seen.add(packet.pos)
                whole = time - times[0] <= until + _REORDERED
        if not whole:
            break
    if bare := not times:
        times = [number * step for number in range(timeless)]
    elif hides:
        beyond += timeless  # Matroska has no times before 0
    shown_at = np.unique(np.array(times))
    if len(shown_at) < 2:
        return None
    start, steps = float(shown_at[0]), np.diff(shown_at)
    usual = float(np.median(steps))
    lead = 0.0 if bare else start - (0.0 if from_zero else max(0.0, origin) if hides else origin)
    slots = np.rint(steps / usual)
    on_grid = bool((np.abs(steps / usual - slots) < 0.1).all())
    constant, even = on_grid and bool((slots == 1).mean() >= 0.9), on_grid and bool((slots == 1).all())
    measured = float(slots.sum() / steps.sum()) if constant else len(shown_at) / (float(steps.sum()) + usual)
    return Timeline(
        times=shown_at - start,
        first=start,
        lead=lead if lead > 1.5 * usual else 0.0,  # sound often begins a little earlier
        rate=_named(stream, measured) if constant else Fraction(measured).limit_denominator(1000),
        constant=constant,
        even=even,
        packets=packets,
        hidden=len(hidden - seen) + beyond,
        lost=lost,
        bare=bare,
        whole=whole,
    )


def _named(stream: av.VideoStream, measured: float) -> Fraction:
    """Return the rate in the stream's header if it matches the measured one, else the measured one, rounded."""
    named = [Fraction(rate) for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if rate]
    near = min(named, key=lambda rate: abs(float(rate) - measured), default=None)
    if near is not None and abs(float(near) / measured - 1) < 0.01:
        return near
    return Fraction(max(1, round(measured)))


def timed(frames: Iterator[av.VideoFrame], timeline: Timeline, clock: Clock) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield the frames of a timeline with their seconds."""
    step = float(1 / timeline.rate)
    for number, frame in enumerate(frames):
        if timeline.bare:
            yield number * step, frame
        elif frame.time is not None:
            seconds = frame.time + clock.follow(frame.time) - timeline.first
            if seconds > -step / 2:
                yield seconds, frame
