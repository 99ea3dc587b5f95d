"""Contact sheets to look at frame by frame: mouths at named sounds, blinks, and the seams between clips.

    python -m benchmarks.sheets --out docs/sheets
    python -m benchmarks.sheets --out sheets --clip seated=seated.mp4 --photo me=me.png

Of each person: the mouth in the middle of the first a, i, u, o, e, p, b, m, s and n of some sentences, and of
consonants made with the tongue; a blink that is drawn, and one of the clip itself; eyes that think, and the same turned
to the camera; and for each further clip the way into it and out again. A still of each bundled person, taken as a
photo, is there as well.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.listen import SENTENCES, SHOWN, sound_of
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.eye_contact import with_eye_contact
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.mesh.face_expression import FaceExpression
from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.face.eyes import IRISES
from pipeline.face.mesh_basis import load_basis
from pipeline.live.pictures import CROSSING, Crossing, Pictures, drawn_by
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS, articulate
from pipeline.speech.expression_track import UNITS as LOOKS
from pipeline.speech.expression_track import ExpressionTrack
from pipeline.speech.framed import framed
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.renderings import Renderings
from pipeline.speech_types import Speech
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.finish import finished
from pipeline.tts.speech_engine import CUSTOM_VOICE
from pipeline.video.frame import Frame
from pipeline.video.writer import AUDIO_RATE

CONSONANTS = (
    "en-us",
    "I think they go to the lake, and she likes four cats.",
    {"θ": "th", "ð": "dh", "t": "t", "d": "d", "l": "l", "k": "k", "ɡ": "g", "ŋ": "ng", "ʃ": "sh", "f": "f"},
)
"""A language, a sentence in it, and which of its sounds are shown, under which names."""
PEOPLE = ("woman", "talk_long")
COLUMNS = 10
TILE = 128
"""Pixels, either side."""
BLINK = (0.0, 0.35, 0.85, 1.0, 1.0, 0.85, 0.6, 0.35, 0.12, 0.0)
"""How far the lids are shut in each frame of a blink."""


def main() -> None:
    """Write a sheet for each person."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clip", action="append", default=[], metavar="NAME=FILE")
    options.add_argument("--photo", action="append", default=[], metavar="NAME=FILE")
    options.add_argument("--only", help="one person")
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    logging.disable(logging.INFO)
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, avatar in _people(given, Path(folder)):
            rows = [*_sounds(avatar), *_blinks(avatar), *_looks(avatar), *_seams(avatar, Path(folder) / f"{name}.yuv")]
            Image.fromarray(np.vstack(rows)).save(given.out / f"{name}.webp", quality=75, method=6)
            print(name, len(rows), "rows", flush=True)


def _people(given: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Avatar]]:
    """Yield each person and their avatar in 720p."""
    store = AvatarStore(Settings().precomputed)
    files = dict(entry.split("=", 1) for entry in (*given.clip, *given.photo))
    for name in PEOPLE:
        avatar = store.load(store.find(name, "720p"))
        if given.only in (None, name):
            yield name, avatar
        still = next(avatar.clip.frames())
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(still.planes, cv2.COLOR_YUV2BGR_I420))
        files[f"{name}_as_photo"] = str(folder / f"{name}.png")
    for name, file in files.items():
        if given.only in (None, name):
            (path,) = prepare(Path(file), PrepareOptions(name=name, resolutions=["720p"], out=folder / "packs"))
            yield name, AvatarStore(folder / "packs").load(path)


def _sounds(avatar: Avatar) -> Iterator[np.ndarray]:
    """Yield a row of mouths for each of two Korean sentences, and one of consonants made with the tongue."""
    engine, fps = EspeakEngine(), float(avatar.fps)
    korean = {sound: sound for sound in SHOWN}
    for language, text, sounds in (*(("ko", text, korean) for text in SENTENCES["ko"][:2]), CONSONANTS):
        pieces = engine.stream(text, CUSTOM_VOICE, CancelToken(), language)
        piece = next(framed(finished(pieces, engine.loudness(CUSTOM_VOICE, language), 0.0), avatar.fps))
        phonemes = phonemes_of(piece, Renderings(engine), CancelToken())
        mouth = articulate(phonemes, piece, round(piece.duration * fps), fps)
        first: dict[str, int] = {}
        for mark in phonemes:
            first.setdefault(sound_of(mark), round((mark.start + mark.end) / 2 * fps))
        frames = list(MeshEngine().render(avatar, [Stretch(piece, mouth)], CancelToken()))
        yield _row(
            [
                _mouth(frames[first[sound]], avatar, first[sound], label) if sound in first else None
                for sound, label in sounds.items()
            ]
        )


