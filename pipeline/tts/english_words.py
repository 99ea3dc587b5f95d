"""Pronounces English in the symbols of the voices of the Kokoro family, with the dictionary of the package of hibari.

The package reads English aloud (numbers, dates, prices, stress), and guesses how unknown words are pronounced.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_NUMBER = "CD"
_PRONUNCIATIONS = {
    "AWS": "ˌAdˌʌbᵊljˌuˈɛs",
    "GitHub": "ɡˈɪthˌʌb",
    "Hyundai": "hjˈʌndˌA",
    "JSON": "ʤˈAsᵊn",
    "Kubernetes": "kˌubəɹnˈɛTiz",
    "PostgreSQL": "pˈOstɡɹɛs kjˌuˈɛl",
    "shh": "ʃː",
}
"""Words that the package pronounces wrongly."""
_WON = "wˈɑn"
"""The money, which the package takes for the past of "win"."""


@dataclass(frozen=True)
class _Package:
    """The functions of the package that read aloud and pronounce."""

    pronounce: Any
    normalize: Any


class EnglishWords:
    """Reads English aloud and pronounces it; the dictionary is loaded with the first words.

    Args:
        assets: Folder of the dictionary; that of the package by default.
    """

    def __init__(self, assets: Path | None = None) -> None:
        self._assets = assets
        self._lock = threading.Lock()  # the package keeps state while it pronounces
        self._package: _Package | None = None
        self._broken = False

    def said(self, text: str) -> list[tuple[str, str]]:
        """Return the words of a text as it is read aloud, each with its symbols and those of punctuation after it.

        Raises:
            Exception: Whatever a damaged package raises.
        """
        with self._lock:
            package = self._opened()
            return _pronounced(package, package.normalize(text))

    def symbols(self, words: str) -> str:
        """Return the symbols of words within another language, "" if the package cannot be loaded."""
        with self._lock:
            if self._broken:
                return ""
            try:
                package = self._opened()
            except Exception as error:  # whatever a damaged package raises
                logger.warning("English words are pronounced as in Korean: %s", error)
                self._broken = True
                return ""
            tokens = package.pronounce.phonemize_tokens(package.pronounce.tokenize(words))
            return "".join((token.phonemes or "") + (" " if token.whitespace else "") for token in tokens)

    def load(self) -> None:
        """Load the dictionary; raises what ``said`` does."""
        with self._lock:
            self._opened()

    def _opened(self) -> _Package:
        if self._package is None:
            from hibari import g2p
            from hibari.g2p.normalize import normalize
            from hibari.g2p.oov import OOV

            assets = self._assets or Path(g2p.ASSETS)
            self._package = _Package(g2p.G2P(oov=OOV(str(assets / "oov.onnx"))), normalize)
        return self._package


def _pronounced(package: _Package, said: str) -> list[tuple[str, str]]:
    tokens = package.pronounce.tokenize(said)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.text in _PRONUNCIATIONS:
            token.phonemes = _PRONUNCIATIONS[token.text]
        elif token.text == "won" and before is not None and before.tag == _NUMBER:
            token.phonemes = _WON
        elif len(tokens) == 1 and token.text in ("a", "A"):
            token.phonemes = "ˈA"  # the letter, not the article
    words = [("", "")]
    for token in package.pronounce.phonemize_tokens(tokens):
        text, symbols = words[-1]
        words[-1] = (text + token.text, symbols + (token.phonemes or ""))
        if token.whitespace:
            words.append(("", ""))
    return words


def places(written: str, said: list[str]) -> list[tuple[int, int]]:
    """Return (offset in the written text, number of the said word) of the words that are found in both.

    What is said for several words, or for one of them in several words, begins with its first.
    """
    words = [(found.start(), found[0]) for found in re.finditer(r"\S+", written)]
    found = []
    match = SequenceMatcher(None, [word.lower() for _, word in words], [word.lower() for word in said], autojunk=False)
    for kind, first, last, since, until in match.get_opcodes():
        if kind in ("equal", "replace"):
            share = (until - since) / (last - first)
            found += [(words[at][0], since + int((at - first) * share)) for at in range(first, last)]
    return found
