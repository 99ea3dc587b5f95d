"""Reads Japanese aloud: kanji become kana.

espeak-ng reads kana, but calls every kanji "Chinese letter". The reading of a kanji depends on the word, which needs a
dictionary: Janome (Apache licence, dictionary included). It is not part of requirements.txt, since it takes 200 MB;
requirements-voices.txt has it. Without it kanji stay as they are.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from typing import Any

from pipeline.text.language import has_han
from pipeline.text.piece import Piece

logger = logging.getLogger(__name__)

_PARTICLES = {"は": "ワ", "へ": "エ"}
"""Particles whose sound differs from their spelling."""


def reading(text: str) -> list[Piece]:
    """Return the text as pieces, in order and without gaps, with kana in place of kanji."""
    if not has_han(text):
        return [Piece(0, len(text), text)]
    if importlib.util.find_spec("janome") is None:
        logger.warning("Kanji cannot be read without Janome. Run: pip install -r requirements-voices.txt")
        return [Piece(0, len(text), text)]
    pieces: list[Piece] = []
    done = 0
    for token in _tokenizer().tokenize(text):
        start = text.index(token.surface, done)
        if start > done:
            pieces.append(Piece(done, start, text[done:start]))
        done = start + len(token.surface)
        pieces.append(Piece(start, done, _spoken(token)))
    if done < len(text):
        pieces.append(Piece(done, len(text), text[done:]))
    return pieces


def _spoken(token: Any) -> str:
    surface: str = token.surface
    if surface in _PARTICLES and token.part_of_speech.startswith("助詞"):
        return _PARTICLES[surface]
    return str(token.reading) if has_han(surface) and token.reading != "*" else surface


@cache
def _tokenizer() -> Any:
    """Load the dictionary, once: it takes half a second."""
    from janome.tokenizer import Tokenizer

    return Tokenizer()
