"""Turns the durations that a neural voice gives to its symbols into the times of phonemes.

The voices of the Kokoro family (Kokoro-82M and what was distilled from it) write a text in the symbols of one
vocabulary: IPA, a few letters of their own for diphthongs, marks of stress and length, blanks and punctuation. Each
symbol has a duration. What it lacks is where silence begins: the last sound of a clause and the punctuation after it
share a pause, and a blank between two words of one breath is no pause at all. Only the sound shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipeline.speech_types import Mark, Speech

UNIT = 600
"""Samples of one unit of duration, at 24 kHz (25 ms)."""
EARLY = 2 * UNIT / 24000
"""Seconds by which these networks say a symbol before its turn (found with the closures of p and b, with loudness, and
by alignment: 40-55 ms)."""
PAUSE = 0.07
"""Shortest silence between two sounds that is a pause."""
CLOSURE = 0.06
"""Seconds of silence before a plosive in which the mouth is closed already."""
_HOP = 120
"""Samples of a step in which silence is looked for (5 ms at 24 kHz)."""
_QUIET = 0.012
"""Silence is softer than this, relative to the loudest steps of the clause (-38 dB)."""
_BEFORE, _AFTER = "ˈˌ", "ːʰʲʷˤ̩̃ᵝ"
"""Symbols that belong to the sound after them, and to the one before."""
_PUNCTUATION = ';:,.!?—…"()“”«»。、，！？'
_SILENT = _PUNCTUATION + " ↓→↗↘"
_PLOSIVES = "pbtdkɡgqcɟʈɖʔʧʤʦʣʨʥꭧɢ"
_IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "Q": "əʊ", "T": "ɾ", "S": "ʃ", "ᵊ": "ə", "ꭧ": "ʈʂ"}
"""The vocabulary's own letters."""


@dataclass(frozen=True)
class _Sound:
    """A sound: its symbols `first` to `last`, and when it begins and ends (seconds)."""

    text: str
    first: int
    start: float
    end: float
    after_punctuation: bool


