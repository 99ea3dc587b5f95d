"""Errors that all speech engines share."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline import messages
from pipeline.errors import BadRequest, NothingToSay, Unavailable


def nothing_to_say() -> NothingToSay:
    """Return the error for a text without a letter or digit."""
    return NothingToSay(messages.tts.NOTHING_TO_SAY())


def not_available(engine: str) -> Unavailable:
    """Return the error for an engine that cannot speak now, and that knows nothing more of it."""
    return Unavailable(messages.tts.SPEECH_ENGINE_UNAVAILABLE(name=engine))


_NAMES = {
    "my": messages.tts.BURMESE,
    "km": messages.tts.KHMER,
    "lo": messages.tts.LAO,
    "bo": messages.tts.TIBETAN,
    "dv": messages.tts.DHIVEHI,
    "mn": messages.tts.MONGOLIAN,
    "syr": messages.tts.SYRIAC,
}
"""Names of languages without a voice."""


def unspoken_language(engine: str, language: str) -> BadRequest:
    """Return the error for a text in a language that no voice of the engine speaks."""
    name = _NAMES[language]() if language in _NAMES else language
    return BadRequest(messages.tts.LANGUAGE_WITHOUT_VOICE(engine=engine, language=name))


def unknown_voice(engine: str, voice: str, choices: Iterable[str]) -> BadRequest:
    """Return the error for a voice that the engine does not have; its message lists the choices."""
    listed = ", ".join(choices)
    return BadRequest(messages.tts.VOICE_UNKNOWN(engine=engine, voice=voice, choices=listed))
