"""Which frames the network draws, and how strongly what it drew shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, uniform_filter1d

PAUSE_SECONDS = 0.1
"""A mouth at rest for less than this is part of speech (lips that meet); longer, it is silence."""
FADE_SECONDS = 0.12
"""Time over which the drawn mouth gives way to the filmed one, before silence and after."""


@dataclass(frozen=True)
class Plan:
    """How a stretch of frames comes about.

    strength: (frames,) 0..1, how much of the drawn face shows, 0 in silence; solved: (n,) the frames that the network
    draws; before, after: (frames,) which of those (positions in solved) a frame lies between; share: (frames,) 0..1 of
    the later one.
    """

    strength: np.ndarray
    solved: np.ndarray
    before: np.ndarray
    after: np.ndarray
    share: np.ndarray


def plan(mouth: np.ndarray, faces: np.ndarray, fps: float, frame_skip: int = 1) -> Plan:
    """Return the plan for frames whose mouths are MOUTH ((frames, units), all 0: at rest), FPS a second.

    FACES ((frames,) 0..1) tells how much a frame may change, 0 where no face is seen. In every run of frames that are
    drawn, the first, every FRAME_SKIP-th and the last are solved.
    """
    strength = _speaking(mouth, fps) * faces
    drawn = np.flatnonzero(strength)
    runs = np.split(drawn, np.flatnonzero(np.diff(drawn) > 1) + 1) if len(drawn) else []
    solved = np.array([i for run in runs for i in sorted({*run[::frame_skip], run[-1]})], int)
    before, after = (np.zeros(len(mouth), int) for _ in range(2))
    before[drawn] = np.searchsorted(solved, drawn, side="right") - 1
    after[drawn] = np.searchsorted(solved, drawn)
    share = np.zeros(len(mouth), np.float32)
    gap = solved[after[drawn]] - solved[before[drawn]]
    share[drawn] = (drawn - solved[before[drawn]]) / np.maximum(gap, 1)
    return Plan(strength, solved, before, after, share)


def _speaking(mouth: np.ndarray, fps: float) -> np.ndarray:
    """Return (frames,) float32: 0 where the mouth rests, 1 where it speaks, rising and falling within speech."""
    moves = np.asarray(mouth.any(axis=1))
    pause = max(1, round(PAUSE_SECONDS * fps))
    moves |= binary_closing(np.pad(moves, pause), np.ones(pause))[pause : len(moves) + pause]
    around = uniform_filter1d(moves.astype(np.float32), 2 * round(FADE_SECONDS * fps / 2) + 1, mode="nearest")
    return np.where(moves, np.clip(2 * around - 1, 1e-3, 1), 0).astype(np.float32)
