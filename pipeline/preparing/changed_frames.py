"""Frames of which some differ from others: only what differs is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol

import numpy as np

from pipeline.video.frame import Frame

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, even."""


class Frames(Protocol):
    """The frames of a clip, by number; an array (n, height * 3 / 2, width) is one, too.

    Attributes:
        shape: (n, height * 3 / 2, width).
    """

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...

    def __getitem__(self, number: int, /) -> np.ndarray:
        """Return the planes of a frame, (height * 3 / 2, width) uint8, not to be changed."""


def changed_frames(frames: Frames, changes: Iterable[tuple[int, Frame]], store: BinaryIO) -> Frames:
    """Return frames like others, except for those that changed.

    What differs is written to a file and laid over the frame whenever it is read. Where only a mouth changes, that is a
    few per cent of the frames.

    Args:
        frames: The others; they must stay as they are, since they are read again.
        changes: Numbers of frames, each at most once, and what they become; one is taken at a time.
        store: An empty file, for as long as the result is used.
    """
    places: dict[int, tuple[int, Box]] = {}
    end = 0
    for number, changed in changes:
        box = _difference(Frame(frames[number]), changed)
        if box is not None:
            places[number] = end, box
            for plane in _planes(changed, box):
                end += store.write(plane.tobytes())
    if not places:
        return frames
    store.flush()
    return _ChangedFrames(frames, places, np.memmap(store, np.uint8, "r", shape=(end,)))


class _ChangedFrames:
    """Frames with something laid over them.

    Args:
        frames: The frames.
        places: Where the change of a frame begins in `stored`, and its box.
        stored: The values in all boxes, Y, U and V of each.
    """

    def __init__(self, frames: Frames, places: dict[int, tuple[int, Box]], stored: np.ndarray) -> None:
        self._frames, self._places, self._stored = frames, places, stored
        self.shape = frames.shape

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int, /) -> np.ndarray:
        if number not in self._places:
            return self._frames[number]
        begin, box = self._places[number]
        frame = Frame(np.array(self._frames[number]))
        for plane in _planes(frame, box):
            plane[:] = self._stored[begin : begin + plane.size].reshape(plane.shape)
            begin += plane.size
        return frame.planes


def _planes(frame: Frame, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Y, U and V within a box; views."""
    left, top, right, bottom = box
    u, v = (plane[top // 2 : bottom // 2, left // 2 : right // 2] for plane in frame.uv)
    return frame.y[top:bottom, left:right], u, v


def _difference(one: Frame, other: Frame) -> Box | None:
    """Return the smallest even box outside of which two frames are the same; None if they are the same everywhere."""
    edges = []
    for mine, others, scale in ((one.y, other.y, 1), *((a, b, 2) for a, b in zip(one.uv, other.uv, strict=True))):
        differs = mine != others
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        if len(rows):
            edges.append(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) * scale)
    if not edges:
        return None
    left, top = np.min(edges, axis=0)[:2].tolist()
    right, bottom = np.max(edges, axis=0)[2:].tolist()
    return left // 2 * 2, top // 2 * 2, (right + 1) // 2 * 2, (bottom + 1) // 2 * 2
