"""MediaPipe's face detectors, its mesh of 478 points and its segmentation of people, run by OpenCV.

`models/` has the networks of MediaPipe 0.10.21 (Apache-2.0), converted to ONNX. The steps before and after each
network are those of MediaPipe's graphs, so the points are the same but for rounding: 0.04 % of the distance between the
eyes (Kartynnik et al. 2019, arXiv 1907.06724; Grishchenko et al. 2020, arXiv 2006.10962; Bazarevsky et al. 2019, arXiv
1907.05047).

The mesh comes in two parts: the first finds 468 points and a map of features; the second solves lips, eyes and irises
again, each from its own upright crop of that map. The crops are made here, since OpenCV 4 has no layer for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

_MODELS = Path(__file__).with_name("models")

MESH_POINTS = 468
"""Points before the irises, of which each eye has five."""
_MESH_SIDE = 192
"""Pixels of the square in which the mesh is solved."""
_MARGIN = 1.5
"""Side of that square, and of a crop of features, relative to the size of its content."""
_MAP_CELL = 4
"""Pixels of the mesh's square that one cell of the map of features covers."""
_PERSON_SIDE = 256
"""Pixels of the square in which people are separated from the background."""
_CROP_CELLS = 16
"""Side of a crop of features, in cells; the second part returns points in quarters of a cell."""
_SAME_FACE = 0.3
"""Least overlap (intersection over union) of two boxes that are the same face."""


@dataclass(frozen=True)
class _Region:
    """A part of the face that is solved a second time.

    Attributes:
        indices: Its points in the mesh, in the network's order.
        axis: The two points, left to right, that are level in the crop.
    """

    indices: np.ndarray
    axis: tuple[int, int]


class FaceDetector:
    """Finds faces. One object serves one thread.

    Args:
        near: Look for faces that fill much of the picture; otherwise small ones are found, too.
        threshold: The lowest score of a face, 0..1.
    """

    def __init__(self, *, near: bool, threshold: float = 0.5) -> None:
        name, self._size, layers = _NEAR if near else _FAR
        self._network = cv2.dnn.readNetFromONNX(str(_MODELS / name))
        self._threshold = threshold
        self._cells = np.concatenate([_cell_centers(across, boxes) for across, boxes in layers])

    def find(self, picture: np.ndarray) -> np.ndarray:
        """Return the faces of a picture, best first.

        Args:
            picture: (height, width, 3) uint8 RGB.

        Returns:
            (faces, 17) float32: left, top, right, bottom, x and y of six points of the face (the eyes first), all in
                pixels, and the score, 0..1.
        """
        height, width = picture.shape[:2]
        side = max(height, width)
        square = _Square(width / 2, height / 2, side).cut(picture, self._size, cv2.BORDER_CONSTANT)
        boxes, scores = _run(self._network, square, ("boxes", "scores"), scale=2 / 255, shift=-1.0)
        scores = 1 / (1 + np.exp(-np.clip(scores.reshape(-1), -80, 80)))
        sure = scores >= self._threshold
        raw, cells = boxes.reshape(-1, 8, 2)[sure] / self._size, self._cells[sure, None]
        middle, half = raw[:, :1] + cells, raw[:, 1:2] / 2  # each box: middle, size, six points, seen from its cell
        corners = np.concatenate([middle - half, middle + half, raw[:, 2:] + cells], axis=1) * side
        return _merge(corners + np.array([width - side, height - side]) / 2, scores[sure])


