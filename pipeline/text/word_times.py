"""Where the words of a text begin, and when each is spoken."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

from pipeline.speech_types import Mark
from pipeline.text.language import speakable, unspaced

_OPENING = "\"'¿¡"
"""Characters that belong to the word after them, besides those that Unicode calls opening."""


def place_words(text: str, events: Iterable[tuple[int, float]], phonemes: Iterable[Mark]) -> tuple[Mark, ...]:
    """Return the words of a text as marks.

    An event inside a written word (the digits of a number) is ignored; a word without an event shares the mark of the
    word before. The first word begins with the first sound, and each ends with the last of its own sounds. Without a
    sound or a text there are no words.

    Args:
        text: The written text.
        events: (offset in the text, time in seconds) of each event at which a voice begins something.
        phonemes: Phoneme marks in order.
    """
    sounds = [mark for mark in phonemes if mark.text and text.strip()]
    begins: list[tuple[int, float]] = [(0, sounds[0].start)] if sounds else []
    for offset, time in events:
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
    """Return where a word begins whose first letter is at an offset; None if no word begins there."""
    if not 0 <= offset < len(text):
        return None
    start = offset
    while start and (text[start - 1] in _OPENING or unicodedata.category(text[start - 1]) in ("Ps", "Pi")):
        start -= 1
    return start if not start or text[start - 1].isspace() or unspaced(text[offset]) else None
