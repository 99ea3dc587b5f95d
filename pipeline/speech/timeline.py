"""Joins sounds into marks without gaps."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.speech_types import Mark

MIN_PAUSE = 0.06
"""Seconds between two sounds from which the gap is a pause, as short as at a comma of quick speech.

A shorter one belongs to the sound before it.
"""


def gapless(sounds: Iterable[Mark], duration: float) -> tuple[Mark, ...]:
    """Return sounds with pauses between them, so that they cover 0 to `duration`.

    Where two sounds overlap, the later one begins when the earlier one ends.

    Args:
        sounds: Phoneme marks in order of time.
        duration: Seconds.
    """
    placed: list[Mark] = []
    for sound in sounds:
        before = placed[-1].end if placed else 0.0
        start, end = max(sound.start, before), min(sound.end, duration)
        if end <= start:
            continue
        if placed and start - before < MIN_PAUSE:
            placed[-1] = Mark("phoneme", placed[-1].text, placed[-1].start, start)
        placed.append(Mark("phoneme", sound.text, start, end))

    marks: list[Mark] = []
    now = 0.0
    for sound in placed:
        if sound.start > now:
            marks.append(Mark("phoneme", "", now, sound.start))
        marks.append(sound)
        now = sound.end
    if now < duration:
        marks.append(Mark("phoneme", "", now, duration))
    return tuple(marks)
