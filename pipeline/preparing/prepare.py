"""Turns a clip or a photo of a person into avatar packs.

python -m pipeline.preparing CLIP --name talk_long --resolution 720p [--resolution 480p | all]
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import save
from pipeline.avatars.store import RESOLUTIONS, SUFFIX, check_name, check_resolutions
from pipeline.core.arguments import with_files
from pipeline.core.disk import UNWRITABLE, unwritable
from pipeline.errors import PipelineError, RenderFailed
from pipeline.face.finder import Box, FaceChoice, FaceFinder, box_of
from pipeline.preparing.animation import Animation, animated_pictures, open_animation
from pipeline.preparing.blur import softness_of
from pipeline.preparing.encode_clip import encode, keep_stream
from pipeline.preparing.file_kinds import PICTURES, VIDEOS, kind_of
from pipeline.preparing.footage import Footage, Progress, faces_of_shots, film, keep, no_face
from pipeline.preparing.lend_mouth import hush
from pipeline.preparing.mouth_scale import opening_of
from pipeline.preparing.open_clip import BT601, Clip, open_clip, pictures, unreadable
from pipeline.preparing.own_teeth import find_teeth
from pipeline.preparing.person import as_filmed, measure
from pipeline.preparing.photo import BACKGROUND, FPS, SECONDS, Color, animate, color_of, face_of_photo, open_photo
from pipeline.preparing.report import numbered, write_report
from pipeline.preparing.shots import find_shots
from pipeline.preparing.teeth_white import teeth_by_eyes
from pipeline.preparing.usable_frames import check_width
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader

logger = logging.getLogger(__name__)

_WORK_SIDE = 720
"""Short side (pixels) at which faces are measured, whatever sizes are requested."""
Filmed = tuple[Footage, bytes | None]
"""A clip that was read, and its own stream if it can be kept as it is."""
_FACES_SHARE, _MEASURED_SHARE, _CLOSED_SHARE = 0.6, 0.65, 0.7
"""Share of the work, for the progress bar, when faces are found, measured, and have a closed mouth."""


def prepare(
    clip: Path,
    name: str,
    resolutions: Sequence[str] = RESOLUTIONS,
    face: FaceChoice = "center",
    start: float | None = None,
    end: float | None = None,
    out: Path | None = None,
    report: Path | None = None,
    progress: Progress = lambda share, doing: None,
    musetalk: Path | None = None,
    background: Color = BACKGROUND,
) -> list[Path]:
    """Make packs of a clip; they are written completely, and only if all of them can be made.

    Args:
        clip: A video, a photo or an animated picture, whatever its name says.
        name: Name of the avatar.
        resolutions: One pack for each.
        face: Which face speaks.
        start: Beginning of the part to use, in seconds.
        end: End of the part to use, in seconds.
        out: Folder of the packs; ``precomputed`` by default.
        report: Folder for a report on the clip (see ``write_report``); None writes none.
        progress: Called with the stages "reading", "faces", "measuring", "mouth" (closing it), "writing 720p" for each
            resolution, and "done".
        musetalk: Folder of that engine's weights, to prepare the packs for it, too.
        background: Colour behind transparent parts.

    Returns:
        One path per resolution.

    Raises:
        BadRequest: The name or a resolution is not possible.
        BadClip: The clip cannot become an avatar.
        Unavailable: The weights of MuseTalk cannot be loaded.
    """
    check_name(name)
    check_resolutions(resolutions)
    out = Settings().precomputed if out is None else out
    encode_faces = None if musetalk is None else _face_encoder(musetalk)
    progress(0.0, "reading")
    film_one = _filmer(clip, start, end, background)
    with tempfile.TemporaryFile() as store:
        footage, kept = film_one(clip, face, store, lambda share, doing: progress(share * _FACES_SHARE, doing))
        if footage.is_cut:
            kept = None
        progress(_FACES_SHARE, "measuring")
        person = measure(footage)
        found = find_teeth(footage, person)
        if report is not None:
            write_report(report, clip, footage, person.findings, found)
        teeth = teeth_by_eyes(footage, person) if found.teeth is None else found.teeth
        softness = softness_of(footage, person)
        progress(_MEASURED_SHARE, "mouth")
        if person.findings.speaking:
            person, kept = hush(footage, person), None
        opening = opening_of(footage, person, softness)
        order = np.arange(len(person.landmarks))
        if not _loops(footage, person.landmarks):
            order, kept = np.concatenate([order, order[-2:0:-1]]), None
        whole = replace(as_filmed(footage, person), name=name, teeth=teeth, opening=opening, softness=softness)
        avatars = []
        for number, resolution in enumerate(resolutions):
            progress(_CLOSED_SHARE + (1 - _CLOSED_SHARE) * number / len(resolutions), f"writing {resolution}")
            avatars.append(_at(resolution, whole, footage, order, kept))
            if encode_faces is not None:
                avatars[-1] = encode_faces(avatars[-1])
    paths = []
    for avatar in avatars:
        paths.append(out / avatar.resolution / f"{avatar.id}{SUFFIX}")
        save(avatar, paths[-1])
    progress(1.0, "done")
    return paths


def size_at(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return a size scaled to a short side, both sides even: 1920x1080 at 480 is 854x480."""
    scale = short_side / min(width, height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _filmer(path: Path, start: float | None, end: float | None, background: Color) -> Callable[..., Filmed]:
    """Return the function that reads a file of its kind."""
    match kind_of(path):
        case "photo":
            return partial(_film_photo, background=background)
        case "animation":
            return partial(_film_animation, animation=open_animation(path, start, end, background))
        case "video":
            return partial(_film, start=start, end=end, background=background)


def _film(
    path: Path,
    face: FaceChoice,
    store: BinaryIO,
    progress: Progress,
    start: float | None,
    end: float | None,
    background: Color,
) -> Filmed:
    """Read a clip and measure the face; also return its own stream if it can be kept."""
    clip = open_clip(path, start, end)
    width, height = size_at(clip.width, clip.height, _WORK_SIDE)
    kept, source = None, pictures(clip, width, height, background)
    if clip.plain and (width, height) == (clip.width, clip.height):
        kept = keep_stream(clip.path, clip.stream)
        source = ClipReader(kept).once()
    expected = round((clip.end - clip.start) * clip.wanted_fps)
    try:
        footage = film(source, clip.wanted_fps, clip.shown_colors, face, store, expected, progress)
        return replace(footage, left_out=clip.left_out, scale=clip.height / height), kept
    except RenderFailed as error:
        raise unreadable(clip.path, "its stream is broken") from error


def _film_animation(path: Path, face: FaceChoice, store: BinaryIO, progress: Progress, animation: Animation) -> Filmed:
    """Read an animation and measure the face."""
    size = size_at(animation.width, animation.height, _WORK_SIDE)
    expected = round((animation.end - animation.start) * animation.fps)
    footage = film(animated_pictures(animation, *size), animation.fps, BT601, face, store, expected, progress)
    return replace(footage, scale=animation.height / size[1]), None


def _film_photo(path: Path, face: FaceChoice, store: BinaryIO, progress: Progress, background: Color) -> Filmed:
    """Animate a photo and measure the face."""
    photo = open_photo(path, background)
    size = size_at(photo.shape[1], photo.shape[0], _WORK_SIDE)
    scale = photo.shape[0] / size[1]
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)
    points = face_of_photo(photo, face)
    check_width(box_of(points).width * scale, scale)
    # OpenCV makes the frames with BT.601
    footage = film(animate(photo, points), FPS, BT601, face, store, round(SECONDS * FPS), progress)
    return replace(footage, scale=scale), None


