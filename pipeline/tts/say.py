"""Says the phrases of a text with any speech engine: pauses, speeds and stresses that no two engines spell alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from pipeline.core.cancel import CancelToken
from pipeline.errors import NothingToSay
from pipeline.speech_types import Mark, Speech
from pipeline.text.language import speakable
from pipeline.text.script import Phrase, is_plain
from pipeline.tts.speech_engine import TTSEngine

QUIET = 0.01
"""Samples below this, -40 dBFS, are silence."""


def say(
    engine: TTSEngine, phrases: Sequence[Phrase], voice: str, cancel: CancelToken, language: str, speed: float = 1.0
) -> Iterator[Speech]:
    """Speak phrases and yield them in pieces; the texts of the pieces, joined, are what is spoken.

    A phrase is one call of the engine. Its speed is kept within what the engine speaks; the silence with which the
    engine ends is part of the pause that follows.

    Args:
        engine: What speaks.
        phrases: What is said; at least one has words.
        voice: One of the engine's, or ``CUSTOM_VOICE``.
        cancel: The task's token.
        language: Of the text.
        speed: How fast, 1 is the voice's usual.

    Raises:
        PipelineError: What the engine raises.
    """
    if is_plain(phrases):
        yield from engine.stream(phrases[0].spoken, voice, cancel, language, speed)
        return
    last: Speech | None = None
    owed = 0.0  # seconds of silence before the first sound
    for phrase in phrases:
        if speakable(phrase.spoken):
            pace = float(np.clip(speed * phrase.rate, *engine.speeds))
            with suppress(NothingToSay):  # a sign that only others than this engine pronounce
                for piece in engine.stream(phrase.spoken, voice, cancel, language, pace):
                    if owed:
                        yield _silence(owed, piece)
                        owed = 0.0
                    last = replace(piece, samples=piece.samples * np.float32(10 ** (phrase.gain / 20)))
                    yield last
        if last is None:
            owed += phrase.pause
        elif (missing := phrase.pause - _silent_end(last)) > 0:
            yield _silence(missing, last)


def _silent_end(speech: Speech) -> float:
    """Return for how many seconds speech is silent at its end."""
    loud = np.flatnonzero(np.abs(speech.samples) >= QUIET)
    return (len(speech.samples) - (int(loud[-1]) + 1 if len(loud) else 0)) / speech.rate


def _silence(seconds: float, like: Speech) -> Speech:
    """Return silence as a piece of its own, whose sounds are known."""
    samples = np.zeros(round(seconds * like.rate), np.float32)
    marks = (Mark("phoneme", "", 0.0, len(samples) / like.rate),)
    return Speech(samples=samples, rate=like.rate, text="", language=like.language, marks=marks)
