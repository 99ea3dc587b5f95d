"""Measures how soft the picture of a clip is, so that nothing crisper is drawn into it.

An enlarged picture, a lens out of focus and heavy compression leave wide edges. Their width shows when they are blurred
a little more: a crisp edge then loses much of its slope, a soft one hardly any (Zhuo & Sim 2011, "Defocus map
estimation from a single image").
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.face.basis import head_pose
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person

MOST = 0.03
"""Units of the face basis; the edges of softer faces are too faint to measure."""
FRAMES = 9
"""Frames that are measured, spread over the clip."""
_CRISP = 1.0
"""Width (sigma, pixels) of edges in a crisp picture at the working size.

Lids, nostrils and lips are not perfectly sharp.
"""
_REBLURRED, _NOISE = 1.5, 0.5
"""Blur (sigma, pixels) that edges are tested with; blur that removes noise first."""
_STRONGEST, _NARROWEST = 98, 20
"""Percentile of slopes that count as edges.

Percentile of the edges' widths that counts, since shadows are soft, too.
"""


def softness_of(footage: Footage, person: Person) -> float:
    """Return how much softer (sigma, units of the face basis, 0..`MOST`) a person is than in a crisp picture."""
    usable = np.flatnonzero(person.findings.usable)
    numbers = usable[np.linspace(0, len(usable) - 1, min(FRAMES, len(usable))).astype(int)]
    widths = [_width(footage.frame(number).y, person.landmarks[number][:, :2]) for number in numbers]
    beyond = np.sqrt(max(float(np.median(widths)) ** 2 - _CRISP**2, 0.0))
    return min(float(beyond / np.median(head_pose(person.landmarks[numbers]).scale)), MOST)


def _width(luma: np.ndarray, points: np.ndarray) -> float:
    """Return the width (sigma, pixels) of the edges of a face; `_CRISP` if it is not visible."""
    (left, top), (right, bottom) = points.min(0).astype(int).clip(0), points.max(0).astype(int)
    face = luma[top:bottom, left:right].astype(np.float32)
    if min(face.shape) < 8:
        return _CRISP
    face = cv2.GaussianBlur(face, (0, 0), _NOISE)
    before, after = _slope(face), _slope(cv2.GaussianBlur(face, (0, 0), _REBLURRED))
    edges = before >= max(float(np.percentile(before, _STRONGEST)), 1.0)
    if not edges.any():
        return _CRISP
    loss = before[edges] / np.maximum(after[edges], 1e-3)
    return float(np.percentile(_REBLURRED / np.sqrt(np.maximum(loss**2 - 1, 1e-2)), _NARROWEST))


def _slope(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.magnitude(cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1)))
