"""Files of speech, for tests that bring a voice of their own."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from pipeline.core.cancel import CancelToken
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE


def write_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    """Write SAMPLES (n,) in [-1, 1] at RATE (Hz) to PATH and return it."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def record(path: Path, text: str) -> float:
    """Have a voice say TEXT into the file PATH; return how many seconds that takes."""
    speech = EspeakEngine().synthesize(text, CUSTOM_VOICE, CancelToken())
    write_wav(path, speech.samples, speech.rate)
    return len(speech.samples) / speech.rate
