"""The language of the messages in a reply."""

from __future__ import annotations

from pipeline.messages import Language


def language_of(accept_language: str | None, otherwise: Language = "ko") -> Language:
    """Return the language that an ``Accept-Language`` header prefers: English if it outranks Korean, else Korean.

    Other languages and ``*`` are ignored.

    Args:
        accept_language: The header, if there is one.
        otherwise: The language if the header prefers neither; the documented messages are Korean.
    """
    ranks = {"ko": 0.0, "en": 0.0}
    for order, part in enumerate((accept_language or "").split(",")):
        tag, _, parameters = part.strip().lower().partition(";")
        primary = tag.split("-")[0].strip()
        if primary in ranks:
            ranks[primary] = max(ranks[primary], _quality(parameters) - order * 1e-6)  # the first one wins a tie
    if ranks["en"] == ranks["ko"]:
        return otherwise
    return "en" if ranks["en"] > ranks["ko"] else "ko"


def _quality(parameters: str) -> float:
    """Return the q value of a part of the header; 1 if it has none, 0 if it is invalid."""
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
