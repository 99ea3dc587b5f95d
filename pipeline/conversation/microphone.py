"""The visitor's microphone: when they speak, and what was recorded of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import soxr

from pipeline.conversation.voice_activity import RATE, VoiceActivity, VoiceChange
from pipeline.live.voice_input import pcm

BEFORE_SECONDS = 0.4
"""Seconds before speech that belong to its recording, so that its first sound is whole."""
AFTER_SECONDS = 0.3
"""Seconds after it."""
DETECTED_SECONDS = 1.0
"""Seconds of the past that are always there: speech is detected later than it begins."""
LOST_SECONDS = 1.0
"""Seconds without sound after which the visitor no longer speaks."""


class Microphone:
    """Follows and records one microphone.

    Args:
        silence: Seconds without speech that end what is said.
        records: Whether what is said is kept.
    """

    def __init__(self, silence: float, records: bool) -> None:
        self._activity = VoiceActivity(silence)
        self._records = records
        self._rate = RATE
        self._resample: soxr.ResampleStream | None = None
        self._kept: deque[np.ndarray] = deque()  # int16 at RATE
        self._first = 0
        """Number of the first sample that is kept."""
        self._received = 0
        """Samples so far, at RATE."""
        self._begin: int | None = None
        """First sample of what is being said."""
        self._spoken = 0.0
        """When the visitor began to speak."""
        self._arrived = 0.0

    @property
    def speaking(self) -> bool:
        """Whether the visitor speaks."""
        return self._activity.speaking

    @property
    def sounds(self) -> bool:
        """Whether any sound has come."""
        return self._received > 0

    @property
    def spoken_seconds(self) -> float:
        """For how long the visitor has been speaking."""
        return self._activity.seconds - self._spoken if self.speaking else 0.0

    @property
    def deadline(self) -> float | None:
        """When `lost` should be called; None while the visitor is silent."""
        return self._arrived + LOST_SECONDS if self.speaking else None

    def push(self, data: bytes, rate: int, now: float) -> Iterator[VoiceChange]:
        """Yield what changes with the next part of the sound, with times of the session's stream.

        Args:
            data: 16-bit little-endian mono PCM.
            rate: Samples per second.
            now: Time of the stream at which it arrived.

        Raises:
            BadRequest: It is not such sound.
        """
        samples = pcm(data, rate)
        if rate != self._rate:
            self._rate = rate
            self._resample = None if rate == RATE else soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="LQ")
        if self._resample is not None:
            samples = self._resample.resample_chunk(samples)
        self._arrived = now
        self._received += len(samples)
        if self._records:
            self._kept.append((np.clip(samples, -1, 1) * 32767).astype(np.int16))
        for change in self._activity.push(samples):
            if change.speaking:
                self._spoken = change.time
                if self._begin is None:
                    self._begin = max(self._first, round((change.time - BEFORE_SECONDS) * RATE))
            yield VoiceChange(change.speaking, self._moment(change.time, now))
        self._forget()

    def lost(self, now: float) -> VoiceChange | None:
        """Return the end of what is said, if no sound has come for `LOST_SECONDS`."""
        if self.deadline is None or now < self.deadline:
            return None
        change = self._activity.stop()
        return None if change is None else VoiceChange(False, self._moment(change.time, self._arrived))

    def take(self) -> np.ndarray:
        """Return what was said since the last call, (n,) int16 at `RATE`; speech that goes on is cut off here."""
        begin, self._begin = self._begin, None
        last = self._received if self.speaking else round((self._activity.last + AFTER_SECONDS) * RATE)
        if self.speaking:
            self._activity.cut()
        if begin is None or not self._kept:
            return np.zeros(0, np.int16)
        said = np.concatenate(list(self._kept))[begin - self._first : max(0, last - self._first)]
        self._forget()
        return said

    def _moment(self, seconds: float, now: float) -> float:
        """Return the time of the stream at which a moment of the sound arrived."""
        return max(0.0, now - (self._received / RATE - seconds))

    def _forget(self) -> None:
        """Drop sound that belongs to nothing."""
        needed = self._received - round((DETECTED_SECONDS + BEFORE_SECONDS) * RATE)
        if self._begin is not None:
            needed = min(needed, self._begin)
        while self._kept and self._first + len(self._kept[0]) <= needed:
            self._first += len(self._kept.popleft())
