"""Dynamic time warping that may rest in silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.cancel import CancelToken

FULL = 6000
"""Frames up to which every pair of frames is looked at; longer recordings are searched coarsely first."""
COARSE = 4
"""Frames that the coarse search takes as one."""
COARSE_REACH = 1500
FINE_REACH = 150
"""Frames to either side that a search looks, of the straight line and of the coarse path."""

_STEP, _HOLD, _SKIP, _WAKE = range(4)  # how a speech frame was reached


@dataclass(frozen=True)
class Path:
    """Which frames of a recording belong to each frame of a reference: FIRST and LAST, both (reference frames,) float.

    Neighbouring reference frames between which the recording rests have a gap between LAST and the next FIRST.
    """

    first: np.ndarray
    last: np.ndarray

    def begins(self, frames: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return when (frame of the recording) the moments OFFSETS (of a frame, about -1..0) before FRAMES happen."""
        return np.asarray(self.first[frames] + np.clip(offsets, -0.5, 0.5))

    def ends(self, frames: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return when (frame of the recording) the moments OFFSETS (of a frame, about 0..1) after FRAMES happen."""
        return np.asarray(self.last[frames] + np.clip(offsets, 0, 1))


def warp(
    recording: np.ndarray, reference: np.ndarray, silence: np.ndarray, rests: np.ndarray, cancel: CancelToken
) -> Path:
    """Return the cheapest path through RECORDING (n, features) that passes all of REFERENCE (m, features).

    The cost of a pair of frames is their Euclidean distance. silence: (n,) cost of resting in each frame; rests: sorted
    frames of the reference before which the path may rest, from 0 to m. Raises Cancelled.
    """
    n, m = len(recording), len(reference)
    if n <= FULL:
        lowest = np.zeros(n, int)
        return _search(recording, reference, silence, rests, lowest, m, cancel)
    raise NotImplementedError


def _search(
    recording: np.ndarray,
    reference: np.ndarray,
    silence: np.ndarray,
    rests: np.ndarray,
    lowest: np.ndarray,
    width: int,
    cancel: CancelToken,
) -> Path:
    """Search the reference frames LOWEST[i] .. LOWEST[i] + WIDTH for every frame i of the recording."""
    n, m = len(recording), len(reference)
    may_rest = np.full(m + 1, np.inf, np.float32)
    may_rest[rests] = 0
    reached = np.zeros((n, width), np.int8)
    rested = np.zeros((n, width + 1), bool)  # whether a rest was reached from speech rather than from rest
    speech = [np.full(m + 2, np.inf, np.float32) for _ in range(3)]  # total cost at i, i-1, i-2; two frames of margin
    rest = [np.full(m + 1, np.inf, np.float32) for _ in range(2)]
    before_cost = np.full(m, np.inf, np.float32)
    squares = np.einsum("ij,ij->i", reference, reference)
    for i in range(n):
        if i % 64 == 0:
            cancel.check()
        now, one, two = speech
        low, high = lowest[i], min(lowest[i] + width, m)
        now.fill(np.inf)
        frame = recording[i]
        cost = np.full(m, np.inf, np.float32)
        near = reference[low:high]
        cost[low:high] = np.sqrt(np.maximum(squares[low:high] + frame @ frame - 2 * (near @ frame), 0))
        own = cost[low:high]
        if i == 0:
            now[2] = cost[0]
            rest[0][0] = silence[0]
        else:
            ways = np.stack(
                [
                    one[low + 1 : high + 1] + own,
                    two[low + 1 : high + 1] + before_cost[low:high] + own,
                    one[low:high] + (own + np.concatenate([[np.inf], cost])[low:high]) / 2,
                    rest[1][low:high] + own,
                ]
            )
            choice = ways.argmin(axis=0)
            now[low + 2 : high + 2] = np.take_along_axis(ways, choice[None], 0)[0]
            reached[i, : high - low] = choice
            from_speech = one[low + 1 : high + 2]
            stay = rest[1][low : high + 1]
            rested[i, : high - low + 1] = from_speech < stay
            rest[0].fill(np.inf)
            rest[0][low : high + 1] = np.minimum(from_speech, stay) + silence[i] + may_rest[low : high + 1]
        speech = [two, now, one]
        rest = rest[::-1]
        before_cost = cost
    _, last, _ = speech
    return _trace(reached, rested, lowest, m, bool(rest[1][m] < last[m + 1]))


def _trace(reached: np.ndarray, rested: np.ndarray, lowest: np.ndarray, m: int, resting: bool) -> Path:
    first, last = np.full(m, -1.0), np.full(m, -1.0)
    i, j = len(reached) - 1, m if resting else m - 1
    while i >= 0 and j >= 0:
        if resting:
            if rested[i, j - lowest[i]]:
                resting, j = False, j - 1
            i -= 1
            continue
        if last[j] < 0:
            last[j] = i
        first[j] = i
        way = reached[i, j - lowest[i]]
        if way == _HOLD:
            first[j] = i - 1
            i, j = i - 2, j - 1
        elif way == _SKIP:
            first[j - 1] = last[j - 1] = i - 0.5
            i, j = i - 1, j - 2
        elif way == _WAKE:
            resting = True
            i -= 1
        else:
            i, j = i - 1, j - 1
    return Path(first, last)
