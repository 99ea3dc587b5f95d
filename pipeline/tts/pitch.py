"""Moves speech to another pitch: a phase vocoder makes it longer or shorter, and resampling gives back its length.

The method is that of Flanagan & Golden 1966 ("Phase vocoder").
"""

from __future__ import annotations

import math

import numpy as np
import soxr
from scipy.signal import istft, stft

_WINDOW = 0.043
"""Seconds of a spectrum, to the nearest power of two: long enough for a man's voice, short enough for a consonant."""
_OVERLAP = 4
"""Spectra that hold a sample."""


def shifted(sound: np.ndarray, rate: int, semitones: float) -> np.ndarray:
    """Return a new sound (n,) float32 of the same length and energy, higher by `semitones`.

    Args:
        sound: (n,) float32.
        rate: Samples per second.
        semitones: -12 to 12.
    """
    if not semitones or not len(sound):
        return np.array(sound, np.float32)
    window = 1 << round(math.log2(_WINDOW * rate))
    longer = 2 ** (semitones / 12)
    padded = np.pad(sound, (0, max(0, window - len(sound))))
    moved = soxr.resample(_stretched(padded, window, longer), longer * rate, rate)
    moved = np.pad(moved, (0, max(0, len(sound) - len(moved))))[: len(sound)]
    energy = float(np.sum(moved**2))  # phases that no longer agree have cost some
    return np.asarray(moved * np.sqrt(float(np.sum(sound**2)) / energy if energy else 1.0), np.float32)


def _stretched(sound: np.ndarray, window: int, longer: float) -> np.ndarray:
    """Return a sound that lasts `longer` times as long, at the same pitch."""
    hop = window // _OVERLAP
    _, _, spectra = stft(sound, nperseg=window, noverlap=window - hop, padded=False)
    places = np.arange(0, spectra.shape[1], 1 / longer)  # of the new spectra among the old ones
    before = places.astype(int)
    share = places - before
    spectra = np.pad(spectra, ((0, 0), (0, 2)))
    size, phase = np.abs(spectra), np.angle(spectra)
    expected = 2 * np.pi * hop / window * np.arange(len(spectra))[:, None]
    turned = np.diff(phase, axis=1) - expected
    turned += expected - 2 * np.pi * np.round(turned / (2 * np.pi))
    phases = np.cumsum(np.concatenate([phase[:, :1], turned[:, before[:-1]]], axis=1), axis=1)
    sizes = (1 - share) * size[:, before] + share * size[:, before + 1]
    _, made = istft(sizes * np.exp(1j * phases), nperseg=window, noverlap=window - hop)
    length = round(longer * len(sound))
    return np.asarray(np.pad(made, (0, max(0, length - len(made))))[:length], np.float32)
