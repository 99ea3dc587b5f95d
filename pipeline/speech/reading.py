"""How a text is read aloud before espeak-ng says it, by language."""

from __future__ import annotations

from pipeline.speech import japanese, korean
from pipeline.speech.korean_sounds import pronounce
from pipeline.speech.language import LINE_BREAK
from pipeline.speech.piece import Piece


def reading(text: str, language: str) -> list[Piece]:
    """Return TEXT in pieces, in order and without gaps, each with what is said for it in LANGUAGE ("ko", "ja", ...).

    Every line is read for itself, and ends as a paragraph does, with a pause.
    """
    pieces: list[Piece] = []
    start = 0
    for end in (*LINE_BREAK.finditer(text), None):
        line = text[start : end.start() if end else len(text)]
        pieces += [Piece(start + one.start, start + one.end, one.spoken) for one in _line(line, language)]
        if end:
            pieces.append(Piece(end.start(), end.end(), "\n\n"))
            start = end.end()
    return pieces


def _line(text: str, language: str) -> list[Piece]:
    match language:
        case "ko":
            return korean.reading(text)
        case "ja":
            return japanese.reading(text)
        case _:
            return [Piece(0, len(text), text)]


def read_aloud(text: str, language: str) -> str:
    """Return TEXT in the letters that say it in LANGUAGE."""
    return "".join(piece.spoken for piece in reading(text, language))


def as_it_sounds(spoken: str, language: str) -> str:
    """Return SPOKEN, what is read aloud, letter for letter as people pronounce it in LANGUAGE."""
    return pronounce(spoken) if language == "ko" else spoken


def as_it_may_sound(spoken: str, language: str) -> tuple[str, ...]:
    """Return how voices may pronounce SPOKEN, letter for letter: as people do, and, if that differs, as it is written.

    Not every voice changes sounds across syllables: 밥을 is [babɯl] to one, and has a [p] to another.
    """
    return tuple(dict.fromkeys((as_it_sounds(spoken, language), spoken)))
