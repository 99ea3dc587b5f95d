"""Finds the phoneme times of any speech, from the timing that its engine returns."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.core.cancel import CancelToken
from pipeline.speech.align import align
from pipeline.speech.listen import listen
from pipeline.speech.renderings import Renderer
from pipeline.speech.timeline import gapless
from pipeline.speech_types import Mark, Speech
from pipeline.text.language import speakable
from pipeline.text.piece import Piece, source_offset
from pipeline.text.reading import as_it_sounds, reading
from pipeline.tts.espeak import Rendering


@dataclass(frozen=True)
class _Word:
    """Characters `start` to `end` of a text, spoken from `begin` to `finish` (seconds)."""

    start: int
    end: int
    begin: float
    finish: float


def phonemes_of(speech: Speech, espeak: Renderer, cancel: CancelToken | None = None) -> tuple[Mark, ...]:
    """Return the phonemes of speech as gapless marks from 0 to its end; pauses are marks with an empty text.

    Phoneme marks are returned as they are. Character and word marks fix the words, and the phonemes of espeak-ng for
    the same text are placed within them. Without marks, or if they contain no time, the sound is aligned. Without a
    text, or in a language that espeak-ng does not speak, mouth shapes are found from the sound alone.

    Args:
        speech: Sound, text and marks.
        espeak: Renders the text.
        cancel: The task's token.

    Raises:
        Unavailable: espeak-ng cannot be loaded.
        Cancelled: `cancel` is set.
    """
    cancel = cancel or CancelToken()
    if speech.marks and speech.marks[0].kind == "phoneme":
        return speech.marks
    text, words = _words(speech.marks)
    if not speakable(text or speech.text) or not espeak.speaks(speech.language):
        return listen(speech.samples, speech.rate, cancel)
    if not any(word.finish > word.begin for word in words):
        return align(speech, espeak, cancel)
    pieces = reading(text, speech.language)
    spoken = as_it_sounds("".join(piece.spoken for piece in pieces), speech.language)
    rendering = espeak.render(spoken, speech.language, cancel)
    return gapless(_lay(rendering, pieces, words), speech.duration)


def _words(marks: tuple[Mark, ...]) -> tuple[str, list[_Word]]:
    """Return the text of character or word marks, and its words with the time from first to last sounding mark."""
    joint = " " if marks and marks[0].kind == "word" else ""
    text = joint.join(mark.text for mark in marks)
    offsets, offset = [], 0
    for mark in marks:
        offsets.append(offset)
        offset += len(mark.text) + len(joint)
    words = []
    for match in re.finditer(r"\S+", text):
        first, last = (bisect_right(offsets, where) - 1 for where in (match.start(), match.end() - 1))
        sounding = [mark for mark in marks[first : last + 1] if speakable(mark.text)]
        if sounding:
            words.append(_Word(match.start(), match.end(), sounding[0].start, sounding[-1].end))
    return text, words


def _lay(rendering: Rendering, pieces: list[Piece], words: list[_Word]) -> list[Mark]:
    """Return the phonemes of a rendering, those of each word shifted and stretched into the word's own time."""
    starts = [word.start for word in words]
    word_begins: dict[int, float] = {}  # index of a word -> where it begins in the rendering
    for offset, time in rendering.words:
        word_begins.setdefault(max(bisect_right(starts, source_offset(offset, pieces)) - 1, 0), time)
    # words that espeak-ng joins to the one before share its time
    firsts = [0, *sorted(word_begins)[1:]]
    froms = [0.0, *(word_begins[index] for index in firsts[1:])]
    begins = [words[index].begin for index in firsts]
    finishes = [words[index - 1].finish for index in firsts[1:]] + [words[-1].finish]

    sounds: list[Mark] = []
    for (start, end), begin, finish in zip(pairwise([*froms, float("inf")]), begins, finishes, strict=True):
        own = [mark for mark in rendering.phonemes if mark.text and start <= mark.start < end]
        if own:
            knots = (own[0].start, own[-1].end)
            times = [np.interp((mark.start, mark.end), knots, (begin, finish)).tolist() for mark in own]
            sounds += [Mark("phoneme", mark.text, *span) for mark, span in zip(own, times, strict=True)]
    return sounds
