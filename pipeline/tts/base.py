"""The seam between text and sound: what a speech engine takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from pipeline.cancel import CancelToken

CUSTOM_VOICE = "Custom"
"""The voice of a request that names none: the engine picks (by language, or from its own settings)."""


@dataclass(frozen=True)
class Mark:
    """What an engine knows of timing: one phoneme (IPA), character or word, from START to END (s)."""

    kind: Literal["phoneme", "character", "word"]
    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Spoken sound and what is known of its timing.

    samples: (n,) float32 mono in [-1, 1]; rate: Hz; text: what was said; language: "ko", "en", ...
    (espeak-ng voice names); marks: in order of time, all of one kind, and empty where the engine gives none.
    A phoneme mark with an empty text is a pause.
    """

    samples: np.ndarray
    rate: int
    text: str
    language: str
    marks: tuple[Mark, ...] = ()

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Voice:
    """One voice of an engine: its id as requests name it, a name for people, its language ("" = any)."""

    id: str
    name: str
    language: str = ""


class TTSEngine(Protocol):
    """A speech engine."""

    name: str

    def available(self) -> bool:
        """Whether it can speak now: its key is present, its library and voices can be loaded. Cheap."""
        ...

    def voices(self) -> list[Voice]:
        """Return the voices that a request may name besides ``Custom``; may ask a remote service."""
        ...

    def check_voice(self, voice: str) -> None:
        """Raise BadRequest, listing the choices, when VOICE is not one of this engine's."""
        ...

    def synthesize(self, text: str, voice: str, cancel: CancelToken) -> Speech:
        """Say TEXT.

        Raises NothingToSay, Unavailable (no key, quota, busy, unreachable), SpeechFailed, Cancelled.
        """
        ...
