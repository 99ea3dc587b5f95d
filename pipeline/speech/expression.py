"""How a face moves beside its mouth while it speaks: with the voice, and as the text says.

Brows rise at stressed syllables and where a question ends, lids fall at the end of a phrase, blinks come in pauses,
cheeks and lids follow a wide mouth. A mood, or a cue in the text (see ``pipeline.text.cues``), is a pose that comes and
goes smoothly.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.speech.expression_track import NEUTRAL, UNITS, USUAL_LIVELINESS, ExpressionOptions, ExpressionTrack
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech.prosody import prosody_of
from pipeline.speech_types import Mark, Speech
from pipeline.text.cues import Cue, letters_of

_SMILE = [UNITS.index("mouthSmileLeft"), UNITS.index("mouthSmileRight")]
_ROUND_SMILE = 0.6
"""Share of a smile that the roundest lips take away."""
EASE = 0.3
"""Seconds in which a pose comes or goes."""
_POSES = {
    "smile": {"mouthSmile": 0.34, "cheekSquint": 0.30, "eyeSquint": 0.30, "browOuterUp": 0.08},
    "serious": {"browDown": 0.42, "eyeSquint": 0.18},
    "thinking": {
        "browInnerUp": 0.12, "browOuterUpLeft": 0.55, "browDownRight": 0.22,
        "eyeLookOutLeft": 0.7, "eyeLookInRight": 0.7, "eyeLookUp": 0.5,
    },
}  # fmt: skip
_BROWS_UP = {"browInnerUp": 0.30, "browOuterUp": 0.30}
_PHRASE_END = {"browDown": 0.12, "eyeBlink": 0.10}
_NOD = {"eyeBlink": 0.35, "browInnerUp": 0.22, "browOuterUp": 0.15}
_SHUT = {"eyeBlink": 1.0}
_RISE, _FALL = 0.16, 0.34
"""Seconds in which brows rise to a stress, and come down from it."""
_LIDS_SHUT, _LIDS_STAY, _LIDS_OPEN = 0.09, 0.03, 0.18
PAUSE = 0.15
"""Seconds of silence that end a phrase."""
PHRASE = 0.6
"""Least seconds of a phrase whose end a face shows."""
BETWEEN_BLINKS = 2.2
"""Least seconds between two blinks: people who speak blink 15 to 25 times a minute."""
_WIDE = 0.06
"""Seconds by which cheeks and lids follow a mouth more softly than it moves."""
_CHEEKS, _LIDS = 0.5, 0.4
"""How far cheeks rise and lids narrow with the widest mouth."""
LEAST = 0.004
"""Weights below this are none: a still face is the clip's own pixels."""
_QUESTION = re.compile(r"[?？][\"'”’)\]」』）》]*\s*$")


