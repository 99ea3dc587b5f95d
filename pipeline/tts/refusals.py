"""Errors that all speech engines share."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import BadRequest, NothingToSay


def nothing_to_say() -> NothingToSay:
    """Return the error for a text without a letter or digit."""
    return NothingToSay(
        "text: 말할 수 있는 내용이 없습니다. 글자나 숫자를 넣어 주세요.",
        "text: there is nothing that can be spoken. Write letters or digits.",
    )


_NAMES = {
    "my": ("버마어", "Burmese"),
    "km": ("크메르어", "Khmer"),
    "lo": ("라오어", "Lao"),
    "bo": ("티베트어", "Tibetan"),
    "dv": ("디베히어", "Dhivehi"),
    "mn": ("몽골 문자", "Mongolian"),
    "syr": ("시리아어", "Syriac"),
}
"""Names of languages without a voice, in Korean and English."""


def unspoken_language(engine: str, language: str) -> BadRequest:
    """Return the error for a text in a language that no voice of the engine speaks."""
    korean, english = _NAMES.get(language, (language, language))
    return BadRequest(
        f"text: {engine}에는 이 글의 언어({korean})를 말하는 음성이 없습니다. 다른 언어로 쓰거나, 이 언어를 말하는 "
        "tts_engine을 고르거나, 글의 언어가 다르면 language로 알려 주세요.",
        f"text: {engine} has no voice that speaks the language of this text ({english}). Write it in another "
        "language, choose a tts_engine that speaks this one, or name the right one in language if it is another.",
    )


def unknown_voice(engine: str, voice: str, choices: Iterable[str]) -> BadRequest:
    """Return the error for a voice that the engine does not have; its message lists the choices."""
    listed = ", ".join(choices)
    return BadRequest(
        f"tts_voice: {engine}에 없는 음성입니다: {voice!r}. 사용할 수 있는 음성: {listed}",
        f"tts_voice: {engine} has no voice {voice!r}. Choices: {listed}",
    )
