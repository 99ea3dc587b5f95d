"""A photo comes to life: lids, eyes, the head in depth, and photos of any shape."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.face.basis import OVAL
from pipeline.face.eyes import LOWER_LIDS, UPPER_LIDS
from pipeline.face.finder import box_of
from pipeline.preparing.animate_photo import (
    BLINK,
    BLINKS,
    FIXATIONS,
    FPS,
    FRAMES,
    MOST_GAZE,
    SECONDS,
    LivingPhoto,
    gaze_at,
    pose_at,
    shut_at,
)
from pipeline.preparing.fit_photo import Shape, cut_for, fitted, size_of, without_bars
from pipeline.preparing.head_turn import Pose, TurningHead
from pipeline.preparing.lids import Lids
from pipeline.preparing.matte import person_matte, without_person
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.photo import face_of_photo
from pipeline.preparing.photo_gaze import Gaze
from pipeline.preparing.prepare import _read_photo, size_at
from pipeline.settings import ROOT
from pipeline.video.reader import ClipReader

pytestmark = pytest.mark.slow

FILES = {
    "man": ROOT / "examples" / "talk_short.mp4",
    "woman": ROOT / "examples" / "woman.mp4",
    "webcam": ROOT / "tests" / "clips" / "webcam_woman.mp4",
}


def _with_glasses(photo: np.ndarray, points: np.ndarray, rim: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """Return a photo with round glasses, and where their rims are, (height, width) bool."""
    width = float(np.ptp(points[:, 0]))
    rims = np.zeros(photo.shape[:2], np.uint8)
    for one, other in ((33, 133), (362, 263)):
        middle, length = points[[one, other], :2].mean(0), float(np.linalg.norm(points[one] - points[other]))
        axes = (round(length * 0.95), round(length * 0.75))
        cv2.ellipse(rims, np.round(middle).astype(int).tolist(), axes, 0, 0, 360, 255, max(2, round(rim * width)))
    worn = photo.copy()
    worn[rims > 0] = (30, 26, 24)
    return worn, rims > 0


def _painted(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(
        cv2.stylization(cv2.edgePreservingFilter(photo, flags=1, sigma_s=30, sigma_r=0.4), sigma_s=40, sigma_r=0.4)
    )


def _made_up(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return a photo with dark eye shadow around both eyes."""
    shadow = np.zeros(photo.shape[:2], np.float32)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        cv2.fillPoly(shadow, [np.round(points[[*upper, *lower[::-1]], :2]).astype(np.int32)], 1.0)
    eyes = float(np.linalg.norm(points[33] - points[133]))
    shadow = cv2.GaussianBlur(cv2.dilate(shadow, np.ones((5, 5)), iterations=round(0.06 * eyes)), (0, 0), 0.08 * eyes)
    tint = 1 - 0.5 * shadow[..., None] * np.array([0.7, 1.0, 0.8])
    return np.asarray(np.round(photo * tint), np.uint8)


