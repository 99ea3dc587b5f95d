"""The person's own teeth: found where a clip shows them, left alone where it does not, kept in the pack, drawn."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar, Teeth
from pipeline.avatars.pack import load, save
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.interior import TEETH_DEPTH, light_of, teeth_white
from pipeline.engines.mesh.mover import FaceMover
from pipeline.engines.mesh.sprites import GUM, SHOWN, load_sprites
from pipeline.errors import BadPack
from pipeline.face.basis import head_pose
from pipeline.face.mesh_basis import LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER, load_basis
from pipeline.preparing.footage import Footage
from pipeline.preparing.own_teeth import LEFT, RIGHT, TOP, find_teeth
from pipeline.preparing.person import Person
from pipeline.preparing.report import write_report
from pipeline.preparing.usable_frames import Findings, mouth_gap
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader
from tests.footage import as_footage

FRAMES = 8
EDGE = 0.09
"""Where the painted row ends, in basis units below the middle of the closed upper lip."""
LIP_LINE = float(load_basis().neutral[13, 1])
TOOTH = (150, 118, 142)
DEPTH = (30, 127, 131)
LIPS = (110, 118, 155)
"""Y, U, V."""


@pytest.fixture(scope="module")
def man() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_short", "720p"))


def _row(left: float, right: float, top: float, bottom: float, count: int) -> list[np.ndarray]:
    """COUNT teeth side by side, a little apart."""
    edges = np.linspace(left, right, count + 1)
    return [
        np.array([[a + 0.005, top], [b - 0.005, top], [b - 0.005, bottom], [a + 0.005, bottom]])
        for a, b in pairwise(edges)
    ]


def upper_teeth() -> list[np.ndarray]:
    return _row(-0.28, 0.28, -0.1, EDGE, 8)


def no_teeth() -> list[np.ndarray]:
    return []


def clenched_teeth() -> list[np.ndarray]:
    return [np.array([[-0.3, -0.1], [0.3, -0.1], [0.3, 0.5], [-0.3, 0.5]])]


def _talking(man: Avatar, teeth: list[np.ndarray], scale: float = 1.0, yaw: float = 0.0) -> tuple[Footage, Person]:
    """The bundled man with his lips apart and TEETH between them, painted; they lie a little elsewhere in each frame,
    as if the points were measured badly. SCALE: of the picture; YAW: what is said of his head."""
    pose = head_pose(man.landmarks)
    carry = (pose.scale[:, None, None] * pose.rotation)[:, :, :2]
    points, frames = man.landmarks[:FRAMES].copy(), []
    rng = np.random.default_rng(3)
    for i, base in enumerate(islice(ClipReader(man.video).frames(), FRAMES)):
        taper = np.sin(np.linspace(0, np.pi, len(UPPER_INNER)))[:, None]
        points[i, UPPER_INNER, :2] -= 0.05 * taper * carry[i, 1]
        for line in (LOWER_INNER, LOWER_OUTER):
            points[i, line, :2] += 0.22 * taper * carry[i, 1]
        anchor = (man.rest[i, 0, :2] + man.rest[i, UPPER_INNER[5], :2]) / 2 + rng.uniform(-0.02, 0.02, 2) @ carry[i, :2]
        opening = np.concatenate([points[i, UPPER_INNER, :2], points[i, LOWER_INNER, :2][::-1]])
        shapes = [anchor + np.pad(shape, ((0, 0), (0, 1)), constant_values=TEETH_DEPTH) @ carry[i] for shape in teeth]
        within = _filled(base, [opening])
        frame = Frame(base.planes.copy())
        lips = np.concatenate([points[i, UPPER_OUTER, :2], points[i, LOWER_OUTER, :2][::-1]])
        for color, mask in (
            (LIPS, _filled(base, [lips])),
            (DEPTH, within),
            (TOOTH, within * _filled(base, shapes)),
        ):
            for plane, level in zip((frame.y, *frame.uv), color, strict=True):
                share = cv2.resize(mask, plane.shape[::-1], interpolation=cv2.INTER_AREA)
                plane[:] = np.rint(plane * (1 - share) + level * share)
        frames.append(_scaled(frame, scale).planes)
    gap = mouth_gap(points)
    nothing = np.zeros(FRAMES, bool)
    findings = Findings(
        usable=~nothing,
        missing=nothing,
        turned=nothing,
        covered=nothing,
        gap=gap,
        yaw=np.full(FRAMES, yaw),
        width=250.0 * scale,
    )
    footage = as_footage(frames, points * np.float32(scale))
    return footage, Person(points * np.float32(scale), man.rest[:FRAMES] * np.float32(scale), findings)


def _filled(frame: Frame, shapes: list[np.ndarray]) -> np.ndarray:
    """0..1, (h, w): what lies within SHAPES."""
    mask = np.zeros((frame.height, frame.width), np.uint8)
    for shape in shapes:
        cv2.fillPoly(mask, [np.round(shape * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255


def _scaled(frame: Frame, scale: float) -> Frame:
    if scale == 1:
        return frame
    size = round(frame.width * scale / 4) * 4, round(frame.height * scale / 4) * 4
    small = cv2.resize(cv2.cvtColor(frame.planes, cv2.COLOR_YUV2BGR_I420), size, interpolation=cv2.INTER_AREA)
    return Frame(cv2.cvtColor(small, cv2.COLOR_BGR2YUV_I420))


@pytest.fixture(scope="module")
def own(man: Avatar) -> Teeth:
    found = find_teeth(*_talking(man, upper_teeth()))
    assert found.teeth is not None, found.message.en
    return found.teeth


def test_the_upper_row_is_found_where_it_is_and_as_bright_and_yellow_as_it_is(man: Avatar, own: Teeth) -> None:
    np.testing.assert_allclose(own.tint, [TOOTH[1] - 128, TOOTH[2] - 128], atol=2)
    light = light_of(next(ClipReader(man.video).frames()), man.landmarks[0, :, :2])
    assert own.white == pytest.approx((TOOTH[0] - 16) / (teeth_white(light) - 16), rel=0.05)
    assert own.picture is not None
    density = own.picture.shape[1] / (RIGHT - LEFT)
    alpha = own.picture[..., 1]
    front = alpha[:, round((-0.12 - LEFT) * density) : round((0.12 - LEFT) * density)] > 127
    edge = (front.shape[0] - front[::-1].argmax(0)) / density + TOP
    assert np.median(edge) == pytest.approx(EDGE, abs=0.015)
    below = round((EDGE + 0.03 - TOP) * density), round(-LEFT * density)
    assert own.picture[below][1] == 0 and own.picture[below][2] > 250  # the dark is known to be no tooth


def test_misplaced_frames_are_laid_on_each_other(own: Teeth) -> None:
    """Each tooth stays apart from its neighbours: 2 px of dark between them, frames up to 8 px apart."""
    assert own.picture is not None
    density = own.picture.shape[1] / (RIGHT - LEFT)
    middle = round((0.04 - TOP) * density)
    seen = own.picture[middle, :, 0] * (own.picture[middle, :, 1] / 255.0)
    for tooth in np.arange(-0.105, 0.1, 0.07):
        inside = seen[round((tooth - LEFT) * density)]
        around = seen[round((tooth - 0.05 - LEFT) * density) : round((tooth - 0.02 - LEFT) * density)]
        assert around.min() < 0.85 * inside


def test_lower_teeth_are_none_of_the_upper_row(man: Avatar) -> None:
    teeth = find_teeth(*_talking(man, upper_teeth() + _row(-0.28, 0.28, 0.13, 0.3, 8))).teeth
    assert teeth is not None and teeth.picture is not None
    density = teeth.picture.shape[1] / (RIGHT - LEFT)
    assert teeth.picture[round((0.16 - TOP) * density), :, 1].max() == 0
    assert teeth.picture[round((0.05 - TOP) * density), :, 1].max() == 255


def test_an_edge_that_is_not_seen_leaves_only_the_colour(man: Avatar) -> None:
    teeth = find_teeth(*_talking(man, clenched_teeth())).teeth
    assert teeth is not None and teeth.picture is None
    np.testing.assert_allclose(teeth.tint, [TOOTH[1] - 128, TOOTH[2] - 128], atol=2)


@pytest.mark.parametrize(
    ("teeth", "scale", "yaw", "why"),
    [
        (no_teeth(), 1.0, 0.0, "Too few"),
        (upper_teeth(), 1.0, 30.0, "Too few"),
        (upper_teeth(), 0.25, 0.0, "too small"),
    ],
)
def test_without_teeth_facing_the_camera_near_enough_there_are_none(
    man: Avatar, teeth: list[np.ndarray], scale: float, yaw: float, why: str
) -> None:
    found = find_teeth(*_talking(man, teeth, scale, yaw))
    assert found.teeth is None
    assert why in found.message.en


def test_the_report_states_whether_they_are_used(man: Avatar, tmp_path: Path) -> None:
    for teeth, used in ((upper_teeth(), True), (clenched_teeth(), False)):
        footage, person = _talking(man, teeth)
        found = find_teeth(footage, person)
        report = json.loads(write_report(tmp_path, Path("a.mp4"), footage, person.findings, found).read_text("utf-8"))
        assert (report["own_teeth"], report["teeth"]) == (used, found.message.en)


def test_a_closed_mouth_shows_no_teeth(man: Avatar) -> None:
    footage, person = _talking(man, no_teeth())
    person = replace(person, findings=replace(person.findings, gap=np.zeros(FRAMES)))
    assert find_teeth(footage, person).teeth is None


def test_own_teeth_take_the_place_of_drawn_ones_and_these_go_on_beside_them() -> None:
    picture = np.zeros((150, 340, 3), np.uint8)
    picture[..., 0] = 255
    picture[40:80, 100:240, 1] = 255  # a row, known from x -0.14 to 0.14 and y -0.06 to 0.18
    picture[30:, 100:240, 2] = 255
    middle = load_basis().neutral[[0, 13], :2].mean(0)
    corners = np.array([[-0.34, -0.12], [0.34, -0.12], [-0.34, 0.18]], np.float32) + middle
    teeth = Teeth(0.5, np.array([-10, 14], np.float32), picture, corners)
    plain, mixed = load_sprites(300.0, LIP_LINE), load_sprites(300.0, LIP_LINE, teeth)
    upper = mixed["upper"].picture
    height, width = upper.shape[:2]

    def at(x: float, y: float) -> np.ndarray:
        return np.asarray(upper[round((y + 0.12) / 0.30 * height), round((x + 0.34) / 0.68 * width)])

    np.testing.assert_allclose(at(0, 0), [0.5, 0, 0, 1], atol=0.01)
    assert at(0, 0.06)[3] < 0.01  # known to be dark
    assert at(0.18, 0.0)[3] > 0.9 and at(0, -0.1)[3] > 0.9  # a drawn tooth, and drawn gum
    for name in ("upper", "lower"):
        np.testing.assert_array_equal(mixed[name].tint, teeth.tint)
        assert plain[name].tint is None
    lit = [sprites["lower"].picture[sprites["lower"].picture[..., 3] > 0.9, 0].max() for sprites in (plain, mixed)]
    assert lit[1] < 0.7 * lit[0]
    np.testing.assert_array_equal(mixed["tongue"].picture, plain["tongue"].picture)


def _incisors_end(lip_line: float) -> float:
    """Return how far below LIP_LINE the drawn upper incisors end, basis units."""
    upper = load_sprites(300.0, lip_line)["upper"]
    teeth = (upper.picture[..., 3] > 0.5) & (upper.picture[..., 2] < GUM)
    rows = np.flatnonzero(teeth[:, teeth.shape[1] // 2 - 10 : teeth.shape[1] // 2 + 10].any(1))
    top, bottom = upper.corners[[0, 2], 1]
    return float(top + (rows[-1] + 1) / len(teeth) * (bottom - top) - lip_line)


def test_upper_teeth_are_seen_below_a_full_lip_as_well_as_below_a_thin_one() -> None:
    for fuller in (0.0, 0.01, 0.03):
        assert _incisors_end(LIP_LINE + fuller) == pytest.approx(SHOWN, abs=0.006)  # the longest of them
    assert _incisors_end(LIP_LINE - 0.03) > SHOWN + 0.01


def test_only_a_known_colour_changes_no_shape(own: Teeth) -> None:
    plain, colored = load_sprites(200.0, LIP_LINE), load_sprites(200.0, LIP_LINE, replace(own, picture=None))
    for name in ("upper", "lower"):
        np.testing.assert_array_equal(colored[name].picture[..., 1:], plain[name].picture[..., 1:])
        np.testing.assert_array_equal(colored[name].tint, own.tint)


def test_a_mouth_is_drawn_with_its_own_teeth(man: Avatar, own: Teeth) -> None:
    units = ("jawOpen", "mouthUpperUpLeft", "mouthUpperUpRight")
    weights = np.array([0.5, 0.6, 0.6], np.float32)
    base = next(ClipReader(man.video).frames())
    drawn = []
    for teeth in (None, own, replace(own, white=own.white / 2)):
        frame = Frame(base.planes.copy())
        FaceMover(replace(man, teeth=teeth), units).move(frame, 0, weights)
        x, y = man.rest[0, 13, :2].round().astype(int)
        drawn.append(frame.y[y - 10 : y + 25, x - 20 : x + 20].astype(int))
    assert np.abs(drawn[1] - drawn[0]).max() > 30
    teeth_at = np.unravel_index((drawn[1] - drawn[2]).argmax(), drawn[1].shape)
    assert drawn[2][teeth_at] < 0.75 * drawn[1][teeth_at]


def test_teeth_are_kept_in_the_pack_and_older_packs_open_without(man: Avatar, own: Teeth, tmp_path: Path) -> None:
    path = tmp_path / "man.pkl"
    for teeth in (own, replace(own, picture=None)):
        save(replace(man, teeth=teeth, clips={}), path)
        kept = load(path).teeth
        assert kept is not None and kept.white == own.white
        for one, other in ((kept.tint, own.tint), (kept.corners, own.corners), (kept.picture, teeth.picture)):
            np.testing.assert_array_equal(one, other)
    assert path.stat().st_size < 1.05 * len(man.video) + 2 * man.landmarks.nbytes
    content = pickle.loads(path.read_bytes())
    del content["teeth"]
    path.write_bytes(pickle.dumps(content))
    assert load(path).teeth is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (0, -1.0),
        (0, float("nan")),
        (0, "white"),
        (1, np.full(2, np.nan, np.float32)),
        (1, np.zeros(3, np.float32)),
        (2, np.zeros((4, 4), np.uint8)),
        (2, np.zeros((4, 4, 3), np.float32)),
        (2, np.zeros((1, 2000, 3), np.uint8)),
        (2, "picture"),
        (3, np.zeros((3, 2), np.float32)),
        (3, np.full((3, 2), 1e9, np.float32)),
        (3, np.array([[0, 0], [9, 0], [0, 9]], np.float32)),
    ],
)
def test_teeth_that_are_none_are_refused(man: Avatar, own: Teeth, tmp_path: Path, part: int, value: object) -> None:
    path = tmp_path / "man.pkl"
    save(replace(man, teeth=own), path)
    content = pickle.loads(path.read_bytes())
    content["teeth"] = (*content["teeth"][:part], value, *content["teeth"][part + 1 :])
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(BadPack):
        load(path)
