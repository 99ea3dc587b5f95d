"""Pronounces English words among those of another language, in the symbols of the voices of the Kokoro family."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


class EnglishWords:
    """Looks words up in the dictionary of the package of hibari, which is loaded with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pronounce: Any = None
        self._broken = False

    def symbols(self, words: str) -> str:
        """Return the symbols of words, "" if the package cannot be loaded."""
        with self._lock:
            if self._pronounce is None and not self._broken:
                try:
                    self._pronounce = _load()
                except Exception as error:  # whatever a damaged package raises
                    logger.warning("English words are pronounced as in Korean: %s", error)
                    self._broken = True
            if self._broken:
                return ""
            tokens = self._pronounce.phonemize_tokens(self._pronounce.tokenize(words))
            return "".join((token.phonemes or "") + (" " if token.whitespace else "") for token in tokens)


def _load() -> Any:
    from hibari import g2p
    from hibari.g2p.oov import OOV

    return g2p.G2P(oov=OOV(str(Path(g2p.ASSETS) / "oov.onnx")))