class FaceMesh:
    """Solves one face's 478 points and follows it from picture to picture. One object serves one thread."""

    def __init__(self) -> None:
        self._backbone = cv2.dnn.readNetFromONNX(str(_MODELS / "backbone.onnx"))
        self._heads = cv2.dnn.readNetFromONNX(str(_MODELS / "heads.onnx"))
        self._detector = FaceDetector(near=True)
        self._followed: _Square | None = None

    def find(self, picture: np.ndarray) -> np.ndarray | None:
        """Return the points of the face in a picture, or None if there is no face.

        Args:
            picture: (height, width, 3) uint8 RGB.

        Returns:
            (478, 3) float32: x right, y down, z away from the viewer, in pixels.
        """
        square, self._followed = self._followed, None
        if square is None:
            faces = self._detector.find(picture)
            if not len(faces):
                return None
            corners, eyes = faces[0, :4].reshape(2, 2), faces[0, 4:8].reshape(2, 2)
            square = _Square.around(corners, eyes)
        points = self._solve(square.cut(picture, _MESH_SIDE, cv2.BORDER_REPLICATE))
        if points is None:
            return None
        points = square.place(points, _MESH_SIDE)
        self._followed = _Square.around(points[:, :2], points[[33, 263], :2])  # the eyes' outer corners
        return points

    def _solve(self, square: np.ndarray) -> np.ndarray | None:
        """Return the points in a (192, 192, 3) picture, (478, 3) float32 pixels, or None if it shows no face."""
        features, mesh, score = _run(self._backbone, square, ("t35", "t186", "t710"), scale=1 / 255, shift=0.0)
        if score.item() <= 0:
            return None
        mesh = mesh.reshape(MESH_POINTS, 3)
        regions = _regions()
        frames = [_level_frame(mesh[region.indices, :2], mesh[list(region.axis), :2]) for region in regions]
        padded = np.pad(features[0], ((0, 0), (1, 1), (1, 1)))
        for name, frame in zip(("t199", "t200", "t201"), frames, strict=True):
            self._heads.setInput(_sample(padded, frame)[None], name)
        outputs = self._heads.forward(["t684", "t687", "t693", "t690", "t696"])
        lips, left, right, left_iris, right_iris = (found.reshape(-1, 2) for found in outputs)

        points = np.empty((MESH_POINTS + 10, 3), np.float32)
        points[:MESH_POINTS] = mesh
        for region, found, frame in zip(regions, (lips, left, right), frames, strict=True):
            points[region.indices, :2] = _from_frame(found, frame)
        for start, found, frame, region in (
            (MESH_POINTS, left_iris, frames[1], regions[1]),
            (MESH_POINTS + 5, right_iris, frames[2], regions[2]),
        ):
            points[start : start + 5, :2] = _from_frame(found, frame)
            points[start : start + 5, 2] = mesh[region.indices[:16], 2].mean()  # as deep as the eye's rim
        return points


class PersonSegmenter:
    """Separates people from what is behind them."""

    def __init__(self) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(_MODELS / "person.onnx"))

    def find(self, picture: np.ndarray) -> np.ndarray:
        """Return how surely each pixel belongs to a person, (height, width) float32, 0..1.

        The network sees 256 x 256 pixels, whatever the size of the picture: cut it to the person first.

        Args:
            picture: (height, width, 3) uint8 RGB.
        """
        height, width = picture.shape[:2]
        how = cv2.INTER_AREA if min(height, width) > _PERSON_SIDE else cv2.INTER_LINEAR
        small = cv2.resize(picture, (_PERSON_SIDE, _PERSON_SIDE), interpolation=how)
        (person,) = _run(self._network, small, ("person",), scale=1 / 255, shift=0.0)
        matte: np.ndarray = cv2.resize(person[0, 0], (width, height), interpolation=cv2.INTER_LINEAR)
        return matte.clip(0, 1)


@dataclass(frozen=True)
class _Square:
    """A rotated square of a picture: its middle and side in pixels, its angle in radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, points: np.ndarray, eyes: np.ndarray) -> _Square:
        """Return the square around points ((n, 2) pixels) with some margin, level with the line between the eyes."""
        low, high = points.min(0), points.max(0)
        x, y = (low + high) / 2
        across, down = eyes[1] - eyes[0]
        return cls(float(x), float(y), _MARGIN * float((high - low).max()), math.atan2(down, across))

    def cut(self, picture: np.ndarray, size: int, border: int) -> np.ndarray:
        """Return this square of a picture, (size, size, 3) uint8."""
        corners = cv2.boxPoints(((self.x, self.y), (self.side, self.side), math.degrees(self.angle)))
        target = np.array([[0, size], [0, 0], [size, 0], [size, size]], np.float32)
        carry = cv2.getPerspectiveTransform(corners, target)
        cut: np.ndarray = cv2.warpPerspective(picture, carry, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
        return cut

    def place(self, points: np.ndarray, size: int) -> np.ndarray:
        """Return points (n, 3) of its (size, size) cut as points of the picture."""
        placed = points * np.float32(self.side / size)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        placed[:, :2] = (placed[:, :2] - self.side / 2) @ np.array([[cos, sin], [-sin, cos]]) + [self.x, self.y]
        return placed.astype(np.float32)


# (file, side of the input, ((cells across, boxes of each), ...))
_NEAR = ("short_range.onnx", 128, ((16, 2), (8, 6)))
_FAR = ("full_range.onnx", 192, ((48, 1),))


@cache
def _regions() -> tuple[_Region, _Region, _Region]:
    """Return lips, left eye and right eye; "left" is left in the picture."""
    with np.load(_MODELS / "refined_points.npz") as stored:
        return (
            _Region(stored["lips"], (61, 291)),
            _Region(stored["left"], (33, 133)),
            _Region(stored["right"], (362, 263)),
        )


def _run(
    network: cv2.dnn.Net, picture: np.ndarray, outputs: tuple[str, ...], *, scale: float, shift: float
) -> list[np.ndarray]:
    """Return a network's outputs for a picture (uint8 RGB), whose values become `value * scale + shift`."""
    values = picture.transpose(2, 0, 1)[None].astype(np.float32) * np.float32(scale) + np.float32(shift)
    network.setInput(np.ascontiguousarray(values), "image")
    return list(network.forward(list(outputs)))


