"""From phoneme times to the movement of a mouth.

A mouth does not jump from shape to shape: each sound pulls towards its own shape with its own strength and reach, and
the mouth follows the weighted mean (dominance functions: Cohen & Massaro, "Modeling coarticulation in synthetic visual
speech", 1993). Here the dominance of a sound is its own span, softened by a Gaussian. Strength and softness are
separate for opening and for rounding, since rounding begins early and reaches across consonants. Closing (p b m) takes
precedence over everything else: lips that do not meet are the error that people notice first.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

from pipeline.speech.mouth_track import PARTING, MouthTrack, parted_by
from pipeline.speech_types import Mark, Speech

UNITS = (
    "jawOpen",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthFunnel",
    "mouthPucker",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthRollUpper",
    "mouthRollLower",
    "tongueOut",
    "tongueBack",
    "tongueThrough",
)
"""The face units that speech moves, and the tongue: the height of its tip (0 low, 1 at the teeth), the height of its
back (1 at the palate), and how far it lies between the teeth."""

LEAD = 0.004
"""Seconds by which the lips lead the sound."""
FADE_IN, FADE_OUT = 0.08, 0.10
"""Seconds before and after speech in which the mouth leaves and reaches rest; it is still within 150 ms."""
QUICK, CLOSING_SIGMA = (0.04, 0.05), (0.022, 0.028)
"""Seconds by which a lip closure is softened, the fastest movement of a mouth: in sounds of up to the first length, and
in those of the second or more, which leave time for it."""
CLOSING_SHORTER = 0.05
"""Seconds by which the lips meet for less time than their sound lasts: they still move at its beginning and end."""
MIN_CLOSURE = 0.03
"""Shortest closure in seconds, however short the sound."""
USUAL_OPENING = 0.39
"""How far the jaw opens in usual speech, without its widest moments."""
EFFORT, EVENING = (0.85, 1.3), 0.75
"""Range of the factor that brings speech with small openings nearer to the usual, and vice versa.

