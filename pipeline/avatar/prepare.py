"""Turns a clip of a person into avatar packs.

python -m pipeline.avatar.prepare CLIP --name talk_long --resolution 720p [--resolution 480p | all]
"""

from __future__ import annotations

import argparse
import itertools
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from pipeline.avatar.basis import head_pose
from pipeline.avatar.clip import Clip, open_clip, pictures
from pipeline.avatar.encode import encode, keep_stream
from pipeline.avatar.faces import Box, FaceChoice, FaceFinder, box_of, choose
from pipeline.avatar.pack import Avatar, save
from pipeline.avatar.steady import HeadMotion, steady
from pipeline.avatar.store import RESOLUTIONS, SUFFIX
from pipeline.errors import BadClip, BadRequest, PipelineError
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader, ColorTags

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
"""Told how far the work is (0..1) and what is being done."""
SMALLEST_FACE = 60
"""Pixels across, at the size of the largest pack."""
_WORK_SIDE = 720
"""Short side (pixels) at which faces are measured, whatever sizes are asked for."""
_SPEAKING_GAP = 0.03
"""Lips further apart than this (in distances between the outer corners of the eyes) speak or smile."""
_FACES_SHARE = 0.7
"""Share of the work that reading and measuring take, for the progress bar."""


@dataclass(frozen=True)
class Footage:
    """A clip read once. frames: pictures at the working size, on disk; points: (frames, 478, 3) pixels, NaN where no
    face was found; motion: (frames, 2, 3), each frame's head movement since the one before it."""

    frames: np.ndarray
    points: np.ndarray
    motion: np.ndarray
    fps: Fraction
    colors: ColorTags

    @property
    def found(self) -> np.ndarray:
        """(frames,) bool: whether there is a face."""
        missing: np.ndarray = np.isnan(self.points[:, 0, 0])
        return ~missing


def prepare(
    clip: Path,
    name: str,
    resolutions: Sequence[str] = RESOLUTIONS,
    face: FaceChoice = "center",
    start: float | None = None,
    end: float | None = None,
    out: Path | None = None,
    progress: Progress = lambda share, doing: None,
) -> list[Path]:
    """Make packs called NAME of the part of CLIP from START to END (s) under OUT (by default ``precomputed``).

    Returns one path per resolution. Raises BadRequest (name, resolutions) and BadClip; packs are written whole, and
    only when all of them could be made.
    """
    _check(name, resolutions)
    out = Settings().precomputed if out is None else out
    facts = open_clip(clip, start, end)
    with tempfile.TemporaryFile() as store:
        footage, kept = _read(facts, face, store, lambda share, doing: progress(share * _FACES_SHARE, doing))
        landmarks, usable = _landmarks(footage)
        order = np.arange(len(landmarks))
        if not _loops(footage, landmarks):
            order, kept = np.concatenate([order, order[-2:0:-1]]), None
        avatars = []
        for number, resolution in enumerate(resolutions):
            progress(_FACES_SHARE + (1 - _FACES_SHARE) * number / len(resolutions), f"encoding {resolution}")
            avatars.append(_avatar(name, resolution, footage, landmarks[order], usable[order], order, kept))
    paths = []
    for avatar in avatars:
        paths.append(out / avatar.resolution / f"{avatar.id}{SUFFIX}")
        save(avatar, paths[-1])
    progress(1.0, "done")
    return paths


def _check(name: str, resolutions: Sequence[str]) -> None:
    if not re.fullmatch(r"[^\W_][\w-]{0,63}", name) or re.search(r"_\d+p$", name):
        raise BadRequest(
            f"name '{name:.60}': 글자, 숫자, '-', '_'만 쓸 수 있고 '_720p' 같은 해상도로 끝날 수 없습니다.",
            f"name '{name:.60}': use letters, digits, '-' and '_', and do not end in a resolution such as '_720p'.",
        )
    unknown = [resolution for resolution in resolutions if resolution not in RESOLUTIONS]
    if unknown or not resolutions:
        raise BadRequest(
            f"resolution {', '.join(unknown)}: {', '.join(RESOLUTIONS)} 중에서 고르세요.",
            f"resolution {', '.join(unknown)}: choose from {', '.join(RESOLUTIONS)}.",
        )


