"""Mouth shapes from sound alone, for speech whose words nobody knows.

Every 10 ms: is there sound, does the voice ring, how much of it hisses, and where the first two formants lie (linear
prediction: Atal & Hanauer, 1971). Formants give opening and rounding, a murmur without upper formants is a nasal, and a
short hole in the sound is a stop. The result is a string of plain phonemes that the same articulation takes as any
other; it names the shape of the mouth, not the word.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import soxr
from scipy.ndimage import maximum_filter1d, median_filter

from pipeline.cancel import CancelToken
from pipeline.speech.mel import mel_power
from pipeline.speech.timeline import gapless
from pipeline.tts.base import Mark

HOP = 0.010
"""Seconds between two looks."""
BLOCK = 512
"""Looks that are taken at once: keeps memory small, and a cancelled task short."""
RATE = 10000
"""Hz; the first four formants lie below half of it."""
ORDER = 12
"""Coefficients of linear prediction: two for each formant, and the slope."""
WINDOW = 0.030
"""Seconds of sound for one prediction."""
BANDS = 40
SPEECH_RANGE = 32.0
"""dB below the loud parts (95th percentile) down to which sound counts as speech."""
ABOVE_FLOOR = 10.0
"""dB above the noise (10th percentile) from which sound counts as speech."""
MIN_PAUSE = 0.15
"""Seconds without speech that are a pause; a shorter hole is the closure of a stop."""
SHARE = 0.4
"""Share of a closure's frames that must look like lips."""
MIN_SOUND, MIN_CLOSURE = 0.035, 0.015
"""Seconds that an open shape and a closure last at least."""
VOICED = 0.5
"""Correlation of the sound with itself one pitch period later, from which the voice rings."""
MURMUR_DROP, MURMUR = 6.0, 9.0
"""dB by which a nasal is softer than the loudest sound within 0.1 s, and by which its low bands outweigh the others."""
LABIAL_F2 = (900.0, 1480.0)
"""Hz between which the second formant of a man lies while his lips are closed; behind the teeth it is higher."""
STOP_DROP, DULL = 18.0, 3.5
"""The same for the closure of a stop without voice, and for one at the lips."""

_VOWELS = {
    "a": (780, 1350), "ʌ": (590, 1080), "ɛ": (550, 1850), "e": (430, 2050), "i": (290, 2300), "o": (430, 830),
    "u": (310, 850), "ɯ": (350, 1400), "ə": (480, 1450),
}  # fmt: skip
"""First and second formant (Hz) of a man whose third lies at ``_MALE_F3``."""
_MALE_F3 = 2550.0


@dataclass(frozen=True)
class _Heard:
    """What is heard in each frame.

    level: dB; speech, voiced: bool; hiss: dB of what lies above 3 kHz over the rest; murmur: dB of what lies below
    600 Hz over what lies above 900 Hz.
    """

    level: np.ndarray
    speech: np.ndarray
    voiced: np.ndarray
    hiss: np.ndarray
    murmur: np.ndarray


def listen(samples: np.ndarray, rate: int, cancel: CancelToken | None = None) -> tuple[Mark, ...]:
    """Return phoneme marks from 0 to the end of SAMPLES (n,) float32 at RATE (Hz); pauses have an empty text.

    Raises Cancelled.
    """
    cancel = cancel or CancelToken()
    duration = len(samples) / rate
    heard = _hear(samples, rate, cancel)
    if not heard.speech.any():
        return gapless([], duration)
    symbols = _symbols(heard, _formants(samples, rate, len(heard.level), cancel))
    sounds, frame = [], 0
    for symbol, run in groupby(symbols):
        length = len(list(run))
        if symbol:
            sounds.append(Mark("phoneme", str(symbol), max(0.0, (frame - 0.5) * HOP), (frame + length - 0.5) * HOP))
        frame += length
    return gapless(sounds, duration)


def _hear(samples: np.ndarray, rate: int, cancel: CancelToken) -> _Heard:
    sound = soxr.resample(samples.astype(np.float32), rate, 16000, quality="LQ") if rate != 16000 else samples
    power = mel_power(sound, 16000, HOP, BANDS)
    level = 10 * np.log10(power.sum(axis=1) + 1e-9)
    top, floor = np.percentile(level, 95), np.percentile(level, 10)
    audible = level > max(top - SPEECH_RANGE, min(floor + ABOVE_FLOOR, top - 15), -45)
    low, middle, high = power[:, :12].sum(axis=1), power[:, 12:22].sum(axis=1), power[:, 26:].sum(axis=1)
    hiss = 10 * np.log10((high + 1e-9) / (low + middle + 1e-9))
    murmur = 10 * np.log10((power[:, :9].sum(axis=1) + 1e-9) / (power[:, 12:].sum(axis=1) + 1e-9))
    return _Heard(level, audible, _voicing(sound, len(level), cancel) > VOICED, hiss, murmur)


