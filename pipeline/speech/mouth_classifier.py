"""The network that hears which mouth makes a sound: what it is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.speech.mel import mel_power

FILE = Path(__file__).with_name("mouth_classifier.npz")
"""Made by ``python -m pipeline.tools.train_mouth_classifier``."""
HOP = 0.010
"""Seconds between two looks."""
RATE = 16000
"""Hz at which sound is heard."""
BANDS = 28
DEPTH = 70.0
"""dB below the loud parts (95th percentile) that are still told apart."""
SPEECH_RANGE = 30.0
"""dB below the loud parts down to which frames tell what a voice and a room sound like."""
KNOWN_AFTER = 300
"""Frames of speech after which a recording's own mean spectrum counts as much as the usual one."""
SPREAD = 15.0
"""dB that become 1."""
OFFSETS = np.array([-12, -8, -5, -2, 0, 2, 5, 8, 12])
"""Frames around the one that is asked about."""

MOUTHS = ("a", "ʌ", "ə", "ɛ", "i", "ɯ", "o", "u", "p", "f", "s", "ʃ", "t", "n", "k", "h")
"""One phoneme for each mouth that can be told apart by its sound."""
SAME_MOUTH = ("aɐɑɒæ", "ʌ", "əɘɵɜɞøœ", "ɛeᴇ", "iɪjɥ", "ɯɨɤ", "oɔ", "uʊwʍyʏ", "pbmɓɸβ", "fvʋɱ", "szɕʑ", "ʃʒʂʐ",
              "tdɖʈθð", "nlɫɾrɹɳɭɽɬɮɲʎɻ", "kɡgŋqɢxɣχʁcɟçʝ", "hɦʔħʕ")  # fmt: skip
"""The phonemes (IPA letters) that each of MOUTHS stands for."""


def hear(sound: np.ndarray) -> np.ndarray:
    """Return the power in each band of SOUND (n,) at RATE: (frames, BANDS)."""
    return mel_power(sound, RATE, HOP, BANDS)


def loudness(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return POWER in dB over the loud parts, (frames, BANDS), and which frames hold speech, (frames,) bool."""
    level = 10 * np.log10(power.sum(axis=1) + 1e-10)
    top = np.percentile(level, 95)
    return np.maximum(10 * np.log10(power + 1e-10) - top, -DEPTH), level > top - SPEECH_RANGE


@dataclass(frozen=True)
class Ears:
    """usual: (BANDS,) dB, the mean spectrum of speech; layers: (weights (in, out), bias (out,)), rectified between."""

    usual: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def features(self, power: np.ndarray) -> np.ndarray:
        """Return what the network looks at, (frames, BANDS) float32: most of voice and room taken out of POWER."""
        heard, speech = loudness(power)
        count = np.count_nonzero(speech)
        own = heard[speech].mean(axis=0) - self.usual if count else np.zeros(BANDS)
        features = (heard - self.usual - own * count / (count + KNOWN_AFTER)) / SPREAD
        return np.asarray(features, np.float32)

    def answers(self, features: np.ndarray, start: int, end: int) -> np.ndarray:
        """Return the log likelihood of each of MOUTHS in the frames START to END, (end - start, mouths)."""
        value = around(features, np.arange(start, end))
        for weights, bias in self.layers[:-1]:
            value = np.maximum(value @ weights + bias, 0)
        weights, bias = self.layers[-1]
        value = value @ weights + bias
        return np.asarray(value - np.logaddexp.reduce(value, axis=1, keepdims=True))


def around(features: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the FEATURES at OFFSETS around each of FRAMES (n,): (n, offsets * BANDS)."""
    near = np.clip(frames[:, None] + OFFSETS, 0, len(features) - 1)
    return np.asarray(features[near].reshape(len(frames), -1))


@cache
def load_ears() -> Ears:
    """Return the network as it was trained."""
    with np.load(FILE) as file:
        count = sum(name.startswith("weights") for name in file.files)
        layers = tuple(
            (file[f"weights{i}"].astype(np.float32), file[f"bias{i}"].astype(np.float32)) for i in range(count)
        )
        return Ears(file["usual"].astype(np.float32), layers)
