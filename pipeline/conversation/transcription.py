"""What a visitor said, as text: by a service with OpenAI's protocol, or by Whisper on this computer."""

from __future__ import annotations

import asyncio
import io
import wave
from typing import Any, Protocol

import numpy as np

from pipeline.conversation.endpoints import Endpoint
from pipeline.conversation.voice_activity import RATE
from pipeline.conversation.whisper import LocalWhisper
from pipeline.errors import TranscriptionUnavailable
from pipeline.settings import Settings


class Transcriber(Protocol):
    """Writes down what is said."""

    async def transcribe(self, sound: np.ndarray, language: str | None) -> str:
        """Return the text of a sound; "" if there is none.

        Args:
            sound: (n,) int16 at `RATE`.
            language: Its language (ISO 639-1); None detects it.

        Raises:
            TranscriptionUnavailable: It failed; the message states why.
        """
        ...


class TranscriptionService:
    """A service.

    Args:
        endpoint: Where it is.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def transcribe(self, sound: np.ndarray, language: str | None) -> str:
        """Return the text of a sound; see ``Transcriber``."""
        options: dict[str, Any] = {"language": language} if language else {}
        try:
            async with asyncio.timeout(self._endpoint.seconds), self._endpoint.client() as client:
                reply = await client.audio.transcriptions.create(
                    model=self._endpoint.model, file=("speech.wav", wav(sound), "audio/wav"), **options
                )
            return str(reply.text).strip()
        except Exception as error:
            raise self._endpoint.error(error, TranscriptionUnavailable) from None


def make_transcriber(settings: Settings) -> Transcriber | None:
    """Return what transcribes on this server: a service, Whisper if it is installed and downloaded, or nothing."""
    endpoint = Endpoint(
        "STT", settings.stt_base_url, settings.stt_api_key, settings.stt_model, settings.stt_timeout or 3600.0
    )
    if endpoint.configured:
        endpoint.load()
        return TranscriptionService(endpoint)
    local = LocalWhisper(settings.models_dir)
    return local if local.available() else None


def wav(sound: np.ndarray) -> bytes:
    """Return a sound, (n,) int16 at `RATE`, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(sound.astype("<i2").tobytes())
    return file.getvalue()
