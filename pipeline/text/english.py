"""Reads in English what voices read wrongly as it is written: codes, addresses, versions, sums, names of tools.

Voices read plain numbers, dates, prices and units themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pipeline.text.piece import Piece

_LONGEST = 24
"""Letters of a word that is spoken in one go; longer ones are spelled."""
_MOST_DIGITS = 15
"""Digits of a number that has a name; longer ones are read digit by digit."""
_BIG = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "t": "trillion"}
_MONEY = {"$": "dollars", "€": "euros", "£": "pounds", "₩": "won", "￦": "won", "¥": "yen"}
_TOOLS = {"C++": "C plus plus", "c++": "c plus plus", "C#": "C sharp", "F#": "F sharp", ".NET": "dot net"}
_SIGNS = {"*": "times", "×": "times", "÷": "divided by", "^": "to the power of", "=": "equals", "+": "plus"}


def _digits(text: str) -> str:
    """Return the digits of each group one by one, with a short pause between groups."""
    return ", ".join(" ".join(group) for group in re.findall(r"\d+", text))


def _in_groups(digits: str) -> str:
    return ", ".join(" ".join(digits[at : at + 4]) for at in range(0, len(digits), 4))


def _dotted(text: str) -> str:
    return " dot ".join(" ".join(part) if part.isdigit() else part for part in text.split("."))


def _address(found: re.Match[str]) -> str:
    """Return an address as it is read aloud: "www dot example dot com slash jobs"."""
    address = re.sub(r"^\w+://", "", found[0]).rstrip("/")
    named = {".": " dot ", "/": " slash ", "@": " at ", "-": " dash ", "_": " underscore ", ":": " colon "}
    spoken = "".join(named.get(letter, letter if letter.isalnum() else " ") for letter in address)
    return re.sub(r"\bwww\b", "W W W", re.sub(r" {2,}", " ", spoken), flags=re.IGNORECASE)


def _height(found: re.Match[str]) -> str:
    return f"{found[1]} foot {found[2]}"


def _split(found: re.Match[str]) -> str:
    return " ".join(found[0][at : at + _LONGEST] for at in range(0, len(found[0]), _LONGEST))


_Rule = Callable[[re.Match[str]], str]
_RULES: tuple[tuple[str, _Rule], ...] = (
    (r"\b(?i:https?|ftp)://[^\s<>\"')]*[^\s<>\"').,;:!?]", _address),
    (r"(?i:www)\.[^\s<>\"')]*[^\s<>\"').,;:!?]", _address),
    (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b", _address),
    (r"\b(?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|io|co|kr|dev|app|ai)\b(?:/[\w./-]*\w)?", _address),
    (r"\b\d{1,3}(?:\.\d{1,3}){3}\b", lambda found: _dotted(found[0])),
    (r"\b[vV]\.?(\d+(?:\.\d+)+)\b", lambda found: "version " + " point ".join(found[1].split("."))),
    (r"(?<![\w.])\d+(?:\.\d+){2,}(?!\w)", lambda found: " point ".join(found[0].split("."))),
    (r"(?<![\w+])\+\d{1,3}(?:[ -]?\(?\d{1,4}\)?){2,5}(?![\w-])", lambda found: "plus " + _digits(found[0])),
    (r"(?<![\w-])0\d{1,2}[- ]\d{3,4}[- ]\d{4}(?![\w-])", lambda found: _digits(found[0])),
    (r"(?<!\w)\(\d{3}\) ?\d{3}-\d{4}(?![\w-])", lambda found: _digits(found[0])),
    (rf"\d(?:,?\d){{{_MOST_DIGITS},}}", lambda found: _in_groups(found[0].replace(",", ""))),
    (r"(?<![\w.,:/-])0\d+(?![\w.,:/-]*\d)", lambda found: " ".join(found[0])),
    (r"\b24/7\b", lambda _: "twenty-four seven"),
    (r"(?<![\w.])(\d)'\s?(\d{1,2})(?:\"|''|″)", _height),
    (
        r"([$€£₩￦¥])\s?(\d[\d,]*(?:\.\d+)?)([kKtT]|[mM]n?|[bB]n?)\b",
        lambda found: f"{found[2]} {_BIG[found[3].lower()]} {_MONEY[found[1]]}",
    ),
    (r"[₩￦]\s?(\d[\d,]*)", lambda found: f"{found[1]} won"),
    (r"(?<!\w)(?:C\+\+|c\+\+|[CF]#)(?!\w)|(?<![\w.])\.NET\b", lambda found: _TOOLS[found[0]]),
    (r"(?<=[\d)])\s?[*×÷^]\s?(?=[\d(])", lambda found: f" {_SIGNS[found[0].strip()]} "),
    (r"(?<![\w~])[~≈]\s?(?=[$€£]?\d)", lambda _: "about "),
    (r"(?<![\w:.])(\d{1,3}):(\d)(?![\w:])", lambda found: f"{found[1]} to {found[2]}"),
    (r"\bIPv(?=[46]\b)", lambda _: "I P v "),
    (rf"[^\W\d_]{{{_LONGEST + 1},}}", _split),
)
_EACH = [(re.compile(pattern), say) for pattern, say in _RULES]


def reading(text: str) -> list[Piece]:
    """Return a line of English as pieces, in order and without gaps, each with what is spoken for it."""
    pieces: list[Piece] = []
    end = 0
    for start, stop, spoken in _found(text):
        if start > end:
            pieces.append(Piece(end, start, text[end:start]))
        pieces.append(Piece(start, stop, spoken))
        end = stop
    if end < len(text) or not text:
        pieces.append(Piece(end, len(text), text[end:]))
    return pieces


def _found(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, spoken) of what the rules change, in order; where two overlap, the earlier rule holds."""
    found: list[tuple[int, int, str]] = []
    for pattern, say in _EACH:
        for match in pattern.finditer(text):
            if all(match.end() <= start or match.start() >= end for start, end, _ in found):
                found.append((*match.span(), say(match)))
    return sorted(found)