def _loops(footage: Footage, landmarks: np.ndarray) -> bool:
    """Return whether the clip's end meets its start, in the picture and in the face."""
    height = footage.frames.shape[1] * 2 // 3
    small = [cv2.resize(frame[:height], (160, 160), interpolation=cv2.INTER_AREA) for frame in footage.frames]
    steps = [float(cv2.absdiff(a, b).mean()) for a, b in itertools.pairwise(small)]
    moves = np.linalg.norm(np.diff(landmarks[..., :2], axis=0), axis=2).mean(1)
    seam = float(np.linalg.norm(landmarks[0, :, :2] - landmarks[-1, :, :2], axis=1).mean())
    same_face = seam <= max(1.0, 1.5 * float(np.percentile(moves, 95)))
    return same_face and float(cv2.absdiff(small[0], small[-1]).mean()) <= max(0.5, 2 * float(np.percentile(steps, 95)))


def _at(resolution: str, whole: Avatar, footage: Footage, order: np.ndarray, kept: bytes | None) -> Avatar:
    """Return an avatar in another resolution, with a video.

    Args:
        resolution: "720p", for instance.
        whole: The avatar at the working size, without a video.
        footage: Its frames.
        order: Numbers of the frames of the video.
        kept: A video of these frames at the working size, if there is one.
    """
    width, height = size_at(whole.width, whole.height, int(resolution[:-1]))
    if kept is None or (width, height) != (whole.width, whole.height):
        video = encode(_in_order(footage, order), width, height, footage.fps, footage.colors)
    else:
        video = kept
    scale = np.array([width / whole.width, height / whole.height, width / whole.width], np.float32)
    return replace(
        whole,
        resolution=resolution,
        width=width,
        height=height,
        video=video,
        landmarks=whole.landmarks[order] * scale,
        rest=whole.rest[order] * scale,
        usable=whole.usable[order],
    )


