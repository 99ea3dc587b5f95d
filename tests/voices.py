"""Sounds for a microphone: speech, and what is none."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import soxr
from websockets.sync.client import ClientConnection

from pipeline.core.cancel import CancelToken
from pipeline.text.language import language_of
from pipeline.tts.espeak import EspeakEngine

RATE = 16_000


@cache
def spoken(text: str) -> np.ndarray:
    """Return a text as eSpeak NG says it, without silence around it: int16 at RATE."""
    rendering = EspeakEngine().render(text, language_of(text), CancelToken())
    samples = soxr.resample(rendering.samples.astype(np.float32), rendering.rate, RATE)
    samples *= 10_000 / np.abs(samples).max()
    loud = np.flatnonzero(np.abs(samples) > 500)
    return np.asarray(samples[loud[0] : loud[-1] + 1], np.int16)


def quiet(seconds: float) -> np.ndarray:
    """Return silence: int16 at RATE."""
    return np.zeros(round(seconds * RATE), np.int16)


def speak(socket: ClientConnection, *sounds: np.ndarray, rate: int = RATE) -> None:
    """Send sounds as a microphone does: as fast as they are spoken."""
    sound = np.concatenate(sounds)
    for begin in range(0, len(sound), rate // 10):
        socket.send(sound[begin : begin + rate // 10].tobytes())
        time.sleep(0.1)
