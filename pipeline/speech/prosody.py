"""How a voice says something: how loud and how high it is over time, and which syllables it stresses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from pipeline.speech_types import Mark, Speech

HOP = 0.02
"""Seconds between two measurements."""
_WINDOW = 0.04
"""Seconds of sound in each: two periods of a low voice."""
PITCHES = (70.0, 420.0)
"""Lowest and highest pitch of a voice, in Hz."""
_RATE = 8000
"""Least samples per second that are looked at; more are left out."""
VOICED = 0.5
"""Correlation of a voice with itself a period later, at least."""
AUDIBLE = 0.004
"""Level below which there is no voice; full scale is 1."""
VOWELS = frozenset("aɐɑɶæʌəɘɜɞɚɝɛεeᴇiɪɯɨᵻɤɒɔouʊᵿʉyʏøœɵ")
SPACING = 0.45
"""Least seconds between two stresses that a face shows."""
USUAL_RANGE = 2.5, 5.0
"""Standard deviation of usual speech: semitones of its pitch, decibels of its syllables."""
LIVELY = 0.5, 1.5
"""Range of the liveliness of a voice; 1 is usual."""


@dataclass(frozen=True)
class Stress:
    """A syllable that stands out.

    Attributes:
        time: Seconds, its middle.
        strength: 0..1.
    """

    time: float
    strength: float


@dataclass(frozen=True)
class Prosody:
    """What a face can follow.

    Attributes:
        stresses: In order of time.
        liveliness: How much pitch and loudness vary, 1 is usual; see `LIVELY`.
    """

    stresses: tuple[Stress, ...]
    liveliness: float


def prosody_of(speech: Speech, phonemes: tuple[Mark, ...]) -> Prosody:
    """Return how a voice says a sentence.

    A syllable is stressed if it is louder, higher and longer than the others around it.

    Args:
        speech: The sentence.
        phonemes: Its phoneme marks.
    """
    vowels = [mark for mark in phonemes if mark.text[:1] in VOWELS and mark.end > mark.start]
    if not vowels or not len(speech.samples):
        return Prosody((), 1.0)
    level, pitch = contours(speech.samples, speech.rate)
    middles = np.array([(mark.start + mark.end) / 2 for mark in vowels])
    lengths = np.array([mark.end - mark.start for mark in vowels])
    at = np.clip((middles / HOP).astype(int), 0, len(level) - 1)
    loud = 20 * np.log10(np.maximum(level[at], AUDIBLE / 4))
    high = pitch[at]
    known = np.isfinite(high)
    voiced = pitch[np.isfinite(pitch)]
    high = np.where(known, high - (np.median(voiced) if len(voiced) else 0), 0)
    variation = 0.5 * (float(np.std(voiced)) if len(voiced) > 4 else USUAL_RANGE[0]) / USUAL_RANGE[0]
    variation += 0.5 * float(np.std(loud)) / USUAL_RANGE[1]
    audible = level[at] > AUDIBLE
    score = 0.45 * _standard(loud) + 0.4 * _standard(high) + 0.25 * _standard(lengths)
    stresses: list[Stress] = []
    for number in np.argsort(-score):
        strength = float(np.clip(0.35 + 0.4 * score[number], 0, 1))
        alone = all(abs(middles[number] - one.time) >= SPACING for one in stresses)
        if audible[number] and strength > 0.35 and alone:
            stresses.append(Stress(float(middles[number]), strength))
    return Prosody(tuple(sorted(stresses, key=lambda one: one.time)), float(np.clip(variation, *LIVELY)))


def contours(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how loud (RMS, full scale is 1) and how high (semitones from 100 Hz, NaN without a voice) a sound is.

    The pitch is that of the first strong peak of the autocorrelation, without jumps of an octave.

    Args:
        samples: (n,) float32 mono.
        rate: Samples per second.

    Returns:
        (n,) each, every `HOP` seconds.
    """
    step = max(1, rate // _RATE)
    count = len(samples) // step
    sound = samples[: count * step].reshape(-1, step).mean(1) if count else np.zeros(0, np.float32)
    rate = rate // step
    hop, window = round(HOP * rate), round(_WINDOW * rate)
    frames = max(1, -(-len(sound) // hop))
    padded = np.pad(sound, (window // 2, window + hop))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, window)[: frames * hop : hop]
    level = np.sqrt(np.mean(pieces**2, axis=1))
    size = 1 << (2 * window - 1).bit_length()
    spectrum = np.fft.rfft((pieces - pieces.mean(1, keepdims=True)) * np.hanning(window), size)
    alike = np.fft.irfft(np.abs(spectrum) ** 2, size)
    bias = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(window), size)) ** 2, size)
    shortest, longest = int(rate / PITCHES[1]), min(int(rate / PITCHES[0]), window - 1)
    alike = alike[:, shortest:longest] / np.maximum(alike[:, :1], 1e-12) * (bias[0] / bias[shortest:longest])
    alike *= np.linspace(1, 0.85, alike.shape[1])  # of two periods the shorter one
    best = alike.argmax(1)
    voiced = (alike[np.arange(frames), best] > VOICED) & (level > AUDIBLE)
    pitch = 12 * np.log2(rate / (shortest + best) / 100)
    if not voiced.any():
        return level, np.full(frames, np.nan)
    filled = np.interp(np.arange(frames), np.flatnonzero(voiced), pitch[voiced])
    filled = gaussian_filter1d(median_filter(filled, 5), 1)
    return gaussian_filter1d(level, 1.5), np.where(voiced, filled, np.nan)


def _standard(values: np.ndarray) -> np.ndarray:
    """Return values with a mean of 0 and a deviation of 1; zeros if they are alike."""
    deviation = float(np.std(values))
    return np.zeros(len(values)) if deviation < 1e-6 else (values - values.mean()) / deviation
