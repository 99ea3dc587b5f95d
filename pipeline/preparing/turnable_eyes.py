"""Measures where the eyes of a person look, and in which frames they could be turned to the camera."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter, minimum_filter1d

from pipeline.face.eyes import IRISES, LOWER_LIDS, OUTLINES, UPPER_LIDS
from pipeline.face.gaze import gaze
from pipeline.face.smooth_step import smooth_step
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person

FULLY, NOT_AT_ALL = 11.0, 17.0
"""Degrees up to which eyes are turned all the way, and from which they are left alone."""
NEAR, PAST = 5.0, 7.0
"""Degrees up to which eyes look at the camera as far as can be measured, and from which they do not.

Rendered people who look into the camera are measured up to 5 degrees beside it, mostly below; and eyes that look a few
degrees past somebody still seem to meet theirs (Gamer & Hecht 2007, "Are you looking at me? Measuring the cone of
gaze").
"""
HEAD_FULLY, HEAD_NOT_AT_ALL = 20.0, 30.0
"""The same for the head, which hides a part of the farther eye."""
OPEN, NARROW = 0.75, 0.55
"""Openings of an eye in its usual ones above which it can be turned, and below which it is shutting."""
LEAST_OPEN = 0.7
"""The same in radii of its iris: smaller ones show no direction."""
SMALLEST = 4.0
"""Radius of an iris in pixels at the working size."""
CONTRAST = 12.0
"""By how much the white of an eye is brighter than its iris at least: behind dark or mirroring glasses it is not."""
GLARE, GLARING = 235, 0.03
"""Luma of what glares, and its share of an eye and what lies around it: a glint on the iris is smaller."""
GLANCE_SECONDS = 0.3
"""Shorter movements are the eye's own: they stay, or the person would stare."""
FADE_SECONDS = 0.1
"""Width (sigma) with which the eyes turn at the borders of what is safe."""
SAFE_SECONDS = 0.6
"""Less is not worth it: the eyes would come and go."""
_TREMBLE_SECONDS = 0.04


def find_gaze(footage: Footage, person: Person) -> np.ndarray | None:
    """Return where the eyes look in each frame, and how far they are to be turned to the camera.

    Args:
        footage: The frames.
        person: Their points.

    Returns:
        (frames, 3) float32: degrees past the camera to the right and down in the picture, and 0..1, which rises and
        falls smoothly, 0 where they look at it already; None if they can be turned nowhere.
    """
    fps, points = float(footage.fps), person.landmarks
    opening, radius = _openings(points)
    awake = person.findings.usable & (opening > NARROW).all(1)
    if not awake.any() or float(np.median(radius)) < SMALLEST:
        return None
    numbers, known = np.arange(len(points)), np.flatnonzero(awake)
    looks = np.stack([np.interp(numbers, known, one[known]) for one in gaze(points).T], axis=1)
    width = 1 + 2 * round(GLANCE_SECONDS * fps / 2)
    held = np.stack([median_filter(one, width, mode="nearest") for one in looks.T], axis=1)
    held = gaussian_filter1d(held, _TREMBLE_SECONDS * fps, axis=0, mode="nearest")
    seen = median_filter(_seen(footage, points, awake).astype(np.uint8), width, mode="nearest") > 0
    around = 1 + 2 * round(2 * FADE_SECONDS * fps)
    far = maximum_filter1d(np.maximum(np.hypot(*held.T), np.hypot(*looks.T)), around, mode="nearest")
    share = smooth_step((NOT_AT_ALL - far) / (NOT_AT_ALL - FULLY))
    yaw = maximum_filter1d(np.abs(person.findings.yaw), around, mode="nearest")
    share *= smooth_step((HEAD_NOT_AT_ALL - yaw) / (HEAD_NOT_AT_ALL - HEAD_FULLY))
    share *= minimum_filter1d((person.findings.usable & seen).astype(float), around, mode="nearest")
    share = gaussian_filter1d(_lasting(share, SAFE_SECONDS * fps), FADE_SECONDS * fps, mode="nearest")
    shutting = smooth_step((opening.min(1) - NARROW) / (OPEN - NARROW))  # as fast as lids, which hide it
    share *= minimum_filter1d(shutting, 3, mode="nearest")
    share[~person.findings.usable] = 0
    if share.max() < 0.5:
        return None
    past = gaussian_filter1d(np.hypot(*held.T), FADE_SECONDS * fps, mode="nearest")
    share *= smooth_step((past - NEAR) / (PAST - NEAR))
    return np.column_stack([held, share]).astype(np.float32)


def _openings(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each eye is open, (frames, 2), in its usual openings, and the radius of an iris, (frames,)."""
    openings, radii = [], []
    for upper, lower, iris in zip(UPPER_LIDS, LOWER_LIDS, IRISES, strict=True):
        radius = np.linalg.norm(points[:, iris + 1 : iris + 5, :2] - points[:, iris : iris + 1, :2], axis=2).mean(1)
        apart = points[:, upper[3:6], :2] - points[:, lower[3:6], :2]
        opening = np.linalg.norm(apart, axis=2).mean(1)
        usual = max(float(np.median(opening)), LEAST_OPEN * float(np.median(radius)))
        openings.append(opening / max(usual, 1e-6))
        radii.append(radius)
    return np.stack(openings, axis=1), np.mean(radii, axis=0)


def _seen(footage: Footage, points: np.ndarray, awake: np.ndarray) -> np.ndarray:
    """Return in which frames both irises stand out from the white around them, and nothing glares, (frames,)."""
    seen = np.zeros(len(points), bool)
    for number in np.flatnonzero(awake).tolist():
        luma = np.asarray(footage.frames[number])
        seen[number] = all(_clear(luma[: len(luma) * 2 // 3], points[number, :, :2], eye) for eye in range(2))
    return seen


def _clear(luma: np.ndarray, points: np.ndarray, eye: int) -> bool:
    """Return whether the iris of an eye is seen in a picture ((h, w) uint8) with its points ((478, 2) pixels)."""
    lids, iris = points[list(OUTLINES[eye])], points[IRISES[eye]]
    radius = float(np.linalg.norm(points[IRISES[eye] + 1 : IRISES[eye] + 5] - iris, axis=1).mean())
    (x0, y0), (x1, y1) = np.floor(lids.min(0) - radius).astype(int), np.ceil(lids.max(0) + radius).astype(int) + 1
    if x0 < 0 or y0 < 0 or x1 > luma.shape[1] or y1 > luma.shape[0]:
        return False
    part, opening = luma[y0:y1, x0:x1], np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(opening, [np.round(lids - (x0, y0)).astype(np.int32)], 1)
    down, across = np.ogrid[y0:y1, x0:x1]
    away = np.hypot(across - iris[0], down - iris[1]) / radius
    inner, white = part[(opening > 0) & (away < 0.8)], part[(opening > 0) & (away > 1.15)]
    if len(inner) < 8 or len(white) < 8 or (part >= GLARE).mean() > GLARING:
        return False
    return float(np.percentile(white, 70) - np.median(inner)) >= CONTRAST


def _lasting(share: np.ndarray, shortest: float) -> np.ndarray:
    """Return a share without the stretches in which it is high for less than some frames."""
    out = share.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (share > 0.5).astype(np.int8), [0]]))).reshape(-1, 2)
    high = [(start, stop) for start, stop in edges if stop - start >= shortest]
    keep = np.zeros(len(share), bool)
    for start, stop in high:
        while start > 0 and share[start - 1] > 0:
            start -= 1
        while stop < len(share) and share[stop] > 0:
            stop += 1
        keep[start:stop] = True
    out[~keep] = 0
    return out