def phoneme_marks(
    symbols: Sequence[str], durations: np.ndarray, samples: np.ndarray, rate: int
) -> tuple[tuple[Mark, ...], list[float | None]]:
    """Return the phonemes of a clause as gapless marks from 0 to its end, and when each symbol begins.

    Args:
        symbols: What the voice was given, the empty padding at both ends included.
        durations: (symbols,) in units of `UNIT` samples at 24 kHz; they are scaled to the length of the sound.
        samples: (n,) float32, the sound.
        rate: Samples per second.

    Returns:
        The marks, and for each symbol the second in which its sound begins; None for what has no sound.
    """
    duration = len(samples) / rate
    ends = np.cumsum(durations, dtype=np.float64)
    ends *= duration / max(float(ends[-1]), 1.0)
    ends[:-1] = np.maximum(ends[:-1] - EARLY, 0.0)
    sounds, owners = _sounds(symbols, np.concatenate([[0.0], ends]))
    begins: list[float | None] = [None] * len(symbols)
    if not sounds:
        return ((Mark("phoneme", "", 0.0, duration),) if duration else ()), begins
    quiet = _quiet(samples, rate)
    step = _HOP / 24000

    def silence(since: float, until: float) -> tuple[float, float] | None:
        """Return the longest silence between two times, if it is long enough to be a pause."""
        first, last = round(since / step), min(round(until / step), len(quiet))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet[first:last], [0]])))
        runs = [(int(end - start), int(start)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        length, start = max(runs, default=(0, 0))
        return ((first + start) * step, (first + start + length) * step) if length * step >= PAUSE else None

    marks: list[Mark] = []
    first_sound, last_sound = sounds[0], sounds[-1]
    lead = silence(0.0, first_sound.end)
    begin = _with_closure(first_sound, lead[1] if lead and lead[0] < PAUSE else first_sound.start, 0.0)
    if begin > 0:
        marks.append(Mark("phoneme", "", 0.0, begin))
    starts = [begin]
    for one, other in pairwise(sounds):
        pause = silence(max(one.start, starts[-1]), other.end) if other.after_punctuation else None
        if pause:
            stop, start = pause[0], _with_closure(other, pause[1], pause[0])
        else:
            gap = other.start - one.end
            stop = start = one.end if other.text[0] in _PLOSIVES else one.end + gap / 2
        stop = max(stop, starts[-1])
        start = max(start, stop)
        marks.append(Mark("phoneme", one.text, starts[-1], stop))
        if start > stop:
            marks.append(Mark("phoneme", "", stop, start))
        starts.append(start)
    tail = silence(max(last_sound.start, starts[-1]), duration)
    stop = max(tail[0] if tail and tail[1] > duration - PAUSE else last_sound.end, starts[-1])
    marks.append(Mark("phoneme", last_sound.text, starts[-1], min(stop, duration)))
    if stop < duration:
        marks.append(Mark("phoneme", "", stop, duration))
    for index, owner in enumerate(owners):
        begins[index] = None if owner is None else starts[owner]
    return tuple(mark for mark in marks if mark.end > mark.start), begins


def with_pauses(speech: Speech, lead: float, tail: float) -> Speech:
    """Return a clause with as much silence at its ends as asked, so that clauses join with the same pauses.

    Args:
        speech: A clause with phoneme marks and words.
        lead: Seconds of silence before its first sound.
        tail: Seconds of silence after its last.
    """
    sounds = [mark for mark in speech.marks if mark.text]
    if not sounds:
        return speech
    rate = speech.rate
    first = max(0, round((sounds[0].start - lead) * rate))
    last = min(len(speech.samples), round((sounds[-1].end + tail) * rate))
    before = max(0, round((lead - sounds[0].start) * rate))
    after = max(0, round((sounds[-1].end + tail) * rate) - last)
    samples = np.concatenate([np.zeros(before, np.float32), speech.samples[first:last], np.zeros(after, np.float32)])
    shift, duration = (before - first) / rate, len(samples) / rate
    inner = tuple(mark.later(shift) for mark in speech.marks if sounds[0].start <= mark.start < sounds[-1].end)
    marks = [Mark("phoneme", "", 0.0, inner[0].start), *inner, Mark("phoneme", "", inner[-1].end, duration)]
    words = tuple(word.later(shift) for word in speech.words)
    return replace(speech, samples=samples, marks=tuple(m for m in marks if m.end > m.start), words=words)


def _sounds(symbols: Sequence[str], edges: np.ndarray) -> tuple[list[_Sound], list[int | None]]:
    """Join symbols to sounds; also return the number of the sound that each symbol belongs to, None for silent ones."""
    sounds: list[_Sound] = []
    owners: list[int | None] = []
    start: float | None = None  # of the stress marks before a sound
    punctuation = False
    for index, symbol in enumerate(symbols):
        begin, end = float(edges[index]), float(edges[index + 1])
        if not symbol or symbol in _SILENT:
            punctuation = punctuation or symbol in _PUNCTUATION
            owners.append(None)
            start = None
        elif symbol in _BEFORE:
            start = begin if start is None else start
            owners.append(len(sounds))
        elif symbol in _AFTER and sounds and owners[-1] is not None:
            last = sounds.pop()
            sounds.append(_Sound(last.text + symbol, last.first, last.start, end, last.after_punctuation))
            owners.append(len(sounds) - 1)
        else:
            owners.append(len(sounds))
            text = _IPA.get(symbol, symbol)
            sounds.append(_Sound(text, index, begin if start is None else start, end, punctuation))
            start, punctuation = None, False
    return sounds, [None if owner is None or owner >= len(sounds) else owner for owner in owners]


def _quiet(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return whether each step of the sound is silent, (steps,) bool."""
    hop = max(1, round(_HOP * rate / 24000))
    pieces = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level = np.sqrt(np.einsum("ij,ij->i", pieces, pieces) / hop)
    return np.asarray(level < _QUIET * np.percentile(level, 95)) if len(level) else np.zeros(0, bool)


def _with_closure(sound: _Sound, start: float, since: float) -> float:
    """Return when the mouth begins a sound that becomes audible at `start`, after a silence since `since`."""
    return max(start - CLOSURE, (since + start) / 2) if sound.text[0] in _PLOSIVES else start
