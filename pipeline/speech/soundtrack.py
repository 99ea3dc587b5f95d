"""Decodes a sound track piece by piece; damaged parts become silence, so that times stay right."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

FORMATS = "wav,w64,mp3,mov,mp4,m4a,ogg,matroska,webm,aac,flac,aiff,avi,caf,asf,mpeg,mpegts,au,amr,amrnb,amrwb"
"""FFmpeg's names of formats in which people record.

Others (playlists, lists of files) could make it open other files.
"""
KINDS = ("wav", "mp3", "m4a", "ogg", "webm", "flac", "amr")
"""Usual kinds among them, for messages and documents; films of these formats are taken as well."""
BARE = ("mp3", "aac", "amr", "amrnb", "amrwb")
"""Formats without time stamps; those that FFmpeg makes up do not reveal missing parts."""
SYNCED = ("mp3float", "mp3", "aac")
"""Decoders of streams whose packets begin with a sync word that is not zero."""
GUESSED = (*BARE, "mpegts", "mpeg")
"""Formats that do not declare their length, or not where FFmpeg looks."""
JITTER = 0.05
"""Seconds that a piece may be late without anything missing: containers round, and encoders pad."""
FALLS_BACK = 0.5
"""Seconds that the clock goes back where one recording ends and the next one, appended to it, begins."""
TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""Beginnings of titles and covers between the parts of an appended file; they have no duration."""
PLANES = 8
"""Planar channels from which PyAV reads beyond their list, which crashes the process."""
HEAD = 1 << 18
"""Bytes in which a header is searched: titles and a small cover may come before it."""
PATIENCE = 100
"""Tries to find another packet after invalid data."""
SMALLEST_LOSS = 0.3
"""Seconds that a track may be shorter than declared: headers round, and encoders pad."""


class Undecodable(ValueError):
    """Nothing of a track can be decoded."""


@dataclass(frozen=True)
class Piece:
    """Decoded sound.

    Attributes:
        samples: (n, channels) float32; full scale is 1, but a file of floats may exceed it.
        rate: Samples per second.
    """

    samples: np.ndarray
    rate: int


