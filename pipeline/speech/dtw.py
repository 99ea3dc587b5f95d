"""Dynamic time warping whose path may rest in silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.cancel import CancelToken

FULL = 6000
"""Frames up to which every pair is searched; a longer recording is first searched coarsely, pooled to this many."""
REACH = 200
"""Frames to either side of the coarse path that the fine search covers."""
BEND_COST = 0.3
"""Cost of each step that is not straight, so that the path bends only for a reason."""

_STEP, _HOLD, _SKIP, _WAKE = range(4)  # how a speech frame was reached


@dataclass(frozen=True)
class Path:
    """The frames of a recording that belong to each frame of a reference.

    Where the recording rests between two neighbouring frames, there is a gap between `last` of the one and `first` of
    the other.

    Attributes:
        first: (reference frames,) float.
        last: (reference frames,) float.
        cost: Total of all frames of the recording; infinite if there is no path.
    """

    first: np.ndarray
    last: np.ndarray
    cost: float


def warp(
    recording: np.ndarray, reference: np.ndarray, silence: np.ndarray, rests: np.ndarray, cancel: CancelToken
) -> Path:
    """Return the cheapest path through a recording that passes all of a reference.

    The cost of a pair of frames is their Euclidean distance. Memory grows with n, not with n times m.

    Args:
        recording: (n, features).
        reference: (m, features).
        silence: (n,) cost of resting in each frame.
        rests: Sorted frames of the reference, 0 to m, before which the path may rest.
        cancel: The task's token.

    Raises:
        Cancelled: `cancel` is set.
    """
    n, m = len(recording), len(reference)
    if n <= FULL and m <= FULL:
        return _Search(recording, reference, silence, rests, np.zeros(n, int), m).run(cancel)
    pool = -(-max(n, m) // FULL)
    small = [_pooled(values, pool) for values in (recording, reference, silence[:, None])]
    coarse = _Search(
        small[0], small[1], small[2][:, 0], _pooled_rests(rests, pool, m), np.zeros(len(small[0]), int), -1
    )
    path = coarse.run(cancel)
    known = np.stack([path.first, path.last], axis=1).ravel() * pool
    centre = np.interp(np.arange(n), np.maximum.accumulate(known), np.repeat(np.arange(len(small[1])), 2) * pool)
    width = min(2 * REACH, m)
    lowest = np.clip(centre.astype(int) - REACH, 0, m - width)
    lowest[-1] = m - width
    return _Search(recording, reference, silence, rests, np.maximum.accumulate(lowest), width).run(cancel)


def _pooled(values: np.ndarray, pool: int) -> np.ndarray:
    starts = np.arange(0, len(values), pool)
    counts = np.diff(np.append(starts, len(values)))
    return np.asarray(np.add.reduceat(values, starts, axis=0) / counts[:, None], np.float32)


def _pooled_rests(rests: np.ndarray, pool: int, m: int) -> np.ndarray:
    return np.asarray(np.unique(np.append(rests // pool, -(-m // pool))))


class _Search:
    """A search over the reference frames ``lowest[i]`` to ``lowest[i] + width`` for every frame i of the recording."""

    def __init__(
        self,
        recording: np.ndarray,
        reference: np.ndarray,
        silence: np.ndarray,
        rests: np.ndarray,
        lowest: np.ndarray,
        width: int,
    ) -> None:
        n, m = len(recording), len(reference)
        width = m if width < 0 else width
        self._recording, self._reference, self._silence = recording, reference, silence
        self._lowest, self._width = lowest, width
        self._may_rest = np.full(m + 1, np.inf, np.float32)
        self._may_rest[rests] = 0
        self._reached = np.zeros((n, width), np.int8)
        self._fell_silent = np.zeros((n, width + 1), bool)  # whether a rest was reached from speech, not from rest

    def run(self, cancel: CancelToken) -> Path:
        """Return the path, or a straight line if there is none with slopes between 1/2 and 2."""
        n, m = len(self._recording), len(self._reference)
        # total costs at i, i-1, i-2 after two cells of margin; lowest only rises, so the cells above are still infinite
        rows = [np.full(m + 2, np.inf, np.float32) for _ in range(3)]
        rests = [np.full(m + 1, np.inf, np.float32) for _ in range(2)]
        costs = [np.full(m, np.inf, np.float32) for _ in range(2)]
        squares = np.einsum("ij,ij->i", self._reference, self._reference)
        for i in range(n):
            if i % 64 == 0:
                cancel.check()
            low = int(self._lowest[i])
            high = low + self._width
            frame = self._recording[i]
            own = squares[low:high] + frame @ frame - 2 * (self._reference[low:high] @ frame)
            np.sqrt(np.maximum(own, 0, out=own), out=own)
            costs[0][low:high] = own
            if i == 0:
                rows[0][2], rests[0][0] = own[0], self._silence[0]
            else:
                self._advance(i, rows, rests, own, costs[1][low:high])
            rows, rests, costs = [rows[2], *rows[:2]], rests[::-1], costs[::-1]
        resting = bool(rests[1][m] < rows[1][m + 1])
        cost = float(rests[1][m] if resting else rows[1][m + 1])
        if not np.isfinite(cost):
            line = np.linspace(0, n - 1, m)
            return Path(line, line, cost)
        return Path(*self._trace(resting), cost)

    def _advance(
        self, i: int, rows: list[np.ndarray], rests: list[np.ndarray], own: np.ndarray, before: np.ndarray
    ) -> None:
        """Fill row `i`: each cell by the cheapest of the four ways to reach it."""
        low = int(self._lowest[i])
        high = low + self._width
        now, one, two = rows
        best = one[low + 1 : high + 1].copy()  # a step
        reached = self._reached[i]  # zeros: _STEP
        skip = one[low:high] + BEND_COST
        skip[1:] += (own[:-1] - own[1:]) / 2
        skip[0] = np.inf
        for way, cost in (
            (_HOLD, two[low + 1 : high + 1] + before + BEND_COST),
            (_SKIP, skip),
            (_WAKE, rests[1][low:high]),
        ):
            np.putmask(reached, cost < best, way)  # quicker than argmin over four rows
            np.minimum(best, cost, out=best)
        now[low : low + 2] = np.inf
        np.add(best, own, out=now[low + 2 : high + 2])
        from_speech, stay = one[low + 1 : high + 2], rests[1][low : high + 1]
        self._fell_silent[i] = from_speech < stay
        rests[0][low : high + 1] = np.minimum(from_speech, stay) + self._silence[i] + self._may_rest[low : high + 1]

    def _trace(self, resting: bool) -> tuple[np.ndarray, np.ndarray]:
        m = len(self._reference)
        first, last = np.full(m, -1.0), np.full(m, -1.0)
        i, j = len(self._recording) - 1, m if resting else m - 1
        while i >= 0 and j >= 0:
            column = j - int(self._lowest[i])
            if resting:
                if self._fell_silent[i, column]:
                    resting, j = False, j - 1
                i -= 1
                continue
            first[j] = i
            last[j] = max(last[j], i)
            way = self._reached[i, column]
            if way == _HOLD:
                first[j] = i - 1
                i, j = i - 2, j - 1
            elif way == _SKIP:
                first[j - 1] = last[j - 1] = i - 0.5
                i, j = i - 1, j - 2
            elif way == _WAKE:
                resting, i = True, i - 1
            else:
                i, j = i - 1, j - 1
        return first, last
