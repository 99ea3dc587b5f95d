"""Finds the phoneme times of speech that comes with its text but without timing.

espeak-ng speaks the same text with known phoneme times. Dynamic time warping finds which moment of the recording sounds
like which moment of that rendering (Sakoe & Chiba, "Dynamic programming algorithm optimization for spoken word
recognition", 1978: slopes between 1/2 and 2). Voices differ in whether they change sounds across syllables (밥을 as
[babɯl], or letter for letter with a [p]); both are tried, and the closer one is taken. The rendering is used without
its pauses. Instead, the path may rest in silence before, between and after the words for as long as the recording is
quiet or, at a cost, contains something else. Both sounds are compared as mel bands and energy in dB with the same mean
and spread over speech, which removes most of the voice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from pipeline.core.cancel import CancelToken
from pipeline.speech.dtw import warp
from pipeline.speech.mel import loud_level, mel_power
from pipeline.speech.renderings import Renderer
from pipeline.speech.timeline import gapless
from pipeline.speech_types import Mark, Speech
from pipeline.text.reading import as_it_may_sound, read_aloud
from pipeline.tts.espeak import DEFAULT_RATE, Rendering

HOP = 0.010
"""Seconds between two frames."""
RATE = 16000
"""Hz at which recordings are compared."""
BANDS = 40
ENERGY_WEIGHT = 1.0
"""Weight of the energy's difference; that of the mel bands together is 1."""
DEPTH = 60.0
"""dB below the loud parts (95th percentile) that still make a difference."""
EXTREME = 2.0
"""Spreads from the mean at which bands and energy are clipped.

The depth of a closure differs from voice to voice, and such frames would outweigh all others.
"""
SILENCE_COST = 1.8
"""Cost of resting in silence for one quiet frame; a fair match of two speech frames costs less, a poor one more."""
LOUD_COST = 0.15
"""Cost that each dB above the threshold of speech adds to a silent frame."""
DEEP, DEEP_GAIN = 10.0, 0.06
"""dB below that threshold at which there is certainly no sound, and by how much each further dB lowers the cost.

The first sound of a word does not reach far back into silence.
"""
OTHER_COST = 3.2
"""Cost of a frame with speech that is not in the text: extra words do not displace the others."""
ABOVE_FLOOR = 12.0
"""dB above the noise (10th percentile) up to which a frame may be silent."""
MIN_RANGE, MAX_RANGE = 20.0, 35.0
"""dB below the loud parts between which silence ends, whatever the noise: a fading vowel is not endless speech."""
RATES = (90, 400)
"""Words per minute at which espeak-ng still pronounces every sound."""


@dataclass(frozen=True)
class _Measured:
    """Frames of a recording every `HOP` seconds.

    Attributes:
        features: (frames, bands + 1) mel bands and energy.
        loud: (frames,) dB above the threshold of speech, halfway between quiet and loud.
        sound: (frames,) dB above silence.
    """

    features: np.ndarray
    loud: np.ndarray
    sound: np.ndarray


def align(speech: Speech, espeak: Renderer, cancel: CancelToken) -> tuple[Mark, ...]:
    """Return the phonemes of speech as gapless marks from 0 to its end.

    Args:
        speech: Sound and its text.
        espeak: Renders the text.
        cancel: The task's token.

    Raises:
        Unavailable: espeak-ng cannot be loaded.
        Cancelled: `cancel` is set.
    """
    texts = as_it_may_sound(read_aloud(speech.text, speech.language), speech.language)
    recording = _measure(speech.samples, speech.rate)
    fits = [_fit(text, speech.language, recording, espeak, cancel) for text in texts]
    sounds, _ = min(fits, key=lambda fit: fit[1])
    return gapless(sounds, speech.duration)


