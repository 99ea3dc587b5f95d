"""Keeps the speech of one task on disk: it is made faster than it is shown, and must not fill the memory meanwhile."""

from __future__ import annotations

import contextlib
import threading
import wave
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from pipeline import messages
from pipeline.core.best_effort import best_effort
from pipeline.core.growing_file import part_of, saving
from pipeline.core.origin import SPOKEN, mark_wav
from pipeline.errors import Cancelled

_HEADER = 44
"""Bytes before the samples of a WAV file."""


class SpeechSpool:
    """A 16-bit mono WAV file that is read while it is written; use it as a context manager.

    The file is written at ``path`` + ".part" and renamed by ``finish``. If the block raises, nothing remains. One
    thread may append while another one reads.

    Args:
        path: The finished file.
        synthetic: Whether a synthetic voice speaks; the file then says so.

    Raises:
        RenderFailed: The disk is full.
        Cancelled: The block has ended already.
    """

    def __init__(self, path: Path, synthetic: bool = False) -> None:
        self.path = path
        self._synthetic = synthetic
        self.rate = 0
        self.length = 0
        """Samples that can be read."""
        self._part = part_of(path)
        self._file: BinaryIO | None = None
        self._wave: wave.Wave_write | None = None
        self._reader: BinaryIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> SpeechSpool:
        with _saving():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("wb")
            self._reader = self._part.open("rb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._file is not None and self._reader is not None
        with self._lock:
            for file in (self._wave, self._file):
                with contextlib.suppress(OSError):  # a full disk, which the writer has reported
                    if file is not None:
                        file.close()
        self._reader.close()
        self._part.unlink(missing_ok=True)  # first: a thread that still speaks must not rename it
        if kind is not None:
            self.path.unlink(missing_ok=True)

    def append(self, samples: np.ndarray, rate: int) -> int:
        """Write samples and return the number of the first of them.

        Args:
            samples: (n,) float32 mono in [-1, 1].
            rate: Samples per second; the same in every call.
        """
        begin = self.length
        with self._lock, _saving():
            if self._file is None or self._file.closed:
                raise Cancelled  # a thread that still speaks
            if self._wave is None:
                self._wave = wave.open(self._file, "wb")  # noqa: SIM115  # finish() closes it
                self._wave.setnchannels(1)
                self._wave.setsampwidth(2)
                self._wave.setframerate(rate)
                self.rate = rate
            elif rate != self.rate:
                raise ValueError(f"speech at {rate} Hz after speech at {self.rate} Hz")
            for start in range(0, len(samples), rate):  # a second at a time: it may be minutes long
                second = np.clip(samples[start : start + rate], -1, 1)
                self._wave.writeframesraw((second * 32767).round().astype("<i2").tobytes())
            self._file.flush()
        self.length += len(samples)
        return begin

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples `start` to `stop`, float32 in [-1, 1]; fewer if they are not written yet."""
        assert self._reader is not None
        stop = min(stop, self.length)
        self._reader.seek(_HEADER + 2 * start)
        return np.frombuffer(self._reader.read(2 * max(0, stop - start)), "<i2").astype(np.float32) / 32767

    def finish(self) -> None:
        """Complete the file; do not append to it afterwards. It can still be read."""
        with self._lock, _saving():
            if self._file is None or self._file.closed:
                raise Cancelled
            if self._wave is not None:
                self._wave.close()  # writes the length into the header
                if self._synthetic:
                    with best_effort("mark of the sound"):
                        mark_wav(self._file, SPOKEN)
            self._file.close()
            self._part.replace(self.path)


def _saving() -> AbstractContextManager[None]:
    return saving(messages.speech.SPEECH_FILE())
