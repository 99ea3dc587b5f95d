"""Finds the frames in which a face can be made to speak, and what is wrong with the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter

from pipeline import messages
from pipeline.errors import BadClip
from pipeline.face.basis import head_pose
from pipeline.face.finder import box_of
from pipeline.preparing.covered_mouth import mouth_score
from pipeline.preparing.footage import PATCH, Footage

SMALLEST_FACE = 60
"""Least width in pixels, in the source as well as at the working size."""
TURNED = 45.0
"""Degrees beyond which a mouth cannot move believably.

A face becomes usable again at 3 degrees less, to avoid flicker.
"""
HIDDEN, DOUBTFUL = -1.3, -0.6
"""Scores (see ``mouth_score``) below which a mouth is covered, or may be."""
_CHECK_SECONDS = 0.2
"""Seconds between two checks for a covered mouth."""
COVERED = 0.62
"""A face whose nose and mouth correlate less with the clip's usual ones is covered..."""
_TURNING = 0.01
"""...or is turned: each degree away from the clip's usual direction explains so much of the difference."""
OPEN_GAP = 0.03
"""Lips further apart than this, in distances between the outer corners of the eyes, are open."""
_BRIDGED_SECONDS = 0.13
"""Shorter gaps are the detector's, not the person's; points are interpolated across them."""
_SHORTEST_SECONDS = 0.4
"""Shorter usable runs between unusable ones are dropped: the mouth would jump in and out."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What each frame shows, (frames,) each.

    Attributes:
        usable: Whether the face can be made to speak.
        missing, turned, covered: Why not.
        gap: Between the lips, in eye distances.
        yaw: Degrees.
        width: Median width of the face in pixels of the source.
        doubtful: Whether the mouth may be covered in usable frames.
    """

    usable: np.ndarray
    missing: np.ndarray
    turned: np.ndarray
    covered: np.ndarray
    gap: np.ndarray
    yaw: np.ndarray
    width: float
    doubtful: bool = False

    @property
    def speaking(self) -> bool:
        """Whether the mouth opens anywhere, for longer than the points may err (three frames)."""
        return bool((median_filter(self.gap * self.usable, 3) > OPEN_GAP).any())


def find_usable(footage: Footage) -> tuple[Findings, np.ndarray]:
    """Return what the frames show, and the points without gaps, (frames, 478, 3) float32.

    Raises:
        BadClip: No frame can be used, or the face is too small (see ``check_width``).
    """
    fps = float(footage.fps)
    missing = ~footage.found
    points = _bridged(footage.points, ~missing)
    width = float(np.median([box_of(row).width for row in points[~missing]])) * footage.scale
    check_width(width, footage.scale)
    yaw = median_filter(head_pose(points).yaw, 1 + 2 * round(0.04 * fps), mode="nearest")
    missing = missing & ~_short_runs(missing, _BRIDGED_SECONDS * fps)
    turned = ~missing & _with_hysteresis(np.abs(yaw), TURNED, TURNED - 3)
    hidden, doubtful = _hidden(footage, missing | turned | ~footage.found)
    bad = missing | turned | hidden
    if bad.all() and hidden.any():
        raise BadClip(messages.preparing.MOUTH_COVERED())
    covered = hidden | _covered(footage, yaw, bad)
    bad = missing | turned | covered
    usable = ~bad & ~_short_runs(~bad, _SHORTEST_SECONDS * fps)
    if not usable.any():
        usable = ~bad
    if not usable.any():
        raise BadClip(messages.preparing.NO_USABLE_FRAME())
    findings = Findings(
        usable=usable,
        missing=missing,
        turned=turned,
        covered=covered,
        gap=mouth_gap(points),
        yaw=yaw,
        width=width,
        doubtful=doubtful,
    )
    return findings, points


def check_width(width: float, scale: float) -> None:
    """Check the width of a face.

    Args:
        width: Pixels of the source.
        scale: Pixels of the source per pixel of the frames.

    Raises:
        BadClip: The face is too small.
    """
    shown, needed = int(width), math.ceil(SMALLEST_FACE * max(1.0, scale))
    if shown < needed:
        raise BadClip(messages.preparing.FACE_TOO_SMALL(width=shown, needed=needed))


