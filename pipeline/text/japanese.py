"""Reads Japanese aloud: kanji and numbers become kana.

espeak-ng reads kana, but calls every kanji "Chinese letter". The reading of a kanji depends on the word, which needs a
dictionary: Janome (Apache licence, dictionary included). It is not part of requirements.txt, since it takes 200 MB;
requirements-voices.txt has it. Without it kanji stay as they are.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import unicodedata
from functools import cache
from typing import Any

from pipeline.text.japanese_numbers import number_words
from pipeline.text.language import has_han
from pipeline.text.piece import Piece, source_offset

logger = logging.getLogger(__name__)

_PARTICLES = {"は": "ワ", "へ": "エ"}
"""Particles whose sound differs from their spelling."""
_BEFORE = {
    **dict.fromkeys(("四人", "四時", "四年", "四円"), "ヨ"),
    **dict.fromkeys(("何人", "何時", "何年", "何日", "何回", "何名"), "ナン"),
    **{"七時": "シチ", "九時": "ク", "六百": "ロッ", "八百": "ハッ", "八千": "ハッ"},
}
_AFTER = {"三百": "ビャク", "六百": "ピャク", "八百": "ピャク", "三千": "ゼン"}
"""How the first and the second of two words sound together, where that is not as they sound alone."""
_NUMBERS = {"千": "セン", "八百": "ハッピャク"}
"""Numbers that the dictionary takes for names."""
_NUMBER = re.compile(r"[0-9０-９]+(?:[,，][0-9０-９]{3})*(?:[.．][0-9０-９]+)?")
_SIGNS = {"%": "パーセント", "％": "パーセント"}


def available() -> bool:
    """Return whether the dictionary is installed; nothing is loaded."""
    return importlib.util.find_spec("janome") is not None


def reading(text: str) -> list[Piece]:
    """Return the text as pieces, in order and without gaps, word by word with kana in place of kanji and numbers.

    Without the dictionary all of it stays as it is.
    """
    if not available():
        if has_han(text):
            logger.warning("Kanji cannot be read without Janome. Run: pip install -r requirements-voices.txt")
        return [Piece(0, len(text), text)]
    numbers = _with_number_words(text)
    written = "".join(piece.spoken for piece in numbers)
    tokens = list(_tokenizer().tokenize(written))
    starts, done = [], 0
    for token in tokens:
        start = written.index(token.surface, done)
        done = start + len(token.surface)
        starts.append((start, done))
    pieces: list[Piece] = []
    source = 0

    def add(until: int, spoken: str) -> None:
        nonlocal source
        end = source_offset(until, numbers) if until < len(written) else len(text)
        pieces.append(Piece(source, max(end, source), spoken))
        source = max(end, source)

    done = 0
    surfaces = ["", *(token.surface for token in tokens), ""]
    for token, before, after, (start, end) in zip(tokens, surfaces, surfaces[2:], starts, strict=False):
        if start > done:
            add(start, written[done:start])
        add(end, _spoken(token, before, after))
        done = end
    if done < len(written) or source < len(text):
        add(len(written), written[done:])
    return pieces


def _with_number_words(text: str) -> list[Piece]:
    """Return the text as pieces of which the numbers are words."""
    pieces: list[Piece] = []
    done = 0
    for found in re.finditer(f"{_NUMBER.pattern}|[{''.join(_SIGNS)}]", text):
        if found.start() > done:
            pieces.append(Piece(done, found.start(), text[done : found.start()]))
        words = _SIGNS.get(found[0]) or number_words(unicodedata.normalize("NFKC", found[0]))
        pieces.append(Piece(found.start(), found.end(), words))
        done = found.end()
    return [*pieces, Piece(done, len(text), text[done:])]


def _spoken(token: Any, before: str, after: str) -> str:
    """Return how a word is spoken between two others."""
    surface: str = token.surface
    if surface in _PARTICLES and token.part_of_speech.startswith("助詞"):
        return _PARTICLES[surface]
    known = _BEFORE.get(surface + after) or _AFTER.get(before + surface) or _NUMBERS.get(surface)
    return known or (str(token.reading) if has_han(surface) and token.reading != "*" else surface)


@cache
def _tokenizer() -> Any:
    """Load the dictionary, once: it takes half a second."""
    from janome.tokenizer import Tokenizer

    return Tokenizer()