def _blinks(avatar: Avatar) -> Iterator[np.ndarray]:
    """Yield a row of eyes of a drawn blink, and one where the eyes of the clip change most: its own blink."""
    geometry = FaceGeometry(avatar, load_basis())
    face = FaceExpression(geometry, geometry.triangles(), float(avatar.fps))
    count = len(avatar.landmarks)
    begin = int(np.argmax([face.alone[np.arange(n, n + len(BLINK)) % count].min() for n in range(count)]))
    looks = np.zeros((len(BLINK), len(LOOKS)), np.float32)
    looks[:, [LOOKS.index("eyeBlinkLeft"), LOOKS.index("eyeBlinkRight")]] = np.array(BLINK)[:, None]
    mouth = MouthTrack(float(avatar.fps), np.zeros((len(BLINK), len(UNITS)), np.float32), UNITS)
    silence = Speech(samples=np.zeros(AUDIO_RATE, np.float32), rate=AUDIO_RATE, text="", language="")
    drawn = MeshEngine().render(
        avatar, [Stretch(silence, mouth, expression=ExpressionTrack(looks))], CancelToken(), begin
    )
    yield _row([_eyes(frame, avatar, begin + n, "drawn" if not n else "") for n, frame in enumerate(drawn)])
    eyes = np.array([_eyes(frame, avatar, number, "") for number, frame in enumerate(avatar.clip.once())])
    change = np.abs(eyes.astype(np.int16) - np.median(eyes, 0).astype(np.int16)).mean((1, 2, 3))
    begin = min(max(0, int(change.argmax()) - 4), max(0, count - COLUMNS))
    yield _row(list(eyes[begin : begin + COLUMNS]))


def _looks(avatar: Avatar) -> Iterator[np.ndarray]:
    """Yield a row of eyes that look away while the person thinks, and one of the same turned to the camera."""
    thinks = avatar.clips.get("thinking")
    if thinks is None or thinks.gaze is None:
        return
    chosen = np.linspace(0, len(thinks.landmarks) - 1, COLUMNS).round().astype(int)
    for clip, label in ((thinks, "thinks"), (with_eye_contact(thinks), "turned")):
        frames = list(clip.clip.once())
        yield _row([_eyes(frames[n], thinks, n, label if n == chosen[0] else str(n)) for n in chosen])


def _seams(avatar: Avatar, decoded: Path) -> Iterator[np.ndarray]:
    """Yield a row of faces for the way into each further clip, and one for the way out."""
    pictures = Pictures(avatar, MeshEngine(), decoded)
    pictures.add(avatar.clips.items())
    own = pictures.clips[""]
    for name, numbers in pictures.clips.items():
        if name:
            for leaves, clip, label in ((own[len(own) // 3], name, f"to {name}"), (numbers[-1], "", f"from {name}")):
                frames = list(_crossed(pictures, leaves, clip))
                chosen = np.linspace(0, len(frames) - 1, COLUMNS).round().astype(int)
                yield _row([_face(frames[n], avatar, f"{label} {n}" if n else label) for n in chosen])


def _crossed(pictures: Pictures, leaves: int, clip: str) -> Iterator[Frame]:
    """Yield the last group of a clip, those that go over into another one, and its first."""

    def rest(number: int) -> np.ndarray:
        return np.zeros((pictures.lengths[number], len(UNITS)), np.float32)

    sound = np.zeros(AUDIO_RATE, np.float32)
    before = leaves - 1
    yield from drawn_by(pictures.engine, [pictures.frames(before, rest(before), sound)])[0]
    crossing = Crossing(leaves, pictures.entry(leaves, clip))
    for part in range(CROSSING):
        mouth = rest(crossing.entry)
        yield from drawn_by(pictures.engine, [pictures.crossing(crossing, mouth, sound, None)])[0]
        gone = crossing.frames + len(mouth)
        crossing = Crossing(leaves, pictures.following(crossing.entry), part + 1, gone)
    yield from drawn_by(pictures.engine, [pictures.frames(crossing.entry, rest(crossing.entry), sound)])[0]


def _mouth(frame: Frame, avatar: Avatar, number: int, label: str) -> np.ndarray:
    points = avatar.landmarks[number % len(avatar.landmarks), :, :2]
    x, y = points[[13, 14]].mean(0)
    return _tile(frame, (x, y), 0.25 * float(np.ptp(points[:, 0])), label)


def _eyes(frame: Frame, avatar: Avatar, number: int, label: str) -> np.ndarray:
    points = avatar.landmarks[number % len(avatar.landmarks), :, :2]
    x, y = points[IRISES[0]]
    return _tile(frame, (x, y), 0.2 * float(np.ptp(points[:, 0])), label)


def _face(frame: Frame, avatar: Avatar, label: str) -> np.ndarray:
    points = avatar.landmarks[0, :, :2]
    x, y = points.mean(0)
    return _tile(frame, (x, y), 0.75 * float(np.ptp(points[:, 1])), label)


def _tile(frame: Frame, middle: tuple[float, float], reach: float, label: str) -> np.ndarray:
    """Return the square around a place, (TILE, TILE, 3) RGB."""
    picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
    scale = TILE / (2 * reach)
    x, y = middle
    place = np.array([[scale, 0, TILE / 2 - scale * x], [0, scale, TILE / 2 - scale * y]])
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.4 / scale) if scale < 1 else picture
    tile = cv2.warpAffine(smooth, place, (TILE, TILE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.putText(tile, label, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255,) * 3, 1, cv2.LINE_AA))


def _row(tiles: Sequence[np.ndarray | None]) -> np.ndarray:
    nothing = np.full((TILE, TILE, 3), 255, np.uint8)
    shown = [nothing if tile is None else tile for tile in tiles[:COLUMNS]]
    return np.hstack([*shown, *[nothing] * (COLUMNS - len(shown))])


if __name__ == "__main__":
    main()
