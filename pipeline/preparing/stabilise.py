"""Stabilises face points: Face Mesh trembles by half a pixel, which is visible on a still mouth.

The head's movement from frame to frame is measured in the picture itself (Lucas-Kanade flow of skin features, an affine
fit), ten times as exactly as by the mesh. It carries the points into the first frame, where the head stands nearly
still and can be smoothed over a long time without lag, and back.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.face.basis import OVAL, STILL, lid_reach, mouth_reach

HEAD_SECONDS = 0.16
"""Width (sigma) of the smoothing of points that only move with the head."""
MOUTH_SECONDS = 0.03
"""Width (sigma) of the smoothing of lids, and of lips and jaw while they speak: short, or closures would be lost."""
_FEATURES = 150
_ENOUGH = 12
_EYES = ((70, 63, 105, 66, 107, 133, 145, 33), (336, 296, 334, 293, 300, 263, 374, 362))
_MOUTH = (164, 206, 57, 43, 106, 182, 83, 18, 313, 406, 335, 273, 287, 426)
_ABOVE_CHEEKS = (103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356, 454, 234, 127, 162, 21, 54)
_OPEN_GAP = 0.03
"""Lips further apart than this, in distances between the outer corners of the eyes, may be speaking."""
_IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class HeadMotion:
    """Measures how the head moves from one frame to the next."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def step(self, luma: np.ndarray, points: np.ndarray | None) -> np.ndarray:
        """Return the affine movement (2, 3) of the head since the last frame with a face, in pixels.

        Args:
            luma: (height, width) uint8.
            points: This frame's (478, 3), or None without a face (no movement then).
        """
        if points is None:
            return _IDENTITY.copy()
        last, self._last = self._last, (luma, points)
        if last is None:
            return _IDENTITY.copy()
        coarse, _ = cv2.estimateAffinePartial2D(last[1][list(STILL), :2], points[list(STILL), :2], method=cv2.LMEDS)
        fine = _flow(last[0], luma, last[1])
        if fine is not None and (coarse is None or _far(fine, coarse, last[1]) < 0.05):
            return fine
        return _IDENTITY.copy() if coarse is None else np.asarray(coarse)


def _far(one: np.ndarray, other: np.ndarray, points: np.ndarray) -> float:
    """Return how far two movements of points disagree, in face widths."""
    flat = points[list(STILL), :2]
    apart = flat @ (one - other)[:, :2].T + (one - other)[:, 2]
    return float(np.abs(apart).max() / np.ptp(points[:, 0]))


def _flow(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """Fit an affine movement to the skin of the face in two frames; None if too few features are found."""
    (left, top), (right, bottom) = points[:, :2].min(0), points[:, :2].max(0)
    margin = 0.15 * (right - left)
    x0, y0 = (max(0, int(edge - margin)) for edge in (left, top))
    x1, y1 = int(right + margin), int(bottom + margin)
    one, two = (np.ascontiguousarray(picture[y0:y1, x0:x1]) for picture in (before, after))
    if min(one.shape) < 16:
        return None
    mask, flat = np.zeros_like(one), np.round(points[:, :2] - (x0, y0)).astype(np.int32)
    cv2.fillConvexPoly(mask, flat[list(OVAL)], 255)
    # lids blink and brows rise; closed lips are the best skin to follow
    gap = np.linalg.norm(points[13] - points[14]) / np.linalg.norm(points[33] - points[263])
    for part in (*_EYES, _MOUTH) if gap > _OPEN_GAP else (*_EYES, _ABOVE_CHEEKS):
        cv2.fillConvexPoly(mask, cv2.convexHull(flat[list(part)]), 0)
    apart = max(2.0, (right - left) / 60)
    features = cv2.goodFeaturesToTrack(one, _FEATURES, 0.005, apart, mask=mask)
    if features is None or len(features) < _ENOUGH:
        return None
    window = (15, 15)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(one, two, features, None, winSize=window, maxLevel=3)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(two, one, moved, None, winSize=window, maxLevel=3)
    good = (found & found_back)[:, 0].astype(bool) & (np.abs(back - features).max((1, 2)) < 0.3)
    if good.sum() < _ENOUGH:
        return None
    fit, inliers = cv2.estimateAffine2D(features[good], moved[good], method=cv2.RANSAC, ransacReprojThreshold=0.7)
    if fit is None or inliers.sum() < max(_ENOUGH, 0.4 * good.sum()):
        return None
    fit[:, 2] += np.array([x0, y0]) - fit[:, :2] @ np.array([x0, y0])
    return np.asarray(fit)


def stabilise(points: np.ndarray, motion: np.ndarray, fps: float) -> np.ndarray:
    """Smooth points over time, without lag.

    Points that only move with the head are smoothed over a long time, lids and a moving mouth hardly at all.

    Args:
        points: (frames, 478, 3) in pixels.
        motion: (frames, 2, 3), each frame's movement since the one before.
        fps: Frames per second.

    Returns:
        (frames, 478, 3) float32.
    """
    there = _chain(motion)
    back = np.linalg.inv(there)
    still = points.astype(np.float64)
    still[..., :2] = _carry(back, still[..., :2])
    head = gaussian_filter1d(still, HEAD_SECONDS * fps, axis=0, mode="nearest")
    own = gaussian_filter1d(still, MOUTH_SECONDS * fps, axis=0, mode="nearest")
    weight = np.maximum(lid_reach()[None], mouth_activity(points, fps)[:, None] * mouth_reach()[None])[..., None]
    out: np.ndarray = head * (1 - weight) + own * weight
    out[..., :2] = _carry(there, out[..., :2])
    smooth: np.ndarray = out.astype(np.float32)
    return smooth


def mouth_activity(points: np.ndarray, fps: float) -> np.ndarray:
    """Return whether the mouth moves by itself, (frames,) from 0 (still) to 1.

    It does if its height and width vary within a few frames by more than the mesh's trembling.
    """
    eyes = np.linalg.norm(points[:, 33] - points[:, 263], axis=1)
    activity = np.zeros(len(points))
    for one, other, tremble in ((13, 14, 0.006), (61, 291, 0.012)):
        size = gaussian_filter1d(np.linalg.norm(points[:, one] - points[:, other], axis=1) / eyes, 0.03 * fps)
        near = gaussian_filter1d(size, 0.12 * fps)
        vary = np.sqrt(gaussian_filter1d((size - near) ** 2, 0.12 * fps))
        activity = np.maximum(activity, np.clip((vary - tremble) / tremble, 0, 1))
    smooth: np.ndarray = gaussian_filter1d(activity, 0.06 * fps)
    return smooth


def _chain(motion: np.ndarray) -> np.ndarray:
    """Return (frames, 3, 3): the movement from the first frame to each."""
    steps = np.tile(np.eye(3), (len(motion), 1, 1))
    steps[:, :2] = motion
    steps[0] = np.eye(3)
    for number in range(1, len(steps)):
        steps[number] = steps[number] @ steps[number - 1]
    return steps


def _carry(movement: np.ndarray, flat: np.ndarray) -> np.ndarray:
    moved: np.ndarray = np.einsum("tij,tpj->tpi", movement[:, :2, :2], flat) + movement[:, None, :2, 2]
    return moved
