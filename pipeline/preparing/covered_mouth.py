"""Detects a covered mouth; the mesh has a mouth also in a mask, a microphone or a subtitle.

The area between nose and chin is unrolled along the mesh's own curves, so that every mouth looks alike: skin, a lip, a
line or an opening, a lip, skin. A forest of decision trees classifies its statistics (how light and red each part is
relative to the cheeks, how lips and line stand out, the direction of edges). It was trained on some forty portraits
with and without drawn covers (masks, scarves, microphones, hands, cups, text) and with beards, make-up, glasses, shade,
noise and blur, which cover nothing.

The portraits may not be passed on, so there is no script that trains the forest again: ``covered_mouth.npz`` is all
that this repository has of it, and ``tests/test_covered_mouth.py`` checks it on other faces.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.face.finder import box_of
from pipeline.video.frame import Frame

_CURVES = (
    (216, 206, 203, 98, 97, 2, 326, 327, 423, 426, 436),
    (186, 92, 165, 167, 164, 393, 391, 322, 410),
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
    (77, 90, 180, 85, 16, 315, 404, 320, 307),
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    (43, 106, 182, 83, 18, 313, 406, 335, 273),
    (204, 194, 201, 200, 421, 418, 424),
)
"""Points of the mesh along the base of the nose, the philtrum, the edges and middles of the lips, and the chin."""
_HEIGHTS = (0, 5, 9, 11, 14, 15, 18, 21, 25, 31)
"""Rows of the chart for the curves."""
_SIDE = 32
_CHEEKS = (50, 101, 36, 205, 118, 280, 330, 266, 425, 347, 9, 151, 108, 337)
"""Points on cheeks and forehead, whose skin is the reference."""
_FOREST = Path(__file__).with_name("covered_mouth.npz")


def mouth_score(frame: Frame, points: np.ndarray) -> float:
    """Return the log-odds that a mouth is visible; below 0, rather not.

    Args:
        frame: The picture.
        points: (478, 3) pixels.
    """
    seen = float(np.clip(_forest_answer(mouth_statistics(frame, points)), 1e-3, 1 - 1e-3))
    return float(np.log(seen / (1 - seen)))


def mouth_statistics(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Return the input of the forest, (28,) float32."""
    picture, points = _face(frame, points)
    size = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    picture = cv2.GaussianBlur(picture, (0, 0), max(0.3, size / 110)).astype(np.float32) / 255
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    across = np.clip(points[list(_CHEEKS), :2], 0, np.array(lab.shape[1::-1]) - 1).astype(int)
    skin = np.median(lab[across[:, 1], across[:, 0]], axis=0)
    flat = _chart(lab, points)
    light = flat[..., 0] / max(12.0, float(skin[0]))
    red, yellow = flat[..., 1], flat[..., 2]
    middle = slice(5, 27)
    chroma = float(np.hypot(skin[1], skin[2]))

    def tint(rows: slice) -> float:
        apart = np.hypot(red[rows, middle].mean() - skin[1], yellow[rows, middle].mean() - skin[2])
        return float(apart) / (chroma + 6)

    philtrum, lips, chin = slice(3, 7), slice(10, 20), slice(26, 31)
    line = light[12:18, middle]
    beside = np.minimum(light[9:12, middle].mean(0), light[18:21, middle].mean(0))
    around = (red[4:7, middle].mean() + red[26:30, middle].mean()) / 2
    aside, down = (float(np.abs(np.diff(light, axis=axis))[8:24].mean()) for axis in (1, 0))
    rest = light[:, middle] - light[:, middle].mean()
    own = light - light.mean()
    return np.array(
        [
            np.median(beside - line.min(0)),
            np.abs(np.diff(line.argmin(0))).mean(),
            red[lips, middle].mean() - around,
            red[lips, middle].mean() - skin[1],
            tint(slice(25, 31)),
            tint(philtrum),
            tint(lips),
            abs(light[8:22, [2, 3, 4, 27, 28, 29]].mean() - 1),
            np.log((aside + 0.004) / (down + 0.004)),
            np.log(aside + 0.004),
            np.log(down + 0.004),
            (rest.mean(1) ** 2).mean() / ((rest**2).mean() + 2e-4),
            ((light - light[:, ::-1]) ** 2).mean() / max(1e-4, float((own**2).mean())),
            light[8:24].max(),
            light[8:24].min(),
            *(light[rows, middle].mean() for rows in (philtrum, lips, chin)),
            *(np.log(light[rows, middle].std() + 0.01) for rows in (philtrum, lips, chin)),
            *(yellow[rows, middle].mean() - skin[2] for rows in (philtrum, lips, chin)),
            skin[0],
            chroma,
            abs(light[philtrum, middle].mean() - light[chin, middle].mean()),
            light[5:9].mean() - light[10:13].mean(),
        ],
        np.float32,
    )


def _face(frame: Frame, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a frame around the face, RGB, about 240 pixels across a face, and its points."""
    box = box_of(points)
    scale = min(1.0, 240 / box.width)
    picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
    left, top = max(0, int(box.x - 0.2 * box.width)), max(0, int(box.y - 0.2 * box.height))
    part: np.ndarray = picture[top : int(box.y + 1.2 * box.height), left : int(box.x + 1.2 * box.width)]
    moved: np.ndarray = points - np.array([left, top, 0], np.float32)
    if scale < 1:
        part, moved = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), moved * scale
    return part, moved


def _chart(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the area between nose and chin of a picture, unrolled, (32, 32, 3)."""
    curves = np.zeros((len(_CURVES), _SIDE, 2), np.float32)
    for curve, numbers in zip(curves, _CURVES, strict=True):
        line = points[list(numbers), :2]
        along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
        at = np.linspace(0, along[-1], _SIDE)
        curve[:] = np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], axis=1)
    rows = np.arange(_SIDE)
    where = np.stack([[np.interp(rows, _HEIGHTS, curves[:, x, k]) for x in range(_SIDE)] for k in (0, 1)])
    x, y = where.transpose(0, 2, 1).astype(np.float32)
    flat: np.ndarray = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return flat


@cache
def _forest() -> dict[str, np.ndarray]:
    """Return the trees: the statistic, limit, two successors, and answer of each node."""
    with np.load(_FOREST) as stored:
        return {name: stored[name] for name in stored.files}


def _forest_answer(statistics: np.ndarray) -> float:
    """Return the mean answer of the trees, 0..1."""
    trees = _forest()
    at = trees["roots"]
    while (inner := trees["left"][at] >= 0).any():
        below = statistics[trees["asks"][at]] <= trees["limit"][at]
        at = np.where(inner, np.where(below, trees["left"][at], trees["right"][at]), at)
    return float(trees["answer"][at].mean())