def _fit(
    text: str, language: str, recording: _Measured, espeak: Renderer, cancel: CancelToken
) -> tuple[list[Mark], float]:
    """Return the phonemes of a text at their times in the recording, and the cost of the path (less is closer)."""
    rendering = espeak.render(text, language, cancel)
    spoken = sum(mark.end - mark.start for mark in rendering.phonemes if mark.text)
    sounding = HOP * np.count_nonzero(recording.loud > 0)
    if spoken <= 0 or sounding <= 0:
        return [], np.inf
    if not 0.8 < spoken / sounding < 1.25:
        words_per_minute = int(np.clip(DEFAULT_RATE * spoken / sounding, *RATES))
        rendering = espeak.render(text, language, cancel, words_per_minute)
    return _lay(rendering, recording, cancel)


def _lay(rendering: Rendering, recording: _Measured, cancel: CancelToken) -> tuple[list[Mark], float]:
    """Return the phonemes of a rendering at their times in the recording, and the cost of the path."""
    sounds = [mark for mark in rendering.phonemes if mark.text]
    reference = _measure(rendering.samples.astype(np.float32) / 32768, rendering.rate)
    times = np.arange(len(reference.loud)) * HOP
    starts, ends = (np.array([getattr(mark, side) for mark in sounds]) for side in ("start", "end"))
    owner = np.searchsorted(starts, times, side="right") - 1
    kept = np.flatnonzero((owner >= 0) & (times < ends[np.maximum(owner, 0)]))
    words = np.array([start for _, start in rendering.words])
    after_pause = starts[1:][starts[1:] > ends[:-1]]
    rests = np.unique(np.searchsorted(kept * HOP, np.concatenate([[0.0], words, after_pause, [np.inf]])))

    if not len(kept):
        return [], np.inf
    above, below = np.maximum(recording.sound, 0), np.minimum(recording.sound + DEEP, 0)
    silence = np.minimum(SILENCE_COST + LOUD_COST * above + DEEP_GAIN * below, OTHER_COST)
    path = warp(recording.features, reference.features[kept], silence, rests, cancel)
    # each sound's own span on the axis of kept frames, to a fraction of a frame
    firsts = np.minimum(np.searchsorted(kept, starts / HOP), len(kept) - 1)
    lasts = np.maximum(np.searchsorted(kept, ends / HOP) - 1, firsts)
    begins = (path.first[firsts] + np.clip(starts / HOP - kept[firsts], -0.5, 0.5)) * HOP
    finishes = (path.last[lasts] + np.clip(ends / HOP - kept[lasts], 0, 1)) * HOP
    spans = zip(sounds, begins, finishes, strict=True)
    return [Mark("phoneme", mark.text, float(begin), float(finish)) for mark, begin, finish in spans], path.cost


def _measure(samples: np.ndarray, rate: int) -> _Measured:
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE, quality="LQ")
    power = mel_power(samples, RATE, HOP, BANDS)
    energy = 10 * np.log10(power.sum(axis=1) + 1e-10)
    top = loud_level(energy)
    energy = np.maximum(energy, top - DEPTH)
    bands = np.maximum(10 * np.log10(power + 1e-10), top - DEPTH - 10)
    floor = np.percentile(energy, 10)
    loud = energy - (max(floor, top - 50) + top) / 2
    silent = np.clip(floor + ABOVE_FLOOR, top - MAX_RANGE, top - MIN_RANGE)
    weighted = _standard(bands, loud > 0) / np.sqrt(BANDS), ENERGY_WEIGHT * _standard(energy[:, None], loud > 0)
    return _Measured(np.column_stack(weighted).astype(np.float32), loud, energy - silent)


def _standard(values: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Return values (frames, bands) with mean 0 and spread 1 over the frames `over`, clipped at `EXTREME`."""
    chosen = values[over] if over.any() else values
    standard = (values - chosen.mean(axis=0)) / (chosen.std(axis=0) + 1e-3)
    return np.asarray(np.clip(standard, -EXTREME, EXTREME))
