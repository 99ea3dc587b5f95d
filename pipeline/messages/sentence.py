"""What a sentence for people is: Korean and English side by side, with a code and named placeholders."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import Any, Literal
from unicodedata import bidirectional, category

_NOT_SHOWN = ("Cc", "Cs", "Zl", "Zp")
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
Language = Literal["ko", "en"]


@dataclass(frozen=True)
class Message:
    """A sentence for people, in Korean and English."""

    ko: str
    en: str

    def __str__(self) -> str:
        """Return it in both languages, a line each, as commands print it."""
        return f"{self.ko}\n{self.en}"

    def in_language(self, language: Language) -> str:
        """Return the message in a language."""
        return self.en if language == "en" else self.ko


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a clause of one; calling it returns the message for people.

    Attributes:
        code: The sentence's own name, by which it is found, tested and translated; unlike the code of an error, it is
            no part of a reply.
        ko: The sentence in Korean. Placeholders are written as in ``str.format``, by name, with a format where needed:
            ``{seconds:.1f}``. Particles after one fit any value: 이(가), 을(를), 은(는), (으)로.
        en: The sentence in English, with the same placeholders.
    """

    code: str
    ko: str
    en: str

    def __call__(self, **values: object) -> Message:
        """Return the message with these values in the placeholders, in one line: see `printable`.

        Args:
            values: One value for each placeholder. A Message shows its own half in each language.
        """
        return Message(_fill("ko", self.ko, values), _fill("en", self.en, values))


def printable(text: str) -> str:
    """Escape what cannot be shown or sent, since a text may contain file names or input of a client.

    These are control characters, Unicode's line ends, lone surrogates, and characters that change the direction of
    text.
    """
    return "".join(
        f"\\u{ord(one):04x}" if category(one) in _NOT_SHOWN or bidirectional(one) in _TURNING else one for one in text
    )


class _Escaping(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        return printable(super().format_field(value, format_spec))


def _fill(language: Language, template: str, values: dict[str, object]) -> str:
    shown = {
        name: value.in_language(language) if isinstance(value, Message) else value for name, value in values.items()
    }
    return _Escaping().vformat(template, (), shown)
