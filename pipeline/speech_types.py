"""Types of speech that all rooms share: its sound, its timing, and voices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Mark:
    """The time of one phoneme (IPA), character or word.

    Attributes:
        kind: What it is.
        text: The phoneme, character or word.
        start, end: Seconds.
    """

    kind: Literal["phoneme", "character", "word"]
    text: str
    start: float
    end: float

    def later(self, seconds: float) -> Mark:
        """Return the same mark, `seconds` later."""
        return Mark(self.kind, self.text, self.start + seconds, self.end + seconds)


@dataclass(frozen=True, kw_only=True)
class Speech:
    """Spoken sound and its timing.

    Attributes:
        samples: (n,) float32 mono in [-1, 1].
        rate: Samples per second.
        text: What is spoken.
        language: "ko", "en", ... (espeak-ng voice names).
        marks: In order of time, all of one kind; empty if the engine returns none. A phoneme mark with an empty text is
            a pause.
        words: The words of the text as it is written, with the blanks after them, if the engine knows their times
            besides those of its phonemes.
        lost: Seconds of a recording that could not be read; see ``Recording``.
    """

    samples: np.ndarray
    rate: int
    text: str
    language: str
    marks: tuple[Mark, ...] = ()
    words: tuple[Mark, ...] = ()
    lost: float = 0.0

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    def cut(self, at: int) -> tuple[Speech, Speech]:
        """Cut into the first `at` samples and the rest.

        A mark across the cut is in both; text and words are in the first.
        """
        time = at / self.rate
        before = tuple(Mark(m.kind, m.text, m.start, min(m.end, time)) for m in self.marks if m.start < time)
        after = tuple(Mark(m.kind, m.text, max(m.start, time), m.end).later(-time) for m in self.marks if m.end > time)
        first = Speech(
            samples=self.samples[:at],
            rate=self.rate,
            text=self.text,
            language=self.language,
            marks=before,
            words=self.words,
        )
        return first, Speech(samples=self.samples[at:], rate=self.rate, text="", language=self.language, marks=after)


def joined(pieces: Iterable[Speech]) -> Speech:
    """Return pieces of the same rate, at least one, as one; marks (and words) are dropped if a piece has none."""
    given = list(pieces)
    marks: list[Mark] = []
    words: list[Mark] = []
    begin = 0.0
    for piece in given:
        for mark in piece.marks:
            mark = mark.later(begin)
            if marks and not (marks[-1].text or mark.text):  # a pause that was cut in two
                mark = Mark(mark.kind, "", marks.pop().start, mark.end)
            marks.append(mark)
        words += [word.later(begin) for word in piece.words]
        begin += piece.duration
    spoken = [piece for piece in given if piece.text]
    return Speech(
        samples=np.concatenate([piece.samples for piece in given]),
        rate=given[0].rate,
        text="".join(piece.text for piece in given),
        language=(spoken or given)[0].language,
        marks=tuple(marks) if all(piece.marks for piece in spoken) else (),
        words=tuple(words) if all(piece.words for piece in spoken) else (),
    )


def silence(seconds: float, like: Speech) -> Speech:
    """Return a pause that can be joined to other speech.

    Args:
        seconds: Its length.
        like: The other speech.
    """
    samples = np.zeros(round(seconds * like.rate), np.float32)
    known = len(samples) and like.marks and like.marks[0].kind == "phoneme"
    marks = (Mark("phoneme", "", 0.0, len(samples) / like.rate),) if known else ()
    return Speech(samples=samples, rate=like.rate, text="", language=like.language, marks=marks)


@dataclass(frozen=True)
class Voice:
    """A voice of an engine.

    Attributes:
        id: Its name in requests.
        name: Its name for people.
        language: Its language; "" is any.
        gender: "female", "male", or "" if unknown.
        sample: Address of a sample that a service has; "" where this program can speak one.
    """

    id: str
    name: str
    language: str = ""
    gender: str = ""
    sample: str = ""
