"""Reads speech that a user uploads: any file that FFmpeg's libraries can decode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr

from pipeline import messages
from pipeline.errors import BadRequest
from pipeline.messages import Message
from pipeline.speech.soundtrack import KINDS, Piece, SoundTrack, Undecodable, decodable, opened
from pipeline.speech.voice_channel import Survey

MIN_SECONDS = 0.1
MAX_SECONDS = 900.0
MAX_RATE = 48000
"""Hz; higher rates are resampled to this."""
MIN_RATE = 8000
QUIETEST = 1e-4
"""Peak below which a recording counts as silent; full scale is 1."""
ENOUGH = 0.6
"""Share of the speech in the best track from which an earlier track is preferred: players play the first one."""
HOT = 8.0
"""Peak of floats up to which they are merely too loud; beyond it, they are unscaled integers."""
SCALES = tuple(2.0 ** (bits - 1) for bits in (8, 16, 24, 32))
"""Full scale of integers."""
SPIKES = 1e-3
"""Share of samples up to which outliers are errors of the file."""
NOISE = 0.3
"""Flatness of the spectrum (geometric mean / mean) from which sound is noise; that of speech is below 0.1."""


@dataclass(frozen=True)
class Recording:
    """A decoded recording.

    Attributes:
        samples: (n,) float32 mono in [-1, 1].
        rate: Samples per second.
        lost: Seconds that could not be read and are silent, or are missing at the end.
    """

    samples: np.ndarray
    rate: int
    lost: float


def load_audio(path: Path, max_seconds: float = MAX_SECONDS) -> tuple[np.ndarray, int]:
    """Return the samples and the rate of ``load_recording``; raise what it raises."""
    recording = load_recording(path, max_seconds)
    return recording.samples, recording.rate


def load_recording(path: Path, max_seconds: float = MAX_SECONDS) -> Recording:
    """Return the speech in a file (wav, mp3, m4a, ogg, amr, ...).

    Of several tracks, the one with speech is taken; of several channels, the one with the voice, at its own level.
    Damaged parts become silence of the same length.

    Args:
        path: The file.
        max_seconds: Longest recording.

    Raises:
        BadRequest: The file is missing, no sound, silent, not decodable, shorter than `MIN_SECONDS` or longer than
            `max_seconds`.
    """
    with _reading():
        track, survey = _with_speech(path, _tracks(path), max_seconds)
        samples, rate = _mono(track, survey, max_seconds)
    if len(samples) < MIN_SECONDS * rate:
        raise _refused(messages.speech.RECORDING_TOO_SHORT(limit=MIN_SECONDS))
    samples, spoilt = _in_range(samples)
    if np.abs(samples).max() < QUIETEST:
        raise _refused(messages.speech.RECORDING_SILENT())
    return Recording(samples, rate, track.lost + spoilt / rate)


def check_kind(path: Path) -> None:
    """Check that a file holds sound of a kind that can be decoded; nothing is decoded yet.

    Raises:
        BadRequest: It does not; the message lists usual kinds.
    """
    with _reading():
        _tracks(path)


def _tracks(path: Path) -> int:
    """Return how many tracks of a file can be decoded.

    Raises:
        BadRequest: There is none.
    """
    with opened(path) as container:
        count, known = len(container.streams.audio), len(decodable(container))
    if not count:
        raise _refused(messages.speech.RECORDING_WITHOUT_SOUND())
    if not known:
        raise _refused(messages.speech.RECORDING_OF_UNKNOWN_FORMAT())
    return known


@contextmanager
def _reading() -> Iterator[None]:
    """Turn errors of the block's file into those for people."""
    try:
        yield
    except FileNotFoundError as error:
        raise _refused(messages.speech.RECORDING_MISSING()) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _refused(messages.speech.RECORDING_BROKEN()) from error


