"""Detects speech at a microphone, with Silero VAD (https://github.com/snakers4/silero-vad)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.telemetry import refuse_telemetry

RATE = 16_000
"""Samples per second of the sound that is listened to."""
WINDOW = 512
"""Samples of a window, for each of which the network returns how probable speech is."""
MODEL = Path(__file__).parent / "models" / "silero_vad_16k.onnx"

_CONTEXT = 64
"""Samples before a window that the network also gets."""
_WINDOW_SECONDS = WINDOW / RATE
_SPEECH = 0.5
"""Probability from which a window is speech."""
_SILENCE = 0.35
"""Probability below which it is none."""
_FIRST_WINDOWS = 5
"""Windows of speech, 0.16 s, after which speech has begun: a cough of 0.1 s has at most four."""
_TAIL = 0.2
"""Loudness of a window, as a share of the loudest, below which it counts no more: the network goes on for a while."""
_OVER_BACKGROUND = 1.25
"""How much louder than what was there before a window must be to count."""
_BACKGROUND_WINDOWS = 30
"""Windows, about a second, over which the loudness without speech is averaged."""
_GAP_WINDOWS = 3
"""Windows of silence that end a stretch of speech: those of a plosive are shorter."""


@dataclass(frozen=True)
class VoiceChange:
    """Speech begins, or has ended.

    Attributes:
        speaking: Whether there is speech from now on.
        time: When it began or ended, in seconds of sound since the first sample.
    """

    speaking: bool
    time: float


class VoiceActivity:
    """Follows one microphone.

    Args:
        silence: Seconds without speech after which speech has ended. A shorter pause is part of it.
    """

    def __init__(self, silence: float) -> None:
        self.speaking = False
        self._silence = silence
        self._state = np.zeros((2, 1, 128), np.float32)
        self._sound = np.zeros(_CONTEXT, np.float32)  # the context of the next window, and what follows it
        self._windows = 0
        self._stretch = _Stretch(0.0)
        self._background = 0.0
        """Loudness without speech."""
        self._quiet = 0
        """Windows of which it is the mean."""
        self.last = 0.0
        """End of the last speech, in seconds of sound."""
        self._waits_for_pause = False

    def push(self, samples: np.ndarray) -> Iterator[VoiceChange]:
        """Yield what changes in the next part of the sound.

        Args:
            samples: (n,) float32 in [-1, 1] at `RATE`.
        """
        self._sound = np.concatenate([self._sound, samples])
        while len(self._sound) >= _CONTEXT + WINDOW:
            part, self._sound = self._sound[: _CONTEXT + WINDOW], self._sound[WINDOW:]
            inputs = {"input": part[None], "state": self._state, "sr": np.array(RATE, np.int64)}
            speech, self._state = _network().run(None, inputs)
            yield from self._take(float(speech[0, 0]), float(np.sqrt(np.mean(part[_CONTEXT:] ** 2))))

    @property
    def seconds(self) -> float:
        """Seconds of sound that were listened to."""
        return self._windows * _WINDOW_SECONDS

    def stop(self) -> VoiceChange | None:
        """Return the end of speech, because no more sound comes; None where there is no speech."""
        self._stretch = _Stretch(self.seconds)
        return self._stopped() if self.speaking else None

    def cut(self) -> None:
        """End speech here: what goes on begins anew only after a pause."""
        self._waits_for_pause = self._stretch.windows > 0
        self.speaking = False

    def _take(self, speech: float, loudness: float) -> Iterator[VoiceChange]:
        begin = self.seconds
        self._windows += 1
        stretch = self._stretch
        if speech < _SILENCE:
            stretch.gap += 1
            self._quiet = min(self._quiet + 1, _BACKGROUND_WINDOWS)
            self._background += (loudness - self._background) / self._quiet
            if stretch.gap >= _GAP_WINDOWS:
                self._stretch = _Stretch(self.seconds)
                self._waits_for_pause = False
        elif speech >= _SPEECH or stretch.windows:
            if not stretch.windows:
                stretch.begin = begin
            stretch.gap = 0
            stretch.loudest = max(stretch.loudest, loudness)
            if loudness > max(stretch.loudest * _TAIL, self._background * _OVER_BACKGROUND):
                stretch.windows += 1
        if stretch.windows >= _FIRST_WINDOWS and not stretch.gap and not self._waits_for_pause:
            self.last = self.seconds
            if not self.speaking:
                self.speaking = True
                yield VoiceChange(True, stretch.begin)
        elif self.speaking and self.seconds - self.last >= self._silence:
            yield self._stopped()

    def _stopped(self) -> VoiceChange:
        self.speaking = False
        return VoiceChange(False, self.last)


@dataclass
class _Stretch:
    """Speech without a pause, so far."""

    begin: float
    windows: int = 0
    gap: int = 0
    """Windows of silence after it."""
    loudest: float = 0.0


@cache
def _network() -> Any:
    """Return the network; it has no state of its own."""
    refuse_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])
