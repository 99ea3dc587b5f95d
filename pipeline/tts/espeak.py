"""eSpeak NG as a speech engine: over 100 languages, no key, no download, and exact phoneme times.

It is called through its C library (speak_lib.h; the package espeakng-loader ships library and data). The library keeps
one global state: it is loaded once per process, and a lock is held while it speaks.
"""

from __future__ import annotations

import ctypes as c
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline import messages
from pipeline.core.ahead import pushed
from pipeline.core.cancel import CancelToken
from pipeline.core.pool import Pool
from pipeline.errors import SpeechFailed, Unavailable
from pipeline.speech_types import Mark, Speech, Voice
from pipeline.text.language import language_of, plain, speakable
from pipeline.text.piece import source_offset
from pipeline.text.reading import read_aloud, reading
from pipeline.text.samples import sample_of
from pipeline.text.word_times import place_words, word_start
from pipeline.tts.finish import loudness
from pipeline.tts.refusals import nothing_to_say, unknown_voice
from pipeline.tts.speech_engine import BREAK, CUSTOM_VOICE, TTSEngine

logger = logging.getLogger(__name__)

DEFAULT_RATE = 175
"""Words per minute; the library's own default."""
DEFAULT_PITCH = 50
"""0..100; the library's own default."""

_SPELLS = ("my", "shn")
"""Voices whose dictionaries cannot read the letters of their language; they skip most of them."""

_GENDERS = {1: "male", 2: "female"}

_CLAUSE_END = re.compile(r"[^\w\s]\s+|\s*\n\s*")

# speak_lib.h
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_PHONEME_EVENTS, _INITIALIZE_PHONEME_IPA = 0x0001, 0x0002
_INITIALIZE_DONT_EXIT = 0x8000
_EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_END, _EVENT_PHONEME = 0, 1, 5, 7
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_POS_CHARACTER = 1
_CHARS_UTF8 = 1  # neither espeakSSML nor espeakPHONEMES: markup and [[phonemes]] are text like any other
_OK = 0


class _EventId(c.Union):
    _fields_ = (("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8))


class _Event(c.Structure):
    _fields_ = (
        ("type", c.c_int),
        ("unique_identifier", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_position", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", _EventId),
    )


class _Voice(c.Structure):
    _fields_ = (
        ("name", c.c_char_p),
        ("languages", c.c_void_p),
        ("identifier", c.c_char_p),
        ("gender", c.c_ubyte),
        ("age", c.c_ubyte),
        ("variant", c.c_ubyte),
        ("xx1", c.c_ubyte),
        ("score", c.c_int),
        ("spare", c.c_void_p),
    )


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """The sound that eSpeak NG renders for a text, or for a part of it.

    Attributes:
        start: First character of the part.
        end: Character after the part.
        samples: (n,) int16 mono.
        rate: Samples per second.
        phonemes: Gapless marks from 0 to the end.
        words: (offset in the text, start of the first phoneme in seconds) of every word, in order. The library defines
            the words; it joins some to the one before.
    """

    start: int
    end: int

    samples: np.ndarray
    rate: int
    phonemes: tuple[Mark, ...]
    words: tuple[tuple[int, float], ...]


_SynthCallback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))


@dataclass(frozen=True)
class _Library:
    """The loaded C library, which one thread at a time may call, the rate of its sound (Hz), and its data."""

    calls: Pool[c.CDLL]
    rate: int
    data: Path


def _library() -> _Library:
    """Load and initialise the C library, once, however many threads ask for it first: it has one state.

    Raises:
        Unavailable: The library or its data is missing.
    """
    with _LOADING:
        return _loaded()


_LOADING = threading.Lock()


@cache
def _loaded() -> _Library:
    try:
        import espeakng_loader

        calls = c.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
    except (ImportError, OSError, RuntimeError) as error:
        raise _not_installed(str(error)) from error
    calls.espeak_ListVoices.restype = c.POINTER(c.POINTER(_Voice))
    options = _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_PHONEME_IPA | _INITIALIZE_DONT_EXIT
    rate = calls.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, bytes(data), options)
    if rate <= 0:
        raise _not_installed(f"espeak_Initialize: {rate}")
    return _Library(Pool([calls]), rate, data)


