"""Finds the tracks and channels of a recording that carry a voice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import soxr

from pipeline.speech.listen import spoken
from pipeline.speech.mouth_classifier import BANDS, HOP, RATE, band_power, load_mouth_classifier
from pipeline.speech.soundtrack import Piece

BLOCK = 4.0
"""Seconds of sound that are analysed at a time."""
PUZZLED = 2.2
"""Entropy (nats) of the network's output for sound that is no speech at all; for clear speech it is 0.5."""
LIVELY = 4.0
"""Spread in bands of the centre of the spectrum in speech; in music it is 1."""
AS_GOOD = 0.8
"""Share of the best channel's voice from which another one is as good, and the louder one is taken."""
VOICED = 0.65
"""Share of the best channel's clarity from which another one carries a voice of its own."""
OWN = 6.0
"""dB by which a channel with a voice of its own is louder than the chosen ones."""
OWN_SHARE, OWN_SECONDS = 0.05, 0.3
"""How much of all speech, and how many seconds, must be in one channel alone for it to be mixed in."""
CHANNELS = 16
"""Most channels that are analysed; more are recordings of whole rooms."""


@dataclass(frozen=True)
class _Voice:
    """The voice in a channel.

    Attributes:
        level: (frames,) dB.
        speaks: (frames,) bool.
        clarity: 0 no voice, 1.5 a clear one.
    """

    level: np.ndarray
    speaks: np.ndarray
    clarity: float

    @property
    def amount(self) -> float:
        """Seconds of speech, weighted by clarity."""
        return float(self.speaks.sum()) * HOP * self.clarity


@dataclass
class _Analysis:
    """Analysis of the pieces with the same number of channels: power in bands, block by block."""

    waiting: list[np.ndarray] = field(default_factory=list)
    rate: int = 0
    power: list[np.ndarray] = field(default_factory=list)


class Survey:
    """Analyses the pieces of one track and chooses its channels.

    Args:
        compared: Whether the track is compared with others; otherwise a single channel is not analysed.

    Attributes:
        rate: The highest rate (Hz) so far.
        seconds: Total length.
    """

    def __init__(self, compared: bool) -> None:
        self.rate = 0
        self.seconds = 0.0
        self._compared = compared
        self._analyses: dict[int, _Analysis] = {}
        self._voices: dict[int, list[_Voice]] = {}

    def add(self, piece: Piece) -> None:
        """Analyse the next piece."""
        self.rate = max(self.rate, piece.rate)
        self.seconds += len(piece.samples) / piece.rate
        channels = piece.samples.shape[1]
        if channels == 1 and not self._compared:
            return
        analysis = self._analyses.setdefault(channels, _Analysis())
        if analysis.rate != piece.rate:
            _analyse(analysis)
            analysis.rate = piece.rate
        analysis.waiting.append(piece.samples[:, :CHANNELS])
        if sum(map(len, analysis.waiting)) >= BLOCK * piece.rate:
            _analyse(analysis)

    def amount(self) -> float:
        """Return how much speech the best channel contains; see ``_Voice.amount``."""
        return sum(max(voice.amount for voice in self._of(channels)) for channels in self._analyses)

    def weights(self, channels: int) -> np.ndarray:
        """Return the weight of each channel in the mix, (channels,) float32 of 0 and 1.

        One channel at its own level; several only if different people, or one who walks, are in different channels.
        """
        weights = np.zeros(channels, np.float32)
        if channels not in self._analyses:
            weights[0] = 1
            return weights
        voices = self._of(channels)
        best = max(voice.amount for voice in voices)
        good = [number for number, voice in enumerate(voices) if voice.amount >= AS_GOOD * best]
        taken = [max(good, key=lambda number: _loudness(voices[number]))]
        clarity = voices[taken[0]].clarity
        others = sorted(set(range(len(voices))) - set(taken), key=lambda number: -voices[number].amount)
        for number in others:
            voice = voices[number]
            level = np.max([voices[one].level for one in taken], axis=0)
            alone = np.count_nonzero(voice.speaks & (voice.level > level + OWN))
            spoken_in_all = np.count_nonzero(np.any([voices[one].speaks for one in (*taken, number)], axis=0))
            enough = max(OWN_SHARE * spoken_in_all, OWN_SECONDS / HOP)
            if voice.clarity >= VOICED * clarity > 0 and alone >= enough:
                taken.append(number)
        weights[taken] = 1
        return weights

    def _of(self, channels: int) -> list[_Voice]:
        if channels not in self._voices:
            analysis = self._analyses[channels]
            _analyse(analysis)
            blocks = analysis.power or [np.zeros((channels, 1, BANDS), np.float32)]
            power = np.concatenate(blocks, axis=1)
            self._voices[channels] = [_voice(one) for one in power]
        return self._voices[channels]


def _analyse(analysis: _Analysis) -> None:
    """Analyse the queued pieces."""
    if not analysis.waiting:
        return
    samples = np.concatenate(analysis.waiting)
    analysis.waiting.clear()
    frames = max(1, round(len(samples) / analysis.rate / HOP))
    power = np.zeros((samples.shape[1], frames, BANDS), np.float32)
    for number, channel in enumerate(samples.T):
        if channel.any():
            one = band_power(soxr.resample(np.ascontiguousarray(channel), analysis.rate, RATE, quality="LQ"))[:frames]
            power[number, : len(one)] = one
    analysis.power.append(power)


def _voice(power: np.ndarray) -> _Voice:
    """Return the voice in a channel, from its power in bands (frames, bands).

    Speech differs from music in hybrid speech recognition (Williams & Ellis, "Speech/music discrimination based on
    posterior probability features", 1999): the network is certain, and its result changes.
    """
    total = power.sum(axis=1)
    level = 10 * np.log10(total + 1e-9)
    speaks = spoken(power)
    if not speaks.any():
        return _Voice(level, speaks, 0.0)
    classifier = load_mouth_classifier()
    likelihoods = classifier.log_likelihoods(classifier.features(power), 0, len(power))[speaks]
    entropy = float(-(np.exp(likelihoods) * likelihoods).sum(axis=1).mean())
    middle = (power[speaks] @ np.arange(BANDS)) / (total[speaks] + 1e-9)
    return _Voice(level, speaks, max(0.0, PUZZLED - entropy) * min(1.0, float(middle.std()) / LIVELY))


def _loudness(voice: _Voice) -> float:
    """Return how loud (dB) a voice is while it speaks, or the whole channel if it never does."""
    return float(10 * np.log10((10 ** (voice.level[voice.speaks if voice.speaks.any() else ...] / 10)).mean()))
