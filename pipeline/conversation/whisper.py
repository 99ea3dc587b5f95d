"""Whisper on this computer, through the package faster-whisper.

Its weights are downloaded once, with a progress bar: ``python -m pipeline.conversation.whisper``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import messages
from pipeline.errors import TranscriptionUnavailable
from pipeline.settings import Settings

logger = logging.getLogger(__name__)

MODEL = "small"
"""The model that is used: 0.5 GB, which writes Korean well."""
SIZES = ("tiny", "base", "small", "medium", "large-v3", "large-v3-turbo")
_HUB = {size: f"Systran/faster-whisper-{size}" for size in SIZES} | {
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
}
_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
INSTALL = "pip install -r requirements-transcription.txt"
_SILENT = 0.6
"""Probability of silence from which a stretch counts as none, as the package's own filter has it."""


class LocalWhisper:
    """Transcribes on this computer, one sound after the other.

    Args:
        models: Folder of the weights.
        size: Which model.
    """

    def __init__(self, models: Path, size: str = MODEL) -> None:
        self._folder = folder_of(models, size)
        self._model: Any = None
        self._lock = threading.Lock()

    def available(self) -> bool:
        """Return whether the package is installed and the weights are there; loads neither."""
        return importlib.util.find_spec("faster_whisper") is not None and (self._folder / "model.bin").is_file()

    async def transcribe(self, sound: np.ndarray, language: str | None) -> str:
        """Return the text of a sound; see ``pipeline.conversation.transcription.Transcriber``."""
        return await asyncio.to_thread(self._transcribe, sound, language)

    def _transcribe(self, sound: np.ndarray, language: str | None) -> str:
        try:
            with self._lock:
                if self._model is None:
                    from faster_whisper import WhisperModel

                    cores = max(1, (os.cpu_count() or 2) // 2)  # the others draw
                    self._model = WhisperModel(
                        str(self._folder), device="cpu", compute_type="int8", cpu_threads=cores, local_files_only=True
                    )
                spoken, _ = self._model.transcribe(sound.astype(np.float32) / 32768, language=language)
                return " ".join(one.text.strip() for one in spoken if one.no_speech_prob < _SILENT).strip()
        except Exception as error:
            logger.exception("whisper")
            raise TranscriptionUnavailable(messages.conversation.WHISPER_FAILED()) from error


def folder_of(models: Path, size: str) -> Path:
    """Return where the weights of a model are."""
    return models / "faster-whisper" / size


def download(models: Path, size: str) -> None:
    """Download the weights of a model, with a progress bar; what is there already is kept."""
    from huggingface_hub import snapshot_download

    snapshot_download(_HUB[size], allow_patterns=list(_FILES), local_dir=str(folder_of(models, size)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Download the weights; return the exit status."""
    models = Settings.from_environment().models_dir
    if importlib.util.find_spec("faster_whisper") is None:
        print(messages.conversation.WHISPER_NOT_INSTALLED(command=INSTALL), file=sys.stderr)
        return 1
    try:
        download(models, MODEL)
    except Exception as error:
        logger.debug("download failed", exc_info=True)
        print(messages.conversation.WHISPER_NOT_DOWNLOADED(reason=error), file=sys.stderr)
        return 1
    print(messages.conversation.WHISPER_READY(folder=folder_of(models, MODEL)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