Sentences differ less in their openings than in their sounds. `EVENING` is the power of the difference that is
compensated.
"""
WIDE, BEYOND = 0.47, 0.12
"""How far the jaw opens for a full vowel, and how much further at most; wider is shouting."""

LIPS_SHARE, SMALL = 0.4, 0.1
"""Share of a small opening that each lip takes at least, and the opening, in eye distances, at which that share is e
times smaller: lips part by themselves, and the jaw opens them wide. In films of two speakers the upper lip takes a
fifth and a half of openings up to 0.2.
"""
STEADINESS = 0.0245
"""Seconds over which opening and closing are smoothed; no jaw turns around between two frames."""
FIRMNESS = 1e6
"""Weight of closed or resting lips relative to an opening."""


@dataclass(frozen=True)
class Viseme:
    """The mouth shape of a class of sounds.

    Attributes:
        shape: Weights by unit; "Left" and "Right" are left out if both sides move alike.
        closing: How far the lips meet, 0..1.
        pull: Strength against its neighbours.
        rounding_pull: The same for funnel and pucker, where consonants hardly count.
    """

    shape: dict[str, float] = field(default_factory=dict)
    closing: float = 0.0
    pull: float = 1.0
    rounding_pull: float = 1.0


_REST = Viseme()
_VISEMES: dict[str, Viseme] = {}


def _define(sounds: str, viseme: Viseme) -> None:
    _VISEMES.update(dict.fromkeys(sounds.split(), viseme))


def _vowel(**shape: float) -> Viseme:
    return Viseme(shape)


def _rounded(**shape: float) -> Viseme:
    return Viseme(shape, rounding_pull=1.5)  # spread lips yield to round ones before and after


def _consonant(**shape: float) -> Viseme:
    return Viseme(shape, pull=0.8, rounding_pull=0.25)


_define("a ɐ ɑ ɶ", _vowel(jawOpen=0.47, mouthLowerDown=0.22, mouthUpperUp=0.12, mouthStretch=0.05))
_define("æ", _vowel(jawOpen=0.42, mouthLowerDown=0.20, mouthUpperUp=0.11, mouthStretch=0.08))
_define("ʌ", _vowel(jawOpen=0.28, mouthFunnel=0.08, mouthLowerDown=0.16, mouthUpperUp=0.05))
_define("ə ɘ ɜ ɞ", _vowel(jawOpen=0.20, mouthFunnel=0.06, mouthLowerDown=0.13))
_define("ɚ ɝ", _vowel(jawOpen=0.07, mouthFunnel=0.16, mouthLowerDown=0.08))
_define("ɛ ε", _vowel(jawOpen=0.27, mouthStretch=0.28, mouthLowerDown=0.26, mouthUpperUp=0.11))
_define("e ᴇ", _vowel(jawOpen=0.23, mouthStretch=0.28, mouthLowerDown=0.23, mouthUpperUp=0.10))
_define("i ɪ j ʲ", _vowel(jawOpen=0.10, mouthStretch=0.40, mouthLowerDown=0.20, mouthUpperUp=0.10))
_define("ɯ ɨ ᵻ ɤ", _vowel(jawOpen=0.09, mouthStretch=0.25, mouthLowerDown=0.17))
_define("ɒ", _rounded(jawOpen=0.36, mouthFunnel=0.30, mouthPucker=0.25))
_define("ɔ", _rounded(jawOpen=0.24, mouthFunnel=0.38, mouthPucker=0.47))
_define("o", _rounded(jawOpen=0.17, mouthFunnel=0.38, mouthPucker=0.47))
_define("u ʊ ᵿ ʉ y ʏ ɥ", _rounded(jawOpen=0.06, mouthPucker=0.82, mouthFunnel=0.16))
_define("w ʍ ʷ", _rounded(jawOpen=0.03, mouthPucker=0.82, mouthFunnel=0.12))
_define("ø œ ɵ", _rounded(jawOpen=0.14, mouthFunnel=0.35, mouthPucker=0.35))
_define(
    "p b m ɓ ʙ",
    Viseme({"mouthPress": 0.30, "mouthRollUpper": 0.18, "mouthRollLower": 0.18}, 1.0, pull=0.5, rounding_pull=0.25),
)
_define("ɸ β", Viseme({"mouthFunnel": 0.1, "mouthPucker": 0.1}, closing=0.7, rounding_pull=0.25))
_define(
    "f v ʋ ɱ ⱱ",
    Viseme({"jawOpen": 0.05, "mouthRollLower": 0.50, "mouthUpperUp": 0.65}, closing=0.45, rounding_pull=0.25),
)
_define(
    "s z ɕ ʑ ʦ ʣ ʨ ʥ",
    _consonant(jawOpen=0.05, mouthStretch=0.20, mouthLowerDown=0.20, mouthUpperUp=0.08, tongueOut=0.6),
)
_define(
    "ʃ ʒ ʂ ʐ ʧ ʤ ɧ",
    Viseme(
        {"jawOpen": 0.06, "mouthFunnel": 0.42, "mouthPucker": 0.30, "mouthLowerDown": 0.10, "tongueOut": 0.5},
        pull=0.8,
        rounding_pull=1.2,
    ),
)
_define("t d ɖ ʈ ɗ", _consonant(jawOpen=0.09, mouthLowerDown=0.12, tongueOut=0.9))
_define("n l ɫ ɾ r ɹ ɳ ɭ ɽ ɺ ɬ ɮ ɲ ʎ ɻ", _consonant(jawOpen=0.10, mouthLowerDown=0.15, tongueOut=0.9))
_define("θ ð", _consonant(jawOpen=0.10, mouthLowerDown=0.15, tongueThrough=1.0))
_define("k ɡ g ɠ ŋ ɴ q ɢ ʛ x ɣ ɰ χ ʁ ʀ ʟ c ɟ ʄ ç ʝ", _consonant(jawOpen=0.14, mouthLowerDown=0.11, tongueBack=0.9))
_define("h ʰ ɦ ʔ ? ħ ʕ ʜ ʢ ʡ", Viseme({"jawOpen": 0.18, "mouthLowerDown": 0.14}, pull=0.4, rounding_pull=0.1))

_OPENERS = [UNITS.index(u) for u in UNITS if u.startswith(PARTING)]
_JAW = UNITS.index("jawOpen")
_LIPS = [[UNITS.index(f"{lip}{side}") for side in ("Left", "Right")] for lip in ("mouthLowerDown", "mouthUpperUp")]
_PARTED = parted_by(UNITS)
_ROUNDERS = [UNITS.index("mouthFunnel"), UNITS.index("mouthPucker")]
_SIGMA = np.full(len(UNITS), 0.034)
_SIGMA[_ROUNDERS] = 0.060
_SIGMA[[i for i, u in enumerate(UNITS) if u.startswith(("mouthPress", "mouthRoll"))]] = 0.030
_SIGMA[[i for i, u in enumerate(UNITS) if u.startswith("tongue")]] = 0.030


def viseme_of(phoneme: str) -> Viseme:
    """Return the mouth shape of an IPA phoneme as espeak-ng writes it ("tɕʰ", "aː"); rest for a pause.

    The first known letter decides. The second half of an affricate or a diphthong is left to its neighbours: the mouth
    has no time for it; but lips are round from the beginning of "tʃ" and "dʒ". A letter with an accent ("ä", "ã")
    counts as the letter alone.
    """
    if phoneme[:1] in ("t", "d") and phoneme[1:2] in ("ʃ", "ʒ"):
        phoneme = phoneme[1:]
    letters = phoneme + unicodedata.normalize("NFD", phoneme).lower()
    return next((_VISEMES[letter] for letter in letters if letter in _VISEMES), _REST)


def articulate(phonemes: tuple[Mark, ...], speech: Speech, frames: int, fps: float, frame_skip: int = 1) -> MouthTrack:
    """Return how a mouth moves to speak phonemes.

    Args:
        phonemes: Gapless marks.
        speech: Its loudness: stressed and loud vowels open further.
        frames: Number of video frames.
        fps: Frames per second.
        frame_skip: With n, the shape is solved at every n-th frame and interpolated between; lips still meet and come
            to rest in every frame in which they should.
    """
    spans = [(viseme_of(p.text), p.start - LEAD, p.end - LEAD) for p in phonemes]
    sounds = [(viseme, start, end) for viseme, start, end in spans if viseme is not _REST and end > start]
    if not sounds:
        return MouthTrack(fps, np.zeros((frames, len(UNITS)), np.float32), UNITS)

    times = np.arange(frames) / fps
    solved = times if frame_skip == 1 else np.arange(0, frames + frame_skip, frame_skip) / fps
    weights = _blend(sounds, solved)
    weights[:, _OPENERS] *= _loudness(speech, solved)[:, None]
    if frame_skip > 1:
        weights = _between(weights, solved, times)
    activity = _activity(sounds, times)
    weights *= activity[:, None]
    closing = _closing(sounds, times)
    weights[:, _OPENERS] *= 1 - closing[:, None]
    weights[:, _ROUNDERS] *= 1 - 0.35 * closing[:, None]  # a funnel would part the lips again
    shut, jaw = (closing > 0.95) | (activity == 0), [_JAW]
    weights[:, _OPENERS] *= _effort(_smooth_openings(weights[:, jaw], shut, fps)[activity == 1])
    weights[:, _OPENERS] *= _not_too_wide(weights[:, jaw])
    weights[:, _OPENERS] = _smooth_openings(weights[:, _OPENERS], shut, fps)
    _part_by_lips(weights)
    weights[weights < 0.004] = 0  # a still mouth is the base video's own pixels
    return MouthTrack(fps, np.clip(weights, 0, 1).astype(np.float32), UNITS)


def _blend(sounds: list[tuple[Viseme, float, float]], times: np.ndarray) -> np.ndarray:
    """Return the dominance-weighted mean of the sounds' shapes: (len(times), units)."""
    start, end = (np.array([s[i] for s in sounds]) for i in (1, 2))
    shapes = np.array([[_target(viseme, unit) for unit in UNITS] for viseme, _, _ in sounds])
    pull = np.array([viseme.pull for viseme, _, _ in sounds])
    rounding = np.array([viseme.rounding_pull for viseme, _, _ in sounds])
    weights = np.empty((len(times), len(UNITS)))
    for sigma in np.unique(_SIGMA):
        units = np.flatnonzero(sigma == _SIGMA)
        total, mean = np.full(len(times), 1e-9), np.zeros((len(times), len(units)))
        reach = 4 * sigma
        is_rounding = bool(set(units) & set(_ROUNDERS))
        strength = rounding if is_rounding else pull
        for i in range(len(sounds)):
            near = slice(*np.searchsorted(times, (start[i] - reach, end[i] + reach)))
            t = times[near]
            dominance = _soft_box(t, start[i], end[i], sigma) * strength[i]
            total[near] += dominance
            mean[near] += dominance[:, None] * shapes[i, units]
        silence = 1 - _filled(sounds, times, sigma)
        weights[:, units] = mean / (total + np.clip(silence, 0, 1))[:, None]
    return weights


