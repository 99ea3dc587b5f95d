"""Mel spectra of sound, block by block; librosa would hold those of ten minutes at once."""

from __future__ import annotations

from functools import cache

import numpy as np

WINDOW = 512
"""Samples of one spectrum."""
LOWEST, HIGHEST = 80.0, 7000.0
"""Hz that the bands span."""
LOUDEST = 10
"""Frames that determine what is loud."""
QUIET = 30.0
"""dB below the loudest frames from which sound does not count."""
_BLOCK = 4096
"""Spectra that are computed at once; keeps memory small for long sound."""


def mel_power(samples: np.ndarray, rate: int, hop: float, bands: int) -> np.ndarray:
    """Return the power in mel bands; frame i is centred on i times `hop`.

    Args:
        samples: (n,) mono.
        rate: Samples per second.
        hop: Seconds between two frames.
        bands: Number of bands.

    Returns:
        (frames, bands) float32.
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
    """Return triangles of equal area, evenly spaced on the mel scale: (`WINDOW` // 2 + 1, bands).

    librosa gives the same, but takes a second to load.
    """
    low, high = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / rate)[:, None]
    rising, falling = (frequencies - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - frequencies) / np.diff(edges)[1:]
    return (np.minimum(rising, falling).clip(0) * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


def loud_level(level: np.ndarray) -> float:
    """Return the level of the loud parts of a sound, in dB.

    This is the 95th percentile of the frames that are not far below the loudest ones, so that one short word in a long
    silence counts like any other. A click of less than `LOUDEST` frames is ignored.

    Args:
        level: (frames,) dB.
    """
    loudest = np.partition(level, -min(LOUDEST, len(level)))[-min(LOUDEST, len(level))]
    return float(np.percentile(level[level >= loudest - QUIET], 95))
