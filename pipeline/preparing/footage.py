"""A clip that was read once: its pictures on disk, and measurements of the face in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import BinaryIO

import cv2
import numpy as np

from pipeline import messages
from pipeline.errors import BadClip
from pipeline.face.finder import Box, FaceChoice, FaceFinder, box_of, choose
from pipeline.messages import Message
from pipeline.preparing.changed_frames import Frames
from pipeline.preparing.ends import pictures_meet
from pipeline.preparing.file_kinds import SHORTEST
from pipeline.preparing.progress import Progress
from pipeline.preparing.shots import Shot, find_shots, thumbnail
from pipeline.preparing.stabilise import HeadMotion
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

PATCH = 48
"""Side of the small upright picture of every face, in pixels."""
_PATCH_CORNERS = np.array([[0.22, 0.18], [0.78, 0.18], [0.5, 0.95]], np.float32) * PATCH
"""Positions of the outer corners of the eyes and the chin in it."""
_HOLD = 0.08
"""Share of its size by which a face may move before the crop for its mesh follows.

A still crop gives stiller points.
"""
_SOUGHT_EVERY = 4
"""Until a face is found, only every n-th frame is searched, so that a clip without one fails sooner."""
_MOST_SHOTS = 12
"""Of more shots, the longest are searched."""
_FOLLOW = 1.0
"""Share of its size within which a lost face is recognised when it comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSource:
    """The pictures of a file, before they are read.

    Attributes:
        frames: Of one size.
        fps: Frames per second.
        colors: Tags of the videos made from them.
        count: Approximate number, 1 or more, for the progress.
        ended: Called after the last picture with whether it meets the first.
    """

    frames: Iterable[Frame]
    fps: Fraction
    colors: ColorTags
    count: int
    ended: Callable[[bool], None] = lambda meets: None


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A clip that was read once. If it is cut, the measurements are those of one shot.

    Attributes:
        frames: (n, height * 3 / 2, width) uint8, yuv420p at the working size; not to be changed.
        points: (n, 478, 3) pixels; NaN without a face.
        motion: (n, 2, 3), the head's movement since the frame before.
        patches: (n, `PATCH`, `PATCH`) uint8, the upright face from its eyes to its chin.
        sharpness: (n,) strength of the finest detail of the face relative to its contrast (0.1 is soft, 0.3 crisp).
        fps: Frames per second.
        colors: Tags of the videos made from it.
        seen: The faces of the frame in which the speaker was chosen, left to right.
        chosen: Number of that frame.
        read: All frames that were read.
        shots: The shots, as numbers in `read`.
        begin: Number in `read` of the first frame of the shot that is used.
        left_out: Which parts of the clip are not among the frames, in sentences.
        scale: Pixels of the source per pixel of the frames.
    """

    frames: Frames
    points: np.ndarray
    motion: np.ndarray
    patches: np.ndarray
    sharpness: np.ndarray
    fps: Fraction
    colors: ColorTags
    seen: tuple[Box, ...]
    chosen: int
    read: np.ndarray
    shots: tuple[Shot, ...]
    begin: int
    left_out: tuple[Message, ...] = ()
    scale: float = 1.0

    @property
    def short_side(self) -> int:
        """Pixels of the short side of the frames."""
        return min(self.frames.shape[1] * 2 // 3, self.frames.shape[2])

    @property
    def is_cut(self) -> bool:
        """Whether the clip has more than the shot that is used."""
        return len(self.frames) < len(self.read)

    @property
    def found(self) -> np.ndarray:
        """(n,) bool: whether there is a face."""
        missing: np.ndarray = np.isnan(self.points[:, 0, 0])
        return ~missing

    def frame(self, number: int) -> Frame:
        """Return a picture by its number."""
        return Frame(np.ascontiguousarray(self.frames[number]))

    def part(self, begin: int, end: int) -> Footage:
        """Return some of the frames that follow each other, as footage of its own."""
        where, first = slice(begin, end), self.begin + begin
        return replace(
            self,
            frames=self.read[first : self.begin + end],
            points=self.points[where],
            motion=self.motion[where],
            patches=self.patches[where],
            sharpness=self.sharpness[where],
            begin=first,
        )

    def in_order(self, numbers: np.ndarray) -> Iterator[Frame]:
        """Yield the pictures with some numbers."""
        return (self.frame(number) for number in numbers.tolist())


def read_footage(source: PictureSource, face: FaceChoice, store: BinaryIO, progress: Progress) -> Footage:
    """Read a clip to its end and measure a face in it.

    If the clip is cut, one of its shots is used: the longest with a face or, if `face` is a number, the one that shows
    this face (see ``faces_of_shots``).

    Args:
        source: The pictures; they are taken once.
        face: Which face speaks.
        store: An empty file for the pictures, for as long as the footage is used.
        progress: Called as the work proceeds, with shares of the stages "reading" and "faces".

    Raises:
        BadClip: No picture shows a face.
    """

    def counted() -> Iterator[Frame]:
        for number, frame in enumerate(source.frames):
            progress(number / source.count, "reading")
            yield frame

    fps = float(source.fps)
    read, thumbnails = keep(counted(), store)
    source.ended(pictures_meet(read))
    shots = find_shots(thumbnails, fps)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done / len(read), "faces")

    with FaceFinder() as finder:
        for shot, which in _by_choice(finder, read, shots, fps, face):
            begin, end = shot
            follower = _Follower(finder, which)
            points, motion, patches, sharpness = _measure(follower, read[begin:end], step)
            if follower.box is not None:
                return Footage(
                    frames=read[begin:end],
                    points=points,
                    motion=motion,
                    patches=patches,
                    sharpness=sharpness,
                    fps=source.fps,
                    colors=source.colors,
                    seen=follower.seen,
                    chosen=follower.chosen,
                    read=read,
                    shots=tuple(shots),
                    begin=begin,
                )
    raise no_face()


def keep(source: Iterable[Frame], store: BinaryIO) -> tuple[np.ndarray, np.ndarray]:
    """Read a clip to its end into an empty file; return its frames, as in ``Footage``, and thumbnails.

    Raises:
        BadClip: There is no picture.
    """
    thumbnails, size = [], (0, 0)
    for frame in source:
        store.write(frame.planes.tobytes())
        thumbnails.append(thumbnail(frame))
        size = frame.height, frame.width
    store.flush()
    if not thumbnails:
        raise no_face()
    frames = np.memmap(store, np.uint8, "r", shape=(len(thumbnails), size[0] * 3 // 2, size[1]))
    return frames, np.array(thumbnails)


def faces_of_shots(
    finder: FaceFinder, frames: np.ndarray, shots: Sequence[Shot], fps: float
) -> list[tuple[Shot, int, list[Box]]]:
    """Return the shots worth using, each with the number of its first frame with faces, and these faces.

    Faces are counted through all shots, in each from the left. Shots without a face are left out.
    """
    long_enough = [shot for shot in shots if shot[1] - shot[0] >= SHORTEST * fps] or list(shots)
    longest = sorted(long_enough, key=lambda shot: shot[0] - shot[1])[:_MOST_SHOTS]
    found = []
    for begin, end in sorted(longest):
        for number in range(begin, end, _SOUGHT_EVERY):
            boxes = finder.boxes(cv2.cvtColor(frames[number], cv2.COLOR_YUV2RGB_I420))
            if boxes:
                found.append(((begin, end), number, boxes))
                break
    return found


def _by_choice(
    finder: FaceFinder, frames: np.ndarray, shots: Sequence[Shot], fps: float, face: FaceChoice
) -> Iterator[tuple[Shot, FaceChoice]]:
    """Yield the shots that may show the chosen face, best first, and which of their faces it is."""
    if len(shots) == 1 or not isinstance(face, int):
        # the longest, of equal ones the first; a shorter one if it shows no face
        yield from ((shot, face) for shot in sorted(shots, key=lambda shot: shot[0] - shot[1]))
        return
    shown = faces_of_shots(finder, frames, shots, fps)
    choose([box for _, _, boxes in shown for box in boxes], frames.shape[2], frames.shape[1], face)  # may raise
    for shot, _, boxes in shown:
        if face <= len(boxes):
            yield shot, face
            return
        face -= len(boxes)


def _measure(
    follower: _Follower, frames: np.ndarray, step: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points, motion, patches and sharpness, as in ``Footage``; call `step` after each frame."""
    points, motion, patches, sharpness = [], [], [], []
    head = HeadMotion()
    for number, planes in enumerate(frames):
        frame = Frame(np.ascontiguousarray(planes))
        found = follower.find(frame, number)
        points.append(np.full((478, 3), np.nan, np.float32) if found is None else found)
        motion.append(head.step(frame.y, found))
        patches.append(_patch(frame, found))
        sharpness.append(_sharpness(frame, found))
        step()
    return np.array(points), np.array(motion), np.array(patches), np.array(sharpness)


