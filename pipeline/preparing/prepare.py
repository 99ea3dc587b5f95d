"""Turns a clip or a photo of a person into avatar packs.

python -m pipeline.preparing CLIP --name talk_long --resolution 720p [--resolution 480p | all]
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from pipeline import messages
from pipeline.avatars.avatar import CLIPS, GENDERS, Avatar, Matte
from pipeline.avatars.pack import save
from pipeline.avatars.store import RESOLUTIONS, SUFFIX, check_name, check_resolutions
from pipeline.core.arguments import with_files
from pipeline.core.disk import UNWRITABLE, unwritable
from pipeline.errors import BadClip, PipelineError, RenderFailed
from pipeline.face.finder import Box, FaceChoice, FaceFinder, box_of
from pipeline.messages import Message
from pipeline.preparing.animate_photo import FPS, FRAMES, LivingPhoto
from pipeline.preparing.animation import animated_pictures, open_animation
from pipeline.preparing.blur import softness_of
from pipeline.preparing.clip_matte import ClipMatte, clip_matte
from pipeline.preparing.encode_clip import MATTE, encode, keep_stream
from pipeline.preparing.file_kinds import PICTURES, VIDEOS, kind_of
from pipeline.preparing.find_clips import Part, find_clips
from pipeline.preparing.fit_photo import SHAPES, cut_for, fitted, size_of, without_bars
from pipeline.preparing.footage import Footage, PictureSource, faces_of_shots, keep, no_face, read_footage
from pipeline.preparing.further_clip import FurtherClip, at_rate, check_clips, check_meeting
from pipeline.preparing.lend_mouth import lend_mouth
from pipeline.preparing.loop import loop_order, reordered
from pipeline.preparing.mouth_scale import opening_of
from pipeline.preparing.open_clip import BT601, open_clip, pictures, unreadable
from pipeline.preparing.options import PrepareOptions, ReadOptions
from pipeline.preparing.own_mouth import find_mouth, resized
from pipeline.preparing.own_teeth import find_teeth
from pipeline.preparing.person import Person, as_filmed, measure_person
from pipeline.preparing.photo import BACKGROUND, Color, color_of, face_of_photo, open_photo
from pipeline.preparing.progress import LENDING, Progress, Stages, expected, writing_of, writing_seconds
from pipeline.preparing.report import numbered, write_report
from pipeline.preparing.shots import find_shots
from pipeline.preparing.teeth_white import teeth_by_eyes
from pipeline.preparing.turnable_eyes import find_gaze
from pipeline.preparing.usable_frames import check_width
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader, ColorTags

logger = logging.getLogger(__name__)

WORK_SIDE = 720
"""Short side (pixels) of the frames in which faces are measured, whatever smaller sizes are requested."""
_LARGE = "1080p"
_LARGE_SIDE = 1080
"""The same where `_LARGE` is requested, and the clip has that many pixels."""
_AS_IT_IS = ReadOptions()


def prepare(clip: Path, options: PrepareOptions, progress: Progress = lambda share, doing: None) -> list[Path]:
    """Make packs of a clip; they are written completely, and only if all of them can be made.

    Args:
        clip: A video, a photo or an animated picture, whatever its name says.
        options: Which packs are made, and how.
        progress: Called with the stages "reading", "faces", "measuring", "mouth" (closing it), "matte" (where the
            person is), "writing 720p" for each resolution, and "done".

    Returns:
        One path per resolution; 1080p is left out where the clip has too few pixels for it.

    Raises:
        BadRequest: The name or a resolution is not possible.
        BadClip: The clip cannot become an avatar, or has too few pixels for 1080p, and nothing else is requested.
        Unavailable: The weights of MuseTalk cannot be loaded.
    """
    check_name(options.name)
    check_resolutions(options.resolutions)
    check_clips(options.clips)
    for path in options.clips.values():
        _check_opens(path, options.background)  # before minutes of work on the clip itself
    out = Settings().precomputed if options.out is None else options.out
    encode_faces = None if options.musetalk is None else _face_encoder(options.musetalk)
    stages = Stages(expected(kind_of(clip) == "photo", options.resolutions), progress)
    stages(0.0, "reading")
    with tempfile.TemporaryFile() as store, tempfile.TemporaryFile() as closed, tempfile.TemporaryFile() as shares:
        footage, kept = _read(clip, options, store, stages)
        options = _possible(options, footage, stages)
        stages(0.0, "measuring")
        person = measure_person(footage)
        stages(0.3, "measuring")
        found = find_teeth(footage, person)
        finds = options.find_clips and kind_of(clip) != "photo"
        parts = find_clips(footage, person) if finds else {}
        if options.report is not None:
            said = _found(parts, options, footage) if finds else ()
            write_report(options.report, clip, footage, person.findings, found, said)
        teeth = teeth_by_eyes(footage, person) if found.teeth is None else found.teeth
        softness = softness_of(footage, person)
        stages(0.7, "measuring")
        mouth = find_mouth(footage, person)
        recording = footage
        if "idle" in parts:
            footage, kept = recording.part(*parts["idle"]), None
            person = measure_person(footage)
        gaze = find_gaze(footage, person)
        if person.findings.speaking:
            stages.expect("mouth", LENDING)
            lending = lend_mouth(footage, person, closed, step=lambda share: stages(0.9 * share, "mouth"))
            (footage, person), kept = lending, None
        stages(0.9 if person.findings.speaking else 0.0, "mouth")
        opening = opening_of(footage, person, softness)
        stages(0.95 if person.findings.speaking else 0.5, "mouth")
        stages(0.0, "matte")
        matte = _matte_of(footage, person, shares, partial(stages, stage="matte")) if options.matte else None
        order = loop_order(footage, person.landmarks)
        if footage.is_cut or len(order) > len(footage.frames):
            kept = None
        for resolution in options.resolutions:  # a clip that is played backwards as well is twice as long
            copied = kept is not None and resolution == f"{footage.short_side}p"
            longer = 0.0 if copied else len(order) / len(footage.frames)
            stages.expect(writing_of(resolution), longer * writing_seconds(resolution))
        filmed = reordered(as_filmed(footage, person, gaze), order)
        whole = replace(filmed, name=options.name, teeth=teeth, opening=opening, softness=softness)
        whole = replace(whole, gender=options.gender, mouth=mouth)
        further = {name: _further_clip(name, path, options, whole) for name, path in options.clips.items()}
        for name, part in _cut_out(parts, options).items():
            further[name] = _measured(name, recording.part(*part), None, whole, options.matte)
        avatars = []
        for resolution in options.resolutions:
            step = partial(stages, stage=writing_of(resolution))
            step(0.0)
            avatar = _at(resolution, whole, _Reel(footage, order, step), kept)
            if matte is not None:
                avatar = replace(avatar, matte=_written(matte, order, avatar))
            clips = {name: clip.at(avatar) for name, clip in further.items()}
            avatars.append(replace(avatar, clips=clips))
            if encode_faces is not None:
                avatars[-1] = encode_faces(avatars[-1])
    paths = []
    for avatar in avatars:
        paths.append(out / avatar.resolution / f"{avatar.id}{SUFFIX}")
        save(avatar, paths[-1])
    progress(1.0, "done")
    return paths


def _further_clip(name: str, path: Path, options: PrepareOptions, whole: Avatar) -> FurtherClip:
    """Read a further recording of the person of an avatar; see ``_measured``."""
    alone = replace(options, start=None, end=None)
    with tempfile.TemporaryFile() as store:
        footage, kept = _read(path, alone, store, lambda share, doing: None)
        return _measured(name, footage, kept, whole, options.matte)


def _cut_out(parts: Mapping[str, Part], options: PrepareOptions) -> dict[str, Part]:
    """Return the parts that become further clips: idling is the avatar's own clip, and separate recordings go first."""
    return {name: part for name, part in parts.items() if name != "idle" and name not in options.clips}