@dataclass(frozen=True)
class _Movement:
    """A pose that comes and goes, in seconds from the beginning of the speech."""

    pose: np.ndarray
    start: float
    rise: float
    end: float
    fall: float

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return how far it is there, (len(times),) 0..1: between `start` and `start` + `rise` it comes."""
        share = np.minimum((times - self.start) / self.rise, (self.end + self.fall - times) / self.fall)
        return _ease(share)


def resting(options: ExpressionOptions) -> np.ndarray:
    """Return the weights (units,) of a face that does not speak, float32: those of its mood."""
    mood = np.zeros(len(UNITS)) if options.mood == NEUTRAL else _pose(_POSES[options.mood])
    return mood.astype(np.float32)


def with_mouth(mouth: MouthTrack, options: ExpressionOptions) -> np.ndarray:
    """Return the expression of a face whose voice is not known beforehand, (frames, units) float32.

    Its cheeks and lids follow the mouth.
    """
    weights = resting(options) + _with_mouth(mouth) * options.liveliness / USUAL_LIVELINESS
    return np.where(weights < LEAST, 0, np.clip(weights, 0, 1)).astype(np.float32)


@dataclass
class Expression:
    """The expression of a face for speech that comes in pieces.

    Args:
        fps: Frames per second.
        options: How it behaves.
        cues: Those of the text, in its order.
        starts_neutral: Whether the mood comes in the first moments; else it is there before.

    Attributes:
        acted: The cues of the last piece: the name of each, and its time in seconds from the beginning of the piece.
    """

    fps: float
    options: ExpressionOptions = field(default_factory=ExpressionOptions)
    cues: Sequence[Cue] = ()
    starts_neutral: bool = True
    acted: tuple[tuple[str, float], ...] = ()
    _movements: list[_Movement] = field(default_factory=list)
    _poses: list[_Movement] = field(default_factory=list)
    """Moods that cues ask for, each instead of the one before."""
    _frame: int = 0
    _letters: int = 0
    _cue: int = 0
    _blinked: float = 0.0

    @property
    def needs_words(self) -> bool:
        """Whether there are cues, whose times are those of words."""
        return self._cue < len(self.cues)

    def next(
        self, speech: Speech, phonemes: tuple[Mark, ...], mouth: MouthTrack, words: tuple[Mark, ...] = ()
    ) -> ExpressionTrack | None:
        """Return the expression for the next piece of speech; None if the face stays as it was filmed in all of it.

        Args:
            speech: The piece.
            phonemes: Its phoneme marks.
            mouth: How the mouth moves in it, whole frames.
            words: Its words, if cues are to be found in it.
        """
        frames = len(mouth.weights)
        begin = self._frame / self.fps
        times = (self._frame + np.arange(frames)) / self.fps
        self._take_cues(speech, words, begin)
        live = self.options.liveliness / USUAL_LIVELINESS
        weights = np.zeros((frames, len(UNITS)))
        if live:
            self._follow_voice(speech, phonemes, begin, live)
            weights += _with_mouth(mouth) * live
        for movement in self._movements:
            weights += movement.at(times)[:, None] * movement.pose
        weights += self._mood(times)
        weights[:, _SMILE] *= (1 - _ROUND_SMILE * _rounding(mouth))[:, None]
        end = begin + frames / self.fps
        self._movements = [one for one in self._movements if one.end + one.fall > end]
        self._frame += frames
        weights = np.where(weights < LEAST, 0, np.clip(weights, 0, 1)).astype(np.float32)
        return ExpressionTrack(weights) if weights.any() else None

    def _take_cues(self, speech: Speech, words: tuple[Mark, ...], begin: float) -> None:
        """Place the cues of a piece: each begins with its word, and a mood ends with its sentence."""
        first, last = self._letters, self._letters + letters_of(speech.text)
        self._letters, self.acted = last, ()
        begins = [*accumulate((letters_of(word.text) for word in words), initial=first)]
        while self._cue < len(self.cues) and (self.cues[self._cue].start < last or self._is_last(last)):
            cue = self.cues[self._cue]
            self._cue += 1
            if not words:
                start, end = 0.0, speech.duration
            else:
                start = words[max(0, bisect_right(begins, cue.start, hi=len(words)) - 1)].start
                end = words[min(bisect_left(begins, cue.end, lo=1), len(words)) - 1].end
            start = max(begin + start - EASE / 2, begin)
            self.acted = (*self.acted, (cue.name, start - begin))
            if cue.name == "nod":
                self._movements.append(_Movement(_pose(_NOD), start, 0.25, start + 0.35, 0.35))
            else:
                end = begin + min(end, speech.duration - EASE)  # it is gone where a video ends
                self._poses.append(_Movement(_pose(_POSES[cue.name]), start, EASE, max(end, start + EASE), EASE))

    def _is_last(self, letters: int) -> bool:
        """Whether the next cue stands behind all words of the text."""
        return self.cues[self._cue].start == letters == self.cues[self._cue].end

    def _mood(self, times: np.ndarray) -> np.ndarray:
        """Return the weights of the mood, and of those that cues ask for in its place, (len(times), units)."""
        mood = np.zeros((len(times), len(UNITS)))
        if self.options.mood != NEUTRAL:
            share = _ease(times / EASE) if self.starts_neutral else np.ones(len(times))
            mood += share[:, None] * resting(self.options)
        for pose in self._poses:
            share = pose.at(times)[:, None]
            mood = (1 - share) * mood + share * pose.pose
        if len(times):
            self._poses = [one for one in self._poses if one.end + one.fall > times[-1]]
        return mood

    def _follow_voice(self, speech: Speech, phonemes: tuple[Mark, ...], begin: float, live: float) -> None:
        """Add what the voice of a piece moves."""
        prosody = prosody_of(speech, phonemes)
        for stress in prosody.stresses:
            size = min(live * prosody.liveliness * stress.strength, 2.5)
            peak, left = begin + stress.time, speech.duration - stress.time
            fall = min(max(left, 0.1), _FALL)  # nothing is cut off where a video ends
            self._movements.append(_Movement(_pose(_BROWS_UP, size), peak - _RISE, _RISE, peak, fall))
        phrases = _phrases(phonemes, speech.duration)
        for number, (start, end, pause) in enumerate(phrases):
            asks = number == len(phrases) - 1 and bool(_QUESTION.search(speech.text))
            if end - start >= PHRASE:
                pose = _pose(_BROWS_UP, 1.2 * live) if asks else _pose(_PHRASE_END, live)
                self._movements.append(_Movement(pose, begin + end - 0.3, 0.25, begin + end - 0.05, 0.2))
            shut = begin + end + 0.02
            if pause >= _LIDS_SHUT + _LIDS_STAY + _LIDS_OPEN and shut - self._blinked >= BETWEEN_BLINKS:
                self._blinked = shut
                closed = shut + _LIDS_SHUT + _LIDS_STAY
                self._movements.append(_Movement(_pose(_SHUT), shut, _LIDS_SHUT, closed, _LIDS_OPEN))


def _ease(share: np.ndarray) -> np.ndarray:
    """Return a share of the way (clipped to 0..1) that begins and ends without a jerk."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1)))


