"""When each word of a text is said, for captions."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from pipeline.cancel import CancelToken
from pipeline.speech.language import speakable, unspaced
from pipeline.speech.piece import source_offset
from pipeline.speech.reading import as_it_may_sound, reading
from pipeline.tts.base import Mark, Speech

if TYPE_CHECKING:
    from pipeline.tts.espeak import EspeakEngine

_OPENING = "\"'¿¡"
"""Marks that belong to the word after them, beside those that Unicode calls opening."""


def words_of(speech: Speech, phonemes: tuple[Mark, ...], espeak: EspeakEngine, cancel: CancelToken) -> tuple[Mark, ...]:
    """Return the words of SPEECH, whose PHONEMES are known, as marks of kind "word".

    Their texts joined are the text as it is written: numbers in digits, blanks and punctuation with the word before
    them. Empty where there is no text, or no sound for it.

    Raises Unavailable (espeak-ng), Cancelled.
    """
    if speech.words:
        return speech.words
    if speech.marks and speech.marks[0].kind == "character":
        offsets = accumulate((len(mark.text) for mark in speech.marks), initial=0)
        heard = [(at, mark.start) for at, mark in zip(offsets, speech.marks, strict=False) if speakable(mark.text)]
        return place_words("".join(mark.text for mark in speech.marks), heard, phonemes)
    sounds = [mark for mark in phonemes if mark.text]
    if not sounds or not speakable(speech.text) or not espeak.speaks(speech.language):
        return ()
    # the phonemes are those that espeak-ng has for this text: a word begins with the phoneme of the same number
    pieces = reading(speech.text, speech.language)
    ways = as_it_may_sound("".join(piece.spoken for piece in pieces), speech.language)
    names = [mark.text for mark in sounds]
    renderings = (espeak.render(way, speech.language, cancel) for way in ways)  # seldom more than the first is needed
    fitting = (said for said in renderings if [mark.text for mark in said.phonemes if mark.text] == names)
    said = next(fitting, None) or espeak.render(ways[0], speech.language, cancel)
    starts = [mark.start for mark in said.phonemes if mark.text]
    heard = []
    for offset, time in said.words:
        number = min(bisect_left(starts, time) * len(sounds) // len(starts), len(sounds) - 1)
        heard.append((source_offset(offset, pieces), sounds[number].start))
    return place_words(speech.text, heard, phonemes)


def place_words(text: str, heard: Iterable[tuple[int, float]], phonemes: Iterable[Mark]) -> tuple[Mark, ...]:
    """Return the words of TEXT as marks: HEARD is where in it and when (s) a voice was heard to begin something.

    What does not begin a written word (the digits of a number) is passed over; words that were not heard to begin
    share the mark of the one before. The first begins with the first sound of PHONEMES, and each ends with the last of
    its own sounds. Without a sound, or without a text, there are no words.
    """
    sounds = [mark for mark in phonemes if mark.text and text.strip()]
    begins: list[tuple[int, float]] = [(0, sounds[0].start)] if sounds else []
    for offset, time in heard:
        start = word_start(text, offset)
        if start is not None and begins and time >= begins[-1][1] and speakable(text[begins[-1][0] : start]):
            begins.append((start, time))
    offsets = [*(offset for offset, _ in begins), len(text)]
    times = [*(time for _, time in begins), float("inf")]
    starts = [mark.start for mark in sounds]
    words = []
    for number, (start, end) in enumerate(pairwise(offsets)):
        last = bisect_left(starts, times[number + 1]) - 1
        finish = min(sounds[last].end, times[number + 1]) if last >= 0 else times[number]
        words.append(Mark("word", text[start:end], times[number], max(finish, times[number])))
    return tuple(words)


def word_start(text: str, offset: int) -> int | None:
    """Return where the word begins whose first letter is at OFFSET of TEXT; None where no word begins."""
    if not 0 <= offset < len(text):
        return None
    start = offset
    while start and (text[start - 1] in _OPENING or unicodedata.category(text[start - 1]) in ("Ps", "Pi")):
        start -= 1
    return start if not start or text[start - 1].isspace() or unspaced(text[offset]) else None