def mouth_gap(points: np.ndarray) -> np.ndarray:
    """Return the gap between the lips, (frames,), in distances between the eyes."""
    eyes = np.linalg.norm(points[:, 33] - points[:, 263], axis=1)
    gap: np.ndarray = np.linalg.norm(points[:, 13, :2] - points[:, 14, :2], axis=1) / eyes
    return gap


def _bridged(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Fill the rows without a face: interpolated between two neighbours, else like the nearest."""
    known = np.flatnonzero(found)
    position = np.interp(np.arange(len(points)), known, np.arange(len(known)))
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, len(known) - 1)
    share = (position - low)[:, None, None].astype(np.float32)
    filled: np.ndarray = points[known[low]] * (1 - share) + points[known[high]] * share
    return filled


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _short_runs(flags: np.ndarray, longest: float) -> np.ndarray:
    """Return the runs of at most `longest` frames that have others on both sides."""
    short = np.zeros_like(flags)
    for start, stop in runs(flags):
        if stop - start <= longest and start > 0 and stop < len(flags):
            short[start:stop] = True
    return short


def _with_hysteresis(value: np.ndarray, on: float, off: float) -> np.ndarray:
    """Return where a value is above `on`, and around it for as long as it stays above `off`."""
    wide, narrow = value > off, value > on
    out = np.zeros_like(wide)
    for start, stop in runs(wide):
        out[start:stop] = narrow[start:stop].any()
    return out


def _likeness(footage: Footage, fair: np.ndarray) -> np.ndarray:
    """Return how nose, mouth and chin of each frame correlate with the usual ones of the fair frames, (frames,).

    Light and shade, which change as a head nods, are removed first.
    """
    patches = footage.patches.astype(np.float32)
    detail = patches - gaussian_filter(patches, (0, PATCH / 6, PATCH / 6))
    middle = detail[:, PATCH * 3 // 8 :, PATCH // 5 : -PATCH // 5].reshape(len(patches), -1)
    middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-6)
    usual = np.median(middle[fair], axis=0)
    likeness: np.ndarray = middle @ (usual / max(float(np.linalg.norm(usual)), 1e-6))
    return likeness


def _hidden(footage: Footage, bad: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return where the mouth is covered for more than a moment, (frames,), and whether it may be elsewhere.

    Bad frames are ignored.
    """
    hidden = np.zeros_like(bad)
    checked = np.flatnonzero(~bad)[:: max(1, round(_CHECK_SECONDS * float(footage.fps)))]
    if not len(checked):
        return hidden, False
    scores = np.array([mouth_score(footage.frame(number), footage.points[number]) for number in checked])
    scores = median_filter(scores, 5, mode="nearest")
    nearest = np.abs(np.arange(len(bad))[:, None] - checked).argmin(1)
    # a covered part is only certain if the rest clearly shows a mouth
    if scores.max() < HIDDEN or (scores.min() < HIDDEN and np.median(scores[scores >= HIDDEN]) > 0):
        hidden = ~bad & (scores < HIDDEN)[nearest]
    left = scores[scores >= HIDDEN] if hidden.any() else scores
    return hidden, bool(len(left)) and float(np.median(left)) < DOUBTFUL


def _covered(footage: Footage, yaw: np.ndarray, bad: np.ndarray) -> np.ndarray:
    if bad.all():
        return np.zeros_like(bad)
    frames = 1 + 2 * round(0.04 * float(footage.fps))
    likeness = median_filter(_likeness(footage, ~bad), frames, mode="nearest")
    limit = min(COVERED, float(np.median(likeness[~bad])) - 0.2)
    lacking = limit - likeness - _TURNING * np.abs(yaw - np.median(yaw[~bad]))
    covered: np.ndarray = ~bad & _with_hysteresis(lacking, 0.0, -0.06)
    return covered
