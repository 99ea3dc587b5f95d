"""The texts of one sentence as eSpeak NG renders them, each once, however many steps ask for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from pipeline.core.cancel import CancelToken
from pipeline.tts.espeak import Rendering


class Renderer(Protocol):
    """What renders texts: an `EspeakEngine`, or the `Renderings` of a sentence."""

    def speaks(self, language: str) -> bool:
        """See `EspeakEngine.speaks`."""

    def render(self, text: str, language: str, cancel: CancelToken, rate: int | None = None) -> Rendering:
        """See `EspeakEngine.render`."""


class Renderings:
    """What an engine renders for one sentence.

    The times are kept for the next step that asks; the sound, which may be that of a long recording's text, is not.

    Args:
        engine: What renders a text that is new.
    """

    def __init__(self, engine: Renderer) -> None:
        self._engine = engine
        self._timed: dict[tuple[str, str], Rendering] = {}

    def speaks(self, language: str) -> bool:
        """See `EspeakEngine.speaks`."""
        return self._engine.speaks(language)

    def render(self, text: str, language: str, cancel: CancelToken, rate: int | None = None) -> Rendering:
        """See `EspeakEngine.render`."""
        rendering = self._engine.render(text, language, cancel, rate)
        if rate is None:
            self._timed[text, language] = replace(rendering, samples=np.zeros(0, np.int16))
        return rendering

    def timed(self, text: str, language: str, cancel: CancelToken) -> Rendering:
        """Return the rendering of a text without its sound, rendered anew only if `render` has not been called for it.

        Raises:
            BadRequest: eSpeak NG does not speak the language.
            Unavailable: The library cannot be loaded.
            SpeechFailed: The library fails.
            Cancelled: `cancel` is set.
        """
        if (text, language) not in self._timed:
            self.render(text, language, cancel)
        return self._timed[text, language]
