"""Speech as all parts know it: its sound, what is known of its timing, and the voices that say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Mark:
    """What an engine knows of timing: one phoneme (IPA), character or word, from START to END (s)."""

    kind: Literal["phoneme", "character", "word"]
    text: str
    start: float
    end: float

    def later(self, seconds: float) -> Mark:
        """Return the same mark SECONDS later."""
        return Mark(self.kind, self.text, self.start + seconds, self.end + seconds)


@dataclass(frozen=True)
class Speech:
    """Spoken sound and what is known of its timing.

    samples: (n,) float32 mono in [-1, 1]; rate: Hz; text: what was said; language: "ko", "en", ...
    (espeak-ng voice names); marks: in order of time, all of one kind, and empty where the engine gives none.
    A phoneme mark with an empty text is a pause. words: the words of the text as it is written, with the blanks after
    them, where the engine knows their times beside those of its phonemes. lost: seconds of a recording that could not
    be read; see ``Recording``.
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
        """Return the first AT samples and the others: a mark across the cut in both, text and words with the first."""
        time = at / self.rate
        before = tuple(Mark(m.kind, m.text, m.start, min(m.end, time)) for m in self.marks if m.start < time)
        after = tuple(Mark(m.kind, m.text, max(m.start, time), m.end).later(-time) for m in self.marks if m.end > time)
        first = Speech(self.samples[:at], self.rate, self.text, self.language, before, self.words)
        return first, Speech(self.samples[at:], self.rate, "", self.language, after)


def joined(pieces: Iterable[Speech]) -> Speech:
    """Return PIECES, at least one and all of one rate, one after the other; without marks where some piece has none.

    The same holds for words.
    """
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
        np.concatenate([piece.samples for piece in given]),
        given[0].rate,
        "".join(piece.text for piece in given),
        (spoken or given)[0].language,
        tuple(marks) if all(piece.marks for piece in spoken) else (),
        tuple(words) if all(piece.words for piece in spoken) else (),
    )


def silence(seconds: float, like: Speech) -> Speech:
    """Return a pause that can be joined to LIKE."""
    samples = np.zeros(round(seconds * like.rate), np.float32)
    known = len(samples) and like.marks and like.marks[0].kind == "phoneme"
    marks = (Mark("phoneme", "", 0.0, len(samples) / like.rate),) if known else ()
    return Speech(samples, like.rate, "", like.language, marks)


@dataclass(frozen=True)
class Voice:
    """One voice of an engine: its id as requests name it, a name for people, its language ("" = any)."""

    id: str
    name: str
    language: str = ""