def size_at(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return WIDTH and HEIGHT scaled so that the shorter one is SHORT_SIDE, both even: 1920x1080 at 480 is 854x480."""
    scale = short_side / min(width, height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _read(clip: Clip, face: FaceChoice, store: BinaryIO, progress: Progress) -> tuple[Footage, bytes | None]:
    """Read CLIP into STORE and measure the face; also return its own stream where that can be kept."""
    width, height = size_at(clip.width, clip.height, _WORK_SIDE)
    kept, source, colors = None, pictures(clip, width, height), clip.shown_colors
    if clip.plain and (width, height) == (clip.width, clip.height) and clip.wanted_fps == clip.fps:
        kept = keep_stream(clip.path)
        source = ClipReader(kept).once()
    expected = round((clip.end - clip.start) * clip.wanted_fps)
    points, motion, box = [], [], None
    head = HeadMotion()
    with FaceFinder() as finder:
        for number, frame in enumerate(source):
            store.write(frame.planes.tobytes())
            box, found = _find(finder, frame, face, box)
            points.append(np.full((478, 3), np.nan, np.float32) if found is None else found)
            motion.append(head.step(frame.y, found))
            progress(min(1.0, number / expected), "finding the face")
    store.flush()
    frames = np.memmap(store, np.uint8, "r", shape=(len(points), height * 3 // 2, width))
    return Footage(frames, np.array(points), np.array(motion), clip.wanted_fps, colors), kept


def _find(finder: FaceFinder, frame: Frame, face: FaceChoice, box: Box | None) -> tuple[Box | None, np.ndarray | None]:
    """Return where the face of FRAME is, given where it was (BOX), and its points."""
    picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
    points = None if box is None else finder.points(picture, box)
    if points is None:
        boxes = finder.boxes(picture)
        if boxes:
            box = choose(boxes, frame.width, frame.height, face)
            points = finder.points(picture, box)
    return (box if points is None else box_of(points)), points


def _landmarks(footage: Footage) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of every frame, smoothed and without gaps, and which frames can be used."""
    found = footage.found
    if not found.any():
        raise BadClip(
            "어느 프레임에서도 얼굴을 찾지 못했습니다. 얼굴이 정면으로, 너비 60픽셀 이상으로 나오는 영상을 사용하세요.",
            "No face was found in any frame. Use a clip that shows a face from the front, at least 60 pixels wide.",
        )
    points = footage.points.copy()
    known = np.flatnonzero(found)
    nearest = known[np.abs(np.arange(len(points))[:, None] - known[None]).argmin(1)]
    points = points[nearest]
    across = float(np.median([box_of(row).width for row in points[known]]))
    if across < SMALLEST_FACE:
        raise BadClip(
            f"얼굴이 너무 작습니다 (너비 {across:.0f}픽셀). {SMALLEST_FACE}픽셀 이상이 되도록 더 가까이 찍으세요.",
            f"The face is too small ({across:.0f} pixels wide). Film closer: {SMALLEST_FACE} pixels or more.",
        )
    usable = found & (np.abs(head_pose(points).yaw) <= 45)
    return steady(points, footage.motion, float(footage.fps), _speaks(points[known])), usable


def _speaks(points: np.ndarray) -> bool:
    gap = np.linalg.norm(points[:, 13] - points[:, 14], axis=1) / np.linalg.norm(points[:, 33] - points[:, 263], axis=1)
    return bool(np.percentile(gap, 95) > _SPEAKING_GAP)


def _loops(footage: Footage, landmarks: np.ndarray) -> bool:
    """Whether the clip's end meets its start, in the picture and in the face."""
    height = footage.frames.shape[1] * 2 // 3
    small = [cv2.resize(frame[:height], (160, 160), interpolation=cv2.INTER_AREA) for frame in footage.frames]
    steps = [float(cv2.absdiff(a, b).mean()) for a, b in itertools.pairwise(small)]
    moves = np.linalg.norm(np.diff(landmarks[..., :2], axis=0), axis=2).mean(1)
    seam = float(np.linalg.norm(landmarks[0, :, :2] - landmarks[-1, :, :2], axis=1).mean())
    same_face = seam <= max(1.0, 1.5 * float(np.percentile(moves, 95)))
    return same_face and float(cv2.absdiff(small[0], small[-1]).mean()) <= max(0.5, 2 * float(np.percentile(steps, 95)))


def _avatar(
    name: str,
    resolution: str,
    footage: Footage,
    landmarks: np.ndarray,
    usable: np.ndarray,
    order: np.ndarray,
    kept: bytes | None,
) -> Avatar:
    height, width = footage.frames.shape[1] * 2 // 3, footage.frames.shape[2]
    across, down = size_at(width, height, int(resolution[:-1]))
    if kept is None or (across, down) != (width, height):
        video = encode(_in_order(footage, order), across, down, footage.fps, footage.colors)
    else:
        video = kept
    scaled = landmarks * np.array([across / width, down / height, across / width], np.float32)
    return Avatar(name, resolution, across, down, footage.fps, video, scaled, scaled, usable)


def _in_order(footage: Footage, order: np.ndarray) -> Iterator[Frame]:
    for number in order:
        yield Frame(np.ascontiguousarray(footage.frames[number]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.avatar.prepare", description="Make avatar packs of a clip."
    )
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a video of one person")
    parser.add_argument("--name", required=True, help="what the avatar is to be called")
    parser.add_argument("--resolution", action="append", choices=[*RESOLUTIONS, "all"], help="repeatable; default: all")
    parser.add_argument("--face", default="center", help="center (default), largest, or a number from the left")
    parser.add_argument("--start", type=float, help="seconds")
    parser.add_argument("--end", type=float, help="seconds")
    parser.add_argument("--out", type=Path, help="folder of the packs; default: precomputed")
    given = parser.parse_args(arguments)
    if given.face not in ("center", "largest") and not given.face.isdecimal():
        parser.error("--face: center, largest, or a number from the left")
    face = int(given.face) if given.face.isdecimal() else given.face
    wanted = RESOLUTIONS if not given.resolution or "all" in given.resolution else dict.fromkeys(given.resolution)
    try:
        with _ProgressBar() as bar:
            paths = prepare(given.clip, given.name, list(wanted), face, given.start, given.end, given.out, bar.tell)
    except PipelineError as error:
        print(f"{error.message.ko}\n{error.message.en}", file=sys.stderr)
        return 1
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


class _ProgressBar:
    """Shows on a terminal what ``prepare`` tells."""

    def __enter__(self) -> _ProgressBar:
        from tqdm import tqdm  # type: ignore[import-untyped]  # ships no types

        self._bar = tqdm(total=100, bar_format="{desc:<20} {percentage:3.0f}%|{bar}| {elapsed}")
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def tell(self, share: float, doing: str) -> None:
        """Show that SHARE (0..1) is done, and what is being done."""
        self._bar.set_description_str(doing, refresh=False)
        self._bar.update(round(share * 100, 1) - self._bar.n)


if __name__ == "__main__":
    sys.exit(main())
