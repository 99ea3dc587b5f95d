"""Stage directions in a text, never spoken: ``[smile]``, ``[nod]``, ``[thinking]`` and ``[serious]``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MOODS = ("neutral", "smile", "thinking", "serious")
"""How a face may look while it speaks; the first is as it was filmed."""
CUES = ("smile", "thinking", "serious", "nod")
"""What may stand in brackets: a mood up to the end of the sentence, or a nod."""
_RUN = re.compile(rf"(?<![\\`!])(?:\[(?:{'|'.join(CUES)})\][ \t]*)+(?![(\[:`])", re.IGNORECASE)
"""Cues side by side; those that a link, a footnote or code consists of are text."""
_LINE = re.compile(rf"^[ \t]*({_RUN.pattern})(?:\n|\Z)", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(r"\w+")
STAND_INS = "".join(chr(0xE010 + number) for number in range(len(CUES)))
"""Characters without a meaning of their own, which stand for cues while a text is cleaned."""
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|\Z)|[。！？]+|\n")


@dataclass(frozen=True)
class Cue:
    """A stage direction, and what it holds for, in letters of the text without its blanks.

    Attributes:
        name: One of `CUES`.
        start: Letters before it: it begins with the next word.
        end: Letters up to the end of its sentence.
    """

    name: str
    start: int
    end: int


def without_cues(text: str) -> str:
    """Return a text without its cues."""
    return _replaced(_plain(text), lambda name: "")


def marked(text: str) -> str:
    """Return a text in which a single character stands for each cue; ``found`` finds them again."""
    return _replaced(_plain(text), lambda name: STAND_INS[CUES.index(name.lower())])


def found(marked: str, text: str) -> tuple[Cue, ...]:
    """Return the cues of a text.

    Args:
        marked: The text with its stand-ins.
        text: The same without.
    """
    ends = [letters_of(text[: end.end()]) for end in _END.finditer(text)]
    total = letters_of(text)
    cues, before = [], 0
    for letter in marked:
        if letter in STAND_INS:
            start = min(before, total)
            cues.append(Cue(CUES[STAND_INS.index(letter)], start, next((end for end in ends if end > start), total)))
        elif not letter.isspace():
            before += 1
    return tuple(cues)


def letters_of(text: str) -> int:
    """Return how many characters of a text are no blanks."""
    return sum(not letter.isspace() for letter in text)


def _plain(text: str) -> str:
    return re.sub(f"[{STAND_INS}]", " ", text)


def _replaced(text: str, by: Callable[[str], str]) -> str:
    """Return a text with each cue replaced; a line of nothing else is gone, so that it is no pause."""

    def names(run: str) -> str:
        return "".join(by(name) for name in _NAME.findall(run))

    def within(run: re.Match[str]) -> str:
        before = run.string[run.start() - 1 : run.start()]
        return names(run[0]) + (" " if run[0][-1].isspace() and before not in ("", "\n") else "")

    return _RUN.sub(within, _LINE.sub(lambda line: names(line[1]), text))
