"""The network that classifies sounds by the mouth shape that makes them, with its input and output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.speech.mel import mel_power

FILE = Path(__file__).with_name("mouth_classifier.npz")
"""Written by ``python -m pipeline.tools.train_mouth_classifier``."""
HOP = 0.010
"""Seconds between two frames."""
RATE = 16000
"""Hz of the sound."""
BANDS = 28
DEPTH = 70.0
"""dB below the loud parts (95th percentile) that still make a difference."""
SPEECH_RANGE = 30.0
"""dB below the loud parts down to which frames characterise a voice and a room."""
KNOWN_AFTER = 300
"""Frames of speech after which a recording's own mean spectrum counts as much as the usual one."""
SPREAD = 15.0
"""dB that scale to 1."""
OFFSETS = np.array([-12, -8, -5, -2, 0, 2, 5, 8, 12])
"""Frames of the input, relative to the frame that is classified."""

MOUTHS = ("a", "ʌ", "ə", "ɛ", "i", "ɯ", "o", "u", "p", "f", "s", "ʃ", "t", "n", "k", "h")
"""One phoneme for each mouth shape that sound can tell apart."""
SAME_MOUTH = ("aɐɑɒæ", "ʌ", "əɘɵɜɞøœ", "ɛeᴇ", "iɪjɥ", "ɯɨɤ", "oɔ", "uʊwʍyʏ", "pbmɓɸβ", "fvʋɱ", "szɕʑ", "ʃʒʂʐ",
              "tdɖʈθð", "nlɫɾrɹɳɭɽɬɮɲʎɻ", "kɡgŋqɢxɣχʁcɟçʝ", "hɦʔħʕ")  # fmt: skip
"""The phonemes (IPA letters) of each shape in `MOUTHS`."""


def band_power(sound: np.ndarray) -> np.ndarray:
    """Return the power in each band, (frames, `BANDS`), of a sound (n,) at `RATE`."""
    return mel_power(sound, RATE, HOP, BANDS)


def levels(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return levels relative to the loud parts, and which frames contain speech.

    Args:
        power: (frames, `BANDS`).

    Returns:
        (frames, `BANDS`) dB, and (frames,) bool.
    """
    level = 10 * np.log10(power.sum(axis=1) + 1e-10)
    top = np.percentile(level, 95)
    return np.maximum(10 * np.log10(power + 1e-10) - top, -DEPTH), level > top - SPEECH_RANGE


@dataclass(frozen=True)
class MouthClassifier:
    """The trained network.

    Attributes:
        usual: (`BANDS`,) dB, the mean spectrum of speech.
        layers: (weights (in, out), bias (out,)) of each layer; rectified between layers.
    """

    usual: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def features(self, power: np.ndarray) -> np.ndarray:
        """Return the input of the network, (frames, `BANDS`) float32: power without most of the voice and the room."""
        level, speech = levels(power)
        count = np.count_nonzero(speech)
        own = level[speech].mean(axis=0) - self.usual if count else np.zeros(BANDS)
        features = (level - self.usual - own * count / (count + KNOWN_AFTER)) / SPREAD
        return np.asarray(features, np.float32)

    def log_likelihoods(self, features: np.ndarray, start: int, end: int) -> np.ndarray:
        """Return the log likelihood of each of `MOUTHS` in the frames `start` to `end`: (end - start, mouths)."""
        value = around(features, np.arange(start, end))
        for weights, bias in self.layers[:-1]:
            value = np.maximum(value @ weights + bias, 0)
        weights, bias = self.layers[-1]
        value = value @ weights + bias
        return np.asarray(value - np.logaddexp.reduce(value, axis=1, keepdims=True))


def around(features: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the features at `OFFSETS` around each of the frames (n,): (n, offsets * `BANDS`)."""
    near = np.clip(frames[:, None] + OFFSETS, 0, len(features) - 1)
    return np.asarray(features[near].reshape(len(frames), -1))


@cache
def load_mouth_classifier() -> MouthClassifier:
    """Return the trained network."""
    with np.load(FILE) as file:
        count = sum(name.startswith("weights") for name in file.files)
        layers = tuple(
            (file[f"weights{i}"].astype(np.float32), file[f"bias{i}"].astype(np.float32)) for i in range(count)
        )
        return MouthClassifier(file["usual"].astype(np.float32), layers)
