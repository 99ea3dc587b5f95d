"""How well people are separated from what is behind them, and what other backgrounds cost.

    python -m benchmarks.matte [--frames 60] [--rounds 5] [--sheet docs/sheets/backgrounds.webp]

The bundled people are rendered, so their packs hold exact mattes. Beside those: what the preparation finds in the same
clips, and what the network alone says of the whole picture. In a band of 10 pixels (720p) on either side of the exact
edge: the mean error, and how much the error of a pixel changes from one frame to the next (flicker), in per cent.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from benchmarks.film import film
from benchmarks.machine import describe_machine, load
from pipeline.avatars.avatar import Avatar, Matte
from pipeline.avatars.background import AS_FILMED, TRANSPARENT, Background
from pipeline.avatars.framing import ASPECTS, box_of
from pipeline.core.cancel import CancelToken
from pipeline.face.networks import PersonSegmenter
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.preparing.clip_matte import clip_matte
from pipeline.preparing.compose import composed_video
from pipeline.preparing.encode_clip import MATTE, encode
from pipeline.settings import Settings
from pipeline.tts.speech_engine import CUSTOM_VOICE
from pipeline.video.frame import Frame, parts_of
from pipeline.video.reader import ClipReader, ColorTags
from pipeline.video.webm import transparent_copy

PEOPLE = ("woman", "talk_long")
BAND = 10
"""Pixels on either side of the edge."""
TEXT = "안녕하세요. 배경을 바꾼 영상이 얼마나 빨리 만들어지는지 재어 봅니다."
SHOWN = (5, 47, 89)
"""Frames of the sheet."""
SCREEN = (20, 170, 70)
DARK = 80
"""Luma up to which hair is dark."""
SKIN = 138
"""V from which dark places are skin in the shade."""
TILE = 320
"""Pixels, width."""


def cut(avatar: Avatar, numbers: range) -> Avatar:
    """Return an avatar with some of its frames alone."""
    assert avatar.matte is not None

    def some(reader: ClipReader, colors: ColorTags, options: dict[str, str]) -> bytes:
        frames = itertools.islice(reader.once(), numbers.start, numbers.stop, numbers.step)
        return encode(frames, avatar.width, avatar.height, avatar.fps, colors, options)

    fine = {"preset": "veryfast", "crf": "10"}
    matte = Matte(some(avatar.matte.clip, ColorTags(), fine), avatar.matte.key)
    parts = {name: getattr(avatar, name)[list(numbers)] for name in ("landmarks", "rest", "usable")}
    return replace(avatar, video=some(avatar.clip, avatar.clip.colors, fine), matte=matte, gaze=None, clips={}, **parts)


def shares_of(avatar: Avatar) -> np.ndarray:
    """Return its matte, (frames, height, width) float32, 0..1."""
    assert avatar.matte is not None
    return np.stack([frame.y for frame in avatar.matte.clip.once()]).astype(np.float32) / 255


def judge(shares: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """Return error and flicker of mattes (frames, height, width) beside exact ones, in per cent."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND + 1, 2 * BAND + 1))
    hard = (exact > 0.5).astype(np.uint8)
    edge = np.stack([cv2.dilate(one, disc) != cv2.erode(one, disc, borderValue=1) for one in hard])
    wrong = shares - exact
    flicker = np.abs(np.diff(wrong, axis=0))[edge[1:] | edge[:-1]].mean()
    return 100 * float(np.abs(wrong)[edge].mean()), 100 * float(flicker)


def measure_edges(avatar: Avatar) -> None:
    """Print the rows of a person's table."""
    network, exact = PersonSegmenter(), shares_of(avatar)
    frames = np.stack([frame.planes for frame in avatar.clip.once()])
    alone = np.stack([network.find(cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)) for planes in frames])
    begin = time.process_time()
    found = clip_matte(frames, avatar.landmarks, np.empty(exact.shape, np.uint8))
    seconds = time.process_time() - begin
    screen = composed_video(avatar, Background("color", SCREEN), CancelToken())
    filmed = np.stack([frame.planes for frame in ClipReader(screen).once()])
    keyed = clip_matte(filmed, avatar.landmarks, np.empty(exact.shape, np.uint8))
    assert keyed.key is not None, "a screen is recognised"
    rows = (
        ("network alone", alone),
        ("preparation", found.shares / np.float32(255)),
        ("preparation, in front of a green screen", keyed.shares / np.float32(255)),
    )
    for name, shares in rows:
        error, flicker = judge(shares, exact)
        print(f"| {avatar.name} | {name} | {error:.2f} | {flicker:.2f} |", flush=True)
    print(f"(found in {1000 * seconds / len(frames):.0f} ms of CPU a frame)", flush=True)