@dataclass(frozen=True)
class _Entry:
    """A voice of the catalogue and its file in the C library ("gmw/en-US")."""

    voice: Voice
    file: str


@cache
def _catalogue() -> dict[str, _Entry]:
    """Return the voices by language, without those that cannot read.

    Raises:
        Unavailable: The library cannot be loaded.
    """
    library = _library()
    found: dict[str, _Entry] = {}
    with library.calls.one(CancelToken()) as calls:
        listed = calls.espeak_ListVoices(None)
        index = 0
        while listed[index]:
            voice = listed[index].contents
            # languages: a priority byte and a name that ends with NUL, repeated; the first is the voice's own
            language = c.string_at(voice.languages + 1).decode("ascii", "replace")
            name, file = voice.name.decode("utf-8", "replace"), voice.identifier.decode("utf-8", "replace")
            if language not in _SPELLS and _has_dictionary(library.data, file, language):
                found.setdefault(
                    language, _Entry(Voice(language, name, language, _GENDERS.get(voice.gender, "")), file)
                )
            index += 1
    return found


def _has_dictionary(data: Path, file: str, language: str) -> bool:
    named = re.search(r"^dictionary\s+(\S+)", (data / "lang" / file).read_text("utf-8", "replace"), re.MULTILINE)
    dictionary = named[1] if named else language.split("-")[0]
    return (data / f"{dictionary}_dict").exists()


