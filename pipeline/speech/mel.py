"""Mel spectra of sound, a block at a time: librosa's own would hold those of ten minutes at once."""

from __future__ import annotations

from functools import cache

import numpy as np

from pipeline.core.numba_cache import ensure_numba_cache

WINDOW = 512
"""Samples of one spectrum."""
LOWEST, HIGHEST = 80.0, 7000.0
"""Hz that the bands span."""
LOUDEST = 10
"""Frames that say what is loud."""
QUIET = 30.0
"""dB below them from which sound does not count."""
_BLOCK = 4096
"""Spectra that are computed at once; keeps memory small for long sound."""


def mel_power(samples: np.ndarray, rate: int, hop: float, bands: int) -> np.ndarray:
    """Return the power in BANDS mel bands every HOP (s) of SAMPLES (n,) at RATE (Hz): (frames, bands) float32.

    Frame i is centred on i times HOP.
    """
    step = round(rate * hop)
    frames = 1 + len(samples) // step
    padded = np.pad(samples.astype(np.float32), (WINDOW // 2, WINDOW // 2 + step))
    views = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::step][:frames]
    window, filters = np.hanning(WINDOW + 1)[:-1].astype(np.float32), _filters(rate, bands)
    power = np.empty((frames, bands), np.float32)
    for start in range(0, frames, _BLOCK):
        spectrum = np.fft.rfft(views[start : start + _BLOCK] * window)
        power[start : start + _BLOCK] = (spectrum.real**2 + spectrum.imag**2) @ filters
    return power


@cache
def _filters(rate: int, bands: int) -> np.ndarray:
    """Return triangles of equal area, evenly spaced on the mel scale: (WINDOW // 2 + 1, bands)."""
    ensure_numba_cache()  # librosa compiles where it is imported
    from librosa.filters import mel  # here, since it takes a second to load and most speech comes with its times

    bank = mel(sr=rate, n_fft=WINDOW, n_mels=bands, fmin=LOWEST, fmax=HIGHEST, htk=True, dtype=np.float32)
    return np.asarray(bank.T)


def loud_level(level: np.ndarray) -> float:
    """Return how loud the loud parts are of sound whose LEVEL (dB) is known every HOP: (frames,).

    That is the 95th percentile of the frames that are not far below the loudest ones, so that one short word in a long
    silence is heard like any other; a click of less than LOUDEST frames is no part of it.
    """
    loudest = np.partition(level, -min(LOUDEST, len(level)))[-min(LOUDEST, len(level))]
    return float(np.percentile(level[level >= loudest - QUIET], 95))
