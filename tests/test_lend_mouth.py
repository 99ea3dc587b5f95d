"""A person who talks in the clip is shown with the mouth closed, as in the same clip in which they are silent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.mover import FaceMover
from pipeline.face.mesh_basis import LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER, load_basis
from pipeline.preparing.changed_frames import Frames, changed_frames
from pipeline.preparing.footage import Footage
from pipeline.preparing.lend_mouth import lend_mouth
from pipeline.preparing.person import Person
from pipeline.preparing.usable_frames import Findings, mouth_gap
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader
from tests.footage import as_footage

FRAMES = 24
BRIDGE = 6
TEETH = 215


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_long", "360p"))


@pytest.fixture(scope="module")
def silent(avatar: Avatar) -> np.ndarray:
    return np.stack([frame.planes.copy() for frame in islice(ClipReader(avatar.video).frames(), FRAMES)])


def _talking(avatar: Avatar, silent: np.ndarray, jaw: np.ndarray, usable: np.ndarray) -> tuple[Footage, Person]:
    """The clip SILENT with the jaw open by JAW (frames,), as footage, and what is measured of it."""
    mover, geometry = FaceMover(avatar, ("jawOpen",)), FaceGeometry(avatar, load_basis())
    rest, frames = avatar.landmarks[:FRAMES], silent.copy()
    landmarks = rest.copy()
    for number, opened in enumerate(jaw):
        mover.move(Frame(frames[number]), number, np.array([opened], np.float32))
        moved = geometry.moved(number, opened * load_basis().delta["jawOpen"])
        landmarks[number, :, :2] += (moved - geometry.rest[number])[:478]
    nowhere = np.zeros(FRAMES, bool)
    footage = as_footage(frames, landmarks, fps=avatar.fps)
    findings = Findings(
        usable=usable,
        missing=nowhere,
        turned=nowhere,
        covered=~usable,
        gap=mouth_gap(landmarks),
        yaw=np.zeros(FRAMES),
        width=100.0,
    )
    return footage, Person(landmarks, rest, findings)


def _mouth(avatar: Avatar, number: int) -> tuple[slice, slice]:
    corners = avatar.landmarks[number, [61, 291, 0, 17], :2]
    (left, top), (right, bottom) = corners.min(0).astype(int) - 8, corners.max(0).astype(int) + 8
    return slice(top, bottom), slice(left, right)


def _apart(avatar: Avatar, frames: Frames, others: np.ndarray) -> np.ndarray:
    """How much the luma of the mouth differs, (frames,), mean of its amount."""
    places = [_mouth(avatar, number) for number in range(FRAMES)]
    return np.array([np.abs(a[p].astype(int) - b[p]).mean() for a, b, p in zip(frames, others, places, strict=True)])


@pytest.fixture()
def store(tmp_path: Path) -> Iterator[BinaryIO]:
    with (tmp_path / "changes").open("w+b") as file:
        yield file


@pytest.mark.parametrize("least", [0.0, 0.12])
def test_the_mouth_of_a_person_who_talks_looks_as_when_silent(
    avatar: Avatar, silent: np.ndarray, store: BinaryIO, least: float
) -> None:
    jaw = least + 0.4 * np.clip(np.sin(np.arange(FRAMES) * 0.9), 0, 1)
    footage, person = _talking(avatar, silent, jaw, np.ones(FRAMES, bool))
    closed, closed_person = lend_mouth(footage, person, store)
    frames = np.array(list(closed.frames))
    before, after = _apart(avatar, footage.frames, silent), _apart(avatar, frames, silent)
    assert before.max() > 15
    assert after.max() < (3 if least == 0 else 5)
    np.testing.assert_allclose(closed_person.landmarks, closed_person.rest, atol=1e-3)
    bridge = int(avatar.landmarks[:FRAMES, BRIDGE, 1].min())
    np.testing.assert_array_equal(frames[:, :bridge], silent[:, :bridge])


def _planes(footage: Footage) -> np.ndarray:
    """Return the frames of FOOTAGE that was drawn here."""
    assert isinstance(footage.frames, np.ndarray)
    return footage.frames


def test_the_lent_mouth_stands_in_the_light_of_each_frame(avatar: Avatar, silent: np.ndarray, store: BinaryIO) -> None:
    jaw = 0.4 * np.clip(np.sin(np.arange(FRAMES) * 0.9), 0, 1)
    light = np.linspace(0.6, 1.0, FRAMES)
    footage, person = _talking(avatar, silent, jaw, np.ones(FRAMES, bool))
    height = avatar.height
    for frames in (_planes(footage), lit := silent.copy()):
        frames[:, :height] = 16 + (frames[:, :height] - 16.0) * light[:, None, None]
        frames[:, height:] = 128 + (frames[:, height:] - 128.0) * light[:, None, None]
    closed, _ = lend_mouth(footage, person, store)
    assert _apart(avatar, closed.frames, lit).max() < 4


def test_frames_without_a_usable_face_stay_as_they_are_and_the_mouth_opens_towards_them(
    avatar: Avatar, silent: np.ndarray, store: BinaryIO
) -> None:
    usable = np.ones(FRAMES, bool)
    usable[10:14] = False
    jaw = np.where(np.arange(FRAMES) < 3, 0.0, 0.3)
    footage, person = _talking(avatar, silent, jaw, usable)
    closed, closed_person = lend_mouth(footage, person, store)
    for number in range(10, 14):
        np.testing.assert_array_equal(closed.frames[number], footage.frames[number])
    gap = mouth_gap(closed_person.landmarks)
    assert gap[6] < gap[8] < gap[9] < gap[10]
    after = _apart(avatar, closed.frames, silent)
    assert after[5] < after[8] < after[10]


def test_what_was_read_stays_as_it_is_and_only_the_mouths_are_stored(
    avatar: Avatar, silent: np.ndarray, store: BinaryIO
) -> None:
    footage, person = _talking(avatar, silent, np.full(FRAMES, 0.3), np.ones(FRAMES, bool))
    _planes(footage).setflags(write=False)
    filmed, landmarks = _planes(footage).copy(), person.landmarks.copy()
    closed, _ = lend_mouth(footage, person, store)
    assert closed.frames is not footage.frames
    np.testing.assert_array_equal(footage.frames, filmed)
    np.testing.assert_array_equal(person.landmarks, landmarks)
    assert 0 < store.tell() < 0.2 * filmed.nbytes


SIZE = 32, 48


def _noise(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, SIZE[0] * 3 // 2, SIZE[1]), np.uint8)


@pytest.mark.parametrize(
    "plane, row, column",
    [("y", 0, 0), ("y", 31, 47), ("y", 13, 20), ("u", 0, 0), ("u", 15, 23), ("v", 7, 5), ("all", 0, 0)],
)
def test_a_change_anywhere_is_read_again_bit_for_bit(store: BinaryIO, plane: str, row: int, column: int) -> None:
    frames = _noise(4)
    changed = Frame(frames[2].copy())
    if plane == "all":
        changed.planes[:] ^= 255
    else:
        {"y": changed.y, "u": changed.uv[0], "v": changed.uv[1]}[plane][row, column] ^= 1
    result = changed_frames(frames, [(2, changed)], store)
    assert (len(result), result.shape) == (4, frames.shape)
    for number, planes in enumerate(result):
        np.testing.assert_array_equal(planes, changed.planes if number == 2 else frames[number])
    with pytest.raises(IndexError):
        result[4]


def test_frames_that_become_what_they_were_take_no_room(store: BinaryIO) -> None:
    frames = _noise(2)
    result = changed_frames(frames, ((number, Frame(frames[number].copy())) for number in range(2)), store)
    assert store.tell() == 0
    np.testing.assert_array_equal(np.array(list(result)), frames)


@pytest.mark.parametrize("reach", [0.0, 0.25, 0.45])
def test_a_mouth_that_never_closes_keeps_no_teeth_on_the_shut_lips(
    avatar: Avatar, silent: np.ndarray, store: BinaryIO, reach: float
) -> None:
    """REACH: how far teeth lie beyond the inner points of the upper lip, as a share of the lip."""
    jaw = 0.14 + 0.2 * np.clip(np.sin(np.arange(FRAMES) * 0.9), 0, 1)
    footage, person = _talking(avatar, silent, jaw, np.ones(FRAMES, bool))
    frames = _planes(footage)
    for number, points in enumerate(person.landmarks[..., :2]):
        upper, lower = points[UPPER_INNER], points[LOWER_INNER]
        taper = np.sin(np.linspace(0, np.pi, len(upper)))[:, None]
        upper = upper + reach * taper * (points[UPPER_OUTER] - upper)
        opening = np.zeros((avatar.height, avatar.width), np.uint8)
        cv2.fillPoly(opening, [np.round(np.concatenate([upper, lower[::-1]]) * 16).astype(np.int32)], 1, shift=4)
        frame = Frame(frames[number])
        frame.y[opening > 0] = TEETH
        for plane in frame.uv:
            plane[opening[::2, ::2] > 0] = 128
    closed, closed_person = lend_mouth(footage, person, store)
    for number, points in enumerate(closed_person.landmarks[..., :2]):
        lips = np.zeros((avatar.height, avatar.width), np.uint8)
        outline = np.concatenate([points[UPPER_OUTER], points[LOWER_OUTER][::-1]])
        cv2.fillPoly(lips, [np.round(outline * 16).astype(np.int32)], 1, shift=4)
        seen = Frame(closed.frames[number]).y[cv2.erode(lips, np.ones((3, 3))) > 0]
        assert np.mean(seen > TEETH - 30) < 0.02
