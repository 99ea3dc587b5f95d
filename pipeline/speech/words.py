"""Finds when each word of a text is spoken, for captions."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from pipeline.core.cancel import CancelToken
from pipeline.speech_types import Mark, Speech
from pipeline.text.language import speakable
from pipeline.text.piece import source_offset
from pipeline.text.reading import as_it_may_sound, reading
from pipeline.text.word_times import place_words

if TYPE_CHECKING:
    from pipeline.tts.espeak import EspeakEngine


def words_of(speech: Speech, phonemes: tuple[Mark, ...], espeak: EspeakEngine, cancel: CancelToken) -> tuple[Mark, ...]:
    """Return the words of speech as marks of kind "word".

    Their texts joined are the text as it is written: numbers in digits, blanks and punctuation with the word before
    them. Empty if there is no text, or no sound for it.

    Args:
        speech: Sound, text and marks.
        phonemes: Its phonemes.
        espeak: Renders the text.
        cancel: The task's token.

    Raises:
        Unavailable: espeak-ng cannot be loaded.
        Cancelled: `cancel` is set.
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
    renderings = (espeak.render(way, speech.language, cancel) for way in ways)  # mostly the first one fits
    fitting = (said for said in renderings if [mark.text for mark in said.phonemes if mark.text] == names)
    said = next(fitting, None) or espeak.render(ways[0], speech.language, cancel)
    starts = [mark.start for mark in said.phonemes if mark.text]
    heard = []
    for offset, time in said.words:
        number = min(bisect_left(starts, time) * len(sounds) // len(starts), len(sounds) - 1)
        heard.append((source_offset(offset, pieces), sounds[number].start))
    return place_words(speech.text, heard, phonemes)