def measure_times(studio: Studio, avatar: Avatar, rounds: int) -> None:
    """Print what a frame costs in front of each background, beside the clip as it was filmed."""
    pieces = [studio.espeak.synthesize(TEXT, CUSTOM_VOICE, CancelToken())]
    with tempfile.TemporaryDirectory() as folder:
        Image.effect_noise((1600, 900), 60).convert("RGB").save(Path(folder) / "noise.jpg")
        backgrounds = {
            "source": AS_FILMED,
            "colour": Background("color", (232, 234, 237)),
            "blur": Background("blur"),
            "picture": Background("picture", picture=Path(folder) / "noise.jpg"),
            "transparent, in two parts": Background("transparent"),
        }
        book = TaskBook(Path(folder), 0)
        walls: dict[str, list[float]] = {name: [] for name in backgrounds}
        cpu: dict[str, list[float]] = {name: [] for name in backgrounds}
        for name, background in backgrounds.items():
            if background:
                wall, used = time.perf_counter(), time.process_time()
                studio.backdrops.composed(avatar, background, CancelToken())
                wall, used = time.perf_counter() - wall, time.process_time() - used
                print(f"(composed once for {name}: {wall:.1f} s, {used:.1f} s of CPU)", flush=True)
        for _ in range(rounds + 1):
            for name, background in backgrounds.items():
                task = book.files_of(uuid.uuid4().hex)
                wall, used = time.perf_counter(), time.process_time()
                film(avatar, pieces, task, studio, background=background)
                walls[name].append(time.perf_counter() - wall)
                cpu[name].append(time.process_time() - used)
        count = _frames_of(task.video)
        begin = time.perf_counter()
        transparent_copy(task.video, task.transparent)
        copied = time.perf_counter() - begin
        print(f"(its WebM: {1000 * copied / count:.0f} ms a frame)", flush=True)
    print("\n| background | ms a frame | beside source | CPU ms a frame | beside source |\n|---|---|---|---|---|")
    plain, plain_cpu = (statistics.median(one["source"][1:]) for one in (walls, cpu))
    for name in backgrounds:
        wall, used = (statistics.median(one[name][1:]) for one in (walls, cpu))
        print(
            f"| {name} | {1000 * wall / count:.1f} | {wall / plain:.2f} | {1000 * used / count:.1f} "
            f"| {used / plain_cpu:.2f} |"
        )


