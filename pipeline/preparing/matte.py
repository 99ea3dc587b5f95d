"""Separates the person in a photo from what is behind them, and fills in what they hide."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.face.basis import OVAL
from pipeline.face.finder import box_of
from pipeline.face.networks import PersonSegmenter

_REACH = 2.2
"""Half the side of the square in which the person is sought, in heights of the face: the network sees few pixels."""
_FINE = 0.02, 0.0004
"""Radius of the guided filter in heights of the face, and the variance (0..1) below which it smooths."""
_SURE = 0.5
"""Pixels from this share on belong to the person."""


def person_matte(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how far each pixel belongs to the person with a face, (height, width) float32, 0..1.

    The edge of the network's coarse answer follows the picture's own edges (guided filter, He et al. 2013). Other
    people and things are left out.

    Args:
        photo: (height, width, 3) uint8 RGB.
        points: (478, 3) pixels of the face.
    """
    face = box_of(points)
    middle = np.array(face.center) + np.array([0, 0.35 * face.height])
    reach = _REACH * max(face.height, face.width)
    x0, y0 = np.floor(middle - reach).astype(int).clip(0)
    x1, y1 = np.ceil(middle + reach).astype(int)
    part = photo[y0:y1, x0:x1]
    matte = np.zeros(photo.shape[:2], np.float32)
    matte[y0:y1, x0:x1] = PersonSegmenter().find(part)
    if y1 < len(matte) - 1:  # the body goes on below the square
        matte[y1:, x0:x1] = matte[y1 - 1, x0:x1]
    oval = [np.round(points[list(OVAL), :2]).astype(np.int32)]
    cv2.fillPoly(matte, oval, 1.0)  # also where the network found no person
    fine = _guided(photo, matte, max(2, round(_FINE[0] * face.height)))
    cv2.fillPoly(fine, oval, 1.0)
    return of_face(fine, points)


def _guided(photo: np.ndarray, matte: np.ndarray, radius: int) -> np.ndarray:
    """Return a matte whose edges are those of the picture."""
    guide = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(values, size))

    of_guide, of_matte = mean(guide), mean(matte)
    slope = (mean(guide * matte) - of_guide * of_matte) / (mean(guide * guide) - of_guide**2 + _FINE[1])
    offset = of_matte - slope * of_guide
    fine: np.ndarray = (mean(slope) * guide + mean(offset)).clip(0, 1)
    return fine


def of_face(matte: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return a matte of the part that hangs together with the face."""
    _, parts = cv2.connectedComponents((matte >= _SURE).astype(np.uint8))
    x, y = np.round(points[4, :2]).astype(int)
    own = parts == parts[min(max(y, 0), len(parts) - 1), min(max(x, 0), parts.shape[1] - 1)]
    near = cv2.dilate(own.astype(np.uint8), None, iterations=max(2, round(0.03 * float(np.ptp(points[:, 0])))))
    kept: np.ndarray = matte * near
    return kept


def without_person(photo: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Return a photo (height, width, 3 uint8) whose background goes on where the person is.

    What lies near the edge is as it would be; further inside it only gets softer (pyramid of Gortler et al. 1996,
    "pull-push"), which a person who moves by a few pixels never uncovers.

    Args:
        photo: (height, width, 3) uint8.
        matte: (height, width) share of the person, 0..1.
    """
    near = cv2.dilate((matte > 0.02).astype(np.uint8), np.ones((5, 5), np.uint8))
    known = (1.0 - near).astype(np.float32)
    filled = _filled(photo.astype(np.float32), known)
    plain: np.ndarray = np.where(near[..., None] > 0, np.round(filled), photo).astype(np.uint8)
    return plain


def _filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return values (h, w, n) whose unknown pixels continue the known ones ((h, w), 0..1)."""
    height, width = known.shape
    if min(height, width) <= 2 or known.min() > 0:
        total = max(float(known.sum()), 1e-6)
        mean = (values * known[..., None]).sum((0, 1)) / total
        return np.asarray(np.where(known[..., None] > 0, values, mean), np.float32)
    size = (width + 1) // 2, (height + 1) // 2
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(values * known[..., None], size, interpolation=cv2.INTER_AREA)
    coarse = _filled(small / np.maximum(share, 1e-6)[..., None], (share > 0.01).astype(np.float32))
    behind = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    mixed: np.ndarray = values * known[..., None] + behind * (1 - known[..., None])
    return mixed