class SoundTrack:
    """A sound track of a file.

    Args:
        path: The file.
        number: Number of the track, from 0, among those that can be decoded.

    Attributes:
        lost: Seconds that could not be read; known when ``pieces`` has ended.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.lost = 0.0
        self._path = path
        self._number = number

    def pieces(self, max_seconds: float) -> Generator[Piece]:
        """Yield the sound from its beginning, gaps as silence; rate and channels may change on the way.

        Args:
            max_seconds: A longer gap is a clock that was reset.

        Raises:
            Undecodable: Nothing can be decoded.
        """
        with opened(self._path) as container:
            stream = decodable(container)[self._number]
            stated = _length_in_header(self._path, container, stream)
            reader = _Reader(self._path, stream, container.format.name in BARE, max_seconds)
            for packet in _packets(container, stream):
                yield from reader.read(packet)
            if not reader.sounded:
                raise Undecodable("no sound")
            self.lost = reader.lost
            missing = 0.0 if stated is None or stated > max_seconds else stated - reader.seconds
            self.lost += missing if missing > SMALLEST_LOSS else 0.0


def opened(path: Path) -> av.container.InputContainer:
    """Open a file if it is one of `FORMATS`.

    Raises:
        FFmpegError, OSError, ValueError: It cannot be opened, or is of another format.
    """
    options = {"format_whitelist": FORMATS}
    container = av.open(str(path), options=options, metadata_errors="replace")
    if container.format.name != "aac":
        return container
    container.close()  # FFmpeg's parser would hide where in the file a packet is, and so what is missing before it
    return av.open(str(path), options={**options, "fflags": "+noparse"}, metadata_errors="replace")


def decodable(container: av.container.InputContainer) -> list[av.AudioStream]:
    """Return the sound tracks that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def _packets(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream as far as the file can be read; others may follow invalid data."""
    failures = 0
    while failures < PATIENCE:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except av.error.FFmpegError:
            failures += 1


def _length_in_header(path: Path, container: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    """Return the length (seconds) in the header of a stream, or of a container that holds nothing else.

    Returns:
        None if it is FFmpeg's guess from the size of the file.
    """
    form = container.format.name
    if form == "wav":
        return _length_of_wav(path)
    if form == "mp3":
        return _length_of_mp3(path, stream.rate)
    if form in GUESSED:
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1 and container.duration
    return float(container.duration / av.time_base) if alone and container.duration else None


def _length_of_wav(path: Path) -> float | None:
    """Return the length (seconds) in the header of a WAV file; FFmpeg would correct it for a truncated file."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    form, data = head.find(b"fmt "), head.find(b"data")
    if form < 0 or len(head) < max(form + 20, data + 8) or data < form:
        return None
    bytes_a_second, size = (int.from_bytes(head[at : at + 4], "little") for at in (form + 16, data + 4))
    return size / bytes_a_second if bytes_a_second else None


def _length_of_mp3(path: Path, rate: int) -> float | None:
    """Return the length (seconds) of an mp3 file whose first frame counts the others, as LAME writes it.

    FFmpeg guesses instead if the file has another size, for example because another file is appended to it.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0 or not rate or len(head) < at + 12 or not head[at + 7] & 1:
        return None
    return int.from_bytes(head[at + 8 : at + 12], "big") * (1152 if rate >= 32000 else 576) / rate


class _Reader:
    """Decodes the packets of a stream one by one, and detects what is missing between them.

    If the container has time stamps, they decide. In a `BARE` stream, bytes outside packets and those of undecodable
    packets last as long as others do.
    """

    def __init__(self, path: Path, stream: av.AudioStream, bare: bool, max_seconds: float) -> None:
        self.seconds = 0.0
        self.lost = 0.0
        self.sounded = False
        self._path = path
        self._stream = stream
        self._bare = bare
        self._longest = max_seconds
        self._rate = stream.rate or 0
        self._channels = stream.channels or 1
        self._begin: float | None = None  # the clock's time at the first sample
        self._good = [0, 0.0]  # bytes that were decoded, and seconds
        self._end: int | None = None  # position in the file at which the last packet ended

    def read(self, packet: av.Packet) -> Iterator[Piece]:
        """Yield the sound of a packet, after silence for what is missing before it."""
        if self._bare:
            yield from self._dropped(packet)
            packet, zeros = self._without_zeros(packet)
            yield from self._hole(self._lasts(zeros))
        try:
            frames = self._stream.decode(packet)
        except (av.error.FFmpegError, ValueError):
            yield from self._hole(self._length(packet))
            return
        for frame in frames:
            if not frame.samples or not frame.sample_rate:
                continue
            if not self._bare and frame.pts is not None and frame.time_base is not None:
                yield from self._missing(float(frame.pts * frame.time_base))
            piece = self._piece(frame)
            self.sounded = True
            self._add(piece)
            self._good[1] += len(piece.samples) / piece.rate
            yield piece
        self._good[0] += packet.size

    def _piece(self, frame: av.AudioFrame) -> Piece:
        self._rate, self._channels = frame.sample_rate, frame.layout.nb_channels
        if frame.format.is_planar and self._channels >= PLANES:
            frame = av.AudioResampler(frame.format.packed, frame.layout, frame.sample_rate).resample(frame)[0]
        values = frame.to_ndarray()
        samples = values.T if frame.format.is_planar else values.reshape(-1, self._channels)
        if samples.dtype.kind == "f":
            return Piece(self._numbers(samples), self._rate)
        if samples.dtype.kind == "u":
            return Piece((samples.astype(np.float32) - 128) / 128, self._rate)
        return Piece(samples.astype(np.float32) / float(2 ** (8 * samples.dtype.itemsize - 1)), self._rate)

    def _numbers(self, samples: np.ndarray) -> np.ndarray:
        """Return the samples as float32, with silence in place of NaN and infinity."""
        with np.errstate(over="ignore"):
            samples = samples.astype(np.float32)
        wrong = ~np.isfinite(samples)
        if wrong.any():
            self.lost += float(wrong.any(axis=1).sum()) / self._rate
            samples[wrong] = 0
        return samples

    def _missing(self, time: float) -> Iterator[Piece]:
        """Yield silence for what is missing before a time (seconds) on the container's clock."""
        if self._begin is None:
            self._begin = time - self.seconds
        gap = time - self._begin - self.seconds
        if gap < -FALLS_BACK or gap > self._longest:
            self._begin += gap
        elif gap > JITTER:
            yield from self._hole(gap)

    def _dropped(self, packet: av.Packet) -> Iterator[Piece]:
        """Yield silence for the bytes between the last packet and this one."""
        if packet.pos is None or packet.pos < 0:
            return
        if self._end is not None and packet.pos > self._end and not self._is_tag(self._end):
            yield from self._hole(self._lasts(packet.pos - self._end))
        self._end = packet.pos + packet.size

    def _without_zeros(self, packet: av.Packet) -> tuple[av.Packet, int]:
        """Return the packet without leading zeros, and their number; decoders skip some, and fail at others.

        A packet of AMR may begin with a zero.
        """
        if self._stream.codec_context.name not in SYNCED:
            return packet, 0
        data = bytes(packet)
        kept = data.lstrip(b"\0")
        return (av.Packet(kept), len(data) - len(kept)) if 0 < len(kept) < len(data) else (packet, 0)

    def _length(self, packet: av.Packet) -> float:
        """Return how long (seconds) a packet that cannot be decoded would have lasted."""
        if packet.duration and packet.time_base:
            length = float(packet.duration * packet.time_base)
        else:
            length = 0.0 if self._bare or self._good[1] == 0 else self._lasts(packet.size)
        if not self._bare:
            return length
        if self._is_tag(packet.pos):
            return 0.0
        return max(length, self._lasts(packet.size))

    def _lasts(self, size: int) -> float:
        """Return how long (seconds) a number of bytes lasts."""
        read, seconds = self._good
        return size * seconds / read if read else 0.0

    def _is_tag(self, position: int | None) -> bool:
        if position is None or position < 0:
            return False
        with self._path.open("rb") as file:
            file.seek(position)
            return file.read(16).startswith(TAGS)

    def _hole(self, seconds: float) -> Iterator[Piece]:
        """Yield silence, a second at a time, and count it as lost."""
        rate = self._rate or 16000
        left = round(min(seconds, self._longest) * rate)
        self.lost += left / rate
        while left > 0:
            count = min(left, rate)
            left -= count
            piece = Piece(np.zeros((count, self._channels), np.float32), rate)
            self._add(piece)
            yield piece

    def _add(self, piece: Piece) -> None:
        self.seconds += len(piece.samples) / piece.rate