def _with_speech(path: Path, count: int, max_seconds: float) -> tuple[SoundTrack, Survey]:
    """Return the track of a file that contains speech, and its survey."""
    surveys: dict[SoundTrack, Survey] = {}
    for number in range(count):
        track, survey = SoundTrack(path, number), Survey(compared=count > 1)
        with suppress(Undecodable), closing(track.pieces(max_seconds)) as pieces:  # another one may do
            for piece in pieces:
                survey.add(piece)
                if survey.seconds > max_seconds:
                    raise _refused(messages.speech.RECORDING_TOO_LONG(limit=max_seconds))
            surveys[track] = survey
    if not surveys:
        raise Undecodable("no track")
    if len(surveys) == 1:
        return next(iter(surveys.items()))
    amounts = {track: survey.amount() for track, survey in surveys.items()}
    chosen = next(track for track, amount in amounts.items() if amount >= ENOUGH * max(amounts.values()))
    return chosen, surveys[chosen]


def _mono(track: SoundTrack, survey: Survey, max_seconds: float) -> tuple[np.ndarray, int]:
    """Return a track as one channel (n,), and its rate (Hz), according to its survey."""
    rate = min(max(survey.rate, MIN_RATE), MAX_RATE)
    parts = _at_rate(_mixed(track, survey, max_seconds), rate)
    return np.concatenate([np.zeros(0, np.float32), *parts]), rate


def _mixed(track: SoundTrack, survey: Survey, max_seconds: float) -> Iterator[Piece]:
    """Yield the pieces of a track with the channels that the survey chose, added."""
    weights: dict[int, np.ndarray] = {}
    for piece in track.pieces(max_seconds):
        channels = piece.samples.shape[1]
        if channels not in weights:
            weights[channels] = survey.weights(channels)
        yield Piece(piece.samples @ weights[channels], piece.rate)


def _at_rate(pieces: Iterator[Piece], rate: int) -> Iterator[np.ndarray]:
    """Yield mono pieces, whose rates may change, at one rate (Hz)."""
    stream, now = None, rate
    for piece in pieces:
        if piece.rate != now:
            if stream is not None:
                yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
            now = piece.rate
            stream = None if now == rate else soxr.ResampleStream(now, rate, 1, dtype="float32")
        yield piece.samples if stream is None else stream.resample_chunk(piece.samples)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _in_range(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Return samples (n,) within [-1, 1], and how many damaged ones were silenced.

    Integers that were stored as floats are divided by their full scale, floats that are too loud by their peak.

    Raises:
        BadRequest: The samples are noise.
    """
    size = np.abs(samples)
    out = size > HOT
    spoilt = 0
    if out.any() and out.mean() <= SPIKES and np.count_nonzero(~out & (size > QUIETEST)):
        spoilt = int(out.sum())
        samples = np.where(out, 0, samples)
    peak = float(np.abs(samples).max())
    if peak <= 1:
        return samples, spoilt
    if peak <= HOT:
        return (np.clip(samples, -1, 1) if np.mean(np.abs(samples) > 1) <= SPIKES else samples / peak), spoilt
    unsigned = samples.min() >= 0
    scale = next((scale for scale in SCALES if peak <= (2 * scale if unsigned else scale)), None)
    if scale is None or _flatness(samples) > NOISE:
        raise _refused(messages.speech.RECORDING_NOISE())
    return (samples - scale if unsigned else samples) / np.float32(scale), spoilt


def _flatness(samples: np.ndarray) -> float:
    """Return the flatness of the spectrum: 1 for white noise."""
    length = min(1024, len(samples))
    blocks = samples[: len(samples) // length * length].reshape(-1, length).astype(np.float64)
    power = (np.abs(np.fft.rfft(blocks * np.hanning(length))) ** 2).mean(axis=0)[2:] + 1e-30
    return float(np.exp(np.log(power).mean()) / power.mean())


def _refused(why: Message) -> BadRequest:
    return BadRequest(messages.speech.RECORDING_UNUSABLE(why=why, kinds=", ".join(KINDS)))
