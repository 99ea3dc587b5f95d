"""Finds when each word of a text is spoken, for captions."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from pipeline.core.cancel import CancelToken
from pipeline.speech.renderings import Renderings
from pipeline.speech_types import Mark, Speech
from pipeline.text.language import speakable
from pipeline.text.piece import source_offset
from pipeline.text.reading import as_it_may_sound, reading
from pipeline.text.word_times import place_words


def words_of(
    speech: Speech, phonemes: tuple[Mark, ...], renderings: Renderings, cancel: CancelToken
) -> tuple[Mark, ...]:
    """Return the words of a sentence as marks of kind "word".

    Their texts joined are the text as it is written: numbers in digits, blanks and punctuation with the word before
    them.

    Args:
        speech: The sentence.
        phonemes: Its phonemes, as `phonemes_of` returns them.
        renderings: Those that `phonemes_of` had made.
        cancel: The task's token.

    Returns:
        The words; none if there is no text, or no sound for it.

    Raises:
        Unavailable: eSpeak NG cannot be loaded.
        Cancelled: `cancel` is set.
    """
    if speech.words:
        return speech.words
    if speech.marks and speech.marks[0].kind == "character":
        offsets = accumulate((len(mark.text) for mark in speech.marks), initial=0)
        word_times = [(at, mark.start) for at, mark in zip(offsets, speech.marks, strict=False) if speakable(mark.text)]
        return place_words("".join(mark.text for mark in speech.marks), word_times, phonemes)
    sounds = [mark for mark in phonemes if mark.text]
    if not sounds or not speakable(speech.text) or not renderings.speaks(speech.language):
        return ()
    # the phonemes are those that espeak-ng has for this text: a word begins with the phoneme of the same number
    pieces = reading(speech.text, speech.language)
    ways = as_it_may_sound("".join(piece.spoken for piece in pieces), speech.language)
    names = [mark.text for mark in sounds]
    rendered = (renderings.timed(way, speech.language, cancel) for way in ways)  # mostly the first is enough
    fitting = (rendering for rendering in rendered if [mark.text for mark in rendering.phonemes if mark.text] == names)
    rendering = next(fitting, None) or renderings.timed(ways[0], speech.language, cancel)
    starts = [mark.start for mark in rendering.phonemes if mark.text]
    word_times = []
    for offset, time in rendering.words:
        number = min(bisect_left(starts, time) * len(sounds) // len(starts), len(sounds) - 1)
        word_times.append((source_offset(offset, pieces), sounds[number].start))
    return place_words(speech.text, word_times, phonemes)
