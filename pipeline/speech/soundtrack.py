"""One sound track of a file, piece by piece: what is damaged is left out, and silence keeps its time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

FORMATS = "wav,w64,mp3,mov,mp4,m4a,ogg,matroska,webm,aac,flac,aiff,avi,caf,asf,mpeg,mpegts,au,amr,amrnb,amrwb"
"""FFmpeg's names of what people record in; others (playlists, lists of files) could make it open something else."""
BARE = ("mp3", "aac", "amr", "amrnb", "amrwb")
"""Formats without times of their own: those that FFmpeg makes up for them do not know what is missing."""
SYNCED = ("mp3float", "mp3", "aac")
"""Decoders of streams whose packets begin with a word that is not zero."""
GUESSED = (*BARE, "mpegts", "mpeg")
"""Formats that do not say how long they are, or not where FFmpeg looks."""
JITTER = 0.05
"""Seconds that a piece may come late without anything missing: containers round, and encoders pad."""
FALLS_BACK = 0.5
"""Seconds that a clock goes back where one recording ends and the next one, joined to it, begins."""
TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What begins titles and covers, which take no time, between the parts of a joined file."""
PLANES = 8
"""Channels from which PyAV, counting those that lie each for itself, reads beyond their list, and the process dies."""
HEAD = 1 << 18
"""Bytes in which a header is looked for: titles and a small cover may come before it."""
PATIENCE = 100
"""Tries to find another packet after something that is none."""
SMALLEST_LOSS = 0.3
"""Seconds that a track may be shorter than it says: headers round, and encoders pad."""


class Undecodable(ValueError):
    """Nothing of a track can be decoded."""


@dataclass(frozen=True)
class Piece:
    """samples: (n, channels) float32, full scale is 1, though a file of floats may go beyond it; rate: Hz."""

    samples: np.ndarray
    rate: int


class SoundTrack:
    """Sound track NUMBER (from 0, of those that can be decoded) of the file PATH.

    lost: seconds that could not be read, known when ``pieces`` came to their end.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.lost = 0.0
        self._path = path
        self._number = number

    def pieces(self, max_seconds: float) -> Generator[Piece]:
        """Yield the sound from its beginning on, holes as silence; rate and channels may change on the way.

        A hole of more than MAX_SECONDS is a clock that was set anew. Raises Undecodable where there is nothing else.
        """
        with opened(self._path) as container:
            stream = decodable(container)[self._number]
            told = _length_told(self._path, container, stream)
            reader = _Reader(self._path, stream, container.format.name in BARE, max_seconds)
            for packet in _packets(container, stream):
                yield from reader.read(packet)
            if not reader.heard:
                raise Undecodable("no sound")
            self.lost = reader.lost
            missing = 0.0 if told is None or told > max_seconds else told - reader.seconds
            self.lost += missing if missing > SMALLEST_LOSS else 0.0


def opened(path: Path) -> av.container.InputContainer:
    """Open the file PATH if it is of FORMATS. Raises FFmpegError, OSError, ValueError."""
    options = {"format_whitelist": FORMATS}
    container = av.open(str(path), options=options, metadata_errors="replace")
    if container.format.name != "aac":
        return container
    container.close()  # FFmpeg's parser would hide where in the file a packet was, and so what is missing before it
    return av.open(str(path), options={**options, "fflags": "+noparse"}, metadata_errors="replace")


