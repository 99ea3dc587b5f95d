"""What an avatar says at a stretch: pieces of text become sentences, sound and mouth movement, ahead of the clock."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from html import escape
from itertools import groupby
from typing import Protocol

import numpy as np
import soxr

from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.core.priority import AWAITED, give_way
from pipeline.errors import BadRequest, NothingToSay, PipelineError
from pipeline.jobs.speak import usable
from pipeline.jobs.supervisor import internal_error
from pipeline.live.sentences import Sentences
from pipeline.speech.articulate import UNITS, articulate
from pipeline.speech.expression import Expression, resting
from pipeline.speech.expression_track import STILL, ExpressionOptions
from pipeline.speech.framed import framed
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.renderings import Renderings
from pipeline.speech.spoken_words import words_of
from pipeline.speech_types import Mark
from pipeline.text.cues import Cue, letters_of
from pipeline.text.language import speakable
from pipeline.text.pronunciations import Pronunciations
from pipeline.text.script import Script, Written, is_plain, plain_phrase, script_of
from pipeline.text.ssml import is_ssml
from pipeline.text.ssml import parse as parse_ssml
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.finish import finished
from pipeline.tts.say import say
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from pipeline.video.writer import AUDIO_RATE

logger = logging.getLogger(__name__)

AHEAD_SECONDS = 20.0
"""Seconds of speech that are made ahead of the clock."""
SETTLES_SECONDS = 0.3
"""Seconds without another piece after which a text that ends like a sentence is spoken."""


@dataclass(frozen=True)
class Taken:
    """The next part of a turn, as long as was asked for.

    Attributes:
        weights: (frames, units) in 0..1; all 0 where there is no speech.
        sound: (samples,) float32 at 48 kHz.
        words: Those that begin in it, in seconds from its beginning.
        looks: (frames, units) weights of the expression; None where it is that of a face at rest.
        cues: Names of the cues that begin in it.
    """

    weights: np.ndarray
    sound: np.ndarray
    words: tuple[Mark, ...] = ()
    looks: np.ndarray | None = None
    cues: tuple[str, ...] = ()


class Turn(Protocol):
    """What is to be said, in the order of the session's clock; used by the session's thread."""

    number: int

    @property
    def over(self) -> bool:
        """Whether everything was taken, and nothing more will come."""
        ...

    def ready(self, frames: int) -> bool:
        """Return whether there is something to say in the next frames."""
        ...

    def take(self, frames: int, samples: int) -> Taken:
        """Return the next part."""
        ...

    def fading(self, samples: int) -> np.ndarray:
        """Return the sound that would have come next, for a fade: (n,) with n up to `samples`."""
        ...

    def stop(self) -> None:
        """Make no more speech."""
        ...


@dataclass(frozen=True, kw_only=True)
class Voice:
    """The voice that speaks.

    Attributes:
        choose: Returns the speech engine for a language; may raise Unavailable.
        name: One of its voices, or "Custom": the one that fits the gender.
        gender: The avatar's, "female" or "male"; "" if unknown.
        language: Language of the texts, as eSpeak NG calls it; None detects it sentence by sentence.
        espeak: Provides the phonemes.
        speed, pitch: As in ``GenerateRequest``.
        pronunciations: What is spoken for some words of the texts.
        expression: How the face moves beside the mouth.
    """

    choose: Callable[[str], TTSEngine]
    name: str
    language: str | None
    espeak: EspeakEngine
    gender: str = ""
    speed: float = 1.0
    pitch: float = 0.0
    pronunciations: Pronunciations = field(default_factory=Pronunciations)
    expression: ExpressionOptions = STILL


@dataclass(frozen=True)
class _Sentence:
    """A sentence that is to be said, and whether a blank follows it."""

    script: Script
    blank: bool


@dataclass
class Passage:
    """A stretch of speech that is ready to be said: whole frames, with rest at both ends.

    Attributes:
        text: Its text.
        weights: (frames, units).
        sound: (n,) float32 at 48 kHz.
        words: Its words in seconds from its beginning; None until they are known.
        looks: (frames, units) weights of the expression.
        cues: The name of each cue of its text, and its time in seconds from the beginning.
    """

    text: str
    weights: np.ndarray
    sound: np.ndarray
    words: tuple[Mark, ...] | None = None
    looks: np.ndarray | None = None
    cues: tuple[tuple[str, float], ...] = ()
    frame: int = 0
    """Frames that were taken."""
    sample: int = 0
    word: int = 0

    @property
    def done(self) -> bool:
        """Whether it was taken completely."""
        return self.frame >= len(self.weights)


@dataclass
class SpokenTurn:
    """A turn of text; a thread speaks it while the pieces arrive.

    Args:
        number: Number of the turn.
        voice: The voice that speaks.
        fps: Frames per second of the session.
        report: Called with an error, from the thread. The turn then ends.
    """

    number: int
    voice: Voice
    fps: Fraction
    report: Callable[[PipelineError], object]
    pending: int = 0
    """Characters that were not spoken yet."""
    _cancel: CancelToken = field(default_factory=CancelToken)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _pieces: deque[str] = field(default_factory=deque)
    _finished: bool = False
    _spoken: bool = False
    _engine: TTSEngine | None = None
    _cues: list[Cue] = field(default_factory=list)
    """Those of all sentences so far, in letters from the beginning of the turn."""
    _passages: deque[Passage] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._expression = Expression(float(self.fps), self.voice.expression, self._cues, starts_neutral=False)
        threading.Thread(target=self._work, name=f"turn {self.number}", daemon=True).start()

    def add(self, text: str) -> None:
        """Append a piece of text."""
        with self._changed:
            self._pieces.append(text)
            self.pending += len(text)
            self._changed.notify_all()

    def finish(self) -> None:
        """Speak what is left; no more text will come."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Make no more speech."""
        self._cancel.cancel()
        with self._changed:
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether everything was said."""
        return self._spoken and not self._passages

    def ready(self, frames: int) -> bool:
        """Return whether something was spoken that was not taken yet."""
        return bool(self._passages)

    def take(self, frames: int, samples: int) -> Taken:
        """Return the next part of the speech."""
        weights, sound = np.zeros((frames, len(UNITS)), np.float32), np.zeros(samples, np.float32)
        looks = np.tile(resting(self.voice.expression), (frames, 1))
        words: list[Mark] = []
        cues: list[str] = []
        at = taken = 0
        while at < frames and self._passages:
            passage = self._passages[0]
            count = min(frames - at, len(passage.weights) - passage.frame)
            ends = passage.frame + count == len(passage.weights)
            amount = len(passage.sound) if ends else round((at + count) * samples / frames) - taken
            part = passage.sound[passage.sample : passage.sample + amount][: samples - taken]
            weights[at : at + count] = passage.weights[passage.frame : passage.frame + count]
            if passage.looks is not None:
                looks[at : at + count] = passage.looks[passage.frame : passage.frame + count]
            sound[taken : taken + len(part)] = part
            words += self._words(passage, (at - passage.frame) / float(self.fps), passage.frame + count)
            numbers = range(passage.frame, passage.frame + count)
            cues += [name for name, start in passage.cues if int(start * self.fps) in numbers]
            passage.frame += count
            passage.sample += len(part)
            at += count
            taken = round(at * samples / frames)
            if passage.done:
                with self._changed:
                    self._passages.popleft()
                    self._changed.notify_all()
        return Taken(weights, sound, tuple(words), looks, tuple(cues))

    def fading(self, samples: int) -> np.ndarray:
        """Return the sound that would have come next."""
        if not self._passages:
            return np.zeros(0, np.float32)
        passage = self._passages[0]
        return passage.sound[passage.sample : passage.sample + samples]

    def _words(self, passage: Passage, begin: float, until: int) -> Iterator[Mark]:
        """Yield the words of a passage that begin before a frame and were not returned yet."""
        if passage.words is None and passage.text and until >= len(passage.weights):  # too late, or never known
            passage.words = (Mark("word", passage.text, 0.0, len(passage.weights) / float(self.fps)),)
        for word in (passage.words or ())[passage.word :]:
            if word.start * self.fps >= until and until < len(passage.weights):
                return
            passage.word += 1
            yield word.later(begin)

    def _work(self) -> None:
        give_way(AWAITED)  # to the pictures of all sessions, which cannot wait
        try:
            blank = ""
            for (engine, language, plainly), sentences in groupby(self._texts(), self._speaker):
                if engine.takes_sentences and plainly:
                    self._say(engine, language, iter(sentences), blank)
                    blank = ""
                    continue
                for sentence in sentences:
                    with suppress(NothingToSay):
                        self._say(engine, language, sentence, blank)
                    blank = " " if sentence.blank else ""
        except PipelineError as error:
            if not self._cancel.cancelled:
                self.report(error)
        except Exception:
            logger.exception("turn %d", self.number)
            self.report(internal_error())
        finally:
            self._spoken = True
            self.stop()  # an engine may still wait for the next sentence

    def _texts(self) -> Iterator[_Sentence]:
        """Yield what is to be said of each sentence."""
        early, letters = "", 0
        for sentence in self._sentences():
            with self._changed:
                self.pending = max(0, self.pending - len(sentence))
            document = _is_document(sentence)
            text = _after(early, sentence) if document else early + sentence
            script = script_of(text, self.voice.language, self.voice.pronunciations, document)
            if not speakable(script.written):
                early += sentence if script.cues else ""  # cues belong to what is said next
                continue
            early = ""
            self._cues += [replace(cue, start=letters + cue.start, end=letters + cue.end) for cue in script.cues]
            letters += letters_of(script.spoken)
            yield _Sentence(script, document or sentence[-1:].isspace())

    def _speaker(self, sentence: _Sentence) -> tuple[TTSEngine, str, bool]:
        """Return the engine that says a sentence, its language, and whether it is said plainly.

        One voice speaks the whole turn, where it can.
        """
        language = sentence.script.language
        if self._engine is None or not self._engine.speaks(language):
            self._engine = self.voice.choose(language)
        return self._engine, language, is_plain(sentence.script.phrases)

    def _sentences(self) -> Iterator[str]:
        """Yield the sentences as soon as they are complete."""
        text = Sentences()
        while True:
            with self._changed:
                while not (self._pieces or self._finished or self._cancel.cancelled):
                    if not self._changed.wait(SETTLES_SECONDS if text.may_be_complete else None):
                        break
                pieces = [*self._pieces]
                self._pieces.clear()
                finished = self._finished
            self._cancel.check()
            for piece in pieces:
                if _is_document(piece):
                    yield text.rest()
                    yield piece
                else:
                    yield from text.add(piece)
            if finished or (not pieces and text.may_be_complete):
                yield text.rest()
            if finished:
                return

    def _say(self, engine: TTSEngine, language: str, said: _Sentence | Iterator[_Sentence], blank: str) -> None:
        """Speak a sentence, or all that arrive, into passages; `blank` is what lies between them and the one before."""
        voice, cancel, written = self.voice, self._cancel, Written()
        name = engine.voice_for(voice.gender) if voice.name == CUSTOM_VOICE else voice.name
        if isinstance(said, _Sentence):
            for phrase in said.script.phrases:
                written.add(phrase)
            pieces = say(engine, said.script.phrases, name, cancel, language, voice.speed)
        else:
            texts = (self._due(sentence, written) for sentence in said)
            pieces = engine.stream_sentences(texts, name, cancel, language, voice.speed)
        level = engine.loudness(name, language)
        for piece in framed(finished(usable(pieces), level, voice.pitch), self.fps):
            frames = round(len(piece.samples) * self.fps / piece.rate)
            if not frames:
                continue
            renderings = Renderings(voice.espeak)
            phonemes = phonemes_of(piece, renderings, cancel)
            mouth = articulate(phonemes, piece, frames, float(self.fps))
            sound = piece.samples.astype(np.float32)
            if piece.rate != AUDIO_RATE:
                sound = soxr.resample(sound, piece.rate, AUDIO_RATE, quality="HQ")
            words: tuple[Mark, ...] | None = None
            if self._expression.needs_words:
                with best_effort("words of cues"):
                    words = words_of(piece, phonemes, renderings, cancel)
            looks = None
            with best_effort("expression"):
                looks = self._expression.next(piece, phonemes, mouth, words or ())
            part = written.next(piece.text)
            passage = Passage(
                blank + part.text,
                mouth.weights,
                sound,
                looks=None if looks is None else looks.weights,
                cues=self._expression.acted,
            )
            self._add(passage)
            with best_effort("words"):
                words = part.words(words_of(piece, phonemes, renderings, cancel) if words is None else words)
                passage.words = (replace(words[0], text=blank + words[0].text), *words[1:]) if words else None
            blank = ""

    def _due(self, sentence: _Sentence, written: Written) -> str:
        """Return what is spoken of a sentence, as soon as no more than `AHEAD_SECONDS` are ahead."""
        with self._changed:
            self._wait_for_room()
        for phrase in sentence.script.phrases:
            written.add(phrase)
        if sentence.blank:
            written.add(plain_phrase(" "))
        return sentence.script.spoken + (" " if sentence.blank else "")

    def _add(self, passage: Passage) -> None:
        """Append a passage, as soon as no more than `AHEAD_SECONDS` are ahead."""
        with self._changed:
            self._wait_for_room()
            self._passages.append(passage)

    def _wait_for_room(self) -> None:
        while self._ahead() > AHEAD_SECONDS and not self._cancel.cancelled:
            self._changed.wait()
        self._cancel.check()

    def _ahead(self) -> float:
        return sum(len(passage.weights) - passage.frame for passage in self._passages) / float(self.fps)


def _is_document(piece: str) -> bool:
    """Return whether a piece of text is a whole document of SSML; what a client sent was checked before."""
    try:
        return is_ssml(piece) and bool(parse_ssml(piece))
    except BadRequest:
        return False


def _after(cues: str, document: str) -> str:
    """Return a document that begins with cues."""
    return re.sub(r"<speak[^>]*>", lambda tag: tag[0] + escape(cues), document, count=1)