def _face_encoder(models: Path) -> Callable[[Avatar], Avatar]:
    """Return a function that adds MuseTalk's data to an avatar.

    Raises:
        Unavailable: The weights cannot be loaded.
    """
    import torch  # heavy, and only needed here

    from pipeline.engines.musetalk.inpainting import inpainting_of
    from pipeline.engines.musetalk.weights import load_vae

    vae = load_vae(models).to("cuda" if torch.cuda.is_available() else "cpu")
    return lambda avatar: replace(avatar, inpainting=inpainting_of(avatar, vae))


def _in_order(footage: Footage, order: np.ndarray) -> Iterator[Frame]:
    for number in order:
        yield footage.frame(number)


def preview_faces(
    clip: Path, start: float | None = None, end: float | None = None, background: Color = BACKGROUND
) -> tuple[np.ndarray, list[Box]]:
    """Return the first picture that shows faces, with their numbers, and the faces.

    Args:
        clip: A video, a photo or an animated picture.
        start: Beginning of the part to use, in seconds.
        end: End of the part to use, in seconds.
        background: Colour behind transparent parts.

    Returns:
        (height, width, 3) uint8 RGB, and the faces; number 1 is the leftmost.

    Raises:
        BadClip: As ``prepare`` raises it.
    """
    with FaceFinder() as finder, tempfile.TemporaryFile() as store:
        views = [(picture, boxes) for picture, boxes in _views(finder, clip, start, end, background, store) if boxes]
    if not views:
        raise no_face()
    picture, boxes = _sheet(views)
    return numbered(picture, boxes), boxes


def _views(
    finder: FaceFinder, path: Path, start: float | None, end: float | None, background: Color, store: BinaryIO
) -> Iterator[tuple[np.ndarray, list[Box]]]:
    """Yield a picture of each shot of a file, and the faces in it."""
    source: Iterator[Frame]
    match kind_of(path):
        case "photo":
            photo = open_photo(path, background)
            size = size_at(photo.shape[1], photo.shape[0], _WORK_SIDE)
            photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
            yield photo, finder.boxes(photo)
            return
        case "animation":
            animation = open_animation(path, start, end, background)
            source, fps = animated_pictures(animation, *_work_size(animation)), animation.fps
        case "video":
            clip = open_clip(path, start, end)
            source, fps = pictures(clip, *_work_size(clip), background), clip.wanted_fps
    frames, thumbnails = keep(source, store, lambda share: None, 1)
    for _, number, boxes in faces_of_shots(finder, frames, find_shots(thumbnails, float(fps)), float(fps)):
        yield cv2.cvtColor(frames[number], cv2.COLOR_YUV2RGB_I420), boxes


def _work_size(clip: Clip | Animation) -> tuple[int, int]:
    return size_at(clip.width, clip.height, _WORK_SIDE)


