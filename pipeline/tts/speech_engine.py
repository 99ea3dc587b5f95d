"""The seam between text and sound: what a speech engine takes and gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pipeline.core.cancel import CancelToken
from pipeline.speech_types import Speech, Voice, joined

BREAK = 0.26
"""Seconds of pause in which speech may be cut in two: between sentences, hardly at a comma. Both halves leave the mouth
time to close and to open again."""
_STOPS = ".!?…。！？,;:、，；："
_CLOSING = "\"'”’)]」』）》"
"""What may stand between the last letter of a line and its end."""
CUSTOM_VOICE = "Custom"
"""The voice of a request that names none: the engine picks (by language, or from its own settings)."""


def with_stops(text: str) -> tuple[str, frozenset[int]]:
    """Return TEXT, a ``plain`` one, with a full stop before each line end that has none, and where in it those are.

    Headings and the entries of lists are sentences, too, and a voice pauses after them where it sees one end.
    """
    stopped, added = "", set()
    for line in text.splitlines(keepends=True):
        words = line.rstrip()
        stopped += words
        if line.endswith("\n") and any(map(str.isalnum, words)) and words.rstrip(_CLOSING)[-1:] not in _STOPS:
            added.add(len(stopped))
            stopped += "."
        stopped += line[len(words) :]
    return stopped, frozenset(added)


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

    def check_language(self, language: str) -> None:
        """Raise BadRequest when no voice of this engine speaks LANGUAGE (an espeak-ng voice name)."""
        return

    def stream(self, text: str, voice: str, cancel: CancelToken, language: str | None = None) -> Iterator[Speech]:
        """Say TEXT, yielding it in pieces as they come: cut in the pauses between sentences, where there are any.

        LANGUAGE is the one that TEXT is in; None has the engine find out. The pieces' texts joined are TEXT.

        Raises NothingToSay, Unavailable (no key, quota, busy, unreachable), SpeechFailed, Cancelled.
        """
        ...

    def synthesize(self, text: str, voice: str, cancel: CancelToken, language: str | None = None) -> Speech:
        """Say TEXT and return all of it; raises as ``stream`` does."""
        return joined(self.stream(text, voice, cancel, language))