class EspeakEngine(TTSEngine):
    """Speaks every language of eSpeak NG, with sample-exact times of the phonemes.

    The voice "Custom" follows the language of the text. The options are the library's own, with its defaults.

    Args:
        rate: Words per minute.
        pitch: 0..100.
        variant: "f3", "m7", "whisper", ...; "" is the plain voice.
    """

    name = "espeak"

    def __init__(self, rate: int = DEFAULT_RATE, pitch: int = DEFAULT_PITCH, variant: str = "") -> None:
        self._rate = rate
        self._pitch = pitch
        self._variant = variant

    def available(self) -> bool:
        """Return whether the C library and its data can be loaded."""
        try:
            _library()
        except Unavailable as error:
            logger.warning("%s", error)
            return False
        return True

    def check(self) -> None:
        """Load the C library, once.

        Raises:
            Unavailable: It or its data cannot be loaded.
        """
        _library()

    def voices(self) -> list[Voice]:
        """Return the languages of eSpeak NG.

        Raises:
            Unavailable: The library cannot be loaded.
        """
        return [entry.voice for entry in _catalogue().values()]

    def voice_for(self, gender: str) -> str:
        """Return ``Custom``: the voices are languages, and one that fits a person may be of another than the text."""
        return CUSTOM_VOICE

    def check_voice(self, voice: str) -> None:
        """Check that eSpeak NG has a voice.

        Raises:
            BadRequest: It has not; the message lists the voices.
        """
        choices = [CUSTOM_VOICE, *_catalogue()]
        if voice not in choices:
            raise unknown_voice(self.name, voice, choices)

    def loudness(self, voice: str, language: str) -> float | None:
        """Return how loud a voice is, measured once on a sentence in each common language."""
        return _loudness_of(language if voice == CUSTOM_VOICE else voice, self._variant)

    def speaks(self, language: str) -> bool:
        """Return whether there is a voice for a language.

        Raises:
            Unavailable: The library cannot be loaded.
        """
        return language in _catalogue()

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak a text sentence by sentence, with its words and a mark for every phoneme and pause.

        Numbers, units and abbreviations in Korean are read as a Korean would read them.

        Raises:
            NothingToSay: The text makes no sound.
            BadRequest: There is no such voice, or none for the language.
            Unavailable: The library cannot be loaded.
            SpeechFailed: The library fails.
            Cancelled: `cancel` is set.
        """
        if not speakable(text):
            raise nothing_to_say()
        language = (language or language_of(text)) if voice == CUSTOM_VOICE else voice
        if voice == CUSTOM_VOICE:
            self.check_language(language)
        pieces = reading(text, language)
        aloud = "".join(piece.spoken for piece in pieces)
        sounded = False

        def speak(push: Callable[[Rendering], object], stop: CancelToken) -> None:
            self._speak(aloud, language, stop, round(self._rate * speed), push)

        for rendering in pushed(speak, cancel):
            sounded = sounded or any(mark.text for mark in rendering.phonemes)
            start, end = (
                _whole_words(text, source_offset(offset, pieces)) for offset in (rendering.start, rendering.end)
            )
            samples = rendering.samples.astype(np.float32) / 32768
            begins = [(source_offset(offset, pieces) - start, time) for offset, time in rendering.words]
            words = place_words(text[start:end], begins, rendering.phonemes)
            yield Speech(
                samples=samples,
                rate=rendering.rate,
                text=text[start:end],
                language=language,
                marks=rendering.phonemes,
                words=words,
            )
        if not sounded:
            raise nothing_to_say()

    def render(self, text: str, language: str, cancel: CancelToken, rate: int | None = None) -> Rendering:
        """Speak a text letter by letter as it stands.

        Args:
            text: What to speak.
            language: Name of the voice.
            cancel: The task's token.
            rate: Words per minute (80..450); None is the engine's own rate.

        Raises:
            BadRequest: There is no such language.
            Unavailable: The library cannot be loaded.
            SpeechFailed: The library fails.
            Cancelled: `cancel` is set.
        """
        whole: list[Rendering] = []
        self._speak(text, language, cancel, rate, whole.append, in_sentences=False)
        return whole[0]

    def _speak(
        self,
        text: str,
        language: str,
        cancel: CancelToken,
        rate: int | None,
        give: Callable[[Rendering], object],
        in_sentences: bool = True,
    ) -> None:
        """Speak a text; emit each sentence through `give` when the next one begins, or everything at the end."""
        library = _library()
        collector = _Collector(text, library.rate, cancel, give if in_sentences else None)
        callback = _SynthCallback(collector.listen)
        data = plain(text).encode()
        catalogue = _catalogue()
        if language not in catalogue:
            raise unknown_voice(self.name, language, catalogue)
        name = catalogue[language].file + (f"+{self._variant}" if self._variant else "")
        with library.calls.one(cancel) as calls:
            cancel.check()
            if calls.espeak_SetVoiceByName(name.encode()) != _OK:
                raise _failed(f"espeak_SetVoiceByName({name!r})")
            calls.espeak_SetParameter(_PARAMETER_RATE, rate or self._rate, 0)
            calls.espeak_SetParameter(_PARAMETER_PITCH, self._pitch, 0)
            calls.espeak_SetSynthCallback(callback)
            size = c.c_size_t(len(data) + 1)
            status = calls.espeak_Synth(data, size, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        cancel.check()
        if status != _OK:
            raise _failed(f"espeak_Synth: {status}")
        give(collector.rest())


@cache
def _loudness_of(language: str, variant: str) -> float | None:
    sample = sample_of(language)
    if sample is None:
        return None
    rendering = EspeakEngine(variant=variant).render(read_aloud(sample, language), language, CancelToken())
    return loudness([rendering.samples.astype(np.float32) / 32768], rendering.rate)


class _Collector:
    """Collects the callbacks of the C library for a text, and emits complete sentences.

    Args:
        text: What the library speaks.
        rate: Samples per second.
        cancel: The task's token.
        give: Called with each complete sentence; None collects everything for ``rest``.
    """

    def __init__(self, text: str, rate: int, cancel: CancelToken, give: Callable[[Rendering], object] | None) -> None:
        self._text = text
        self._rate = rate
        self._cancel = cancel
        self._give = give
        self._chunks: list[np.ndarray] = []
        self._received = 0  # samples
        self._phonemes: list[tuple[str, int]] = []
        self._words: list[tuple[int | None, int]] = []  # offset in the text or None, index of the phoneme that follows
        self._pause: tuple[int, int] | None = None  # sample and index of the phoneme that began the current pause
        self._cuts: list[tuple[int, int]] = []  # sample, index of the first phoneme after the cut
        self._given = (0, 0, 0)  # samples, phonemes, characters

    def listen(self, samples: c._Pointer[c.c_short], count: int, events: c._Pointer[_Event]) -> int:
        """Take a piece of sound and its events; return 1 to stop the library."""
        if samples and count > 0:
            # as_array would create a ctypes type for every length and keep it for ever
            self._chunks.append(np.frombuffer(c.string_at(samples, 2 * count), np.int16))
            self._received += count
        index = 0
        while (event := events[index]).type != _EVENT_LIST_TERMINATED:
            if event.type == _EVENT_PHONEME:
                name = bytes(event.id).split(b"\0")[0].decode("utf-8", "ignore")
                self._look_for_break(name, event.sample)
                self._phonemes.append((name, event.sample))
            elif event.type == _EVENT_WORD:
                self._words.append((event.text_position - 1, len(self._phonemes)))
            elif event.type == _EVENT_END:
                self._words.append((None, len(self._phonemes)))
            index += 1
        while self._give is not None and self._cuts and self._cuts[0][0] <= self._received:
            self._give(self._take(*self._cuts.pop(0)))
        return int(self._cancel.cancelled)

    def rest(self) -> Rendering:
        """Return everything that was not emitted yet."""
        return self._take(self._received, len(self._phonemes))

    def _look_for_break(self, name: str, sample: int) -> None:
        """Plan a cut in the middle of a long pause, once the phoneme after it is known."""
        if not name or name.startswith("_"):
            self._pause = self._pause or (sample, len(self._phonemes))
        elif not name.startswith("("):
            start, index = self._pause or (sample, 0)
            if start and sample - start >= BREAK * self._rate:
                # everything after the start of the pause belongs to the next sentence: its first word (its event comes
                # before its sound) and the switch to another language's sounds
                self._cuts.append(((start + sample) // 2, index + 1))
            self._pause = None

    def _take(self, until: int, count: int) -> Rendering:
        """Return what was not emitted yet, up to a sample and a number of phonemes."""
        since, first, start = self._given
        samples = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        mine, self._chunks = samples[: until - since], [samples[until - since :]]
        words = list(self._known_words(self._text))
        end = next((offset for offset, index in words if index >= count), len(self._text))
        self._given = until, count, end
        phonemes = [(name, sample - since) for name, sample in self._phonemes[first:count]]
        sounds = [(offset, self._phonemes[index][1]) for offset, index in words if first <= index < count]
        begins = tuple((offset, (sample - since) / self._rate) for offset, sample in sounds)
        return Rendering(
            start=start,
            end=end,
            samples=mine,
            rate=self._rate,
            phonemes=_marks(phonemes, len(mine), self._rate),
            words=begins,
        )

    def _known_words(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield (offset, index of the first phoneme) of each word; the library omits the first word of some clauses."""
        clauses = [match.end() for match in _CLAUSE_END.finditer(text)]
        known = [offset for offset, _ in self._words if offset is not None]
        before, passed = -1, 0
        for n, (offset, index) in enumerate(self._words):
            if index >= len(self._phonemes):
                return
            if offset is None:
                after = known[passed] if passed < len(known) else len(text)
                missing = [start for start in clauses if before < start < after]
                if self._words[n + 1 : n + 2] == [(after, index)] or not missing:
                    continue
                offset = missing[0]
            else:
                passed += 1
            before = offset
            yield offset, index


def _whole_words(text: str, offset: int) -> int:
    """Return where to cut so that a bracket or quote that opens before the letter at an offset goes with it."""
    start = word_start(text, offset)
    return offset if start is None else start


def _marks(phonemes: list[tuple[str, int]], length: int, rate: int) -> tuple[Mark, ...]:
    """Return gapless marks over `length` samples; consecutive pauses become one."""
    spans: list[tuple[str, int]] = [("", 0)]
    for name, sample in phonemes:
        if name.startswith("("):  # the switch to another language's sounds, "(en)"
            continue
        symbol = "" if name.startswith("_") else name
        start = min(max(sample, spans[-1][1]), length)
        if symbol or spans[-1][0]:
            spans.append((symbol, start))
    ends = [start for _, start in spans[1:]] + [length]
    return tuple(
        Mark("phoneme", symbol, start / rate, end / rate)
        for (symbol, start), end in zip(spans, ends, strict=True)
        if end > start
    )


def _not_installed(reason: str) -> Unavailable:
    return Unavailable(messages.tts.ESPEAK_NOT_LOADED(reason=reason))


def _failed(reason: str) -> SpeechFailed:
    return SpeechFailed(messages.tts.ESPEAK_FAILED(reason=reason))