def _sheet(views: Sequence[tuple[np.ndarray, list[Box]]]) -> tuple[np.ndarray, list[Box]]:
    """Return all views in one picture, two in a row and at half their size, and all of their faces.

    A single view stays as it is.
    """
    if len(views) == 1:
        return views[0]
    height, width = (side // 2 for side in views[0][0].shape[:2])
    sheet = np.zeros((height * ((len(views) + 1) // 2), 2 * width, 3), np.uint8)
    faces = []
    for number, (picture, boxes) in enumerate(views):
        y, x = number // 2 * height, number % 2 * width
        sheet[y : y + height, x : x + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        faces += [Box(x + b.x / 2, y + b.y / 2, b.width / 2, b.height / 2, b.score) for b in boxes]
    return sheet, faces


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.preparing", description="Make avatar packs from a clip or photo."
    )
    parser.add_argument(
        "clip",
        type=Path,
        metavar="CLIP",
        help=f"a video ({', '.join(VIDEOS)}...) or picture ({', '.join(PICTURES)}, also an animated one)",
    )
    parser.add_argument("--name", default="", help="name of the avatar")
    parser.add_argument("--resolution", action="append", choices=[*RESOLUTIONS, "all"], help="repeatable; default: all")
    parser.add_argument("--face", default="center", help="center (default), largest, or a number from the left")
    parser.add_argument("--start", type=float, help="seconds")
    parser.add_argument("--end", type=float, help="seconds")
    parser.add_argument(
        "--background",
        type=color_of,
        default=BACKGROUND,
        metavar="RRGGBB",
        help="colour behind transparent parts; default: light grey",
    )
    parser.add_argument("--out", type=Path, help="folder of the packs; default: precomputed")
    parser.add_argument("--preview", type=Path, help="only write a picture (.jpg, .png) with the faces' numbers here")
    parser.add_argument("--report", type=Path, help="folder for a report on the clip, with pictures")
    parser.add_argument("--json", action="store_true", help="write progress as lines of JSON, for programs")
    parser.add_argument("--engine", choices=["mesh", "musetalk"], default="mesh", help="musetalk: for either engine")
    given = parser.parse_args(with_files(arguments))
    if given.face not in ("center", "largest") and not given.face.isdecimal():
        parser.error("--face: center, largest, or a number from the left")
    face = int(given.face) if given.face.isdecimal() else given.face
    wanted = RESOLUTIONS if not given.resolution or "all" in given.resolution else dict.fromkeys(given.resolution)
    teller = _JsonLines() if given.json else _Terminal()
    part = given.start, given.end
    try:
        if given.preview is not None:
            picture, boxes = preview_faces(given.clip, *part, given.background)
            drawn = io.BytesIO()
            Image.fromarray(picture).save(drawn, format="PNG" if given.preview.suffix == ".png" else "JPEG")
            given.preview.write_bytes(drawn.getvalue())  # separately: Pillow hides why it cannot write
            teller.faces(boxes)
            return 0
        models = Settings.from_environment().models_dir if given.engine == "musetalk" else None
        to = given.out, given.report
        paths = prepare(
            given.clip, given.name, list(wanted), face, *part, *to, teller.progress, models, given.background
        )
    except PipelineError as error:
        teller.failed(error)
        return 1
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        logger.warning("cannot write: %s", error)
        teller.failed(unwritable(error))
        return 1
    teller.made(paths)
    return 0


class _Terminal:
    """Shows people what happens."""

    def __init__(self) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped]  # ships no types

        self._bar = tqdm(total=100, bar_format="{desc:<20} {percentage:3.0f}%|{bar}| {elapsed}", delay=0.01)

    def progress(self, share: float, doing: str) -> None:
        """Show the share that is done (0..1), and the current stage."""
        self._bar.set_description_str(doing, refresh=False)
        self._bar.update(round(share * 100, 1) - self._bar.n)

    def faces(self, boxes: Sequence[Box]) -> None:
        """Print how many faces there are; the picture shows where."""
        print(len(boxes))

    def made(self, paths: Sequence[Path]) -> None:
        """List the packs."""
        self._bar.close()
        for path in paths:
            print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")

    def failed(self, error: PipelineError) -> None:
        """Print what went wrong."""
        self._bar.close()
        print(error.message, file=sys.stderr)


class _JsonLines:
    """Reports to a program what happens, one JSON object a line."""

    def progress(self, share: float, doing: str) -> None:
        """Report the share that is done (0..1), and the current stage."""
        self._tell(progress=round(share, 3), stage=doing)

    def faces(self, boxes: Sequence[Box]) -> None:
        """Report where the faces are in the picture, in pixels."""
        self._tell(faces=[{"x": box.x, "y": box.y, "width": box.width, "height": box.height} for box in boxes])

    def made(self, paths: Sequence[Path]) -> None:
        """Report where packs were written."""
        self._tell(made=[str(path) for path in paths])

    def failed(self, error: PipelineError) -> None:
        """Report what went wrong."""
        self._tell(error={"ko": error.message.ko, "en": error.message.en}, status=error.status, code=error.code)

    def _tell(self, **what: object) -> None:
        print(json.dumps(what, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main())