def decodable(container: av.container.InputContainer) -> list[av.AudioStream]:
    """Return the sound tracks of CONTAINER that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def _packets(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.Packet]:
    """Yield the packets of STREAM as far as CONTAINER can be read: after what is no packet, others may come."""
    failures = 0
    while failures < PATIENCE:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except av.error.FFmpegError:
            failures += 1


def _length_told(path: Path, container: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    """Return how long (s) STREAM is by its own header, or by that of a CONTAINER that holds nothing else.

    None where that is FFmpeg's guess from the size of the file at PATH.
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
    """Return how long (s) the WAV file PATH is by its header, which FFmpeg corrects where the file is cut short."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    form, data = head.find(b"fmt "), head.find(b"data")
    if form < 0 or len(head) < max(form + 20, data + 8) or data < form:
        return None
    bytes_a_second, size = (int.from_bytes(head[at : at + 4], "little") for at in (form + 16, data + 4))
    return size / bytes_a_second if bytes_a_second else None


def _length_of_mp3(path: Path, rate: int) -> float | None:
    """Return how long (s) the mp3 file PATH of RATE (Hz) is where its first frame counts the others, as LAME's do.

    FFmpeg guesses instead where the file is of another size: when it is joined to others.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0 or not rate or len(head) < at + 12 or not head[at + 7] & 1:
        return None
    return int.from_bytes(head[at + 8 : at + 12], "big") * (1152 if rate >= 32000 else 576) / rate


class _Reader:
    """Decodes packets of STREAM one by one, and knows what is missing between them.

    Where the container has times of its own, they tell; in a BARE stream, the bytes that no packet holds, and those of
    packets that cannot be decoded, last as long as others do.
    """

    def __init__(self, path: Path, stream: av.AudioStream, bare: bool, max_seconds: float) -> None:
        self.seconds = 0.0
        self.lost = 0.0
        self.heard = False
        self._path = path
        self._stream = stream
        self._bare = bare
        self._longest = max_seconds
        self._rate = stream.rate or 0
        self._channels = stream.channels or 1
        self._begin: float | None = None  # the clock's time at the first sample
        self._good = [0, 0.0]  # bytes that were decoded, and seconds
        self._end: int | None = None  # where in the file the last packet ended

    def read(self, packet: av.Packet) -> Iterator[Piece]:
        """Yield what PACKET holds, after what is missing before it."""
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
            self.heard = True
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
        """Return SAMPLES as float32, with silence in place of what is no number."""
        with np.errstate(over="ignore"):
            samples = samples.astype(np.float32)
        wrong = ~np.isfinite(samples)
        if wrong.any():
            self.lost += float(wrong.any(axis=1).sum()) / self._rate
            samples[wrong] = 0
        return samples

    def _missing(self, time: float) -> Iterator[Piece]:
        """Yield silence for what should have come before TIME (s) on the container's clock."""
        if self._begin is None:
            self._begin = time - self.seconds
        gap = time - self._begin - self.seconds
        if gap < -FALLS_BACK or gap > self._longest:
            self._begin += gap
        elif gap > JITTER:
            yield from self._hole(gap)

    def _dropped(self, packet: av.Packet) -> Iterator[Piece]:
        """Yield silence for the bytes between the last packet and PACKET."""
        if packet.pos is None or packet.pos < 0:
            return
        if self._end is not None and packet.pos > self._end and not self._is_tag(self._end):
            yield from self._hole(self._lasts(packet.pos - self._end))
        self._end = packet.pos + packet.size

    def _without_zeros(self, packet: av.Packet) -> tuple[av.Packet, int]:
        """Return PACKET without the zeros before it, and how many these are; decoders skip some, and fail at others.

        A packet of AMR may begin with one.
        """
        if self._stream.codec_context.name not in SYNCED:
            return packet, 0
        data = bytes(packet)
        kept = data.lstrip(b"\0")
        return (av.Packet(kept), len(data) - len(kept)) if 0 < len(kept) < len(data) else (packet, 0)

    def _length(self, packet: av.Packet) -> float:
        """Return how long (s) PACKET would have lasted, which cannot be decoded."""
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
        """Return how long (s) SIZE bytes last."""
        read, seconds = self._good
        return size * seconds / read if read else 0.0

    def _is_tag(self, position: int | None) -> bool:
        if position is None or position < 0:
            return False
        with self._path.open("rb") as file:
            file.seek(position)
            return file.read(16).startswith(TAGS)

    def _hole(self, seconds: float) -> Iterator[Piece]:
        """Yield silence of SECONDS, a second at a time, and count it as lost."""
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
