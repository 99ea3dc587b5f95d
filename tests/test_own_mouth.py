"""The inside of the mouth is the person's own, as the clip shows it, where the clip shows it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar, OwnMouth
from pipeline.avatars.pack import load, save
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.mover import FaceMover
from pipeline.engines.mesh.own_mouth_interior import DETAIL, TONES, OwnMouthInterior
from pipeline.errors import BadPack
from pipeline.face.mesh_basis import LOWER_INNER, UPPER_INNER, load_basis
from pipeline.preparing.footage import Footage
from pipeline.preparing.own_mouth import find_mouth, resized
from pipeline.preparing.person import Person
from pipeline.preparing.usable_frames import Findings, mouth_gap
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader
from tests.footage import as_footage

FRAMES = 40
UNITS = ("jawOpen", "mouthStretchLeft", "mouthStretchRight")
SEEN = 0.4
"""The jaw at its widest in the clip."""
PAINT = (180, 90, 110)
"""Y, U, V of what lies between the lips: nothing that is ever drawn there."""


@pytest.fixture(scope="module")
def man() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_long", "360p"))


def _weights(jaw: float, wide: float = 0.0) -> np.ndarray:
    return np.array([jaw, wide, wide], np.float32)


def _painted(frame: Frame, points: np.ndarray, brightness: float = 1.0) -> None:
    """Fill the opening of a mouth, POINTS, with PAINT."""
    outline = np.concatenate([points[UPPER_INNER], points[LOWER_INNER][-2:0:-1]])
    mask = np.zeros((frame.height, frame.width), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    for plane, level in zip((frame.y, *frame.uv), (16 + (PAINT[0] - 16) * brightness, *PAINT[1:]), strict=True):
        share = cv2.resize(mask, plane.shape[::-1], interpolation=cv2.INTER_AREA) / 255.0
        plane[:] = np.rint(plane * (1 - share) + level * share)


def _talking(man: Avatar, brightness: np.ndarray | None = None) -> tuple[Footage, Person]:
    """The bundled man talking, with PAINT between his lips; BRIGHTNESS is that of the light on each frame."""
    mover, geometry = FaceMover(man, UNITS), FaceGeometry(man, load_basis())
    points, frames = man.landmarks[:FRAMES].copy(), []
    for number, base in enumerate(islice(ClipReader(man.video).frames(), FRAMES)):
        weights = _weights(SEEN * (0.5 - 0.5 * np.cos(number)), 0.5 + 0.5 * np.sin(0.7 * number))
        frame = Frame(base.planes.copy())
        mover.move(frame, number, weights)
        target = mover.target(number, weights)
        points[number, :, :2] += (target - geometry.rest[number])[:478]
        _painted(frame, target)
        if brightness is not None:
            frame.y[:] = np.clip(16 + (frame.y - 16.0) * brightness[number], 16, 235)
        frames.append(frame.planes)
    nowhere = np.zeros(FRAMES, bool)
    findings = Findings(
        usable=~nowhere,
        missing=nowhere,
        turned=nowhere,
        covered=nowhere,
        gap=mouth_gap(points),
        yaw=np.zeros(FRAMES),
        width=125.0,
    )
    return as_footage(frames, points), Person(points, man.rest[:FRAMES].copy(), findings)


@pytest.fixture(scope="module")
def own(man: Avatar) -> OwnMouth:
    mouth = find_mouth(*_talking(man))
    assert mouth is not None
    return mouth


def _drawn(avatar: Avatar, weights: np.ndarray, number: int = 0) -> Frame:
    frame = Frame(next(islice(ClipReader(avatar.video).frames(number), 1)).planes.copy())
    FaceMover(avatar, UNITS).move(frame, number, weights)
    return frame


def _between_lips(avatar: Avatar, frame: Frame, weights: np.ndarray) -> np.ndarray:
    """Median Y, U, V in the middle of an open mouth."""
    target = FaceMover(avatar, UNITS).target(0, weights)
    x, y = (target[UPPER_INNER[5]] + target[LOWER_INNER[5]]) / 2
    luma = frame.y[int(y) - 1 : int(y) + 2, int(x) - 4 : int(x) + 5]
    u, v = (plane[int(y) // 2, int(x) // 2 - 2 : int(x) // 2 + 3] for plane in frame.uv)
    return np.array([np.median(part) for part in (luma, u, v)])


@pytest.mark.slow
@pytest.mark.parametrize(("jaw", "wide"), [(0.15, 0.2), (0.3, 0.8), (SEEN, 0.0)])
def test_a_mouth_shows_what_the_clip_shows_of_it(man: Avatar, own: OwnMouth, jaw: float, wide: float) -> None:
    weights = _weights(jaw, wide)
    with_own = replace(man, mouth=own)
    assert np.abs(_between_lips(man, _drawn(with_own, weights), weights) - PAINT).max() < 12
    assert np.abs(_between_lips(man, _drawn(man, weights), weights) - PAINT).max() > 40, "the drawn one differs"


def test_a_mouth_wider_than_the_clip_shows_is_drawn(man: Avatar, own: OwnMouth) -> None:
    few = replace(own, shapes=own.shapes * np.float32(0.2))  # as if the clip showed small openings only
    weights = _weights(0.4)
    np.testing.assert_array_equal(_drawn(replace(man, mouth=few), weights).planes, _drawn(man, weights).planes)


def test_a_closed_mouth_shows_nothing_of_it(man: Avatar, own: OwnMouth) -> None:
    still = _weights(0.0)
    np.testing.assert_array_equal(_drawn(replace(man, mouth=own), still).planes, _drawn(man, still).planes)


def test_the_light_is_that_of_the_frame(man: Avatar, own: OwnMouth) -> None:
    lit = find_mouth(*_talking(man, np.where(np.arange(FRAMES) % 2, 0.7, 1.0)))
    assert lit is not None
    weights = _weights(0.3, 0.5)
    bright = _between_lips(man, _drawn(replace(man, mouth=lit), weights), weights)
    assert abs(bright[0] - PAINT[0]) < 20, "frames in less light look like the others"


@pytest.mark.parametrize("blended", [TONES, DETAIL])
def test_pictures_change_as_smoothly_as_the_mouth(own: OwnMouth, blended: tuple[int, float]) -> None:
    """Nothing jumps while the mouth moves: no picture appears or goes at more than a small weight."""
    interior = OwnMouthInterior(own)
    low, high = own.shapes.min(0), own.shapes.max(0)
    path = low + (high - low) * np.linspace(0, 1, 800)[:, None] ** np.array([1, 2, 1, 0.5])
    before = np.zeros(len(own.shapes))
    for step, shape in enumerate(path):
        near, share = interior.nearest(shape, *blended)
        weights = np.zeros(len(own.shapes))
        weights[near] = share
        assert weights.sum() == pytest.approx(1)
        if step:
            assert np.abs(weights - before).max() < 0.06
        before = weights


def test_a_silent_person_and_a_short_look_give_none(man: Avatar) -> None:
    footage, person = _talking(man)
    silent = replace(person, landmarks=person.rest, findings=replace(person.findings, gap=mouth_gap(person.rest)))
    assert find_mouth(footage, silent) is None
    turned = replace(person, findings=replace(person.findings, usable=np.arange(FRAMES) < 4))
    assert find_mouth(footage, turned) is None


def test_smaller_packs_keep_smaller_pictures_of_the_same_mouth(man: Avatar, own: OwnMouth) -> None:
    small = resized(own, 0.5)
    assert small.luma.nbytes < 0.45 * own.luma.nbytes
    weights = _weights(0.3, 0.5)
    one, other = (_between_lips(man, _drawn(replace(man, mouth=m), weights), weights) for m in (own, small))
    assert np.abs(one - other).max() < 16


def test_the_pack_keeps_the_mouth_and_older_packs_open_without(man: Avatar, own: OwnMouth, tmp_path: Path) -> None:
    path = tmp_path / "man.pkl"
    save(man, path)
    before = path.stat().st_size
    save(replace(man, mouth=own), path)
    assert path.stat().st_size < 1.5 * before
    kept = load(path).mouth
    assert kept is not None and kept.lip_rows == own.lip_rows
    for name in ("shapes", "luma", "chroma", "skin"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(own, name))
    content = pickle.loads(path.read_bytes())
    del content["mouth"]
    path.write_bytes(pickle.dumps(content))
    assert load(path).mouth is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (0, np.zeros((3, 4), np.float32)),
        (0, "shapes"),
        (1, np.zeros((2, 4), np.uint8)),
        (1, np.zeros((0, 40, 40), np.uint8)),
        (1, np.zeros((1000, 40, 40), np.uint8)),
        (2, np.zeros((1, 2, 4, 4), np.uint8)),
        (3, 0),
        (3, 7),
        (3, 10_000),
        (4, np.full(3, np.nan, np.float32)),
    ],
)
def test_a_mouth_that_is_none_is_refused(man: Avatar, own: OwnMouth, tmp_path: Path, part: int, value: object) -> None:
    path = tmp_path / "man.pkl"
    save(replace(man, mouth=own), path)
    content = pickle.loads(path.read_bytes())
    content["mouth"] = (*content["mouth"][:part], value, *content["mouth"][part + 1 :])
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(BadPack):
        load(path)