def _filled(sounds: list[tuple[Viseme, float, float]], times: np.ndarray, sigma: float) -> np.ndarray:
    """Return how much of the time around each of `times` is filled with sound, 0..1."""
    filled = np.zeros(len(times))
    for _, start, end in sounds:
        near = slice(*np.searchsorted(times, (start - 4 * sigma, end + 4 * sigma)))
        filled[near] += _soft_box(times[near], start, end, sigma)
    return filled


def _soft_box(t: np.ndarray, start: float, end: float, sigma: float) -> np.ndarray:
    scale = sigma * np.sqrt(2)
    return np.asarray(0.5 * (erf((t - start) / scale) - erf((t - end) / scale)))


def _target(viseme: Viseme, unit: str) -> float:
    return viseme.shape.get(unit, viseme.shape.get(unit.removesuffix("Left").removesuffix("Right"), 0.0))


def _closing(sounds: list[tuple[Viseme, float, float]], times: np.ndarray) -> np.ndarray:
    """Return how far the lips are held together, 0..1, at `times` (seconds).

    A closure is complete in its middle, which is moved onto a frame: a short one between two frames would be lost.
    """
    closing = np.zeros(len(times))
    for viseme, start, end in sounds:
        if viseme.closing:
            middle = times[np.abs(times - (start + end) / 2).argmin()]
            half = max(end - start - CLOSING_SHORTER, MIN_CLOSURE) / 2
            near = slice(*np.searchsorted(times, (middle - half - 0.1, middle + half + 0.1)))
            sigma = float(np.interp(end - start, QUICK, CLOSING_SIGMA))
            held = _soft_box(times[near], middle - half, middle + half, sigma)
            closing[near] = np.maximum(closing[near], held / held.max() * viseme.closing)
    return closing


