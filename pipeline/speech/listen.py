"""Finds mouth shapes from sound alone, for speech without a text.

Every 10 ms a small network (``mouth_classifier``) classifies the sound within 0.12 s by the mouth shape that makes it.
It is the multi-layer perceptron of hybrid speech recognition (Bourlard & Morgan, "Connectionist Speech Recognition",
1994) with mouth shapes in place of phonemes. The result is a sequence of plain phonemes that articulation takes like
any other; each names the shape of the mouth, not the word.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import soxr
from scipy.ndimage import uniform_filter1d

from pipeline.core.cancel import CancelToken
from pipeline.speech.mouth_classifier import HOP, MOUTHS, RATE, MouthClassifier, band_power, load_mouth_classifier
from pipeline.speech.timeline import gapless
from pipeline.speech_types import Mark

BLOCK = 4096
"""Frames that are classified at once: keeps memory small, and cancelling quick."""
SPEECH_RANGE = 32.0
"""dB below the loud parts (95th percentile) down to which sound counts as speech."""
ABOVE_FLOOR = 10.0
"""dB above the noise (10th percentile) from which sound counts as speech."""
UNCHANGING = 5.0
"""Most dB between the noise and the loud parts at which a sound is a fan, a hum or hiss, not speech."""
MIN_PAUSE = 0.15
"""Seconds without speech that are a pause; a shorter gap is the closure of a stop."""
SMOOTHING = 5
"""Frames over which the results of the network are averaged."""
MIN_SOUND, MIN_CLOSURE = 0.035, 0.025
"""Shortest open shape and shortest closure in seconds."""


def listen(samples: np.ndarray, rate: int, cancel: CancelToken | None = None) -> tuple[Mark, ...]:
    """Return phoneme marks from 0 to the end of a sound; pauses have an empty text.

    Args:
        samples: (n,) float32 mono.
        rate: Samples per second.
        cancel: The task's token.

    Raises:
        Cancelled: `cancel` is set.
    """
    cancel = cancel or CancelToken()
    duration = len(samples) / rate
    sound = soxr.resample(samples.astype(np.float32), rate, RATE, quality="LQ") if rate != RATE else samples
    power = band_power(sound)
    speech = spoken(power)
    if not speech.any():
        return gapless([], duration)
    symbols = np.array(MOUTHS)[_log_likelihoods(load_mouth_classifier(), power, cancel).argmax(axis=1)]
    _write_pauses(symbols, speech)
    _drop_short(symbols)
    sounds, frame = [], 0
    for symbol, run in groupby(symbols.tolist()):
        length = len(list(run))
        if symbol:
            sounds.append(Mark("phoneme", symbol, max(0.0, (frame - 0.5) * HOP), (frame + length - 0.5) * HOP))
        frame += length
    return gapless(sounds, duration)


def spoken(power: np.ndarray) -> np.ndarray:
    """Return which frames contain speech, (frames,) bool, from their power (frames, bands)."""
    level = 10 * np.log10(power.sum(axis=1) + 1e-9)
    top, floor = np.percentile(level, 95), np.percentile(level, 10)
    if top - floor < UNCHANGING:
        return np.zeros(len(level), bool)
    return np.asarray(level > max(top - SPEECH_RANGE, min(floor + ABOVE_FLOOR, top - 15), -45))


def _log_likelihoods(classifier: MouthClassifier, power: np.ndarray, cancel: CancelToken) -> np.ndarray:
    """Return the log likelihood of each mouth shape, (frames, mouths), averaged over a few frames."""
    features = classifier.features(power)
    found = np.empty((len(features), len(MOUTHS)), np.float32)
    for start in range(0, len(features), BLOCK):
        cancel.check()
        found[start : start + BLOCK] = classifier.log_likelihoods(features, start, min(start + BLOCK, len(features)))
    return np.asarray(uniform_filter1d(found, SMOOTHING, axis=0))


def _write_pauses(symbols: np.ndarray, speech: np.ndarray) -> None:
    """Set `symbols` to "" in long pauses, and before and after speech."""
    frame = 0
    first, last = np.flatnonzero(speech)[[0, -1]]
    for speaks, run in groupby(speech):
        length = len(list(run))
        inside = frame > first and frame + length <= last
        if not speaks and (not inside or length * HOP >= MIN_PAUSE):
            symbols[frame : frame + length] = ""
        frame += length


def _drop_short(symbols: np.ndarray) -> None:
    """Merge runs that are too short for a mouth into the sound before them."""
    frame = 0
    for symbol, run in groupby(symbols.copy()):
        length = len(list(run))
        shortest = MIN_CLOSURE if symbol in ("p", "t", "k") else MIN_SOUND
        if frame > 0 and symbol and length * HOP < shortest:
            symbols[frame : frame + length] = symbols[frame - 1]
        frame += length
