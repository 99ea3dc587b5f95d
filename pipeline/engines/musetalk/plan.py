"""Plans which frames the network draws, and how strongly its pictures show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, uniform_filter1d

PAUSE_SECONDS = 0.1
"""A mouth that rests for a shorter time is part of speech (lips that meet); a longer rest is silence."""
FADE_SECONDS = 0.12
"""Seconds over which the drawn mouth fades into the filmed one, before silence and after."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the frames of a stretch are made.

    Attributes:
        strength: (frames,) 0..1, opacity of the drawn face, 0 in silence.
        solved: (n,) the frames that the network draws.
        before, after: (frames,) the solved frames (indices into `solved`) on either side of a frame.
        share: (frames,) 0..1, weight of the later one.
    """

    strength: np.ndarray
    solved: np.ndarray
    before: np.ndarray
    after: np.ndarray
    share: np.ndarray


def plan(mouth: np.ndarray, faces: np.ndarray, fps: float, frame_skip: int = 1) -> Plan:
    """Return the plan for a stretch.

    In every run of drawn frames, the first, every n-th and the last are solved.

    Args:
        mouth: (frames, units), all 0 at rest.
        faces: (frames,) 0..1, how much a frame may change; 0 without a face.
        fps: Frames per second.
        frame_skip: The n above.
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
    return Plan(strength=strength, solved=solved, before=before, after=after, share=share)


def _speaking(mouth: np.ndarray, fps: float) -> np.ndarray:
    """Return (frames,) float32: 0 where the mouth rests, 1 where it speaks, with ramps within speech."""
    moves = np.asarray(mouth.any(axis=1))
    pause = max(1, round(PAUSE_SECONDS * fps))
    moves |= binary_closing(np.pad(moves, pause), np.ones(pause))[pause : len(moves) + pause]
    around = uniform_filter1d(moves.astype(np.float32), 2 * round(FADE_SECONDS * fps / 2) + 1, mode="nearest")
    return np.where(moves, np.clip(2 * around - 1, 1e-3, 1), 0).astype(np.float32)


def live_strength(mouth: np.ndarray, fps: float) -> np.ndarray:
    """Return (frames,) float32 in 0..1 for a mouth whose future is not known: it fades in with speech, and out after.

    Args:
        mouth: (frames, units), all 0 at rest; what came before the first frame is taken to be like it.
        fps: Frames per second.
    """
    step = 1 / max(1, round(FADE_SECONDS * fps))
    moves = np.asarray(mouth.any(axis=1))
    strength = np.zeros(len(mouth), np.float32)
    level = float(moves[0]) if len(moves) else 0.0
    for number, speaks in enumerate(moves):
        level = min(1.0, level + step) if speaks else max(0.0, level - step)
        strength[number] = level if level > step / 2 else 0
    return strength
