"""Supertonic as a speech engine: a natural local voice on the CPU, which you install separately.

It is not part of requirements.txt, and its weights are downloaded only when you ask for it:

    pip install -r requirements-voices.txt
    python -m pipeline.tts.supertonic      downloads the weights, with a progress bar

Until both are there the engine is not available. It returns no timing; its sound is aligned.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.core.hub import WeightFile, download, files_of, hub_address
from pipeline.errors import SpeechFailed, Unavailable
from pipeline.speech_types import Speech, Voice
from pipeline.text.language import in_latin, language_of, plain, speakable
from pipeline.text.reading import read_aloud
from pipeline.tts.refusals import nothing_to_say, unknown_voice
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from pipeline.tts.voice_network import cannot_speak

logger = logging.getLogger(__name__)

MODEL = "supertonic-3"
DEFAULT_VOICE = "M1"
"""The voice "Custom": the bundled avatar is a man."""
USUAL_SPEED = 1.05
"""What the package takes for the usual speed."""
PAUSE = 0.3
"""Seconds of silence between two sentences."""
MAX_SENTENCE = 110
"""Characters that are spoken in one call; the task can be cancelled between two calls."""
_WEIGHTS = (
    "onnx/tts.json",
    "onnx/unicode_indexer.json",
    "onnx/duration_predictor.onnx",
    "onnx/text_encoder.onnx",
    "onnx/vector_estimator.onnx",
    "onnx/vocoder.onnx",
)
_LANGUAGES = (
    *("en", "ko", "ja", "ar", "bg", "cs", "da", "de", "el", "es", "et", "fi", "fr", "hi", "hr", "hu", "id", "it", "lt"),
    *("lv", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "tr", "uk", "vi"),
)
_OTHER_LANGUAGE = "na"


class Synthesizer(Protocol):
    """The part of ``supertonic.TTS`` that this engine uses."""

    sample_rate: int

    def get_voice_style(self, voice_name: str) -> Any:
        """Return the style of a voice."""
        ...

    def synthesize(self, text: str, voice_style: Any, *, lang: str, speed: float) -> tuple[np.ndarray, np.ndarray]:
        """Return sound (1, samples) and its length in seconds (1,)."""
        ...


def model_dir() -> Path:
    """Return the folder of the weights (``SUPERTONIC_CACHE_DIR``, else in the user's cache)."""
    given = os.environ.get("SUPERTONIC_CACHE_DIR")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "supertonic3"


def _load(weights: Path) -> Synthesizer:
    from supertonic import TTS

    tts: Synthesizer = TTS(MODEL, weights, auto_download=False)
    return tts


class SupertonicEngine(TTSEngine):
    """Speaks with Supertonic's voices.

    Args:
        weights: Folder of the weights; ``model_dir`` by default.
        load: Opens the weights; the package by default.
    """

    name = "supertonic"
    optional = True

    def __init__(self, weights: Path | None = None, load: Callable[[Path], Synthesizer] | None = None) -> None:
        self._weights = weights or model_dir()
        self._load = load
        self._lock = threading.Lock()
        self._synthesizer: Synthesizer | None = None
        self._refusal: Unavailable | None = None
        self._refused: tuple[Stamp, ...] = ()  # the weights that could not be opened

    def available(self) -> bool:
        """Return whether package and weights are there, and were not found to be damaged; nothing is loaded."""
        return self.set_up() and not self._damaged()

    def set_up(self) -> bool:
        """Return whether the package and its weights are installed; nothing is loaded or downloaded."""
        return self._installed() and has_weights(self._weights)

    def check(self) -> None:
        """Load the weights, once; those that cannot be opened are tried again after they have changed.

        Raises:
            Unavailable: The package or its weights are missing, damaged or of another version.
        """
        self._check()
        if self._synthesizer is None:
            with self._lock:
                self._open()

    def speaks(self, language: str) -> bool:
        """Return whether the model was taught a language; in others it says what is written in Latin letters."""
        return language.split("-")[0] in _LANGUAGES or in_latin(language)

    def voices(self) -> list[Voice]:
        """Return the voices whose styles lie beside the weights.

        Raises:
            Unavailable: The package or its weights are missing.
        """
        self._check()
        return [_voice(file.stem) for file in sorted((self._weights / "voice_styles").glob("*.json"))]

    def check_voice(self, voice: str) -> None:
        """Check that there is a voice.

        Raises:
            BadRequest: There is not; the message lists the voices.
            Unavailable: The package or its weights are missing.
        """
        choices = [CUSTOM_VOICE, *(known.id for known in self.voices())]
        if voice not in choices:
            raise unknown_voice(self.name, voice, choices)

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak a text sentence by sentence, without marks.

        Raises:
            NothingToSay: The text has no letter or digit.
            BadRequest: There is no such voice.
            Unavailable: The package or its weights are missing.
            SpeechFailed: The model fails.
            Cancelled: `cancel` is set.
        """
        if not speakable(text):
            raise nothing_to_say()
        self.check_voice(voice)
        language = language or language_of(text)
        style = self._style(voice)
        pause = 0.0
        for sentence in _sentences(plain(text)):
            parts = [np.zeros(0, np.float32)]
            with self._lock:
                synthesizer = self._open()
                for part in _parts(_without_pictures(read_aloud(sentence, language))):
                    cancel.check()
                    silence = np.zeros(round(pause / speed * synthesizer.sample_rate), np.float32)
                    parts += [silence, _say(synthesizer, part, style, language, speed)]
                    pause = PAUSE
            cancel.check()
            yield Speech(
                samples=np.clip(np.concatenate(parts), -1, 1),
                rate=synthesizer.sample_rate,
                text=sentence,
                language=language,
            )

    def _style(self, voice: str) -> str:
        names = [known.id for known in self.voices()]
        if voice != CUSTOM_VOICE:
            return voice
        return DEFAULT_VOICE if DEFAULT_VOICE in names else names[0]

    def _open(self) -> Synthesizer:
        if self._synthesizer is None:
            load = self._load or _load
            if self._refusal is not None and self._damaged():
                raise self._refusal.afresh()
            try:
                self._synthesizer = load(self._weights)
            except Exception as error:  # whatever a damaged package raises
                logger.warning("supertonic cannot be opened: %s", error)
                self._refusal = _refusal(error)
                self._refused = _stamps(self._weights)
                raise self._refusal.afresh() from error
        return self._synthesizer

    def _damaged(self) -> bool:
        """Whether the weights are those that could not be opened."""
        return self._synthesizer is None and self._refusal is not None and self._refused == _stamps(self._weights)

    def _installed(self) -> bool:
        return self._load is not None or importlib.util.find_spec("supertonic") is not None

    def _check(self) -> None:
        if not self._installed() or not has_weights(self._weights):
            raise Unavailable(messages.tts.SUPERTONIC_MISSING(steps=f"{_INSTALL} && {_COMMAND}"))


Stamp = tuple[str, int, int]
"""Name, time and size of a file."""


def _stamps(weights: Path) -> tuple[Stamp, ...]:
    found = sorted(weights.rglob("*"))
    return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in found if path.is_file())


def _refusal(error: Exception) -> Unavailable:
    """Return the error for a package or weights that cannot be opened; it names no folder."""
    if isinstance(error, ImportError):
        return cannot_speak("supertonic", error, _REINSTALL)
    return Unavailable(messages.tts.SUPERTONIC_NOT_LOADED(reason=messages.tts.VOICE_FILES_DAMAGED(), command=_COMMAND))


_INSTALL = "pip install -r requirements-voices.txt"
_REINSTALL = "pip install --force-reinstall -r requirements-voices.txt"
_COMMAND = "python -m pipeline.tts.supertonic"


def _voice(name: str) -> Voice:
    return Voice(name, name, gender={"F": "female", "M": "male"}.get(name[:1], ""))


def has_weights(weights: Path) -> bool:
    """Return whether a folder holds all parts of the model and at least one voice."""
    return all((weights / name).is_file() for name in _WEIGHTS) and any((weights / "voice_styles").glob("*.json"))


def _say(synthesizer: Synthesizer, sentence: str, voice: str, language: str, speed: float) -> np.ndarray:
    code = language.split("-")[0]
    code = code if code in _LANGUAGES else _OTHER_LANGUAGE
    try:
        style, pace = synthesizer.get_voice_style(voice), USUAL_SPEED * speed
        sound, _ = synthesizer.synthesize(sentence, style, lang=code, speed=pace)
    except Exception as error:
        raise SpeechFailed(messages.tts.SUPERTONIC_FAILED(reason=error)) from error
    samples = np.asarray(sound, np.float32).ravel()
    if not len(samples) or not np.isfinite(samples).all():
        raise SpeechFailed(messages.tts.SUPERTONIC_EMPTY())
    return samples


def _sentences(text: str) -> list[str]:
    """Split a text into sentences, with the blanks after them; one without a sound joins the one before."""
    sentences: list[str] = []
    for sentence in re.findall(r".+?(?:(?:[.!?…](?=\s)|[。！？\n])\s*|\Z)", text, re.DOTALL):
        if sentences and not (speakable(sentence) and speakable(sentences[-1])):
            sentences[-1] += sentence
        else:
            sentences.append(sentence)
    return sentences


def _parts(sentence: str) -> list[str]:
    """Split a sentence into parts of at most `MAX_SENTENCE` characters, at blanks or commas if possible."""
    parts, rest = [], sentence.strip()
    while len(rest) > MAX_SENTENCE:
        cut = max(rest.rfind(mark, 1, MAX_SENTENCE) for mark in ", ，、")
        cut = cut + 1 if cut > 0 else MAX_SENTENCE
        parts.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [part for part in (*parts, rest) if speakable(part)]


def _without_pictures(text: str) -> str:
    """Replace emoji and the like, which the model refuses, with blanks."""
    return "".join(" " if unicodedata.category(letter) in ("So", "Sk", "Co", "Cn", "Cf") else letter for letter in text)


def weight_files(hub: str) -> list[WeightFile]:
    """Return the files of the weights, as a hub lists them for the version that the package was tested with.

    Raises:
        Unavailable: The hub cannot be reached.
    """
    from supertonic.config import get_model_repo, get_model_revision

    parts = ("onnx/", "voice_styles/", "LICENSE")
    files = files_of(get_model_repo(MODEL), get_model_revision(MODEL), hub)
    return [file for file in files if file.name.startswith(parts)]


def main() -> int:
    """Download the weights; return the exit status."""
    weights = model_dir()
    if importlib.util.find_spec("supertonic") is None:
        print(f"supertonic is not installed. Run: {_INSTALL}", file=sys.stderr)
        return 1
    if not has_weights(weights):
        print(f"Fetching the weights of {MODEL} (OpenRAIL-M) into {weights} ...")
        try:
            download(weights, weight_files(hub_address()), hub_address())
        except Exception as error:
            logger.debug("download failed", exc_info=True)
            print(f"The download failed: {error}\nCheck the internet connection and run it again.", file=sys.stderr)
            return 1
    if not has_weights(weights):
        print(f"Some files are missing in {weights}; delete the folder and run this again.", file=sys.stderr)
        return 1
    print(f"supertonic is ready; its weights are in {weights}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
