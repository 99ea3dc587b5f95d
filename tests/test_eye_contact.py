"""Eyes that look elsewhere are turned to the camera, where that is safe."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.eye_contact import turn_eyes, with_eye_contact
from pipeline.avatars.pack import load, save
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.errors import BadPack
from pipeline.face.eyes import IRISES, OUTLINES
from pipeline.face.gaze import gaze, reach
from pipeline.live.pictures import Pictures, drawn_by
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person, measure_person
from pipeline.preparing.turnable_eyes import find_gaze
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS
from pipeline.video.frame import Frame
from tests.footage import as_footage
from tests.servers import Server

FPS = 25


@pytest.fixture(scope="module")
def man() -> Avatar:
    """Somebody who looks at the camera."""
    return AvatarStore(Settings().precomputed).load(Settings().precomputed / "480p/talk_long_480p_precomputed.pkl")


@pytest.fixture(scope="module")
def opened(man: Avatar) -> tuple[Frame, np.ndarray]:
    """A picture of the man with open eyes, and its points (478, 3)."""
    return next(iter(man.clip.once())), man.landmarks[0]


def looking(opened: tuple[Frame, np.ndarray], past: np.ndarray) -> Footage:
    """Return footage of a still man whose eyes look past the camera by PAST ((frames, 2) degrees)."""
    frame, points = opened
    pixels = float(reach(points[None])[0])
    frames, moved = [], []
    for one in past:
        shift = pixels * np.sin(np.radians(one))
        picture, found = Frame(frame.planes.copy()), points.copy()
        turn_eyes(picture, points[:, :2], shift)
        for iris in IRISES:
            found[iris : iris + 5, :2] += shift
        frames.append(picture.planes)
        moved.append(found)
    return as_footage(frames, np.array(moved, np.float32))


def found(footage: Footage) -> tuple[Person, np.ndarray | None]:
    """Return a person, and where they look."""
    person = measure_person(footage)
    return person, find_gaze(footage, person)


def moved(before: Frame, after: Frame, iris: np.ndarray) -> np.ndarray:
    """Return how far an iris ((5, 2) pixels) has moved from one picture to another, (2,) pixels."""
    finer, (x, y) = 4, iris[0]
    reach = 0.7 * float(np.linalg.norm(iris[1] - iris[0]))
    left, top, right, bottom = (round(finer * edge) for edge in (x - reach, y - reach, x + reach, y + reach))
    one, other = (
        cv2.resize(frame.y, None, fx=finer, fy=finer, interpolation=cv2.INTER_CUBIC) for frame in (before, after)
    )
    room = 6 * finer
    likeness = cv2.matchTemplate(
        other[top - room : bottom + room, left - room : right + room], one[top:bottom, left:right], cv2.TM_CCOEFF_NORMED
    )
    row, column = np.unravel_index(likeness.argmax(), likeness.shape)
    return np.array([column - room, row - room]) / finer


@pytest.mark.parametrize("past", [(9.0, 0.0), (-9.0, 0.0), (0.0, 8.0), (6.0, 5.0)])
def test_eyes_that_look_past_the_camera_are_turned_to_it(
    opened: tuple[Frame, np.ndarray], past: tuple[float, float]
) -> None:
    own = gaze(opened[1][None])[0]
    footage = looking(opened, np.tile(past, (20, 1)))
    person, looks = found(footage)
    assert looks is not None
    assert looks[:, :2] == pytest.approx(np.tile(own + past, (20, 1)), abs=0.7) and (looks[:, 2] > 0.95).all()
    frame = footage.frame(9)
    turned = Frame(frame.planes.copy())
    shift = -np.sin(np.radians(looks[9, :2])) * reach(person.landmarks)[9]
    turn_eyes(turned, person.landmarks[9], shift)
    assert np.hypot(*shift) > 1
    for iris in IRISES:
        assert moved(frame, turned, person.landmarks[9, iris : iris + 5, :2]) == pytest.approx(shift, abs=0.8)


def test_only_the_eyes_change(opened: tuple[Frame, np.ndarray]) -> None:
    frame, points = opened
    turned = Frame(frame.planes.copy())
    turn_eyes(turned, points[:, :2], np.array([2.0, -1.5]))
    rows, columns = np.nonzero(turned.y != frame.y)
    eyes = points[[one for lids in OUTLINES for one in lids], :2]
    radius = float(np.linalg.norm(points[469, :2] - points[468, :2]))
    assert eyes[:, 0].min() - 2 <= columns.min() and columns.max() <= eyes[:, 0].max() + 2
    assert eyes[:, 1].min() - 2.6 * radius <= rows.min() and rows.max() <= eyes[:, 1].max() + 2


def test_who_looks_at_the_camera_is_left_alone(opened: tuple[Frame, np.ndarray]) -> None:
    _, looks = found(looking(opened, np.zeros((20, 2)) - gaze(opened[1][None])[0]))
    assert looks is not None and looks[:, 2].max() < 0.01


def test_who_seems_to_look_a_little_past_the_camera_is_left_alone() -> None:
    """The bundled woman is rendered: she looks at the camera to the degree, and is measured up to five beside it."""
    store = AvatarStore(Settings().precomputed)
    clip = store.load(store.find("woman", "480p")).clips["listening"]
    filmed = as_footage([frame.planes for frame in clip.clip.once()], clip.landmarks)
    _, looks = found(filmed)
    assert looks is not None and 4 < np.percentile(np.hypot(*looks[:, :2].T), 90) < 6
    shown = np.radians(looks[:, :2]) * looks[:, 2:] * reach(clip.landmarks)[:, None]
    assert np.hypot(*shown.T).max() < 0.25  # pixels


@pytest.mark.parametrize("resolution", ["720p", "480p", "360p"])
@pytest.mark.parametrize("name", ["talk_long", "talk_short", "woman"])
def test_bundled_people_look_at_the_camera_except_while_they_think(name: str, resolution: str) -> None:
    store = AvatarStore(Settings().precomputed)
    avatar = store.load(store.find(name, resolution))
    for clip in (avatar, *(clip for name, clip in avatar.clips.items() if name != "thinking")):
        assert clip.gaze is not None and clip.gaze[:, 2].max() == 0 and np.abs(clip.gaze[:, :2]).max() < 1.5
    thinks = avatar.clips["thinking"].gaze
    assert thinks is not None and thinks[34:60] == pytest.approx(np.tile([-6.5, 4.0, 1.0], (26, 1)), abs=0.3)
    assert thinks[:6, 2].max() == thinks[-6:, 2].max() == 0


def _dark(footage: Footage, person: Person) -> Footage:
    """Return footage of somebody with dark glasses."""
    frames = np.array(footage.frames)
    for lids in OUTLINES:
        x, y = np.mean(footage.points[0, list(lids), :2], axis=0).astype(int)
        frames[:, y - 17 : y + 17, x - 27 : x + 27] = 40
    return replace(footage, frames=frames)


def _glaring(footage: Footage, person: Person) -> Footage:
    """Return footage of somebody whose glasses mirror a window."""
    frames = np.array(footage.frames)
    for lids in OUTLINES:
        x, y = np.mean(footage.points[0, list(lids), :2], axis=0).astype(int)
        frames[:, y - 8 : y, x - 14 : x + 6] = 245
    return replace(footage, frames=frames)


@pytest.mark.parametrize("spoilt", [_dark, _glaring])
def test_eyes_behind_glasses_are_left_alone(opened: tuple[Frame, np.ndarray], spoilt: object) -> None:
    footage = looking(opened, np.tile((9.0, 0.0), (20, 1)))
    person = measure_person(footage)
    assert find_gaze(footage, person) is not None
    assert callable(spoilt) and find_gaze(spoilt(footage, person), person) is None


def test_small_and_far_turned_eyes_are_left_alone(opened: tuple[Frame, np.ndarray]) -> None:
    assert found(looking(opened, np.tile((25.0, 0.0), (20, 1))))[1] is None
    footage = looking(opened, np.tile((9.0, 0.0), (20, 1)))
    height, width = footage.frames.shape[1] * 2 // 3, footage.frames.shape[2]
    small = [
        cv2.cvtColor(
            cv2.resize(cv2.cvtColor(one, cv2.COLOR_YUV2RGB_I420), (width // 4 * 2, height // 4 * 2)),
            cv2.COLOR_RGB2YUV_I420,
        )
        for one in footage.frames
    ]
    assert found(as_footage(small, footage.points / 2))[1] is None


@pytest.mark.slow
def test_eyes_turn_smoothly_at_the_borders_of_what_is_safe(opened: tuple[Frame, np.ndarray]) -> None:
    """They look a little aside, far away for a while, and a little aside again."""
    past = np.zeros((100, 2))
    past[:, 0] = 9.0
    past[40:65, 0] = 30.0
    _, looks = found(looking(opened, past))
    assert looks is not None
    share = looks[:, 2]
    assert share[:25].min() > 0.95 and share[40:65].max() < 0.05 and share[80:].min() > 0.95
    # a fade takes at least a fifth of a second
    assert np.abs(np.diff(share)).max() < 0.25
    shift = np.sin(np.radians(looks[:, 0])) * share
    assert np.abs(np.diff(shift, 2)).max() < 0.06 * 2


def test_what_points_err_by_does_not_tremble(opened: tuple[Frame, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    footage = looking(opened, np.tile((9.0, 0.0), (40, 1)))
    points = footage.points.copy()
    points[:, 468:, :2] += rng.normal(0, 0.4, points[:, 468:, :2].shape).astype(np.float32)
    _, looks = found(replace(footage, points=points))
    assert looks is not None
    pixels = np.sin(np.radians(looks[:, :2])) * looks[:, 2:] * reach(points)[:, None]
    assert np.abs(np.diff(pixels, 2, axis=0)).mean() < 0.03


def test_a_pack_keeps_the_gaze_and_older_packs_open_without(man: Avatar, tmp_path: Path) -> None:
    looks = np.tile(np.array([6.0, 3.0, 1.0], np.float32), (len(man.landmarks), 1))
    save(replace(man, gaze=looks), tmp_path / "new.pkl")
    kept = load(tmp_path / "new.pkl")
    assert kept.gaze is not None and np.array_equal(kept.gaze, looks)
    save(replace(man, gaze=None), tmp_path / "old.pkl")
    assert load(tmp_path / "old.pkl").gaze is None


@pytest.mark.parametrize("wrong", [np.nan, 91.0, -0.1])
def test_a_gaze_that_is_none_is_refused(man: Avatar, tmp_path: Path, wrong: float) -> None:
    looks = np.zeros((len(man.landmarks), 3), np.float32)
    looks[3, 2 if wrong < 0 else 0] = wrong
    save(replace(man, gaze=looks), tmp_path / "wrong.pkl")
    with pytest.raises(BadPack, match="gaze"):
        load(tmp_path / "wrong.pkl")


def test_the_clip_shows_turned_eyes_and_without_a_gaze_what_was_filmed(man: Avatar) -> None:
    looks = np.tile(np.array([6.0, 3.0, 1.0], np.float32), (len(man.landmarks), 1))
    looks[2, 2] = 0
    filmed = [frame.planes for frame in islice(man.clip.frames(1), 3)]
    turned = [frame.planes for frame in islice(with_eye_contact(replace(man, gaze=looks)).clip.frames(1), 3)]
    assert [np.array_equal(*pair) for pair in zip(filmed, turned, strict=True)] == [False, True, False]
    assert with_eye_contact(replace(man, gaze=None)).clip.count == man.clip.count
    same = [frame.planes for frame in islice(with_eye_contact(replace(man, gaze=None)).clip.frames(1), 3)]
    assert all(np.array_equal(*pair) for pair in zip(filmed, same, strict=True))


@pytest.mark.slow
def test_where_eyes_cannot_be_turned_videos_and_sessions_say_so(fake_server: Server) -> None:
    said = "The eyes stay as filmed"
    body = {"text": "one.", "avatar": "solo", "resolution": "480p"}
    for asked, noted in (({}, False), ({"eye_contact": False}, False), ({"eye_contact": True}, True)):
        events = fake_server.events({**body, **asked}, **{"Accept-Language": "en"})
        stages = {event["stage"]: event["message"] for event in events if event["type"] == "status"}
        assert events[-1]["type"] == "done"
        assert (said in stages["tts"]) == (said in stages["tts_done"]) == noted
    form = [(name, (None, value)) for name, value in {**body, "eye_contact": "true"}.items()]
    reply = fake_server.post("/api/v2/lipsync/stream", files=form, headers={"Accept-Language": "en"})
    assert reply.status_code == 200 and said in reply.text
    for asked, noted in (({}, False), ({"eye_contact": True}, True)):
        opened = fake_server.post("/api/v2/sessions", {"avatar": "solo", **asked}, headers={"Accept-Language": "en"})
        assert opened.status_code == 201 and opened.json().get("note", "").startswith(said) == noted
        fake_server.delete(f"/api/v2/sessions/{opened.json()['session_id']}")


@pytest.mark.slow
def test_sessions_show_turned_eyes_but_not_in_the_clip_that_looks_away(man: Avatar, tmp_path: Path) -> None:
    looks = np.tile(np.array([6.0, 3.0, 1.0], np.float32), (len(man.landmarks), 1))
    man = replace(man, gaze=looks, clips={name: replace(man, gaze=looks) for name in ("idle", "thinking")})
    filmed, turned = (
        Pictures(man, MeshEngine(), tmp_path / "clip.yuv", eye_contact=eye_contact) for eye_contact in (False, True)
    )
    for pictures in (filmed, turned):
        pictures.add(man.clips.items())
    silence, rest = np.zeros(10, np.float32), np.zeros((filmed.lengths[0], len(UNITS)), np.float32)
    for name, same in (("", False), ("idle", False), ("thinking", True)):
        number = filmed.clips[name][0]
        one, other = (drawn_by(p.engine, [p.frames(number, rest, silence)])[0][0] for p in (filmed, turned))
        assert np.array_equal(one.planes, other.planes) == same
