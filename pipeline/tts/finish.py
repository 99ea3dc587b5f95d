"""Brings the speech of every engine to one loudness and the pitch that was asked for, clause by clause."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import numpy as np
import soxr
from av import AudioFrame
from av.filter import Graph
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from pipeline.core.numba_cache import ensure_numba_cache
from pipeline.speech_types import Speech

LOUDNESS = -18.0
"""Loudness of speech in LUFS (EBU R 128 measures it; it asks for -23 of whole programmes, and players want more)."""
CEILING = 10 ** (-1 / 20)
"""Highest true peak: -1 dBTP."""
FADE = 0.004
"""Seconds in which a piece fades in and out, so that it does not click."""
MOST_GAIN = 24.0
"""dB by which speech is made louder at most: what is softer is no voice."""
_BLOCK = 0.4
"""Seconds of the blocks in which loudness is measured."""
_SILENT = -70.0
"""LUFS from which a sound counts."""
_REACH = 0.005
"""Seconds before and after a peak in which the sound is lowered, gradually."""
_OVERSAMPLING = 4
"""By which true peaks are looked for between the samples."""


def finished(pieces: Iterator[Speech], level: float | None, pitch: float) -> Generator[Speech, None, None]:
    """Yield speech at the usual loudness and another pitch; lengths, marks and words stay.

    All pieces are amplified alike, so that nothing jumps between them; only peaks are lowered by themselves.

    Args:
        pieces: What an engine says; closed with this generator.
        level: How loud its voice is (LUFS); None measures the first piece that is not silent.
        pitch: Semitones.
    """
    gain = None if level is None else _gain(level)
    with ExitStack() as stack:
        if isinstance(pieces, Generator):
            stack.enter_context(closing(pieces))
        for piece in pieces:
            sound = _shifted(piece.samples, piece.rate, pitch)
            if gain is None and (measured := loudness([sound], piece.rate)) is not None:
                gain = _gain(measured)
            yield replace(piece, samples=_faded(_limited(sound * np.float32(gain or 1.0), piece.rate), piece.rate))


def loudness(parts: Iterable[np.ndarray], rate: int) -> float | None:
    """Return the integrated loudness of a sound in LUFS; None if it is silent.

    Args:
        parts: (n,) float32 each, in order.
        rate: Samples per second.
    """
    sound = np.concatenate([*parts, np.zeros(0, np.float32)]).astype(np.float32)
    if not sound.any():
        return None
    sound = np.resize(sound, max(len(sound), math.ceil(_BLOCK * rate) + 1))  # a short word begins again
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono")
    graph.link_nodes(source, graph.add("ebur128", "metadata=1"), graph.add("abuffersink")).configure()
    frame = AudioFrame.from_ndarray(sound[None], "flt", "mono")
    frame.sample_rate = rate
    graph.push(frame)
    graph.push(None)
    level = _SILENT
    with suppress(EOFError):
        while True:
            level = float(graph.pull().metadata.get("lavfi.r128.I", level))  # so far; an incomplete block has none
    return level if level > _SILENT else None


def _gain(level: float) -> float:
    return float(10 ** (min(LOUDNESS - level, MOST_GAIN) / 20))


def _limited(sound: np.ndarray, rate: int) -> np.ndarray:
    """Lower a sound smoothly around each of its peaks that is too high."""
    if not len(sound) or np.abs(sound).max() < CEILING / 2:
        return sound
    between = np.abs(soxr.resample(sound, rate, _OVERSAMPLING * rate, quality="HQ"))
    between = np.resize(between, (len(sound), _OVERSAMPLING))
    peaks = np.maximum(between.max(1), np.abs(sound))
    reach = round(_REACH * rate)
    needed = minimum_filter1d(np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9)), 2 * reach + 1)
    return np.asarray(sound * uniform_filter1d(needed, 2 * (reach // 2) + 1), np.float32)


def _faded(sound: np.ndarray, rate: int) -> np.ndarray:
    length = min(round(FADE * rate), len(sound) // 2)
    if length:
        ramp = np.linspace(0, 1, length, endpoint=False, dtype=np.float32)
        sound[:length] *= ramp
        sound[-length:] *= ramp[::-1]
    return sound


def _shifted(sound: np.ndarray, rate: int, pitch: float) -> np.ndarray:
    """Return a new sound of the same length, higher by `pitch` semitones."""
    if not pitch or not len(sound):
        return np.array(sound, np.float32)
    ensure_numba_cache()  # librosa compiles when it is imported
    from librosa.effects import pitch_shift

    window = 1 << round(math.log2(0.043 * rate))  # long enough for a man's voice, short enough for a consonant
    padded = np.pad(sound, (0, max(0, window - len(sound))))
    shifted = pitch_shift(padded, sr=rate, n_steps=pitch, n_fft=window, res_type="soxr_hq")
    shifted = shifted[: len(sound)]
    energy = float(np.sum(shifted**2))  # phases that no longer agree have cost some
    return np.asarray(shifted * np.sqrt(float(np.sum(padded**2)) / energy if energy else 1.0), np.float32)