def _voicing(sound: np.ndarray, frames: int, cancel: CancelToken) -> np.ndarray:
    """Return the highest correlation with itself 2.5 to 14 ms later, per frame of SOUND at 16 kHz."""
    step, width, first, last = round(16000 * HOP), 640, 40, 224
    padded = np.pad(sound, (width // 2, width // 2 + step))
    best = np.zeros(frames)
    views = np.lib.stride_tricks.sliding_window_view(padded, width)[::step][:frames]
    for start in range(0, frames, BLOCK):
        cancel.check()
        piece = views[start : start + BLOCK]
        spectrum = np.fft.rfft(piece - piece.mean(axis=1, keepdims=True), 2 * width)
        echo = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, : last + 1]
        unbiased = echo[:, first:] * (width / (width - np.arange(first, last + 1)))
        best[start : start + BLOCK] = unbiased.max(axis=1) / (echo[:, 0] + 1e-6)
    return best


def _formants(samples: np.ndarray, rate: int, frames: int, cancel: CancelToken) -> np.ndarray:
    """Return the first three formants (Hz) per frame, smoothed: (frames, 3); NaN where there is none."""
    sound = soxr.resample(samples.astype(np.float32), rate, RATE, quality="LQ") if rate != RATE else samples
    sound = np.append(sound[:1], sound[1:] - 0.95 * sound[:-1])
    step, width = round(RATE * HOP), round(RATE * WINDOW)
    padded = np.pad(sound, (width // 2, width // 2 + step))
    views = np.lib.stride_tricks.sliding_window_view(padded, width)[::step][:frames]
    found = np.full((frames, 3), np.nan)
    for start in range(0, len(views), BLOCK):
        cancel.check()
        found[start : start + BLOCK] = _resonances(views[start : start + BLOCK] * np.hamming(width))
    known = np.where(np.isnan(found), np.nanmedian(found, axis=0), found)
    return np.asarray(median_filter(known, size=(5, 1)))


def _resonances(pieces: np.ndarray) -> np.ndarray:
    """Return the three lowest narrow resonances (Hz) of each row of PIECES (n, samples)."""
    spectrum = np.fft.rfft(pieces, 2 * pieces.shape[1])
    echo = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, : ORDER + 1]
    echo[:, 0] = echo[:, 0] * 1.0001 + 1e-6
    lags = np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))
    prediction = np.linalg.solve(echo[:, lags], echo[:, 1:, None])[..., 0]
    companion = np.zeros((len(pieces), ORDER, ORDER))
    companion[:, 0] = prediction
    companion[:, np.arange(1, ORDER), np.arange(ORDER - 1)] = 1
    roots = np.linalg.eigvals(companion)
    hertz = np.angle(roots) * RATE / (2 * np.pi)
    bandwidth = -np.log(np.maximum(np.abs(roots), 1e-6)) * RATE / np.pi
    hertz[(hertz < 180) | (hertz > 4000) | (bandwidth > 500)] = np.nan
    return np.sort(hertz, axis=1)[:, :3]


def _symbols(heard: _Heard, formants: np.ndarray) -> np.ndarray:
    """Return one phoneme per frame, "" in pauses."""
    ringing = heard.voiced & heard.speech
    scale = np.clip(np.median(formants[ringing, 2]) / _MALE_F3, 0.9, 1.25) if ringing.any() else 1.0
    symbols = _vowels(formants, scale)
    drop = maximum_filter1d(heard.level, 21) - heard.level
    labial = (formants[:, 1] > LABIAL_F2[0] * scale) & (formants[:, 1] < LABIAL_F2[1] * scale)
    nasal = heard.voiced & (drop > MURMUR_DROP) & (heard.murmur > MURMUR)
    symbols[nasal] = np.where(labial[nasal], "m", "n")
    breath = ~heard.voiced & (heard.hiss <= 0)
    symbols[breath] = "h"
    symbols[breath & (drop > STOP_DROP)] = "k"
    symbols[breath & (drop > STOP_DROP) & (heard.murmur > DULL)] = "p"
    symbols[heard.hiss > 0] = "s"
    _holes(symbols, heard)
    _agree(symbols, ("p", "t", "k"), SHARE)
    _agree(symbols, ("m", "n"), SHARE)
    _drop_short(symbols)
    return symbols


def _vowels(formants: np.ndarray, scale: float) -> np.ndarray:
    """Return the vowel nearest to each frame's first two formants, for a speaker SCALE times a man's."""
    names, targets = np.array([*_VOWELS]), np.log(np.array([*_VOWELS.values()]) * scale)
    apart = np.log(formants[:, None, :2]) - targets
    return np.asarray(names[(apart**2 * (1.0, 0.8)).sum(axis=2).argmin(axis=1)])


def _holes(symbols: np.ndarray, heard: _Heard) -> None:
    """Write pauses, and the closures that fall below the level of speech, into SYMBOLS."""
    frame = 0
    first, last = np.flatnonzero(heard.speech)[[0, -1]]
    for speech, run in groupby(heard.speech):
        length = len(list(run))
        hole = slice(frame, frame + length)
        frame += length
        if speech:
            continue
        inside = hole.start > first and hole.stop <= last
        if not inside or length * HOP >= MIN_PAUSE:
            symbols[hole] = ""
        else:
            # lips release into a dull sound, the tongue into a bright one
            symbols[hole] = "p" if heard.hiss[hole.stop : hole.stop + 3].max() < -12 else "t"


def _agree(symbols: np.ndarray, family: tuple[str, ...], share: float) -> None:
    """Make runs of sounds of one FAMILY its first, the one at the lips, where that holds a SHARE of them."""
    frame = 0
    for belongs, run in groupby(np.isin(symbols, family)):
        length = len(list(run))
        piece = symbols[frame : frame + length]
        frame += length
        if belongs:
            piece[:] = family[0] if np.mean(piece == family[0]) >= share else family[1]


def _drop_short(symbols: np.ndarray) -> None:
    """Give runs that are too short for a mouth to the sound before them."""
    frame = 0
    for symbol, run in groupby(symbols.copy()):
        length = len(list(run))
        shortest = MIN_CLOSURE if symbol in ("p", "t", "k", "m") else MIN_SOUND
        if frame > 0 and symbol and length * HOP < shortest:
            symbols[frame : frame + length] = symbols[frame - 1]
        frame += length
