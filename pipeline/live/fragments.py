"""Writes the fragments of an endless mp4 (ISO/IEC 14496-12) from packets that are encoded already.

FFmpeg's muxer ends a fragment only when the next key frame arrives, a whole fragment too late for a viewer who waits
for an answer. It also takes every packet through Python. Here a fragment is a header of 200 bytes and the packets of
its pictures as they lie in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

VIDEO, AUDIO = 1, 2
"""Numbers of the tracks."""
TIMESCALE_FACTOR = 1000
"""The video track counts time in frames of this many parts."""
_DEPENDS, _KEY = 0x01010000, 0x02000000
"""Flags of a sample (8.8.3.1): one that depends on others and is no key frame, and one that depends on none."""
_MOOF_IS_BASE = 0x020000


@dataclass(frozen=True)
class Gop:
    """Pictures that can be decoded alone, in order; the first is a key frame.

    Attributes:
        data: The H.264 access units, each NAL unit after its length (14496-15), one after the other.
        sizes: Bytes of each picture.
    """

    data: bytes
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Fragment:
    """A piece of a stream that a player can append to any header of the same stream.

    Attributes:
        data: The boxes moof and mdat.
        start: Time of its first picture in the stream, in seconds.
        duration: Length of its pictures in seconds.
        drawn: How many of its pictures were drawn for it; 0 where the avatar idles.
    """

    data: bytes
    start: float
    duration: float
    drawn: int = 0


def length_prefixed(stream: bytes) -> bytes:
    """Return an access unit in H.264's byte stream format (Annex B) with lengths in place of start codes."""
    units = []
    begin = stream.find(b"\0\0\1")
    while begin >= 0:
        end = stream.find(b"\0\0\1", begin + 3)
        unit = stream[begin + 3 : end if end >= 0 else len(stream)].rstrip(b"\0")  # a unit never ends with a zero
        units.append(struct.pack(">I", len(unit)) + unit)
        begin = end
    return b"".join(units)


def video_timescale(fps: Fraction) -> int:
    """Return how many units of time a second of the video track has."""
    return fps.numerator * TIMESCALE_FACTOR


class FragmentWriter:
    """Numbers and times the fragments of one stream.

    Args:
        fps: Frames per second.
        sound_rate: Samples per second.
        packet_samples: Samples in a packet of sound.
        number: At least the number of its fragments that another process has written.
    """

    def __init__(self, fps: Fraction, sound_rate: int, packet_samples: int, number: int = 0) -> None:
        self._fps = fps
        self._frame_units = fps.denominator * TIMESCALE_FACTOR
        self._sound_rate = sound_rate
        self._packet_samples = packet_samples
        self._number = number

    def fragment(self, frame: int, gop: Gop, packet: int, sound: Sequence[bytes]) -> Fragment:
        """Return a fragment.

        Args:
            frame: Number of its first picture in the stream.
            gop: Its pictures.
            packet: Number of its first packet of sound in the stream.
            sound: Its packets of sound; may be empty.
        """
        self._number += 1
        trafs = [(VIDEO, frame * self._frame_units, self._frame_units, gop.sizes)]
        if sound:
            trafs.append((AUDIO, packet * self._packet_samples, self._packet_samples, tuple(map(len, sound))))
        header = _box(b"mfhd", struct.pack(">II", 0, self._number))
        length = 8 + len(header) + sum(_traf_length(sizes) for *_, sizes in trafs)
        offset = length + 8
        for track, time, duration, sizes in trafs:
            header += _traf(track, time, duration, sizes, offset)
            offset += sum(sizes)
        mdat = (gop.data, *sound)
        size = 8 + sum(map(len, mdat))
        data = b"".join((_box(b"moof", header), struct.pack(">I4s", size, b"mdat"), *mdat))
        return Fragment(data, float(frame / self._fps), float(len(gop.sizes) / self._fps))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _traf_length(sizes: Sequence[int]) -> int:
    return 8 + 24 + 20 + 24 + 4 * len(sizes)


def _traf(track: int, time: int, duration: int, sizes: Sequence[int], offset: int) -> bytes:
    """Return the box of one track: where its samples begin in time and in the fragment, and how large they are."""
    rest = _DEPENDS if track == VIDEO else _KEY
    tfhd = struct.pack(">IIII", _MOOF_IS_BASE | 0x08 | 0x20, track, duration, rest)
    tfdt = struct.pack(">IQ", 0x01000000, time)
    trun = struct.pack(f">IIiI{len(sizes)}I", 0x01 | 0x04 | 0x200, len(sizes), offset, _KEY, *sizes)
    return _box(b"traf", _box(b"tfhd", tfhd) + _box(b"tfdt", tfdt) + _box(b"trun", trun))
