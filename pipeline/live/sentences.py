"""Finds complete sentences in a text that arrives in pieces, as language models emit it."""

from __future__ import annotations

import re

from pipeline.text.language import LINE_BREAKS

LONGEST = 240
"""Characters after which a text without an end of sentence is spoken up to its last clause or word."""
_END = re.compile(
    rf"""[.!?…]+["'”’)\]」』）》]*(?=\s)   # the blank tells it from 3.5 and example.com
    |[。！？]+["'”’)\]」』）》]*
    |[{LINE_BREAKS}]""",
    re.VERBOSE,
)
_ENDS = re.compile(r"""[.!?…。！？]["'”’)\]」』）》]*\s*\Z""")
_CLAUSE = re.compile(r"[,;:、，；：]\s|\s")
_SHORTENED = re.compile(
    r"(?:(?:^|\s)(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|No|Nr|Fig|approx|e\.g|i\.e|[A-Za-z])|(?:^|[\n\r])\s*\d+)\.\Z"
)
"""Ends of a text whose full stop ends no sentence: shortened words, initials, numbers of a list."""


class Sentences:
    """Collects pieces of a text; joined, the sentences are the text."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, piece: str) -> list[str]:
        """Append a piece, and return the sentences that are complete now."""
        self._text += piece
        found = []
        while (end := self._end()) is not None:
            found.append(self._text[:end])
            self._text = self._text[end:]
        return found

    @property
    def may_be_complete(self) -> bool:
        """Whether what is left ends like a sentence, though only the next piece could prove it."""
        return bool(_ENDS.search(self._text)) and not _SHORTENED.search(self._text.rstrip())

    def rest(self) -> str:
        """Return what is left, and forget it."""
        text, self._text = self._text, ""
        return text

    def _end(self) -> int | None:
        """Return the length of the first complete sentence, with the blanks after it."""
        for match in _END.finditer(self._text):
            if _SHORTENED.search(self._text[: match.end()]):
                continue
            end = match.end()
            blanks = len(self._text) - end - len(self._text[end:].lstrip())
            if self._text[:end].strip():
                return end + blanks
        if len(self._text) <= LONGEST:
            return None
        ends = [match.end() for match in _CLAUSE.finditer(self._text, LONGEST // 2, LONGEST)]
        return ends[-1] if ends else LONGEST
