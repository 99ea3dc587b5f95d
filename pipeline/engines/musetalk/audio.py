"""Sound as input of the network: hidden states of Whisper's encoder around each frame (MuseTalk 1.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import soxr
import torch

from pipeline.engines.musetalk.device import to_device

RATE = 16_000
"""Hz of Whisper's input."""
SEGMENT_SECONDS = 30
"""Length of one input of Whisper."""
STATES_PER_SECOND = 50
BESIDE = 4
"""States before a frame and after it, whatever the frame rate.

The network was trained at 25, with two frames each way.
"""
WINDOW = BESIDE + 2 + BESIDE
"""States of a frame; its own two are in the middle."""


class SpeechFeatures:
    """Computes features of speech.

    Args:
        encoder: Whisper's encoder.
        extractor: A ``WhisperFeatureExtractor``, which makes its log-mel input.
    """

    def __init__(self, encoder: Any, extractor: Any) -> None:
        self._encoder = encoder
        self._extractor = extractor

    @torch.inference_mode()
    def states(self, samples: np.ndarray, rate: int) -> torch.Tensor:
        """Return the hidden states for samples ((n,) float32 at `rate` Hz): (time, 5, channels), 50 a second.

        They are those of all depths of the encoder (its input and the output of each layer), for as long as the sound
        lasts.
        """
        sound = _resampled(samples, rate)
        parts = []
        length = SEGMENT_SECONDS * RATE
        for start in range(0, len(sound), length):
            mel = self._extractor(
                sound[start : start + length],
                sampling_rate=RATE,
                return_tensors="pt",
                device=str(self._encoder.device),
            ).input_features
            output = self._encoder(mel.to(self._encoder.device, self._encoder.dtype), output_hidden_states=True)
            parts.append(torch.stack(output.hidden_states, dim=2)[0])
        if not parts:
            raise ValueError("no sound")
        return torch.cat(parts)[: max(1, len(sound) * STATES_PER_SECOND // RATE)]

    @torch.inference_mode()
    def states_of_all(self, sounds: Sequence[tuple[np.ndarray, int]]) -> list[torch.Tensor]:
        """Return the hidden states of several sounds, each of at most 30 s, in one pass; see ``states``."""
        heard = [_resampled(samples, rate) for samples, rate in sounds]
        device = self._encoder.device
        mels = self._extractor(heard, sampling_rate=RATE, return_tensors="pt", device=str(device)).input_features
        output = self._encoder(mels.to(device, self._encoder.dtype), output_hidden_states=True)
        states = torch.stack(output.hidden_states, dim=2)
        lengths = [max(1, len(sound) * STATES_PER_SECOND // RATE) for sound in heard]
        return [rows[:length] for rows, length in zip(states, lengths, strict=True)]


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    return samples if rate == RATE else np.asarray(soxr.resample(samples, rate, RATE, quality="HQ"))


def features_of(states: torch.Tensor, fps: Fraction, frames: Sequence[int]) -> torch.Tensor:
    """Return the network's input for the sound in frames: (n, `WINDOW` * depths, channels).

    Args:
        states: (time, depths, channels), 50 a second; ten around each frame are used, with the encoding of their
            positions added.
        fps: Frames per second.
        frames: Numbers of the frames.
    """
    rows = windows(states, fps, frames).flatten(1, 2)
    _, length, channels = rows.shape
    return rows + positions(length, channels, states.device).to(rows.dtype)


def windows(states: torch.Tensor, fps: Fraction, frames: Sequence[int]) -> torch.Tensor:
    """Return the states of each frame: (n, `WINDOW`, depths, channels); zeros before the beginning and after the end.

    A frame's own two are the one in which it begins and the next, or the two in the middle of a longer frame. (As
    published, the numbers before and after differ at rates other than 25 to 49: at 24 by two, 40 ms.)
    """
    step = Fraction(STATES_PER_SECOND) / fps
    inside = max(0, round(step / 2 - 1))
    first = np.array([math.floor(number * step) + inside - BESIDE for number in frames])
    moments = to_device(first[:, None] + np.arange(WINDOW), states.device)
    known = (moments >= 0) & (moments < len(states))
    return states[moments.clamp(0, len(states) - 1)] * known[..., None, None]


def positions(length: int, channels: int, device: torch.device | None = None) -> torch.Tensor:
    """Return the sinusoidal encoding of positions, (length, channels) float32 (Vaswani et al. 2017, 3.5)."""
    rates = torch.exp(torch.arange(0, channels, 2, device=device) * (-math.log(10_000) / channels))
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