def no_face() -> BadClip:
    """Return the error for a clip or photo without a face."""
    return BadClip(messages.preparing.NO_FACE())


class _Follower:
    """Follows one face from frame to frame without confusing it with others."""

    def __init__(self, finder: FaceFinder, face: FaceChoice) -> None:
        self._finder, self._face = finder, face
        self.box: Box | None = None
        self.seen: tuple[Box, ...] = ()
        self.chosen = 0
        self._crop: Box | None = None

    def find(self, frame: Frame, number: int) -> np.ndarray | None:
        """Return the points of the face in a frame; None if it is not visible."""
        if self.box is None and number % _SOUGHT_EVERY:
            return None
        picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
        points = None if self._crop is None else self._accept(self._finder.points(picture, self._crop))
        if points is None:
            self._crop = self._detect(picture, number)
            points = None if self._crop is None else self._accept(self._finder.points(picture, self._crop))
        if points is None:
            self._crop = None
            return None
        self.box = box_of(points)
        if self._crop is None or _apart(self.box, self._crop) > _HOLD:
            self._crop = self.box
        return points

    def _accept(self, points: np.ndarray | None) -> np.ndarray | None:
        """Reject points where the face cannot be after its last position."""
        if points is None or (self.box is not None and box_of(points).overlap(self.box) < 0.2):
            return None
        return points

    def _detect(self, picture: np.ndarray, number: int) -> Box | None:
        boxes = self._finder.boxes(picture)
        if not boxes:
            return None
        if self.box is None:
            self.seen, self.chosen = tuple(boxes), number
            self.box = choose(boxes, picture.shape[1], picture.shape[0], self._face)
            return self.box
        nearest = min(boxes, key=lambda box: _apart(box, self.box or box))
        if _apart(nearest, self.box) > _FOLLOW:
            return None
        self.box = nearest
        return nearest


