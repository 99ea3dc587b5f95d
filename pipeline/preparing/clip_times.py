"""When the pictures of a clip are shown: read from its packets, as players understand them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

MAX_FPS = 30
MIN_FPS = 24
"""Slower clips get each picture twice or more often: lips need the frames even where the base has none."""
_TS_DISCONT = 512
"""FFmpeg's flag of formats whose clocks may jump, MPEG-TS for one; elsewhere a leap is a picture held so long."""
_HIDING = ("mov", "matroska")
"""Formats, by how FFmpeg's names of them begin, in which players pass over what lies before 0."""
_LEAP = 1.0
"""Seconds that such a clock never goes on by between two pictures, unless it jumps."""
_REORDERED = 2.0
"""Seconds by which packets may come before others that are shown earlier."""
_USUAL_FPS = Fraction(25)
"""What FFmpeg takes a bare stream for that says neither times nor a rate."""


class Clock:
    """Tells the seconds of stamps; where a clock may jump (MPEG-TS: wraps, gaps, joined files) it goes on evenly."""

    def __init__(self, jumps: bool, step: float) -> None:
        self._jumps, self._step, self._shift = jumps, step, 0.0
        self._last: float | None = None

    def follow(self, time: float) -> float:
        """Return what is to be added to the stamps around TIME (s), which is later than the one before or a jump."""
        if not self._jumps:
            return 0.0
        passed = 0.0 if self._last is None else time - self._last
        self._last = time
        if passed < -self._step / 2 or passed > _LEAP:
            self._shift += self._step - passed
        elif passed > 0:
            self._step = passed
        return self._shift


@dataclass(frozen=True)
class Timeline:
    """When the pictures of a clip are shown.

    times: (n,) seconds, ascending, the first is 0; first: the container's own time of that one, seconds; lead: seconds
    that sound or nothing is played before it; rate: pictures per second, where constant is true of all steps but
    those in which pictures are missing, else their mean; even: no picture is missing; packets: how many were read;
    hidden: how many pictures of the file players never show, since they are trimmed off; lost: how many come before
    the first that can be decoded; bare: they carry no times, and are shown one after the other; whole: whether all was
    read, or the clip is longer than what was asked for.
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
        """From the first picture to the end of the last."""
        return float(self.times[-1]) + float(1 / self.rate)

    @property
    def steady(self) -> Fraction:
        """The rate that lips need: its own where that is constant, halved or doubled; else the usual one nearest it."""
        if not self.constant:
            usual = min((24, 25, 30), key=lambda fps: abs(fps - self.rate))
            return Fraction(usual if abs(usual / self.rate - 1) < 0.02 else MAX_FPS)
        if self.rate > MAX_FPS:
            return self.rate / -(-self.rate // MAX_FPS)
        return self.rate * max(1, MAX_FPS // self.rate) if self.rate < MIN_FPS else self.rate


def jumps(container: av.container.InputContainer) -> bool:
    """Whether the clock of CONTAINER's format may jump."""
    return bool(int(container.format.flags) & _TS_DISCONT)


def step_of(stream: av.VideoStream) -> float:
    """Return the seconds between pictures of STREAM, as far as its header knows."""
    return float(1 / (stream.average_rate or stream.base_rate or stream.guessed_rate or _USUAL_FPS))


def read_timeline(
    container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame, until: float
) -> Timeline | None:
    """Return when the pictures of STREAM are shown, of which FIRST is the first that can be decoded.

    Nothing is decoded. Reads no further than UNTIL (s). Returns None where fewer than two pictures have times.
    """
    origin = 0.0 if container.start_time is None else container.start_time / av.time_base
    base, begin, step = stream.time_base or Fraction(1), first.time, step_of(stream)
    hides, clock = container.format.name.startswith(_HIDING), Clock(jumps(container), step)
    from_zero = container.format.name.startswith(_HIDING[0])
    # of an edit list, FFmpeg gives what it needs for decoding, some of it twice, and not what lies beyond
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
        beyond += timeless  # Matroska has no times for what lies before 0
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
    """Return the rate that STREAM names where it is the MEASURED one, else that one, rounded."""
    named = [Fraction(rate) for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if rate]
    near = min(named, key=lambda rate: abs(float(rate) - measured), default=None)
    if near is not None and abs(float(near) / measured - 1) < 0.01:
        return near
    return Fraction(max(1, round(measured)))


def timed(frames: Iterator[av.VideoFrame], timeline: Timeline, clock: Clock) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield those of FRAMES that TIMELINE shows, with their seconds, by CLOCK."""
    step = float(1 / timeline.rate)
    for number, frame in enumerate(frames):
        if timeline.bare:
            yield number * step, frame
        elif frame.time is not None:
            seconds = frame.time + clock.follow(frame.time) - timeline.first
            if seconds > -step / 2:
                yield seconds, frame