def _loudness(speech: Speech, times: np.ndarray) -> np.ndarray:
    """Return a factor for the opening, around 1: above for louder speech than the speaker's usual, below for softer."""
    hop = max(1, min(round(speech.rate / 100), len(speech.samples)))
    pieces = speech.samples[: len(speech.samples) // hop * hop].reshape(-1, hop)
    power = np.einsum("ij,ij->i", pieces, pieces) / hop  # no copy of the sound: it may be minutes long
    level = 10 * np.log10(gaussian_filter1d(power, 6) + 1e-8)
    usual = np.percentile(level, 75)
    nearby = np.interp(times + LEAD, np.arange(len(level)) * hop / speech.rate, level)
    return np.asarray(np.clip(1 + (nearby - usual) * 0.02, 0.75, 1.12))


def _effort(jaw: np.ndarray) -> float:
    """Return a factor for the opening that brings speech with this jaw movement nearer to the usual."""
    widest = float(np.percentile(jaw, 92)) if len(jaw) else USUAL_OPENING
    return float(np.clip((USUAL_OPENING / max(widest, 0.01)) ** EVENING, *EFFORT))


def _not_too_wide(jaw: np.ndarray) -> np.ndarray:
    """Return a factor for the opening, 1 up to `WIDE`, that limits the jaw progressively beyond."""
    over = np.clip(jaw - WIDE, 0, None)
    return np.asarray((WIDE + over / (1 + over / BEYOND)) / np.maximum(jaw, WIDE))


def _activity(sounds: list[tuple[Viseme, float, float]], times: np.ndarray) -> np.ndarray:
    """Return 1 during speech and 0 in silence, with cosine ramps."""
    gate = np.zeros(len(times))
    for _, start, end in sounds:
        near = slice(*np.searchsorted(times, (start - FADE_IN, end + FADE_OUT)))
        t = times[near]
        rise = np.clip((t - (start - FADE_IN)) / FADE_IN, 0, 1)
        fall = np.clip(((end + FADE_OUT) - t) / FADE_OUT, 0, 1)
        gate[near] = np.maximum(gate[near], np.minimum(rise, fall))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * gate))