def _found(parts: Mapping[str, Part], options: PrepareOptions, footage: Footage) -> tuple[Message, ...]:
    """Return which clips were found in a recording, in sentences."""
    if not parts:
        return (messages.preparing.CLIPS_NOT_FOUND(),)
    shown = {name: part for name, part in parts.items() if name == "idle" or name in _cut_out(parts, options)}
    fps = float(footage.fps)
    return tuple(
        messages.preparing.CLIP_FOUND(name=name, begin=begin / fps, end=end / fps)
        for name, (begin, end) in shown.items()
    )


def _measured(name: str, footage: Footage, kept: bytes | None, whole: Avatar, with_matte: bool) -> FurtherClip:
    """Return a further clip of the person of an avatar, which is in its working size.

    Args:
        name: What it shows.
        footage: Its frames.
        kept: A video of them as they are, if there is one.
        whole: The avatar.
        with_matte: Whether to find out where the person is.
    """
    with tempfile.TemporaryFile() as closed, tempfile.TemporaryFile() as shares:
        person = measure_person(footage)
        gaze = find_gaze(footage, person)
        if person.findings.speaking:
            (footage, person), kept = lend_mouth(footage, person, closed), None
        order = at_rate(loop_order(footage, person.landmarks), footage.fps, whole.fps)
        filmed = reordered(as_filmed(footage, person, gaze), order)
        check_meeting(name, filmed, whole)
        as_it_is = not footage.is_cut and np.array_equal(order, np.arange(len(footage.frames)))
        if kept is None or not as_it_is or (filmed.width, filmed.height) != (whole.width, whole.height):
            kept = encode(footage.in_order(order), whole.width, whole.height, whole.fps, footage.colors)
        matte = _matte_of(footage, person, shares) if with_matte else None
        return FurtherClip(kept, filmed, None if matte is None else _written(matte, order, whole))


