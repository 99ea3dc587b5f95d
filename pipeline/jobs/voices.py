"""The voices that requests may name, and a sentence of each to listen to."""

from __future__ import annotations

import io
import logging
import threading
import wave
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

import numpy as np

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.errors import NotFound, PipelineError
from pipeline.jobs.studio import Studio
from pipeline.speech_types import Voice, joined
from pipeline.text.samples import COUNTED, sample_of
from pipeline.tts.finish import finished
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine

logger = logging.getLogger(__name__)

_KEPT = 64
"""Samples that are kept, of 150 KB or so."""


def voices_of(studio: Studio, name: str | None = None) -> Iterator[tuple[TTSEngine, Voice]]:
    """Yield every voice that can speak now, with its engine; an engine that cannot list its voices has none.

    Args:
        studio: The engines.
        name: One of them; None is all.
    """
    for engine in studio.tts.values():
        if name not in (None, engine.name) or not engine.available():
            continue
        try:
            voices = engine.voices()
        except PipelineError as error:  # a service cannot be reached
            logger.warning("no voices of %s: %s", engine.name, error)
            continue
        for voice in voices:
            yield engine, voice


def sample_url(engine: str, voice: str) -> str:
    """Return the path of the sample of a local voice."""
    return f"/assets/voices/{quote(engine, safe='')}/{quote(voice, safe='')}.wav"


class VoiceSamples:
    """WAV files in which a voice says a sentence of its language; each is spoken once, one at a time."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._spoken = lru_cache(maxsize=_KEPT)(self._speak)

    def of(self, engine: str, voice: str) -> bytes:
        """Return a WAV file of 16-bit mono.

        Args:
            engine: Name of a local engine.
            voice: One of its voices.

        Raises:
            NotFound: There is no such voice, or its service has samples of its own.
            Unavailable: The engine cannot speak now.
        """
        found = self._studio.tts.get(engine)
        if found is None or found.remote:
            raise NotFound(messages.jobs.NO_SUCH_VOICE(voice=f"{engine}/{voice}"))
        found.check()
        language = next((one.language for one in found.voices() if one.id == voice), None)
        if language is None or voice == CUSTOM_VOICE:
            raise NotFound(messages.jobs.NO_SUCH_VOICE(voice=f"{engine}/{voice}"))
        with self._lock:
            return self._spoken(engine, voice, language)

    def _speak(self, name: str, voice: str, language: str) -> bytes:
        engine = self._studio.tts[name]
        language = language or "en-us"
        pieces = engine.stream(sample_of(language) or COUNTED, voice, CancelToken(), language)
        speech = joined(finished(pieces, engine.loudness(voice, language), 0.0))
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(speech.rate)
            out.writeframes((np.clip(speech.samples, -1, 1) * 32767).astype("<i2").tobytes())
        return file.getvalue()
