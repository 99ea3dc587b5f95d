"""A clip read once: its pictures on disk, and what was measured of the face in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import cv2
import numpy as np

from pipeline.errors import BadClip, Message
from pipeline.face.finder import Box, FaceChoice, FaceFinder, box_of, choose
from pipeline.preparing.file_kinds import SHORTEST
from pipeline.preparing.shots import Shot, find_shots, thumbnail
from pipeline.preparing.stabilise import HeadMotion
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

Progress = Callable[[float, str], None]
"""Told how far the work is (0..1) and what is being done."""
PATCH = 48
"""Pixels, both ways, of the small upright picture that is kept of every face."""
_PATCH_CORNERS = np.array([[0.22, 0.18], [0.78, 0.18], [0.5, 0.95]], np.float32) * PATCH
"""Where the outer corners of the eyes and the chin lie in it."""
_HOLD = 0.08
"""Share of its size by which a face may move before the crop that its mesh is solved in follows: a still crop gives
stiller points."""
_SOUGHT_EVERY = 4
"""Until there is a face, only so many frames are searched: a clip without one is found out sooner."""
_READ_SHARE = 0.2
"""How much of the work is done once the clip is read."""
_MOST_SHOTS = 12
"""Of more, the longest are looked at."""
_FOLLOW = 1.0
"""Share of its size within which a face that was lost is taken for the same one when it comes back."""


@dataclass(frozen=True)
class Footage:
    """A clip read once.

    frames: (n, height * 3 / 2, width) uint8, yuv420p at the working size; points: (n, 478, 3) pixels, NaN where no face
    was found; motion: (n, 2, 3), each frame's head movement since the one before it; patches: (n, PATCH, PATCH) uint8,
    the face upright, from its eyes to its chin; sharpness: (n,), how strong the finest detail of the face is beside its
    contrast (0.1 is soft, 0.3 crisp); fps: frames per second; colors: tags for the videos made of it;
    seen: the faces of the frame in which the speaker was chosen, left to right; chosen: that frame's number;
    left_out: what of the clip is not among the frames, in sentences; scale: pixels of the source for one of these.


    Of a clip that is cut all of these are one shot's. read: all of its frames; shots: its shots, as numbers of these;
    begin: the one with which the shot used begins.
    """

    frames: np.ndarray
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
    def is_cut(self) -> bool:
        """Whether the clip has more shots, or fades, than what is used."""
        return len(self.frames) < len(self.read)

    @property
    def found(self) -> np.ndarray:
        """(n,) bool: whether there is a face."""
        missing: np.ndarray = np.isnan(self.points[:, 0, 0])
        return ~missing

    def frame(self, number: int) -> Frame:
        """Return picture NUMBER."""
        return Frame(np.ascontiguousarray(self.frames[number]))


def film(
    source: Iterable[Frame],
    fps: Fraction,
    colors: ColorTags,
    face: FaceChoice,
    store: BinaryIO,
    expected: int,
    progress: Progress,
) -> Footage:
    """Read SOURCE to its end into STORE (an empty file) and measure the FACE in it.

    Where it is cut, one of its shots is used: the longest that shows a face or, where FACE is a number, the one that
    shows this face (see ``faces_of_shots``). expected: about how many pictures there are, for PROGRESS. Raises BadClip
    when no picture shows a face.
    """
    read, thumbnails = keep(source, store, lambda share: progress(_READ_SHARE * share, "reading"), expected)
    shots = find_shots(thumbnails, float(fps))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(_READ_SHARE + (1 - _READ_SHARE) * done / len(read), "faces")

    with FaceFinder() as finder:
        for shot, which in _by_choice(finder, read, shots, float(fps), face):
            begin, end = shot
            follower = _Follower(finder, which)
            measured = _measure(follower, read[begin:end], step)
            if follower.box is not None:
                return Footage(
                    read[begin:end],
                    *measured,
                    fps=fps,
                    colors=colors,
                    seen=follower.seen,
                    chosen=follower.chosen,
                    read=read,
                    shots=tuple(shots),
                    begin=begin,
                )
    raise no_face()


def keep(
    source: Iterable[Frame], store: BinaryIO, progress: Callable[[float], None], expected: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read SOURCE to its end into STORE (an empty file). Return its frames, as ``Footage`` has them, and thumbnails.

    Raises BadClip when there is none.
    """
    thumbnails, size = [], (0, 0)
    for number, frame in enumerate(source):
        store.write(frame.planes.tobytes())
        thumbnails.append(thumbnail(frame))
        size = frame.height, frame.width
        progress(min(1.0, number / expected))
    store.flush()
    if not thumbnails:
        raise no_face()
    frames = np.memmap(store, np.uint8, "r+", shape=(len(thumbnails), size[0] * 3 // 2, size[1]))
    return frames, np.array(thumbnails)


def faces_of_shots(
    finder: FaceFinder, frames: np.ndarray, shots: Sequence[Shot], fps: float
) -> list[tuple[Shot, int, list[Box]]]:
    """Return what the SHOTS worth using show: each with the number of its first frame with faces, and these.

    Faces are counted through all of them, in each from the left. Where FRAMES show no face there is nothing.
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
    """Yield the SHOTS in which FACE may be, the best first, and which of its faces it is in each."""
    if len(shots) == 1 or not isinstance(face, int):
        # the longest, of equal ones the first; a shorter one where it shows no face
        yield from ((shot, face) for shot in sorted(shots, key=lambda shot: shot[0] - shot[1]))
        return
    shown = faces_of_shots(finder, frames, shots, fps)
    choose([box for _, _, boxes in shown for box in boxes], frames.shape[2], frames.shape[1], face)  # is there one?
    for shot, _, boxes in shown:
        if face <= len(boxes):
            yield shot, face
            return
        face -= len(boxes)


def _measure(
    follower: _Follower, frames: np.ndarray, step: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points, motion, patches and sharpness of FRAMES, as ``Footage`` has them; STEP is told of each."""
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
    """Return the error for a clip or photo that shows no face."""
    return BadClip(
        "얼굴을 찾지 못했습니다. 사람의 얼굴이 정면으로, 너비 60픽셀 이상으로 나오는 영상이나 사진을 사용하세요.",
        "No face was found. Use a clip or photo that shows a person's face from the front, 60 pixels wide or more.",
    )


class _Follower:
    """Follows one face from frame to frame, and takes no other for it."""

    def __init__(self, finder: FaceFinder, face: FaceChoice) -> None:
        self._finder, self._face = finder, face
        self.box: Box | None = None
        self.seen: tuple[Box, ...] = ()
        self.chosen = 0
        self._crop: Box | None = None

    def find(self, frame: Frame, number: int) -> np.ndarray | None:
        """Return the points of the face in FRAME, which has NUMBER, or None where it is not to be seen."""
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
        """Drop POINTS that lie where the face cannot have gone since it was last seen."""
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
    """How far two boxes differ in place or size, in sizes of the second."""
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