def _cell_centers(across: int, boxes: int) -> np.ndarray:
    """Return the middles of `across` x `across` cells, each repeated for every box of the cell: (n, 2), 0..1."""
    at = (np.arange(across, dtype=np.float32) + 0.5) / across
    return np.repeat(np.stack(np.meshgrid(at, at), -1).reshape(-1, 2), boxes, axis=0)


def _merge(corners: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return one row for each face: its overlapping boxes, averaged by their scores, and the best score."""
    order = np.argsort(-scores, kind="stable")
    corners, scores, faces = corners[order], scores[order], []
    while len(scores):
        low, high = np.maximum(corners[:, 0], corners[0, 0]), np.minimum(corners[:, 1], corners[0, 1])
        both = np.maximum(high - low, 0).prod(1)
        areas = (corners[:, 1] - corners[:, 0]).prod(1)
        same = both > _SAME_FACE * (areas + areas[0] - both)
        same[0] = True
        faces.append([*np.average(corners[same], axis=0, weights=scores[same]).reshape(-1), scores[0]])
        corners, scores = corners[~same], scores[~same]
    return np.array(faces, np.float32).reshape(-1, 17)


def _level_frame(points: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the upright crop around a region's points, (2, 2) and (2,): `cell @ matrix + origin` is a pixel.

    Args:
        points: The region's points, (n, 2) pixels of the mesh's square.
        axis: The two points that become level, (2, 2).
    """
    level = (axis[1] - axis[0]) / np.hypot(*(axis[1] - axis[0]))
    upright = np.array([level, [-level[1], level[0]]])
    turned = points @ upright.T
    low, high = turned.min(0), turned.max(0)
    matrix = (_MARGIN / _CROP_CELLS) * (high - low)[:, None] * upright
    return matrix, (low + high) / 2 @ upright - np.full(2, _CROP_CELLS / 2) @ matrix


@cache
def _crop_cells() -> np.ndarray:
    """Return the middles of a crop's cells, row by row: (256, 2)."""
    at = np.arange(_CROP_CELLS) + 0.5
    return np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)


def _sample(padded: np.ndarray, frame: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return a crop of the map of features, bilinear, zero beyond its edge: (channels, 16, 16) float32.

    Args:
        padded: (channels, 50, 50), zero at its edge.
        frame: As `_level_frame` returns it.
    """
    matrix, origin = frame
    places = (_crop_cells() @ matrix + origin) / _MAP_CELL - 0.5
    first = np.floor(places).astype(int)
    share = (places - first).astype(np.float32)
    channels, side, _ = padded.shape
    flat, crop = padded.reshape(channels, -1), np.zeros((channels, len(places)), np.float32)
    for down in (0, 1):
        for across in (0, 1):
            x, y = np.clip(first + np.array([across + 1, down + 1]), 0, side - 1).T
            weight = np.abs(1 - across - share[:, 0]) * np.abs(1 - down - share[:, 1])
            crop += flat.take(y * side + x, axis=1) * weight
    return crop.reshape(-1, _CROP_CELLS, _CROP_CELLS)


def _from_frame(points: np.ndarray, frame: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Convert points of a crop, (n, 2) quarters of a cell, to pixels of the mesh's square."""
    matrix, origin = frame
    placed: np.ndarray = points / 4 @ matrix + origin
    return placed