def _smooth_openings(openings: np.ndarray, shut: np.ndarray, fps: float) -> np.ndarray:
    """Return openings moved with as little jerk as possible.

    Skilled movement, including the jaw's in speech, spends little jerk (Nelson, "Physical principles for economies of
    skilled movements", 1983). Squared third differences are weighed against the squared distance from the target
    (Whittaker, "On a new method of graduation", 1923): one banded system of equations. Lips that must be shut begin to
    close as early as necessary, so that they need not be cut off where they meet.

    Args:
        openings: (frames, units).
        shut: (frames,) bool, where the lips stay shut.
        fps: Frames per second.
    """
    weight = np.where(shut, FIRMNESS, 1.0)
    third = np.array([-1.0, 3.0, -3.0, 1.0])
    bands = np.zeros((len(third), len(weight)))
    bands[-1] = weight
    terms = max(0, len(weight) - len(third) + 1)
    for i, j in zip(*np.triu_indices(len(third)), strict=True):
        bands[len(third) - 1 - (j - i), j : j + terms] += third[i] * third[j] * (STEADINESS * fps) ** 6
    return np.asarray(solveh_banded(bands, weight[:, None] * np.where(shut[:, None], 0, openings)))


def _part_by_lips(weights: np.ndarray) -> None:
    """Give lips that are not round their share of small openings, and the jaw less, in place; all open as wide."""
    gap = weights @ _PARTED
    spread = np.maximum(1 - weights[:, _ROUNDERS].sum(1), 0)
    share = LIPS_SHARE * spread * gap * np.exp(-((gap / SMALL) ** 2))
    missing = np.stack([np.maximum(share - weights[:, lip] @ _PARTED[lip], 0) for lip in _LIPS])
    jaw = weights[:, _JAW] * _PARTED[_JAW]
    missing *= np.minimum(jaw / np.maximum(missing.sum(0), 1e-9), 1)
    for lip, part in zip(_LIPS, missing, strict=True):
        weights[:, lip] += (part / _PARTED[lip].sum())[:, None]
    weights[:, _JAW] -= missing.sum(0) / _PARTED[_JAW]


def _between(weights: np.ndarray, solved: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate between the solved frames, smoothly and without overshoot."""
    from scipy.interpolate import PchipInterpolator  # imported here: slow to load and seldom needed

    return np.asarray(PchipInterpolator(solved, weights, axis=0)(times))