def _frames_of(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def fair(avatar: Avatar) -> Avatar:
    """Return an avatar with light hair in place of dark: no bundled person has any.

    Only what is dark above the chin and beside the face changes, as far as it is the person's.
    """
    assert avatar.matte is not None
    frames, reach = [], max(3, round(0.012 * avatar.height))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    for frame, matte, points in zip(avatar.clip.once(), avatar.matte.clip.once(), avatar.landmarks, strict=True):
        share = matte.y.astype(np.float32) / 255
        red = cv2.resize(frame.uv[1], share.shape[::-1], interpolation=cv2.INTER_LINEAR)
        hair = ((DARK - frame.y.astype(np.float32)) / 25).clip(0, 1)
        face = cv2.convexHull(points[:, :2].astype(np.int32))
        left, top, width, height = cv2.boundingRect(face)
        cv2.fillConvexPoly(hair, face, 0)
        hair[top + height // 2 :] *= red[top + height // 2 :] < SKIN
        rows = np.arange(avatar.height, dtype=np.float32)[:, None]
        hair *= ((top + height - rows) / (0.15 * height)).clip(0, 1)
        hair[:, : max(0, left - width // 2)] = hair[:, left + width + width // 2 :] = 0
        hair = share * np.where(share < 0.98, cv2.dilate(hair, disc), hair)  # at the edge, it is mixed with the wall
        hair = cv2.blur(hair, (3, 3))
        out = Frame(frame.planes.copy())
        out.y[:] = np.minimum(235, frame.y + hair * 105)
        small = cv2.resize(hair, out.uv[0].shape[::-1], interpolation=cv2.INTER_AREA)
        for plane, change in zip(out.uv, (-16, 5), strict=True):
            plane[:] = np.rint(plane + small * change)
        frames.append(out)
    fine = {"preset": "veryfast", "crf": "10"}
    video = encode(frames, avatar.width, avatar.height, avatar.fps, avatar.clip.colors, fine)
    return replace(avatar, name=f"{avatar.name}, light hair", video=video)


def draw_sheet(avatars: list[Avatar], path: Path) -> None:
    """Write a sheet: a row for each person and background, with the head in different poses, and the edge enlarged.

    People have dark hair, then light hair; all have the exact matte, but the last row of each: that has the one that
    the preparation finds. The last rows are the aspects.
    """
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        _street().save(picture)
        backgrounds = (
            AS_FILMED,
            Background("color", (255, 255, 255)),
            Background("color", (0, 0, 0)),
            Background("color", (30, 144, 255)),
            Background("blur"),
            Background("picture", picture=picture),
            Background("transparent"),
        )
        rows = []
        for avatar in avatars:
            dark = cut(avatar, range(SHOWN[0], SHOWN[-1] + 1, SHOWN[1] - SHOWN[0]))
            near = cut(avatar, range(SHOWN[-1], SHOWN[-1] + 9))
            for person, few in ((dark, near), (fair(dark), fair(near))):
                rows += [_row(person, background) for background in backgrounds]
                rows.append(_row(_as_found(few), backgrounds[1]))
        rows += [_aspects(avatar, Background("picture", picture=picture), rows[0].shape[1]) for avatar in avatars]
    Image.fromarray(np.vstack(rows)).save(path, quality=78, method=6)


def _row(avatar: Avatar, background: Background) -> np.ndarray:
    video = composed_video(avatar, background, CancelToken()) if background else avatar.video
    tiles = []
    frames = list(ClipReader(video).once())
    for frame in frames[:: max(1, (len(frames) - 1) // 2)]:
        picture = _seen(frame, avatar, background)
        size = TILE, round(TILE * avatar.height / avatar.width)
        tiles.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    points = avatar.landmarks[-1]
    x, y = int(points[:, 0].max()), int(points[:, 1].min())
    side = round(0.25 * avatar.height)
    top, left = max(0, y - side // 2), x - side // 2
    detail = picture[top : top + side, left : left + round(side * avatar.width / avatar.height)]
    tiles.append(cv2.resize(detail, size, interpolation=cv2.INTER_CUBIC))
    return np.hstack(tiles)


def _aspects(avatar: Avatar, background: Background, width: int) -> np.ndarray:
    """Return a person in every aspect beside each other, in front of a background."""
    few = cut(avatar, range(SHOWN[1], SHOWN[1] + 2))
    frame = next(ClipReader(composed_video(few, background, CancelToken())).once())
    tiles = []
    for aspect in ASPECTS:
        box = box_of(few, aspect)
        picture = _rgb(box.cut(frame) if box else frame, avatar)
        high = 2 * round(TILE * avatar.height / avatar.width)
        wide = round(high * picture.shape[1] / picture.shape[0])
        tiles.append(cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA))
    row = np.hstack(tiles)
    size = width, round(width / row.shape[1] * row.shape[0])
    return np.asarray(cv2.resize(row, size, interpolation=cv2.INTER_AREA))


def _seen(frame: Frame, avatar: Avatar, background: Background) -> np.ndarray:
    """Return a picture as it is seen; one of two parts as a player mixes it, over a chequered page."""
    if background.kind != TRANSPARENT:
        return _rgb(frame, avatar)
    person, matte = parts_of(frame)
    share = ((matte.y.astype(np.float32) - 16) / 219).clip(0, 1)[..., None]
    y, x = np.mgrid[0 : avatar.height, 0 : avatar.width] // max(1, avatar.height // 18)
    page = np.where((x + y) % 2, 255, 190)[..., None]
    mixed: np.ndarray = np.rint(share * _rgb(person, avatar) + (1 - share) * page)
    return mixed.astype(np.uint8)


def _as_found(avatar: Avatar) -> Avatar:
    """Return an avatar with the matte that the preparation finds, in place of the exact one."""
    frames = np.stack([frame.planes for frame in avatar.clip.once()])
    found = clip_matte(frames, avatar.landmarks, np.empty((len(frames), avatar.height, avatar.width), np.uint8))
    grey = np.full((avatar.height // 2, avatar.width), 128, np.uint8)
    pictures = (Frame(np.concatenate([shares, grey])) for shares in found.shares)
    video = encode(pictures, avatar.width, avatar.height, avatar.fps, ColorTags(), MATTE)
    return replace(avatar, matte=Matte(video, found.key))


def _rgb(frame: Frame, avatar: Avatar) -> np.ndarray:
    shown = av.VideoFrame.from_ndarray(frame.planes, format="yuv420p")
    return shown.to_ndarray(format="rgb24", src_colorspace=avatar.clip.colors.space)


def _street() -> Image.Image:
    """Return a picture with detail: light and dark, coarse and fine."""
    y, x = np.mgrid[0:720, 0:1280].astype(np.float32)
    sky = np.stack([140 + 60 * y / 720, 180 + 40 * y / 720, np.full_like(y, 235)], axis=-1)
    wall = ((x // 70 + y // 50) % 2)[..., None] * 35 + np.array([150, 95, 70], np.float32)
    shown = np.where((x + 0.3 * y < 420)[..., None] | (y > 620)[..., None], wall, sky)
    return Image.fromarray(shown.clip(0, 255).astype(np.uint8))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60, help="of each person's clip; 0 leaves the edges out")
    parser.add_argument("--rounds", type=int, default=5, help="of each background; 0 leaves the times out")
    parser.add_argument("--sheet", type=Path, help="write the sheet here")
    given = parser.parse_args()
    print(describe_machine(), f"load {load():.1f}")
    settings = replace(Settings.from_environment(), results=Path(tempfile.mkdtemp()))
    studio = make_studio(settings)
    people = [studio.avatars.load(studio.avatars.find(name, "720p")) for name in PEOPLE]
    if given.sheet:
        draw_sheet(people, given.sheet)
    if given.frames:
        print("\n| clip | matte | error, % | flicker, % |\n|---|---|---|---|")
        for avatar in people:
            measure_edges(cut(avatar, range(given.frames)))
            measure_edges(fair(cut(avatar, range(given.frames))))
    if given.rounds:
        measure_times(studio, studio.avatars.load(studio.avatars.find("talk_short", "720p")), given.rounds)


if __name__ == "__main__":
    main()
