"""Speaks the text of a request on its own thread, ahead of the pictures."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline import messages
from pipeline.core.ahead import ahead
from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import Notifier
from pipeline.engines.lipsync_engine import Stretch
from pipeline.errors import SpeechFailed
from pipeline.jobs.recall import Recall, find_out
from pipeline.speech.articulate import articulate
from pipeline.speech.expression import Expression
from pipeline.speech.expression_track import STILL, ExpressionOptions, ExpressionTrack
from pipeline.speech.framed import framed
from pipeline.speech.mouth_lines import MouthLines
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.renderings import Renderings
from pipeline.speech.spoken_words import words_of
from pipeline.speech.spool import SpeechSpool
from pipeline.speech_types import Mark, Speech
from pipeline.text.cues import Cue
from pipeline.text.script import Phrase, Written
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.captions import CaptionWriter
from pipeline.video.captions import Cue as CaptionCue

LONG = 6.0
"""Seconds after which speech is divided at the next pause: other tasks wait no longer for their turn."""
LONGEST = 20.0
"""Seconds after which it is divided anywhere."""
PAUSE = 0.15
"""Seconds of silence that are a pause."""
_OVER = object()


@dataclass(frozen=True)
class _Spoken:
    """A stretch whose sound is on disk: speech without its samples, which are `first` to `last` of the spool."""

    speech: Speech
    mouth: MouthTrack
    expression: ExpressionTrack | None
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerOptions:
    """How speech becomes mouth movement and captions.

    Attributes:
        fps: Frames per second of the video.
        frame_skip: The mouth is solved at every n-th frame, 1 or more.
        espeak: Provides phonemes.
        captions: Where captions go; None if the words are unknown.
        mouth_lines: Where phonemes and the opening of the mouth go; None if the request does not want them.
        captions_first: Whether the captions of a piece are known before its stretches, to be drawn into the pictures.
        expression: How the face moves beside the mouth.
        cues: The stage directions in the text.
        phrases: What is spoken and how it is written, where that differs.
        recall: Called for what may be found out differently another time: the times of phonemes and words.
    """

    fps: Fraction
    frame_skip: int = 1
    espeak: EspeakEngine
    captions: CaptionWriter | None = None
    mouth_lines: MouthLines | None = None
    captions_first: bool = False
    expression: ExpressionOptions = STILL
    cues: Sequence[Cue] = ()
    phrases: Sequence[Phrase] = ()
    recall: Recall = find_out


class Speaker:
    """Turns pieces of speech into stretches for a video, as fast as they come; their sound is kept in a spool.

    Args:
        pieces: The speech.
        spool: Where the sound goes.
        options: How it becomes movement and captions.
        cancel: The task's token.
        wake: Reports when `enough` of ``stretches`` is to be checked again.

    Attributes:
        done: Whether everything is spoken.
        seconds: How long that took.
        lost: Seconds of a recording that could not be read.
        phonemes, words: Marks in seconds from the beginning; words only with captions.
    """

    def __init__(
        self,
        pieces: Generator[Speech, None, None],
        spool: SpeechSpool,
        options: SpeakerOptions,
        cancel: CancelToken,
        wake: Notifier | None = None,
    ) -> None:
        self.done = False
        self.seconds = 0.0
        self.lost = 0.0
        self.phonemes: list[Mark] = []
        self.words: list[Mark] = []
        self._pieces = pieces
        self._spool = spool
        self._fps = options.fps
        self._frame_skip = options.frame_skip
        self._espeak = options.espeak
        self._cancel = cancel
        self._captions = options.captions
        self._mouth_lines = options.mouth_lines
        self._captions_first = options.captions_first
        self._cues: list[CaptionCue] = []
        self._written = Written(options.phrases)
        self._recall = options.recall
        self._ends: list[tuple[int, int]] = []
        self._expression: Expression | None = Expression(float(options.fps), options.expression, options.cues)
        spoken: Iterator[_Spoken | None] = self._speak()
        self._spoken = ahead(spoken, 0, cancel, leave=True, wake=wake)  # a service may hang

    @property
    def captioned(self) -> bool:
        """Whether there are captions; if they fail, the speech goes on without them."""
        return self._captions is not None

    def caption_at(self, time: float) -> str:
        """Return the caption that is shown at a time (seconds), "" if there is none or it is not known yet."""
        number = bisect_right(self._cues, time, key=lambda cue: cue.start) - 1
        return self._cues[number].text if number >= 0 and time < self._cues[number].end else ""

    @property
    def duration(self) -> float:
        """Seconds of speech so far."""
        return self._spool.length / self.rate if self.rate else 0.0

    @property
    def rate(self) -> int:
        """Samples per second, known with the first stretch."""
        return self._spool.rate

    def sound(self, start: int, stop: int) -> np.ndarray:
        """Return samples `start` to `stop` of the speech, (n,) float32; fewer if they are not spoken yet."""
        return self._spool.read(start, stop)

    def end_of(self, frames: int) -> int:
        """Return the sample at which the piece of speech ends that the last of a number of frames belongs to."""
        return next(sample for last, sample in self._ends if frames <= last)

    def stretches(self, enough: Callable[[], bool] = lambda: False) -> Iterator[Stretch]:
        """Yield each stretch when it is spoken, after those that were yielded before.

        Args:
            enough: Checked before the next stretch is taken, and whenever `wake` reports while it is awaited; if it
                returns True, iteration ends, and a later call continues.

        Raises:
            PipelineError: What the speech engine raises.
        """
        while not enough():
            spoken = next(self._spoken, _OVER)
            if spoken is _OVER:
                return
            if isinstance(spoken, _Spoken):  # else there was none yet
                speech = replace(spoken.speech, samples=self._spool.read(spoken.first, spoken.last))
                yield Stretch(speech, spoken.mouth, self._frame_skip, spoken.expression)

    def close(self) -> None:
        """Stop speaking. Set the token before; a working engine notices it by itself."""
        self._spoken.close()

    def _speak(self) -> Iterator[_Spoken]:
        started = time.perf_counter()
        drawn = 0
        with closing(self._pieces) as pieces:
            for number, piece in enumerate(framed(self._counted(usable(pieces)), self._fps)):
                first = self._spool.append(piece.samples, piece.rate)
                frames = round(len(piece.samples) * self._fps / piece.rate)
                drawn += frames
                self._ends.append((drawn, self._spool.length))
                renderings = Renderings(self._espeak)
                find = partial(phonemes_of, piece, renderings, self._cancel)
                phonemes = self._recall("phonemes", number, find)
                find = partial(words_of, piece, phonemes, renderings, self._cancel)
                find_words = partial(self._recall, "words", number, find)
                mouth = articulate(phonemes, piece, frames, float(self._fps), self._frame_skip)
                self._note_mouth(MouthLines.add, phonemes, mouth, first / piece.rate)
                words = None
                if self._expression and self._expression.needs_words:
                    words = self._words(find_words)
                expression = self._expressed(piece, phonemes, mouth, words or ())
                self.phonemes += [mark.later(first / piece.rate) for mark in phonemes]
                silent = replace(piece, samples=np.zeros(0, np.float32))
                if self._captions_first:
                    self._caption(piece, first / piece.rate, words, find_words)
                for begin, end in pauses_between(phonemes, frames, float(self._fps)):
                    part = replace(mouth, weights=mouth.weights[begin:end])
                    looks = expression and expression.part(begin, end)
                    samples = (first + round(edge * piece.rate / self._fps) for edge in (begin, end))
                    yield _Spoken(silent, part, looks, *samples)
                if not self._captions_first:  # after the pictures, which are needed sooner
                    self._caption(piece, first / piece.rate, words, find_words)
        self._finish_captions()
        self._note_mouth(MouthLines.finish)
        self._spool.finish()
        self.seconds = time.perf_counter() - started
        self.done = True

    def _counted(self, pieces: Iterable[Speech]) -> Iterator[Speech]:
        for piece in pieces:
            self.lost += piece.lost
            yield piece

    def _words(self, find_words: Callable[[], tuple[Mark, ...]]) -> tuple[Mark, ...] | None:
        """Return the words of a piece; None if that fails, and its cues then hold for all of it."""
        with best_effort("words of cues"):
            return find_words()
        return None

    def _expressed(
        self, piece: Speech, phonemes: tuple[Mark, ...], mouth: MouthTrack, words: tuple[Mark, ...]
    ) -> ExpressionTrack | None:
        """Return how the face moves beside the mouth; None, as it was filmed, once that has failed."""
        if self._expression is None:
            return None
        with best_effort("expression"):
            return self._expression.next(piece, phonemes, mouth, words)
        self._expression = None
        return None

    def _caption(
        self,
        piece: Speech,
        begin: float,
        words: tuple[Mark, ...] | None,
        find_words: Callable[[], tuple[Mark, ...]],
    ) -> None:
        """Write the captions of a piece, whose words may be known; if that fails, drop all captions."""
        if self._captions is None:
            return
        with best_effort("captions"):
            if words is None:
                words = find_words()
            words = self._written.next(piece.text).words(words)
            self._cues += self._captions.add(words, begin, self.duration)
            self.words += [word.later(begin) for word in words]
            return
        self._drop_captions()

    def _note_mouth(self, note: Callable[..., None], *noted: Any) -> None:
        """Write lines of the mouth; if that fails, drop them all."""
        lines, self._mouth_lines = self._mouth_lines, None
        if lines is None:
            return
        with best_effort("lines of the mouth"):
            note(lines, *noted)
            self._mouth_lines = lines
            return
        lines.drop()

    def _finish_captions(self) -> None:
        if self._captions is None:
            return
        with best_effort("captions"):
            self._captions.finish()
            return
        self._drop_captions()

    def _drop_captions(self) -> None:
        captions, self._captions = self._captions, None
        with best_effort("end of captions"):
            assert captions is not None
            captions.drop()


def pauses_between(marks: Sequence[Mark], frames: int, fps: float) -> Iterator[tuple[int, int]]:
    """Yield the first frame and the one after the last of each part into which speech is divided.

    Parts end in the middle of pauses and last about `LONG`; without pauses `LONGEST`.
    """
    spoken = [mark for mark in marks if mark.text]
    gaps = [(one.end, other.start) for one, other in pairwise(spoken) if other.start - one.end >= PAUSE]
    middles = deque(round((end + start) / 2 * fps) for end, start in gaps)
    begin = 0
    while frames - begin > LONG * fps:
        while middles and middles[0] < begin + LONG * fps:
            middles.popleft()
        latest = begin + round(LONGEST * fps)
        end = min(middles[0] if middles else frames, latest, frames)
        if frames - end < fps:  # a second or less is no separate part
            break
        yield begin, end
        begin = end
    yield begin, frames


def usable(pieces: Iterable[Speech]) -> Iterator[Speech]:
    """Yield the pieces.

    Raises:
        SpeechFailed: A piece cannot be speech, or there is no sound at all.
    """
    rate = length = 0
    for piece in pieces:
        rate = rate or piece.rate
        times = [time for mark in (*piece.marks, *piece.words) for time in (mark.start, mark.end)]
        sound = piece.samples.ndim == 1 and bool(np.isfinite(piece.samples).all() and np.isfinite(times).all())
        if not sound or piece.rate != rate or rate <= 0:
            raise _unusable()
        length += len(piece.samples)
        if len(piece.samples):
            yield piece
    if not length:
        raise _unusable()


def _unusable() -> SpeechFailed:
    return SpeechFailed(messages.jobs.SOUND_UNUSABLE())
