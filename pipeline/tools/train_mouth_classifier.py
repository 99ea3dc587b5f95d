"""Trains the network that classifies sounds by mouth shape, on speech with known phoneme times.

    python -m pipeline.tools.train_mouth_classifier          a few minutes on one core; writes mouth_classifier.npz

eSpeak NG babbles (random syllables of Korean, English and others) in sixty of its voices, fast and slow, high and low.
Each recording is then moved to other vocal tracts, microphones and rooms: the bands are shifted as in a longer or
shorter vocal tract, filtered, smeared by an echo and covered with noise. The tests use other voices and words.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from torch import nn
from torch.nn import functional

from pipeline.core.cancel import CancelToken
from pipeline.speech.mouth_classifier import (
    BANDS,
    FILE,
    HOP,
    MOUTHS,
    RATE,
    SAME_MOUTH,
    MouthClassifier,
    around,
    band_power,
    levels,
)
from pipeline.tts.espeak import EspeakEngine

VOICES = (
    "", "f1", "f2", "f4", "m1", "m2", "m4", "m5", "m6", "m8", "Alex", "Alicia", "Andrea", "Andy", "Denis", "Diogo",
    "Gene", "Henrique", "Hugo", "Lee", "Marco", "Mario", "Mike", "Nguyen", "Reed", "adam", "anika", "antonio",
    "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "grandpa", "gustave", "ian", "iven",
    "john", "kaukovalta", "klatt", "klatt3", "klatt5", "marcelo", "max", "miguel", "norbert", "pablo", "paul",
    "pedro", "quincy", "rob", "sandro", "shelby", "steph", "travis", "victor", "whisperf", "zac",
)  # fmt: skip
"""The espeak-ng variants that speak."""
TEXTS = 26
"""Recordings of each voice."""
OTHER_LANGUAGES = ("en-us", "en-gb", "es", "de", "fr-fr")
WEIGHTS, PASSES, ROOMS = (64, 32), 8, 2
"""Units of the hidden layers; passes over the data; rooms of each recording."""
BATCH, LEARNING_RATE, WARM_UP, DECAY, DOUBT = 512, 3e-3, 300, 3e-4, 0.05
"""Frames of a step; highest learning rate, and steps until then; weight decay; share of the wrong classes (label
smoothing)."""
RARE = 0.4
"""How far training compensates rare mouth shapes, from 0 (not at all) to 1.

Half of the rest is compensated afterwards.
"""

_CONSONANTS = (
    "b", "b", "p", "p", "m", "m", "m", "w", "f", "v", "t", "d", "s", "z", "l", "r", "n", "k", "g", "h", "y", "sh",
    "ch", "j", "th", "br", "pl", "st", "tr", "kw", "", "",
)  # fmt: skip
_NUCLEI = (
    "a", "e", "i", "o", "u", "ee", "oo", "ay", "ow", "oy", "aw", "er", "ai", "ou", "ar", "or", "igh",
)  # fmt: skip
_CODAS = (
    "", "", "", "", "", "", "", "", "", "", "n", "m", "t", "s", "k", "l", "d", "r", "p", "b", "v", "z", "st", "nd",
    "mp", "sh",
)  # fmt: skip
_HANGUL = 0xAC00
_LEADS = (0, 0, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 7, 8, 9, 9, 10, 11, 11, 11, 12, 12, 14, 15, 16, 17, 18, 18)
_VOWELS = (0, 0, 0, 1, 2, 4, 4, 5, 6, 8, 8, 9, 11, 12, 13, 13, 14, 18, 18, 20, 20, 20)
_TAILS = (*[0] * 12, 1, 4, 4, 4, 8, 8, 16, 16, 17, 19, 21, 21)
_MOUTH_OF = {letter: mouth for mouth, letters in enumerate(SAME_MOUTH) for letter in letters}


@dataclass(frozen=True)
class Recording:
    """A recording with its labels.

    Attributes:
        power: (frames, bands).
        mouths: (frames,) index into `MOUTHS`; -1 in pauses.
    """

    power: np.ndarray
    mouths: np.ndarray


def main() -> None:
    """Make recordings, train, and write the network."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=FILE)
    out = options.parse_args().out
    rng = np.random.default_rng(0)
    recordings = [make_recording(voice, rng) for voice in VOICES for _ in range(TEXTS)]
    measured = [levels(recording.power) for recording in recordings]
    usual = np.concatenate([level[speech] for level, speech in measured]).mean(axis=0)
    inputs, mouths = examples_of(recordings, MouthClassifier(usual, ()), rng)
    layers = learn(inputs, mouths, rng)
    named = {f"weights{i}": weights for i, (weights, _) in enumerate(layers)}
    named |= {f"bias{i}": bias for i, (_, bias) in enumerate(layers)}
    stored: dict[str, Any] = {name: values.astype(np.float16) for name, values in named.items()}
    np.savez_compressed(out, usual=usual.astype(np.float16), **stored)


