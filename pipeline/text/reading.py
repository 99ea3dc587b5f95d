"""Converts a text into what espeak-ng is to speak, by language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from pipeline.text import english, japanese, korean
from pipeline.text.foreign import romanized
from pipeline.text.korean_sounds import pronounce
from pipeline.text.language import LINE_BREAK, in_latin, script_of
from pipeline.text.piece import Piece

_MARKS = frozenset("*#~|\\^_`{}[]•※¦¶†‡∼〜～")
"""Characters that a voice would name, although people do not."""
_ARROWS_AND_COLOURS = re.compile("[\u2190-\u21ff\u27f0-\u297f\ufe00-\ufe0f\u20e3]")
_SILENT = ("So", "Co", "Cn")
_SAID = frozenset("°©®™№℃℉￦¢")


def reading(text: str, language: str) -> list[Piece]:
    """Return the text as pieces, in order and without gaps, each with what is spoken for it.

    Every line is read by itself and ends with a pause, like a paragraph. The spoken text has no symbols that people do
    not pronounce: emoji, marks of layout.

    Args:
        text: The written text.
        language: "ko", "ja", ...
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
            pieces = korean.reading(text)
        case "ja":
            pieces = japanese.reading(text)
        case "en" | "en-us" | "en-gb":
            pieces = english.reading(text)
        case _:
            pieces = [Piece(0, len(text), text)]
    return [part for piece in pieces for part in _audible(piece, text[piece.start : piece.end], language)]


def read_aloud(text: str, language: str) -> str:
    """Return the spoken text."""
    return "".join(piece.spoken for piece in reading(text, language))


def as_it_sounds(spoken: str, language: str) -> str:
    """Return a spoken text as people pronounce it, letter for letter."""
    return pronounce(spoken) if language == "ko" else spoken


def as_it_may_sound(spoken: str, language: str) -> tuple[str, ...]:
    """Return the ways in which voices may pronounce a spoken text: as people do and, if different, as it is written.

    Not every voice changes sounds across syllables: 밥을 is [babɯl] for one, and has a [p] for another.
    """
    return tuple(dict.fromkeys((as_it_sounds(spoken, language), spoken)))


def _audible(piece: Piece, written: str, language: str) -> list[Piece]:
    """Split a piece where something is not spoken as it is written."""
    if piece.spoken != written:
        return [replace(piece, spoken="".join(spoken for _, _, spoken in _sounds(piece.spoken, language)))]
    return [Piece(piece.start + start, piece.start + end, spoken) for start, end, spoken in _sounds(written, language)]


def _sounds(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, spoken text) for all of a text."""
    end = 0
    for kind, letters in groupby(enumerate(text), lambda item: _kind(text, item[0], language)):
        start, end = end, end + sum(1 for _ in letters)
        match kind:
            case "silent":
                between = text[start - 1 : start].isalnum() and text[end : end + 1].isalnum()
                yield start, end, " " if between else ""
            case "range":
                yield start, end, " to " if language.startswith("en") else " - "
            case "costume":
                yield start, end, unicodedata.normalize("NFKC", text[start:end])
            case "foreign":
                yield start, end, romanized(text[start:end])
            case _:
                yield start, end, text[start:end]
    if not text:
        yield 0, 0, ""


def _kind(text: str, at: int, language: str) -> str:
    """Return how a letter is spoken: "" as it is, "silent", "range", "foreign" or "costume" (a styled letter)."""
    letter = text[at]
    if letter.isascii() and (letter.isalnum() or letter.isspace()):
        return ""
    if letter in _MARKS:
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if letter in "~∼〜～" and before.isdigit() and after.isdigit():
            return "range"
        return "" if letter == "#" and before.isupper() else "silent"
    if "\U0001d400" <= letter <= "\U0001d7ff" or "\uff10" <= letter <= "\uff5a":
        return "costume" if unicodedata.normalize("NFKC", letter).isalnum() else ""
    kind = unicodedata.category(letter)
    if (kind in _SILENT and letter not in _SAID) or (kind == "Cf" and letter not in "\u200c\u200d"):
        return "silent"
    if language == "ko" and kind in ("Sm", "Sk") and letter != "+":
        return "silent"
    if _ARROWS_AND_COLOURS.match(letter):
        return "silent"
    foreign = kind[0] == "L" and in_latin(language) and script_of(letter) not in ("LATIN", "GREEK", "MICRO")
    return "foreign" if foreign else ""
