"""Which language the messages of a reply are written in."""

from __future__ import annotations

from pipeline.errors import Language


def language_of(accept_language: str | None, otherwise: Language = "ko") -> Language:
    """Return the language that an ``Accept-Language`` header prefers: English when it outranks Korean, else Korean.

    Other languages and ``*`` count for neither; a header that names only those, or none, gives OTHERWISE: Korean is the
    language of the documented messages.
    """
    ranks = {"ko": 0.0, "en": 0.0}
    for order, part in enumerate((accept_language or "").split(",")):
        tag, _, parameters = part.strip().lower().partition(";")
        primary = tag.split("-")[0].strip()
        if primary in ranks:
            ranks[primary] = max(ranks[primary], _quality(parameters) - order * 1e-6)  # first named wins a draw
    if ranks["en"] == ranks["ko"]:
        return otherwise
    return "en" if ranks["en"] > ranks["ko"] else "ko"


def _quality(parameters: str) -> float:
    """Return the q value of a header's part, 1 when it has none, 0 when it cannot be read."""
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