def _apart(one: Box, other: Box) -> float:
    """Return how far two boxes differ in place or size, in sizes of the second."""
    moved = np.hypot(one.center[0] - other.center[0], one.center[1] - other.center[1])
    return float(max(moved, abs(one.width - other.width)) / max(other.width, other.height))


def _patch(frame: Frame, points: np.ndarray | None) -> np.ndarray:
    if points is None:
        return np.zeros((PATCH, PATCH), np.uint8)
    carry = cv2.getAffineTransform(np.ascontiguousarray(points[[33, 263, 152], :2], np.float32), _PATCH_CORNERS)
    shrink = np.sqrt(abs(np.linalg.det(carry[:, :2])))
    luma = cv2.GaussianBlur(frame.y, (0, 0), 0.4 / shrink) if shrink < 0.5 else frame.y
    patch: np.ndarray = cv2.warpAffine(luma, carry, (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE)
    return patch


def _sharpness(frame: Frame, points: np.ndarray | None) -> float:
    if points is None:
        return 0.0
    (left, top), (right, bottom) = points[:, :2].min(0), points[:, :2].max(0)
    face = frame.y[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)].astype(np.float32)
    if min(face.shape) < 8:
        return 0.0
    return float(cv2.Laplacian(face, cv2.CV_32F).std() / max(1.0, float(face.std())))