def _phrases(phonemes: tuple[Mark, ...], duration: float) -> list[tuple[float, float, float]]:
    """Return start and end of each phrase, and the length of the pause after it, in seconds."""
    sounds = [mark for mark in phonemes if mark.text]
    if not sounds:
        return []
    found, start = [], sounds[0].start
    for one, other in pairwise(sounds):
        if other.start - one.end >= PAUSE:
            found.append((start, one.end, other.start - one.end))
            start = other.start
    return [*found, (start, sounds[-1].end, duration - sounds[-1].end)]


def _with_mouth(mouth: MouthTrack) -> np.ndarray:
    """Return the weights of cheeks and lids that follow a wide or open mouth, (frames, units)."""
    weights = np.zeros((len(mouth.weights), len(UNITS)))
    for side in ("Left", "Right"):
        wide = _column(mouth, f"mouthStretch{side}") + _column(mouth, f"mouthUpperUp{side}")
        wide = gaussian_filter1d(wide + 0.4 * _column(mouth, "jawOpen"), _WIDE * mouth.fps, mode="constant", truncate=2)
        weights[:, UNITS.index(f"cheekSquint{side}")] = _CHEEKS * wide
        weights[:, UNITS.index(f"eyeSquint{side}")] = _LIDS * wide
    return weights


def _rounding(mouth: MouthTrack) -> np.ndarray:
    return np.asarray(np.clip(_column(mouth, "mouthPucker") + _column(mouth, "mouthFunnel"), 0, 1))


def _column(mouth: MouthTrack, unit: str) -> np.ndarray:
    return mouth.weights[:, mouth.units.index(unit)] if unit in mouth.units else np.zeros(len(mouth.weights))


def _pose(shape: dict[str, float], size: float = 1.0) -> np.ndarray:
    """Return weights (units,) of a shape, in which units without a side have both."""
    found = [shape.get(unit, shape.get(unit.removesuffix("Left").removesuffix("Right"), 0.0)) for unit in UNITS]
    return size * np.array(found)
