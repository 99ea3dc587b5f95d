"""Splits a text into what a voice says in one go: sentences, and clauses of those that are long."""

from __future__ import annotations

import re

from pipeline.text.language import speakable

_END = re.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』）]*|\n)\s*")
_TITLES = frozenset(
    {
        *("Mr", "Mrs", "Ms", "Dr", "Prof", "Sr", "Jr", "St", "Mt", "Gen", "Col", "Lt", "Sgt", "Capt", "Rev", "Hon"),
        *("Gov", "Sen", "Rep", "No", "Nos", "vs", "Fig", "Vol"),
    }
)
"""Abbreviations of English after which a sentence goes on."""
_BREAKS = (re.compile(r"[,;:—，、；：]\s*"), re.compile(r"\s+"))
"""Where a sentence may be cut, the best places first."""


def clauses(text: str, longest: int) -> list[str]:
    """Split a text into clauses, with the blanks after them; joined they are the text.

    Each is a sentence, or a part of one that is longer than `longest` characters: cut after a comma if possible, else
    at a blank, else anywhere. Each has a letter or digit, if the text has one.
    """
    parts = [part for sentence in _sentences(text) for part in _cut(sentence, longest)]
    joined: list[str] = []
    for part in parts:
        if joined and not (speakable(part) and speakable(joined[-1])):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def _sentences(text: str) -> list[str]:
    sentences, start = [], 0
    for end in _END.finditer(text):
        if not _goes_on(text, start, end):
            sentences.append(text[start : end.end()])
            start = end.end()
    return [*sentences, text[start:]] if start < len(text) or not sentences else sentences


def _goes_on(text: str, start: int, end: re.Match[str]) -> bool:
    """Return whether a sentence goes on after what looks like its end: "Dr. Kim", "J. K. Rowling", "e.g. this"."""
    if end[0].strip() != "." or "\n" in end[0]:
        return False
    word = re.split(r"[\s(\"'“‘]", text[start : end.start()])[-1]
    after = text[end.end() : end.end() + 1]
    return word in _TITLES or (len(word) == 1 and word.isupper()) or after.islower()


def _cut(sentence: str, longest: int) -> list[str]:
    parts = []
    while len(sentence.rstrip()) > longest:
        for place in _BREAKS:
            cuts = [found.end() for found in place.finditer(sentence, longest // 4, longest)]
            if cuts:
                break
        at = cuts[-1] if cuts else longest
        parts.append(sentence[:at])
        sentence = sentence[at:]
    return [*parts, sentence]
