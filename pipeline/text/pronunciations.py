"""A dictionary of pronunciations: what is spoken for words of a text, which is shown as it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline import messages
from pipeline.errors import BadRequest
from pipeline.text.language import speakable, voice_of
from pipeline.text.piece import Piece

MOST_ENTRIES = 500
"""Entries of a request."""
LONGEST_ENTRY = 100
"""Characters of a word, and of what is spoken for it."""
ANY_LANGUAGE = ""


@dataclass(frozen=True)
class Pronunciations:
    """What is spoken for words.

    Attributes:
        entries: By language ("ko", "en-us", ...; `ANY_LANGUAGE` for all), what is spoken for each word.
    """

    entries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return any(self.entries.values())

    def over(self, others: Pronunciations) -> Pronunciations:
        """Return these and others; these come first."""
        languages = (*others.entries, *self.entries)
        return Pronunciations({one: {**others.entries.get(one, {}), **self.entries.get(one, {})} for one in languages})

    def of(self, language: str) -> Mapping[str, str]:
        """Return what holds in a language; entries of the language come before those of all languages."""
        return {**self.entries.get(ANY_LANGUAGE, {}), **self.entries.get(language, {})}

    def in_text(self, text: str, language: str) -> list[Piece]:
        """Return the words of a text that are in the dictionary, each with what is spoken for it.

        The longest entry counts. A word of letters or digits is found only where it stands by itself: "IT" is not in
        "ITEM", but is in "IT는"; a Korean word is found at the beginning of a word, whatever particle follows.
        """
        found = self._found(language)
        return [Piece(match.start(), match.end(), found.spoken[match[0]]) for match in found.pattern.finditer(text)]

    @cached_property
    def _compiled(self) -> dict[str, _Compiled]:
        return {}

    def _found(self, language: str) -> _Compiled:
        if language not in self._compiled:
            spoken = dict(self.of(language))
            words = sorted(spoken, key=len, reverse=True)
            self._compiled[language] = _Compiled(re.compile("|".join(map(_alone, words)) or r"(?!)"), spoken)
        return self._compiled[language]


@dataclass(frozen=True)
class _Compiled:
    pattern: re.Pattern[str]
    spoken: dict[str, str]


def _alone(word: str) -> str:
    """Return a pattern for a word where no letter of its own kind goes on before it, nor after it unless Korean."""

    def kind(letter: str) -> str:
        if "가" <= letter <= "힣":
            return "가-힣"
        return r"^\W_가-힣" if letter.isalnum() else ""

    before, after = kind(word[0]), kind(word[-1])
    start = f"(?<![{before}])" if before and not before.startswith("^") else r"(?<![^\W_가-힣])" if before else ""
    end = r"(?![^\W_가-힣])" if after.startswith("^") else ""
    return start + re.escape(word) + end


def parse(value: object) -> Pronunciations:
    """Check decoded JSON, ``{"SQL": "에스큐엘"}`` or, by language, ``{"ko": {"SQL": "에스큐엘"}}``, and return it.

    A text is JSON, or has an entry in each line, ``SQL = 에스큐엘``: forms and the page have no objects.

    Raises:
        BadRequest: It is something else, or too much.
    """
    if value is None:
        return Pronunciations()
    if isinstance(value, str):
        value = _of_text(value)
    if not isinstance(value, dict):
        raise BadRequest(messages.text.PRONUNCIATIONS_INVALID(entry=_shown(value)))
    entries: dict[str, dict[str, str]] = {}
    for key, spoken in value.items():
        if isinstance(spoken, dict):
            language = voice_of(key)
            if language is None:
                raise BadRequest(messages.text.PRONUNCIATIONS_INVALID(entry=_shown(key)))
            entries.setdefault(language, {}).update(map(_checked, spoken, spoken.values()))
        else:
            entries.setdefault(ANY_LANGUAGE, {}).update([_checked(key, spoken)])
    count = sum(map(len, entries.values()))
    if count > MOST_ENTRIES:
        raise BadRequest(messages.text.PRONUNCIATIONS_TOO_MANY(limit=MOST_ENTRIES, count=count))
    return Pronunciations(entries)


def _of_text(text: str) -> object:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadRequest(messages.text.PRONUNCIATIONS_INVALID(entry=error)) from error
    entries = {}
    for line in filter(str.strip, text.splitlines()):
        word, equals, spoken = line.partition("=")
        if not equals:
            raise BadRequest(messages.text.PRONUNCIATIONS_INVALID(entry=_shown(line)))
        entries[word.strip()] = spoken.strip()
    return entries


def _checked(word: object, spoken: object) -> tuple[str, str]:
    good = all(
        isinstance(one, str) and speakable(one) and len(one) <= LONGEST_ENTRY and one.isprintable()
        for one in (word, spoken)
    )
    if not good:
        raise BadRequest(messages.text.PRONUNCIATIONS_INVALID(entry=f"{_shown(word)}: {_shown(spoken)}"))
    return str(word).strip(), str(spoken).strip()


def _shown(value: object) -> str:
    return repr(value)[:60]


def read(path: Path) -> Pronunciations:
    """Return the dictionary of a file of JSON.

    Raises:
        ValueError: It cannot be read; the message names the file.
    """
    try:
        return parse(json.loads(path.read_text("utf-8-sig")))
    except (OSError, ValueError, BadRequest) as error:
        reason = error.message.en if isinstance(error, BadRequest) else error
        raise ValueError(f"PRONUNCIATIONS={str(path)!r}: {reason}") from error