def make_recording(voice: str, rng: np.random.Generator) -> Recording:
    """Return a recording of an espeak-ng variant that babbles."""
    language = "ko" if rng.random() < 0.6 else str(rng.choice(OTHER_LANGUAGES))
    espeak = EspeakEngine(int(rng.integers(120, 240)), int(rng.integers(15, 85)), voice)
    rendering = espeak.render(_babble(language, rng), language, CancelToken())
    power = band_power(soxr.resample(rendering.samples.astype(np.float32) / 32768, rendering.rate, RATE))
    starts = np.array([mark.start for mark in rendering.phonemes])
    mouth_of = np.array([next((_MOUTH_OF[c] for c in mark.text if c in _MOUTH_OF), -1) for mark in rendering.phonemes])
    return Recording(power, mouth_of[np.searchsorted(starts, np.arange(len(power)) * HOP, side="right") - 1])


def _babble(language: str, rng: np.random.Generator) -> str:
    def syllable() -> str:
        if language == "ko":
            return chr(_HANGUL + 588 * rng.choice(_LEADS) + 28 * rng.choice(_VOWELS) + rng.choice(_TAILS))
        return "".join(str(rng.choice(part)) for part in (_CONSONANTS, _NUCLEI, _CODAS))

    words = ["".join(syllable() for _ in range(rng.integers(1, 5))) for _ in range(rng.integers(2, 9))]
    return (", " if rng.random() < 0.1 else " ").join(words) + "."


def in_another_room(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return power (frames, bands) as with another vocal tract, microphone and room."""
    bands = np.arange(BANDS)
    tract = np.clip(bands * rng.uniform(0.9, 1.12) + rng.uniform(-0.3, 0.3), 0, BANDS - 1)
    low = np.minimum(tract.astype(int), BANDS - 2)
    power = power[:, low] * (low + 1 - tract) + power[:, low + 1] * (tract - low)
    slope = np.linspace(-1, 1, BANDS)
    microphone = slope * rng.uniform(-8, 6) + gaussian_filter1d(rng.normal(0, 1, BANDS), 2) * rng.uniform(0, 8)
    power = power * 10 ** (microphone / 10)
    if rng.random() < 0.5:
        decay = np.exp(-13.8 * HOP / rng.uniform(0.1, 0.5))  # 60 dB in that many seconds
        power = power + rng.uniform(0.08, 1.0) * lfilter([1 - decay], [1, -decay], power, axis=0)
    noise = 10 ** (slope * rng.uniform(-10, 5) / 10)
    loud = np.percentile(power.sum(axis=1), 95) * 10 ** (-rng.uniform(8, 60) / 10)
    return np.asarray(power + noise / noise.sum() * loud * rng.gamma(4, 0.25, power.shape))


def examples_of(
    recordings: list[Recording], classifier: MouthClassifier, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's input for every frame with a sound, (n, inputs) float16, and its mouth shape, (n,)."""
    inputs, mouths = [], []
    for recording in recordings * ROOMS:
        sounding = np.flatnonzero(recording.mouths >= 0)
        features = classifier.features(in_another_room(recording.power, rng))
        inputs.append(around(features, sounding).astype(np.float16))
        mouths.append(recording.mouths[sounding])
    return np.concatenate(inputs), np.concatenate(mouths)


def learn(inputs: np.ndarray, mouths: np.ndarray, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return trained layers, as in ``MouthClassifier``: cross-entropy by AdamW (Loshchilov & Hutter, 2019).

    Args:
        inputs: (n, inputs).
        mouths: (n,) index into `MOUTHS`.
        rng: Source of random numbers; the result depends on nothing else.
    """
    often = np.bincount(mouths, minlength=len(MOUTHS)) / len(mouths)
    importance = (often.mean() / often) ** RARE
    importance /= importance @ often
    layers = [nn.Linear(*sizes) for sizes in pairwise((inputs.shape[1], *WEIGHTS, len(MOUTHS)))]
    random = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=random)
        nn.init.zeros_(layer.bias)
    network = nn.Sequential(layers[0], *(part for layer in layers[1:] for part in (nn.ReLU(), layer)))
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=DECAY)
    batches = len(inputs) // BATCH
    steps = PASSES * batches
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + np.cos(np.pi * step / steps)) / 2 * min(1, (step + 1) / WARM_UP)
    )
    weight = torch.from_numpy(importance.astype(np.float32))
    every, shapes = torch.from_numpy(inputs), torch.from_numpy(mouths)
    for _ in range(PASSES):
        order = torch.randperm(len(inputs), generator=random)
        for chosen in order[: batches * BATCH].view(batches, BATCH):
            chosen = chosen.sort().values
            wanted = shapes[chosen]
            each = functional.cross_entropy(
                network(every[chosen].float()), wanted, reduction="none", label_smoothing=DOUBT
            )
            optimizer.zero_grad()
            torch.autograd.backward((each * weight[wanted]).mean())
            optimizer.step()
            schedule.step()
    trained = [(layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in layers]
    trained[-1][1][:] -= (0.5 * np.log(often * importance)).astype(np.float32)
    return trained


if __name__ == "__main__":
    main()
