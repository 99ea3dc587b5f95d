"""Measures white in a clip's light by the white of the eyes, for teeth that the clip does not show.

Skin alone does not suffice: the same picture is dark skin in good light, or light skin in poor light, and the colour of
a lamp cannot be separated from the skin's own.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.avatars.avatar import Teeth
from pipeline.engines.mesh.interior import BRIGHTEST_WHITE, light_of, teeth_white
from pipeline.face.eyes import IRISES, OUTLINES
from pipeline.preparing.footage import Footage
from pipeline.preparing.own_teeth import place_of_teeth
from pipeline.preparing.person import Person
from pipeline.video.frame import Frame

USUAL = 0.835
"""Brightness of drawn teeth without other information, a share of ``teeth_white``; they are never darker."""
BESIDE_EYES = 1.2
"""Least ratio of teeth to the white of the eyes, which lids shade. Clips that show both: 1.3 to 1.5."""
FRAMES = 24
"""Frames that are measured, spread over the clip."""
FEWEST = 3
"""Eyes whose white must be visible."""
_OPEN = 0.2
"""Least height of an open eye, as a share of its width."""
_RIM, _AROUND_IRIS = 0.06, 1.15
"""Margin beside the lids, as a share of the eye's width, and around the iris, of its radius.

Lashes and blurred edges.
"""
_FEWEST_PIXELS = 24
_BRIGHTER = 60
"""Percentile from which an eye's white counts: corners and places that lids shade are darker."""


def teeth_by_eyes(footage: Footage, person: Person) -> Teeth | None:
    """Return the brightness and colour of a person's teeth; None if no white is visible."""
    usable = np.flatnonzero(person.findings.usable)
    whites, seen = [], []
    for number in usable[np.linspace(0, len(usable) - 1, min(FRAMES, len(usable))).astype(int)]:
        frame, points = footage.frame(number), person.landmarks[number][:, :2]
        whites.append(teeth_white(light_of(frame, points)) - 16)
        for lids, iris in zip(OUTLINES, IRISES, strict=True):
            white = _white(frame, points[list(lids)], points[iris], points[iris + 1 : iris + 5])
            if white is not None:
                seen.append(white)
    if len(seen) < FEWEST:
        return None
    luma, u, v = np.median(seen, axis=0)
    usual = float(np.median(whites))
    brightest = (BRIGHTEST_WHITE - 16) / usual
    bright = min(max(USUAL, BESIDE_EYES * float(luma - 16) / usual), brightest)
    return Teeth(bright, np.array([u, v], np.float32), None, place_of_teeth())


def _white(frame: Frame, lids: np.ndarray, pupil: np.ndarray, iris: np.ndarray) -> np.ndarray | None:
    """Return Y, and U and V as offsets from grey, (3,), of the white of an eye; None if it is closed or too small.

    Args:
        frame: The picture.
        lids: (n, 2) pixels.
        pupil: (2,) pixels.
        iris: (n, 2) pixels.
    """
    width = float(np.linalg.norm(lids[0] - lids[8]))
    if np.linalg.norm(lids[4] - lids[12]) < _OPEN * width:
        return None
    corners = np.array([np.floor(lids.min(0)) - 1, np.ceil(lids.max(0)) + 2]).astype(int).clip(0)
    (left, top), (right, bottom) = corners.tolist()
    part = frame.y[top:bottom, left:right]
    if not part.size:
        return None
    eye = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(eye, [np.round((lids - corners[0]) * 16).astype(np.int32)], 1, shift=4)
    rim = max(1, round(_RIM * width))
    eye = cv2.erode(eye, np.ones((rim, rim), np.uint8))
    radius = _AROUND_IRIS * float(np.linalg.norm(iris - pupil, axis=1).mean())
    x, y = (round(float(middle)) for middle in pupil)
    cv2.circle(eye, (x - left, y - top), int(np.ceil(radius)), 0, -1)
    rows, columns = np.nonzero(eye)
    if len(rows) < _FEWEST_PIXELS:
        return None
    luma = part[rows, columns].astype(np.float32)
    u, v = (plane[(rows + top) // 2, (columns + left) // 2].astype(np.float32) - 128 for plane in frame.uv)
    bright = luma >= np.percentile(luma, _BRIGHTER)
    return np.array([np.median(channel[bright]) for channel in (luma, u, v)])