def _wrinkled(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return a photo with fine dark lines under and above the eyes."""
    aged = photo.copy()
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        length = float(np.linalg.norm(points[upper[0]] - points[upper[-1]]))
        for line, away in itertools.product((upper, lower), (0.2, 0.3, 0.4)):
            shift = np.array([0, (-1 if line is upper else 1) * away * length])
            cv2.polylines(aged, [np.round(points[list(line), :2] + shift).astype(np.int32)], False, (110, 75, 60), 1)
    return np.asarray(cv2.addWeighted(photo, 0.4, aged, 0.6, 0))


LOOKS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "as it is": lambda photo, points: photo,
    "painted": _painted,
    "made up": _made_up,
    "wrinkled": _wrinkled,
    "with glasses": lambda photo, points: _with_glasses(photo, points)[0],
    "in the dark": lambda photo, points: (photo // 3).astype(np.uint8),
}


@pytest.fixture(scope="module", params=list(FILES))
def person(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """A photo, and the points of its face."""
    frame = next(ClipReader(FILES[request.param].read_bytes()).once())
    photo = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
    photo = cv2.resize(photo, (1280, 720), interpolation=cv2.INTER_AREA)
    return photo, face_of_photo(photo, "center")


@pytest.fixture(scope="module")
def man() -> tuple[np.ndarray, np.ndarray]:
    """A small photo, and the points of its face."""
    frame = next(ClipReader(FILES["man"].read_bytes()).once())
    photo = cv2.resize(cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420), (640, 360), interpolation=cv2.INTER_AREA)
    return photo, face_of_photo(photo, "center")


def _region(shape: tuple[int, ...], outline: np.ndarray) -> np.ndarray:
    """Return the inside of an outline ((n, 2) pixels), (height, width) bool."""
    region = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(region, [np.round(outline).astype(np.int32)], 1)
    return region > 0


def _opening(photo: np.ndarray, points: np.ndarray, eye: int) -> np.ndarray:
    return _region(photo.shape, points[[*UPPER_LIDS[eye], *LOWER_LIDS[eye][::-1]], :2])


def _lab(pixels: np.ndarray) -> np.ndarray:
    """Return CIELAB colours of pixels ((n, 3) uint8 RGB), (n, 3)."""
    lab: np.ndarray = cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    return lab


@pytest.mark.parametrize("look", list(LOOKS))
def test_closed_lids_have_the_colour_of_the_skin_around_the_eye(
    person: tuple[np.ndarray, np.ndarray], look: str
) -> None:
    plain, points = person
    photo = LOOKS[look](plain, points)
    closed = Lids(photo, points).close(photo, 1.0)
    for eye in range(2):
        upper, lower = points[list(UPPER_LIDS[eye]), :2], points[list(LOWER_LIDS[eye]), :2]
        length = np.linalg.norm(upper[0] - upper[-1])
        # the lid between its crease and its lashes, and the skin just above and below the eye
        lid = _region(photo.shape, np.concatenate([upper[2:-2], (0.55 * lower + 0.45 * upper)[-3:1:-1]]))
        skin, down = np.zeros(photo.shape[:2], bool), np.array([0, length])
        for edge, near, far in ((upper, -0.14, -0.28), (lower, 0.1, 0.28)):
            band = np.concatenate([edge[2:-2] + near * down, edge[-3:1:-1] + far * down])
            skin |= _region(photo.shape, band)
        apart = np.linalg.norm(np.median(_lab(closed[lid]), 0) - np.median(_lab(photo[skin]), 0))
        # two shades of skin; an iris or a smear lies 25 to 60 away. Make-up ends where the skin beside it begins.
        assert apart < (20 if look == "made up" else 12), f"{apart:.1f}"
        # neither white nor iris is left; a lid that the lamp hits is lighter than skin in the shade of the nose
        usual = float(np.median(photo[skin].mean(-1)))
        assert np.percentile(closed[_opening(photo, points, eye)].mean(-1), 95) < 1.2 * usual + 15
        assert (closed[lid].mean(-1) < 0.5 * usual).mean() < (0.4 if look in ("painted", "made up") else 0.1)


def test_lashes_lie_where_the_lids_meet(person: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = person
    closed = Lids(photo, points).close(photo, 1.0)
    for eye in range(2):
        upper, lower = points[list(UPPER_LIDS[eye]), :2], points[list(LOWER_LIDS[eye]), :2]
        for number in (3, 4, 5):
            x = round(float(lower[number, 0]))
            column = closed[:, x].mean(-1).astype(float)
            top, bottom = float(upper[number, 1]), float(lower[number, 1])
            meeting = column[round(bottom - 0.3 * (bottom - top)) - 1 : round(bottom) + 3].min()
            assert meeting < 0.85 * np.median(column[round(top) : round(bottom - 0.4 * (bottom - top))])


@pytest.mark.parametrize("shut", [0.3, 0.8, 1.0])
@pytest.mark.parametrize("rim", [0.012, 0.03])
def test_the_rims_of_glasses_stay(person: tuple[np.ndarray, np.ndarray], shut: float, rim: float) -> None:
    photo, points = person
    worn, rims = _with_glasses(photo, points, rim)
    closed = Lids(worn, points).close(worn, shut)
    inner = cv2.erode(rims.astype(np.uint8), np.ones((2, 2))) > 0
    assert np.abs(closed[inner].astype(int) - worn[inner]).mean() < 0.5
    assert np.percentile(np.abs(closed[inner].astype(int) - worn[inner]), 99) <= 4


def test_nothing_but_the_lids_changes_and_open_eyes_are_the_photos(person: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = person
    lids = Lids(photo, points)
    np.testing.assert_array_equal(lids.close(photo, 0.0), photo)
    changed = np.abs(lids.close(photo, 1.0).astype(int) - photo).max(-1) > 0
    eyes = np.zeros_like(changed)
    for eye in range(2):
        length = np.linalg.norm(points[UPPER_LIDS[eye][0]] - points[UPPER_LIDS[eye][-1]])
        near = cv2.dilate(
            _opening(photo, points, eye).astype(np.uint8), np.ones((3, 3)), iterations=round(0.7 * length)
        )
        eyes |= near > 0
    assert not (changed & ~eyes).any()
    just = np.abs(lids.close(photo, 0.02).astype(int) - photo).max(-1)
    assert just[just > 0].mean() < 12  # it begins where it is


def test_shut_or_tiny_eyes_stay_as_they_are(man: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = man
    asleep = points.copy()
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        asleep[list(upper)] = asleep[list(lower)]
    far = points * np.float32(0.02)
    for other in (asleep, far):
        np.testing.assert_array_equal(Lids(photo, other).close(photo, 1.0), photo)
        np.testing.assert_array_equal(Gaze(photo, other).look(photo, 3.0, 1.0), photo)


def test_lids_close_in_three_frames_and_open_in_four() -> None:
    shut = [shut_at(number) for number in range(FRAMES)]
    assert len(BLINK) == 7 and BLINK.index(1.0) == 2
    assert (np.diff(BLINK[:3]) > 0).all() and (np.diff(BLINK[2:]) < 0).all()
    starts = [n for n in range(FRAMES) if shut[n] > 0 and shut[n - 1] == 0]
    assert starts == list(BLINKS) and max(BLINKS) + len(BLINK) < FRAMES
    apart = np.diff([*starts, starts[0] + FRAMES]) / float(FPS)
    assert (apart > 1.5).all() and len(set(apart)) == len(apart)  # people blink unevenly


def test_saccades_are_small_and_come_at_their_own_times() -> None:
    times = np.array([time for time, _, _ in FIXATIONS])
    places = np.array([place for _, *place in FIXATIONS])
    moved = places[0].tolist() != places[-1].tolist()
    jumps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert (jumps >= 1).all() and (jumps <= 3).all() and not moved  # degrees; the loop closes
    lasting = np.diff([*times[1:], SECONDS + times[1]])
    assert (lasting >= 0.5).all() and (lasting <= 3).all()
    assert all(np.hypot(*gaze_at(number)) <= MOST_GAZE + 1e-6 for number in range(FRAMES))


def test_the_eyes_stay_on_what_they_look_at_while_the_head_turns() -> None:
    for number in range(FRAMES):
        pose, (aside, down) = pose_at(number), gaze_at(number)
        looked = aside + pose.yaw, down + pose.pitch
        assert min(np.hypot(looked[0] - x, looked[1] - y) for _, x, y in FIXATIONS) < 0.3


def _dark_middle(picture: np.ndarray, where: np.ndarray) -> float:
    """Return the mean x of the dark pixels of an eye."""
    weight = np.where(where, np.clip(80 - picture.mean(-1), 0, None), 0)
    return float((weight.sum(0) * np.arange(weight.shape[1])).sum() / weight.sum())


@pytest.mark.parametrize("aside", [-3.0, 3.0])
def test_irises_move_by_their_angle_within_the_opening(man: tuple[np.ndarray, np.ndarray], aside: float) -> None:
    photo, points = man
    big = 3  # enlarged, so that a degree is more than rounding
    photo, points = cv2.resize(photo, None, fx=big, fy=big, interpolation=cv2.INTER_CUBIC), points * np.float32(big)
    gaze = Gaze(photo, points)
    turned = gaze.look(photo, aside, 0.0)
    for eye, iris in enumerate((468, 473)):
        opening = _opening(photo, points, eye)
        radius = np.linalg.norm(points[iris + 1 : iris + 5, :2] - points[iris, :2], axis=1).mean()
        near = opening & (np.hypot(*(np.indices(opening.shape)[::-1] - points[iris, :2, None, None])) < 1.5 * radius)
        wanted = 12 / 5.9 * radius * np.sin(np.radians(aside))
        moved = _dark_middle(turned, near) - _dark_middle(photo, near)
        assert 0.4 < moved / wanted < 1.4
        outside = cv2.dilate(opening.astype(np.uint8), np.ones((5, 5))) == 0
        around = outside & (cv2.dilate(opening.astype(np.uint8), np.ones((61, 61))) > 0)
        np.testing.assert_array_equal(turned[around], photo[around])


def test_catchlights_stay_where_the_light_is(man: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = man
    photo, points = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), points * np.float32(3)
    spots = [tuple(np.round(points[iris, :2] + [2, -2]).astype(int).tolist()) for iris in (468, 473)]
    for spot in spots:
        cv2.circle(photo, spot, 2, (255, 255, 255), -1)
    gaze = Gaze(photo, points)
    for aside, down in ((0, 0), (3, 0), (-3, 1)):
        turned = gaze.look(photo, aside, down)
        for x, y in spots:
            assert turned[y, x].min() > 200
            assert turned[y, x + 8].max() < 200 and turned[y, x - 8].max() < 200


@pytest.fixture(scope="module")
def loop(man: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Every fifth picture of a loop, and its last two: luma."""
    living = LivingPhoto(*man)
    return [living.frame(number).y.astype(np.float32) for number in (*range(0, FRAMES, 5), FRAMES - 2, FRAMES - 1)]


def test_the_background_stays_as_it_is(man: tuple[np.ndarray, np.ndarray], loop: list[np.ndarray]) -> None:
    photo, points = man
    matte = person_matte(photo, points)
    reach = round(0.08 * float(np.ptp(points[:, 0])))
    away = cv2.dilate((matte > 0.02).astype(np.uint8), np.ones((3, 3)), iterations=reach) == 0
    assert away.mean() > 0.2
    for frame in loop:
        np.testing.assert_array_equal(frame[away], loop[0][away])


def test_the_loops_end_meets_its_start(loop: list[np.ndarray]) -> None:
    inside, seam = np.abs(loop[-1] - loop[-2]).mean(), np.abs(loop[-1] - loop[0]).mean()
    assert seam < 2 * inside + 0.05
    assert pose_at(FRAMES) == pytest.approx(pose_at(0)) or all(
        abs(a - b) < 1e-9 for a, b in zip(vars(pose_at(FRAMES)).values(), vars(pose_at(0)).values(), strict=True)
    )


def _head(photo: np.ndarray, points: np.ndarray) -> TurningHead:
    matte = person_matte(photo, points)
    return TurningHead(points, matte, without_person(photo, matte), 2.0)


def _longest(movement: np.ndarray) -> float:
    """Return how far a movement ((2, height, width) pixels) goes at most."""
    return float(np.sqrt(np.einsum("ihw,ihw->hw", movement, movement).max()))


def test_movements_are_those_of_somebody_who_sits(person: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = person
    head, width = _head(photo, points), float(np.ptp(points[:, 0]))
    before, steps, ways, breath = head.movement(pose_at(0)), [], [], []
    for number in range(1, FRAMES + 1):
        moved = head.movement(pose_at(number))
        steps.append(_longest(moved - before))
        ways.append(_longest(moved))
        breath.append(np.abs(moved[:, -1]).max())
        before = moved
    assert max(steps) < 0.012 * width  # a few pixels even while nodding
    assert 0.01 * width < max(ways) < 0.08 * width
    poses = [pose_at(number) for number in range(FRAMES)]
    for name, least, most in (("yaw", 2.0, 4.0), ("pitch", 1.0, 4.0), ("roll", 0.5, 3.0)):
        angles = [getattr(pose, name) for pose in poses]
        assert least < np.ptp(angles) and np.abs(angles).max() < most
    assert max(breath) <= 2.5  # the picture's lower edge breathes at most


def test_the_head_turns_in_depth(person: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = person
    head = _head(photo, points)
    aside, _ = head.movement(Pose(yaw=3.0))

    def at(place: np.ndarray) -> float:
        y, x = np.round(place[1::-1] / 4).astype(int)
        return float(aside[min(max(y, 0), len(aside) - 1), min(max(x, 0), aside.shape[1] - 1)])

    face = box_of(points)
    nose, cheeks = at(points[4]), [at(points[234]), at(points[454])]
    behind = at(np.array([face.center[0], face.y - 0.45 * face.height]))
    chest = at(np.array([face.center[0], face.y + 2.2 * face.height]))
    assert nose > 1.5 * max(cheeks) and min(cheeks) > 0 and abs(behind) < 0.35 * nose and abs(chest) < 0.05 * nose
    # no place overtakes its neighbour, and nothing is stretched like jelly
    stretch = np.abs(np.diff(aside, axis=1)).max() / 4, np.abs(np.diff(aside, axis=0)).max() / 4
    assert max(stretch) < 0.25


def test_a_photo_at_rest_is_the_photo(person: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = person
    rest = _head(photo, points).turn(photo, Pose()).astype(float)
    oval = _region(photo.shape, points[list(OVAL), :2])
    np.testing.assert_array_equal(rest[oval], photo[oval])
    assert np.abs(rest - photo).mean() < 0.4


@pytest.mark.parametrize("seed", range(3))
def test_a_face_whose_person_is_not_found_moves_all_the_same(seed: int, man: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = man
    noise = np.random.default_rng(seed).integers(0, 256, photo.shape, dtype=np.uint8)
    matte = person_matte(noise, points)
    assert matte.shape == noise.shape[:2] and matte.min() >= 0 and matte.max() <= 1
    oval = _region(photo.shape, points[list(OVAL), :2])
    assert matte[oval].mean() > 0.5
    assert _head(noise, points).turn(noise, Pose(yaw=2)).shape == photo.shape


SOURCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "its own": lambda photo: photo,
    "square": lambda photo: photo[:, 280:1000],
    "upright": lambda photo: photo[:, 440:845],
    "strip": lambda photo: photo[60:480],
    "tall strip": lambda photo: photo[:, 500:780],
    "small": lambda photo: cv2.resize(photo, (640, 360), interpolation=cv2.INTER_AREA),
    "4:3": lambda photo: photo[:, 160:1120],
    "far away": lambda photo: cv2.copyMakeBorder(photo, 700, 300, 900, 900, cv2.BORDER_REFLECT),
    "face at the side": lambda photo: photo[:, 470:],
    "between bars": lambda photo: cv2.copyMakeBorder(photo, 200, 200, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0)),
    "beside white bars": lambda photo: cv2.copyMakeBorder(photo, 0, 0, 90, 60, cv2.BORDER_CONSTANT, value=(255,) * 3),
}


@pytest.fixture(scope="module", params=list(SOURCES))
def sent(request: pytest.FixtureRequest, man: tuple[np.ndarray, np.ndarray]) -> tuple[str, np.ndarray, np.ndarray]:
    """A photo as people may send it: its name, its pixels and the points of its face."""
    big = cv2.resize(man[0], (1280, 720), interpolation=cv2.INTER_CUBIC)
    photo = without_bars(np.ascontiguousarray(SOURCES[request.param](big)))
    return request.param, photo, face_of_photo(photo, "center")


@pytest.mark.parametrize("shape", ["wide", "upright", "square"])
def test_photos_of_any_shape_fill_the_picture(sent: tuple[str, np.ndarray, np.ndarray], shape: Shape) -> None:
    source, photo, points = sent
    cut = cut_for(photo.shape[1], photo.shape[0], points, shape)
    size = size_at(*size_of(cut, shape), 360)
    shown = fitted(photo, cut, *size)
    assert shown.shape == (size[1], size[0], 3)
    across, down = {"wide": (16, 9), "upright": (9, 16), "square": (1, 1)}[shape]
    assert abs(size[0] * down - size[1] * across) <= 2 * max(across, down)
    for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):  # neither a black bar nor a white one
        assert 8 < edge.mean() < 250
    face = face_of_photo(shown, "center")
    eyes, box = face[[33, 133, 362, 263], 1].mean() / size[1], box_of(face)
    assert 0.2 < eyes < 0.6
    assert (
        box.x > 0 and box.x + box.width < size[0] and box.y > -0.05 * box.height and box.y + box.height < 1.05 * size[1]
    )
    if source not in ("strip", "tall strip"):
        assert box.y - 0.2 * box.height > 0  # room above the head


def test_a_photo_that_fits_keeps_its_pixels(man: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = man
    cut = cut_for(640, 360, points, "wide")
    np.testing.assert_array_equal(fitted(photo, cut, 640, 360), photo)
    np.testing.assert_array_equal(without_bars(photo), photo)
    plain = np.full((60, 80, 3), 200, np.uint8)
    cv2.circle(plain, (40, 40), 15, (40, 60, 90), -1)  # a plain background is no bar
    np.testing.assert_array_equal(without_bars(plain), plain)
    np.testing.assert_array_equal(without_bars(plain * 0), plain * 0)


def test_what_is_added_begins_as_the_photo_ends(man: tuple[np.ndarray, np.ndarray]) -> None:
    big = cv2.resize(man[0], (1280, 720), interpolation=cv2.INTER_CUBIC)
    photo = np.ascontiguousarray(big[:, 440:845])
    points = face_of_photo(photo, "center")
    cut = cut_for(405, 720, points, "wide")
    assert cut.x < -50 and cut.x + cut.width > 455
    shown = fitted(photo, cut, 1280, 720).astype(float)
    scale = 720 / cut.height
    left, right = round(-cut.x * scale), round((405 - cut.x) * scale)
    usual = np.abs(np.diff(shown[:, left + 5 : right - 5], axis=1)).mean((0, 2)).max()
    for seam in (left, right):
        assert np.abs(np.diff(shown[:, seam - 3 : seam + 3], axis=1)).mean((0, 2)).max() <= max(usual, 6)
    # softer outside than inside
    detail = np.abs(cv2.Laplacian(shown.mean(-1), cv2.CV_64F))
    assert detail[:, : left - 60].mean() < 0.3 * detail[:, left:right].mean()


def test_the_points_of_the_face_are_where_the_pictures_show_them(man: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = man
    living = LivingPhoto(photo, points)
    known = living.points()
    assert known.shape == (FRAMES, 478, 3) and known.dtype == np.float32
    steps = np.linalg.norm(np.diff(known[..., :2], axis=0), axis=2).mean(1)
    assert np.linalg.norm(known[0, :, :2] - known[-1, :, :2], axis=1).mean() < 2 * np.percentile(steps, 95)  # it loops
    still = [4, 6, 33, 263, 61, 291, 152, 10]
    for number in range(10, FRAMES, 25):
        found = face_of_photo(cv2.cvtColor(living.frame(number).planes, cv2.COLOR_YUV2RGB_I420), "center")
        moved, seen = (known[number] - points)[still, :2], (found - points)[still, :2]
        assert np.abs(moved.mean(0) - seen.mean(0)).max() < 1.0


@pytest.mark.parametrize("face", [1, 2])
def test_of_two_people_in_a_photo_the_chosen_one_is_followed(
    face: int, man: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.preparing.animate_photo.FRAMES", 2)
    one = man[0][:, 180:460]
    cv2.imwrite(str(tmp_path / "two.png"), np.hstack([one, one])[..., ::-1])
    with (tmp_path / "frames").open("w+b") as store:
        options = PrepareOptions(name="two", face=face)
        footage = _read_photo(tmp_path / "two.png", options, store, lambda share, stage: None)
        assert len(footage.frames) == 2 and footage.found.all() and len(footage.seen) == 2
        followed = box_of(footage.points[0])
        assert max(footage.seen, key=followed.overlap) == footage.seen[face - 1]