def _matte_of(
    footage: Footage, person: Person, store: BinaryIO, step: Callable[[float], None] = lambda share: None
) -> ClipMatte:
    """Return where a person is in footage.

    Args:
        footage: The frames.
        person: The person.
        store: An empty file for the result, which needs it.
        step: Called with the share that is done, 0..1.
    """
    count, rows, width = footage.frames.shape
    shape = count, rows * 2 // 3, width
    store.truncate(count * shape[1] * width)
    shares = np.memmap(store, np.uint8, "r+", shape=shape)
    return clip_matte(footage.frames, person.landmarks, shares, step)


def _written(matte: ClipMatte, order: np.ndarray, avatar: Avatar) -> Matte:
    """Return the matte of frames in an order, in the size and at the rate of an avatar."""
    height, width = matte.shares.shape[1:]
    grey = np.full((height // 2, width), 128, np.uint8)
    frames = (Frame(np.concatenate([matte.shares[number], grey])) for number in order.tolist())
    return Matte(encode(frames, avatar.width, avatar.height, avatar.fps, ColorTags(), MATTE), matte.key)


def size_at(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return a size scaled to a short side, both sides even: 1920x1080 at 480 is 854x480."""
    scale = short_side / min(width, height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _read(path: Path, options: PrepareOptions, store: BinaryIO, progress: Progress) -> tuple[Footage, bytes | None]:
    """Read a file of any kind and measure the face; also return a clip's own stream if it can be kept as it is."""
    match kind_of(path):
        case "photo":
            return _read_photo(path, options, store, progress), None
        case "animation":
            return _read_animation(path, options, store, progress), None
        case "video":
            return _read_video(path, options, store, progress)


def _check_opens(path: Path, background: Color) -> None:
    """Check that a file of any kind can be opened.

    Raises:
        BadClip: It cannot.
    """
    match kind_of(path):
        case "photo":
            open_photo(path, background)
        case "animation":
            open_animation(path, None, None, background)
        case "video":
            open_clip(path)


def _read_video(
    path: Path, options: PrepareOptions, store: BinaryIO, progress: Progress
) -> tuple[Footage, bytes | None]:
    clip = open_clip(path, options.start, options.end)
    width, height = _work_size(clip.width, clip.height, options)
    kept, frames = None, pictures(clip, width, height, options.background)
    if clip.plain and (width, height) == (clip.width, clip.height):
        kept = keep_stream(clip.path, clip.stream)
        frames = ClipReader(kept).once()
    count = round((clip.end - clip.start) * clip.wanted_fps)

    def ended(meets: bool) -> None:
        if meets and isinstance(progress, Stages):
            for resolution in options.resolutions:
                copied = kept is not None and resolution == f"{min(width, height)}p"
                progress.expect(writing_of(resolution), 0.0 if copied else writing_seconds(resolution))

    source = PictureSource(frames=frames, fps=clip.wanted_fps, colors=clip.shown_colors, count=count, ended=ended)
    try:
        footage = read_footage(source, options.face, store, progress)
    except RenderFailed as error:
        raise unreadable(clip.path, "its stream is broken") from error
    return replace(footage, left_out=clip.left_out, scale=clip.height / height), kept


def _read_animation(path: Path, options: PrepareOptions, store: BinaryIO, progress: Progress) -> Footage:
    animation = open_animation(path, options.start, options.end, options.background)
    size = _work_size(animation.width, animation.height, options)
    count = round((animation.end - animation.start) * animation.fps)
    frames = animated_pictures(animation, *size)
    source = PictureSource(frames=frames, fps=animation.fps, colors=BT601, count=count)
    return replace(read_footage(source, options.face, store, progress), scale=animation.height / size[1])


def _read_photo(path: Path, options: PrepareOptions, store: BinaryIO, progress: Progress) -> Footage:
    """Fit a photo to a shape, animate it and measure the face."""
    photo = without_bars(open_photo(path, options.background))
    height, width = photo.shape[:2]
    small = cv2.resize(photo, _work_size(width, height), interpolation=cv2.INTER_AREA)
    points = face_of_photo(small, options.face) * np.float32(height / small.shape[0])
    cut = cut_for(width, height, points, options.shape)
    size = _work_size(*size_of(cut, options.shape), options)
    scale = cut.height / size[1]
    check_width(box_of(points).width, scale)
    points = (points - np.array([cut.x, cut.y, 0], np.float32)) / np.float32(scale)
    # OpenCV makes the frames with BT.601
    shown = fitted(photo, cut, *size)
    living = LivingPhoto(shown, points)
    source = PictureSource(frames=living.frames(), fps=FPS, colors=BT601, count=FRAMES)
    footage = read_footage(source, _number_of(points, shown), store, progress)
    return replace(footage, points=np.where(footage.found[:, None, None], living.points(), np.nan), scale=scale)


def _number_of(points: np.ndarray, picture: np.ndarray) -> FaceChoice:
    """Return which face of a picture has some points, counted from the left."""
    with FaceFinder() as finder:
        overlaps = [box.overlap(box_of(points)) for box in finder.boxes(picture)]
    return 1 + int(np.argmax(overlaps)) if overlaps else "center"


@dataclass(frozen=True)
class _Reel:
    """The frames of a video.

    Attributes:
        footage: Where they are.
        order: Their numbers.
        step: Called with the share that was taken, 0..1.
    """

    footage: Footage
    order: np.ndarray
    step: Callable[[float], None]

    def frames(self) -> Iterator[Frame]:
        """Yield them."""
        for number, frame in enumerate(self.footage.in_order(self.order)):
            self.step(number / len(self.order))
            yield frame


def _at(resolution: str, whole: Avatar, reel: _Reel, kept: bytes | None) -> Avatar:
    """Return an avatar in another resolution, with a video.

    Args:
        resolution: "720p", for instance.
        whole: The avatar at the working size, without a video.
        reel: The frames of the video.
        kept: A video of these frames at the working size, if there is one.
    """
    width, height = size_at(whole.width, whole.height, int(resolution[:-1]))
    if kept is None or (width, height) != (whole.width, whole.height):
        video = encode(reel.frames(), width, height, reel.footage.fps, reel.footage.colors)
    else:
        video = kept
    scale = np.array([width / whole.width, height / whole.height, width / whole.width], np.float32)
    return replace(
        whole,
        resolution=resolution,
        width=width,
        height=height,
        video=video,
        landmarks=whole.landmarks * scale,
        rest=whole.rest * scale,
        mouth=None if whole.mouth is None else resized(whole.mouth, float(scale[1])),
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


def preview_faces(clip: Path, options: ReadOptions = _AS_IT_IS) -> tuple[np.ndarray, list[Box]]:
    """Return the first picture that shows faces, with their numbers, and the faces.

    Args:
        clip: A video, a photo or an animated picture.
        options: How it is read.

    Returns:
        (height, width, 3) uint8 RGB, and the faces; number 1 is the leftmost.

    Raises:
        BadClip: As ``prepare`` raises it.
    """
    with FaceFinder() as finder, tempfile.TemporaryFile() as store:
        views = [(picture, boxes) for picture, boxes in _views(finder, clip, options, store) if boxes]
    if not views:
        raise no_face()
    picture, boxes = _sheet(views)
    return numbered(picture, boxes), boxes


def _views(
    finder: FaceFinder, path: Path, options: ReadOptions, store: BinaryIO
) -> Iterator[tuple[np.ndarray, list[Box]]]:
    """Yield a picture of each shot of a file, and the faces in it."""
    source: Iterator[Frame]
    match kind_of(path):
        case "photo":
            photo = open_photo(path, options.background)
            size = _work_size(photo.shape[1], photo.shape[0])
            photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
            yield photo, finder.boxes(photo)
            return
        case "animation":
            animation = open_animation(path, options.start, options.end, options.background)
            size, fps = _work_size(animation.width, animation.height), animation.fps
            source = animated_pictures(animation, *size)
        case "video":
            clip = open_clip(path, options.start, options.end)
            size, fps = _work_size(clip.width, clip.height), clip.wanted_fps
            source = pictures(clip, *size, options.background)
    frames, thumbnails = keep(source, store)
    for _, number, boxes in faces_of_shots(finder, frames, find_shots(thumbnails, float(fps)), float(fps)):
        yield cv2.cvtColor(frames[number], cv2.COLOR_YUV2RGB_I420), boxes


def _work_size(width: int, height: int, options: PrepareOptions | None = None) -> tuple[int, int]:
    """Return the size of the frames in which faces are measured, as large as the largest pack: never more than a clip.

    Args:
        width: Of the clip.
        height: Of the clip.
        options: Which packs are made; None makes none.
    """
    large = options is not None and _LARGE in options.resolutions and min(width, height) >= _LARGE_SIDE
    return size_at(width, height, _LARGE_SIDE if large else WORK_SIDE)


def _possible(options: PrepareOptions, footage: Footage, stages: Stages) -> PrepareOptions:
    """Return the options without 1080p where the clip has too few pixels for it.

    Raises:
        BadClip: Nothing is left.
    """
    if footage.short_side >= _LARGE_SIDE or _LARGE not in options.resolutions:
        return options
    stages.expect(writing_of(_LARGE), 0.0)
    left = [resolution for resolution in options.resolutions if resolution != _LARGE]
    if not left:
        raise BadClip(messages.preparing.TOO_SMALL_FOR_1080P())
    return replace(options, resolutions=left)


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
        faces += [
            Box(x=x + b.x / 2, y=y + b.y / 2, width=b.width / 2, height=b.height / 2, score=b.score) for b in boxes
        ]
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
    parser.add_argument("--gender", choices=GENDERS, default="", help="whose voice it gets if none is chosen")
    parser.add_argument("--start", type=float, help="seconds")
    parser.add_argument("--end", type=float, help="seconds")
    parser.add_argument(
        "--background",
        type=color_of,
        default=BACKGROUND,
        metavar="RRGGBB",
        help="colour behind transparent parts; default: light grey",
    )
    parser.add_argument("--shape", choices=SHAPES, default="wide", help="of a photo: 16:9, 9:16, 1:1, or its own")
    parser.add_argument(
        "--clip",
        action="append",
        default=[],
        dest="further",
        metavar="NAME=FILE",
        help=f"a further recording of the same person: {', '.join(CLIPS)}; repeatable",
    )
    parser.add_argument(
        "--no-matte",
        action="store_true",
        help="do not separate the person from the background: faster, but videos cannot have another one",
    )
    parser.add_argument(
        "--find-clips",
        action="store_true",
        help="find the avatar's clips in the recording: waiting (which becomes its own), listening, nod, speaking",
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
    reporter = _JsonLines() if given.json else _Terminal()
    try:
        models = Settings.from_environment().models_dir if given.engine == "musetalk" else None
        options = PrepareOptions(
            name=given.name,
            resolutions=list(wanted),
            face=face,
            gender=given.gender,
            start=given.start,
            end=given.end,
            out=given.out,
            report=given.report,
            musetalk=models,
            background=given.background,
            shape=given.shape,
            matte=not given.no_matte,
            find_clips=given.find_clips,
            clips={name: Path(file) for name, _, file in (one.partition("=") for one in given.further)},
        )
        if given.preview is not None:
            picture, boxes = preview_faces(given.clip, options)
            drawn = io.BytesIO()
            Image.fromarray(picture).save(drawn, format="PNG" if given.preview.suffix == ".png" else "JPEG")
            given.preview.write_bytes(drawn.getvalue())  # separately: Pillow hides why it cannot write
            reporter.faces(boxes)
            return 0
        paths = prepare(given.clip, options, reporter.progress)
    except PipelineError as error:
        reporter.failed(error)
        return 1
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        logger.warning("cannot write: %s", error)
        reporter.failed(unwritable(error))
        return 1
    reporter.made(paths)
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
        self._emit(progress=round(share, 3), stage=doing)

    def faces(self, boxes: Sequence[Box]) -> None:
        """Report where the faces are in the picture, in pixels."""
        self._emit(faces=[{"x": box.x, "y": box.y, "width": box.width, "height": box.height} for box in boxes])

    def made(self, paths: Sequence[Path]) -> None:
        """Report where packs were written."""
        self._emit(made=[str(path) for path in paths])

    def failed(self, error: PipelineError) -> None:
        """Report what went wrong."""
        self._emit(**error.to_line())

    def _emit(self, **what: object) -> None:
        print(json.dumps(what, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main())
