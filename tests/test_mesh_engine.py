"""The mesh engine on the bundled avatar: what moves, what must not, and where the lips go."""

from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.interior import Light, MouthInterior, MouthPose
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.mesh.mover import FaceMover
from pipeline.engines.mesh.sprites import Sprite, load_sprites
from pipeline.engines.mesh.warp import _move, warp
from pipeline.errors import Cancelled
from pipeline.face.basis import OVAL
from pipeline.face.mesh_basis import LOWER_INNER, UPPER_INNER, load_basis
from pipeline.settings import Settings
from pipeline.speech.articulate import articulate, viseme_of
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Mark, Speech
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader

SILENCE = Speech(samples=np.zeros(16_000, np.float32), rate=16_000, text="", language="ko")


@pytest.fixture(
    scope="module", params=["360p", *(pytest.param(size, marks=pytest.mark.slow) for size in ("480p", "720p"))]
)
def avatar(request: pytest.FixtureRequest) -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_long", request.param))


def render(avatar: Avatar, frames: int, **weights: float) -> list[Frame]:
    units = ("jawOpen", "mouthPucker", "mouthFunnel", "tongueOut")
    row = [weights.get(u, 0.0) for u in units]
    track = MouthTrack(float(avatar.fps), np.tile(np.array(row, np.float32), (frames, 1)), units)
    return list(MeshEngine().render(avatar, [Stretch(SILENCE, track)], CancelToken()))


def base(avatar: Avatar, frames: int) -> list[Frame]:
    return list(islice(ClipReader(avatar.video).frames(), frames))


def test_a_still_mouth_is_the_base_video_to_the_last_bit(avatar: Avatar) -> None:
    for shown, original in zip(render(avatar, 3), base(avatar, 3), strict=True):
        np.testing.assert_array_equal(shown.planes, original.planes)


@pytest.mark.slow
def test_only_the_lower_face_changes(avatar: Avatar) -> None:
    shown, original = render(avatar, 1, jawOpen=0.5)[0], base(avatar, 1)[0]
    points = avatar.landmarks[0]
    changed = np.argwhere(shown.y != original.y)
    width = np.ptp(points[:, 0])
    assert len(changed) > 0.02 * width**2
    assert changed[:, 0].min() > points[6, 1]  # below the bridge of the nose
    assert changed[:, 1].min() > points[:, 0].min() - 0.3 * width
    assert changed[:, 1].max() < points[:, 0].max() + 0.3 * width


def test_an_open_mouth_is_dark_inside_and_shows_teeth(avatar: Avatar) -> None:
    shown, original = render(avatar, 1, jawOpen=0.6)[0], base(avatar, 1)[0]
    target = FaceMover(avatar, ("jawOpen",)).target(0, np.array([0.6], np.float32))
    x = round(float(target[13, 0]))
    top, bottom = (round(float(target[i, 1])) for i in (13, 14))
    inside = shown.y[top + 2 : bottom - 1, x - 3 : x + 4].astype(int)
    skin = np.median(original.y[round(float(target[205, 1])), round(float(target[205, 0]))])
    assert inside.min() < 0.35 * skin
    assert inside.max() > 0.5 * skin


@pytest.mark.parametrize("tint", [(-12.0, 16.0), (-20.0, 10.0), (-6.0, 22.0)])
def test_teeth_of_unknown_colour_are_bright_and_yellower_than_white_less_red_than_skin(
    avatar: Avatar, tint: tuple[float, float]
) -> None:
    """TINT: how far the skin's U and V are from grey. Neither grey nor green teeth, in warm light as in cool."""
    mover = FaceMover(replace(avatar, teeth=None), ("jawOpen", "mouthUpperUpLeft", "mouthUpperUpRight"))
    frame = Frame(base(avatar, 1)[0].planes.copy())
    frame.y[:] = 150
    for plane, shift in zip(frame.uv, tint, strict=True):
        plane[:] = 128 + shift
    mover.move(frame, 0, np.array([0.35, 0.6, 0.6], np.float32))
    target = mover.target(0, np.array([0.35, 0.6, 0.6], np.float32))
    outline = np.concatenate([target[UPPER_INNER], target[LOWER_INNER][::-1]]).round().astype(np.int32)
    inside = cv2.erode(cv2.fillPoly(np.zeros(frame.y.shape, np.uint8), [outline], 1), np.ones((3, 3))) > 0
    rows, columns = np.nonzero(inside & (frame.y >= np.percentile(frame.y[inside], 85)))
    u, v = (plane[rows // 2, columns // 2].astype(float) - 128 for plane in frame.uv)
    assert np.percentile(frame.y[inside], 95) > 0.7 * 150
    assert tint[0] < np.median(u) < 0.3 * tint[0], "yellow"
    assert 0 < np.median(v) < 0.8 * tint[1], "not green, not red"


def test_lips_meet_and_never_pass_through_each_other(avatar: Avatar) -> None:
    geometry, basis = FaceGeometry(avatar, load_basis()), load_basis()
    pressed = geometry.moved(0, basis.delta["mouthClose"])  # by far more than shut
    gap = (pressed[LOWER_INNER] - pressed[UPPER_INNER]) @ geometry.down[0]
    np.testing.assert_allclose(gap, 0, atol=0.01)
    rest = geometry.moved(0, np.zeros((478, 3), np.float32))
    np.testing.assert_allclose(rest, geometry.source[0], atol=1e-3)


def test_pucker_narrows_the_mouth(avatar: Avatar) -> None:
    geometry, basis = FaceGeometry(avatar, load_basis()), load_basis()
    width = [np.linalg.norm(p[61] - p[291]) for p in (geometry.rest[0], geometry.moved(0, basis.delta["mouthPucker"]))]
    assert width[1] < 0.9 * width[0]


def test_the_clip_loops_when_speech_is_longer(avatar: Avatar) -> None:
    count = len(avatar.landmarks)
    frames = render(avatar, count + 2)
    assert len(frames) == count + 2
    np.testing.assert_array_equal(frames[count].planes, frames[0].planes)


def test_frames_without_a_usable_face_pass_unchanged_and_the_mouth_fades_around_them(avatar: Avatar) -> None:
    usable = np.ones(len(avatar.landmarks), bool)
    usable[20:40] = False
    blind = replace(avatar, usable=usable)
    shown, original = render(blind, 50, jawOpen=0.5), base(avatar, 50)
    change = [float(np.abs(s.y.astype(int) - o.y).mean()) for s, o in zip(shown, original, strict=True)]
    assert not any(change[20:40])
    assert change[5] > change[18] > 0


def test_cancel_ends_rendering_at_the_next_frame(avatar: Avatar) -> None:
    token = CancelToken()
    track = MouthTrack(25.0, np.full((50, 1), 0.3, np.float32), ("jawOpen",))
    frames = MeshEngine().render(avatar, [Stretch(SILENCE, track)], token)
    next(frames)
    token.cancel()
    with pytest.raises(Cancelled):
        next(frames)


@pytest.mark.parametrize("shift", [(-500, 0), (400, 0), (0, -300), (0, 300), (3000, 3000)], ids=str)
def test_a_face_that_leaves_the_picture_is_drawn_as_far_as_it_is_seen(avatar: Avatar, shift: tuple[int, int]) -> None:
    frame = base(avatar, 1)[0]
    geometry = FaceGeometry(avatar, load_basis())
    scale = np.float32(avatar.height / 720)
    source = geometry.source[0] + np.array(shift, np.float32) * scale
    target = geometry.moved(0, load_basis().delta["jawOpen"] * 0.6) + np.array(shift, np.float32) * scale
    before = frame.planes.copy()
    warp(frame, source, target, geometry.triangles())
    assert frame.planes.min() >= 0 and frame.planes.max() <= 255
    assert (frame.planes != before).any() == (shift != (3000, 3000))


def test_sharp_edges_move_by_half_a_pixel_as_cubic_convolution_says() -> None:
    """OpenCV's is the reference, up to the mesh's edge; what swings beyond white or black stays white or black."""
    sharp = np.random.default_rng(3).choice(np.array([0, 255], np.uint8), (96, 96))
    frame = Frame(np.full((144, 96), 128, np.uint8))
    frame.y[:] = sharp
    corners = np.array([(20, 20), (61, 20), (61, 61), (20, 61)], np.float32)
    warp(frame, corners, corners - np.float32(0.5), np.array([(0, 1, 2), (0, 2, 3)], np.int32))
    places = np.arange(96, dtype=np.float32) + 0.5
    across, down = np.meshgrid(places, places)
    expected = cv2.remap(sharp, across, down, cv2.INTER_CUBIC)
    inside = np.s_[20:61, 20:61]
    np.testing.assert_allclose(frame.y[inside].astype(int), expected[inside], atol=1)
    np.testing.assert_array_equal(frame.y[:19], sharp[:19])


@pytest.mark.parametrize("off", [-0.001, 0.001])
def test_a_shift_by_nearly_whole_pixels_carries_them_as_they_are(off: float) -> None:
    """Positions are rounded to the nearest phase, a 256th of a pixel, in luma and chroma."""
    sharp = np.random.default_rng(4).choice(np.array([0, 255], np.uint8), (144, 96))
    frame, before = Frame(sharp.copy()), Frame(sharp)
    corners = np.array([(20, 20), (61, 20), (61, 61), (20, 61)], np.float32)
    warp(frame, corners, corners + np.float32(4 + off), np.array([(0, 1, 2), (0, 2, 3)], np.int32))
    np.testing.assert_array_equal(frame.y[26:64, 26:64], before.y[22:60, 22:60])
    for moved, still in zip(frame.uv, before.uv, strict=True):
        np.testing.assert_array_equal(moved[14:31, 14:31], still[12:29, 12:29])


def test_a_mesh_that_shifts_shifts_the_picture(avatar: Avatar) -> None:
    """Whole pixels are carried as they are, luma and chroma, without cracks between the triangles."""
    frame = base(avatar, 1)[0]
    before = Frame(frame.planes.copy())
    geometry = FaceGeometry(avatar, load_basis())
    source = geometry.source[0]
    warp(frame, source, source + np.array([4, 2], np.float32), geometry.triangles())
    hull = cv2.convexHull(source[:478] + np.array([4, 2], np.float32))[:, 0]
    inside = np.zeros(frame.y.shape, np.uint8)
    cv2.fillConvexPoly(inside, hull.round().astype(np.int32), 1)
    inside = cv2.erode(inside, np.ones((7, 7), np.uint8)) > 0
    inside[: round(float(source[4, 1]))] = False  # above the nose the eyes are holes in the mesh
    assert inside.sum() > 1000
    np.testing.assert_array_equal(frame.y[inside], np.roll(before.y, (2, 4), (0, 1))[inside])
    half = inside[::2, ::2] & inside[1::2, 1::2]
    for moved, still in zip(frame.uv, before.uv, strict=True):
        np.testing.assert_array_equal(moved[half], np.roll(still, (1, 2), (0, 1))[half])


def test_code_is_compiled_once_whatever_the_picture_looks_like(avatar: Avatar) -> None:
    """A second variant would be compiled while somebody waits, for seconds."""
    geometry, frame = FaceGeometry(avatar, load_basis()), base(avatar, 1)[0]
    target = geometry.moved(0, load_basis().delta["jawOpen"] * 0.6)
    left, right = (int(v) // 2 * 2 for v in (target[:, 0].min() + 8, target[:, 0].max() - 8))
    u, v = (plane[:, left // 2 : right // 2] for plane in frame.uv)
    narrow = np.concatenate([part.ravel() for part in (frame.y[:, left:right], u, v)])
    shift = np.array([left, 0], np.float32)
    for shown in (frame, Frame(narrow.reshape(-1, right - left))):
        warp(shown, geometry.source[0] - shift, target - shift, geometry.triangles())
    assert len(_move.dispatcher().signatures) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("opening", [0.1, 0.3, 0.5])
def test_an_opening_mouth_folds_neither_the_lips_nor_the_jaw_over_themselves(avatar: Avatar, opening: float) -> None:
    mover = FaceMover(avatar, ("jawOpen", "mouthUpperUpLeft", "mouthUpperUpRight"))
    geometry = FaceGeometry(avatar, load_basis())
    triangles = geometry.triangles()[2 * (len(UPPER_INNER) - 1) :]  # without the mouth's inside
    moved = mover.target(0, np.array([opening, opening / 4, opening / 4], np.float32))

    def areas(points: np.ndarray) -> np.ndarray:
        a, b, c = (points[triangles[:, i]] for i in range(3))
        (x, y), (u, v) = (b - a).T, (c - a).T
        return np.asarray(x * v - y * u)

    before, after = areas(geometry.source[0]), areas(moved)
    seen = np.abs(before) > 0.002 * geometry.eyes[0] ** 2 / 10
    assert seen.sum() > 400
    assert (before[seen] * after[seen] > 0).all()


def test_the_jaw_opens_along_its_whole_edge() -> None:
    """From the ear to the chin the edge goes down ever further: a step would cut it to straight lines."""
    chin = OVAL.index(152)
    down = load_basis().delta["jawOpen"][list(OVAL), 1]
    for edge in (down[chin - 9 : chin + 1], down[chin : chin + 10][::-1]):
        assert (np.diff(edge) > -0.002).all()
        assert np.diff(edge).max() < 0.3 * edge.max()


def test_lips_that_were_open_in_the_clip_are_shut_along_a_dark_line(avatar: Avatar) -> None:
    geometry, units = FaceGeometry(avatar, load_basis()), ("jawOpen",)
    frame = base(avatar, 1)[0]
    FaceMover(avatar, units).move(frame, 0, np.array([0.5], np.float32))
    landmarks = avatar.landmarks.copy()
    landmarks[0, :, :2] += (geometry.moved(0, 0.5 * load_basis().delta["jawOpen"]) - geometry.rest[0])[:478]
    FaceMover(replace(avatar, landmarks=landmarks, rest=avatar.landmarks), units).move(
        frame, 0, np.array([0.0], np.float32)
    )
    shut = geometry.rest[0].round().astype(int)
    x, y = shut[UPPER_INNER[3:-3]].T  # with closed lips the lower edge lies on the upper one
    red = np.median([frame.y[shut[i, 1], shut[i, 0]] for i in (0, 17)])
    assert frame.y[y, x].mean() < 0.62 * red  # without the line it is 0.76 and more


def test_the_mouths_inside_follows_the_light_of_the_clip_within_a_quarter_of_a_second(avatar: Avatar) -> None:
    units, weights, later = ("jawOpen",), np.array([0.5], np.float32), round(0.25 * float(avatar.fps))
    bright, *_, dark = base(avatar, later + 1)
    dark.y[:] = 16 + (dark.y - 16.0) * 0.4
    expected = Frame(dark.planes.copy())
    FaceMover(avatar, units).move(expected, later, weights)  # has never seen another light
    mover = FaceMover(avatar, units)
    mover.move(bright, 0, weights)
    mover.move(dark, later, weights)
    np.testing.assert_array_equal(dark.planes, expected.planes)


def tongue_at(**pose: float) -> np.ndarray:
    """Return Y down the middle of a wide open mouth with a tongue, and lower teeth that cover half of it."""
    unit, basis = 200.0, load_basis()
    lips = basis.neutral[[0, 13]].mean(0)[:2]
    nothing, tongue, teeth = (np.zeros((20, 20, 4), np.float32) for _ in range(3))
    tongue[..., 0], teeth[..., 0] = 0.5, 1
    tongue[..., 3] = teeth[..., 3] = 1
    places = {"tongue": (0.2, 0.4), "lower": (0.3, 0.5), "upper": (0.2, 0.4)}
    pictures = {"tongue": tongue, "lower": teeth, "upper": nothing}
    sprites = {
        name: Sprite(pictures[name], lips + np.array([(-0.2, top), (0.2, top), (-0.2, bottom)], np.float32))
        for name, (top, bottom) in places.items()
    }
    target = np.full((478, 2), 150, np.float32)
    across = np.linspace(-90, 90, len(UPPER_INNER), dtype=np.float32)
    arc = 90 * np.sqrt(1 - (across / 91) ** 2)
    target[UPPER_INNER], target[LOWER_INNER] = (np.column_stack([150 + across, 150 + s * arc]) for s in (-1, 1))
    carry = np.array([(unit, 0), (0, unit), (0, 0)], np.float32)
    frame = Frame(np.full((450, 300), 128, np.uint8))
    jaw = np.array([0, pose.pop("jaw", 0.0) * unit], np.float32)
    mouth = MouthPose(target=target, anchor=np.array([150, 120], np.float32), carry=carry, jaw=jaw, eyes=100.0, **pose)
    light = Light(np.array([150, 120, 140], np.float32), np.array([110, 115, 150], np.float32))
    MouthInterior(basis, sprites).draw(frame, mouth, light)
    return frame.y[:, 150].astype(int)


def top_of_tongue(**pose: float) -> float:
    """Return where the tongue begins, in basis units below the lips' middle."""
    column = tongue_at(**pose)[90:230]
    return (90 + int(np.flatnonzero(column > column[0] + 12)[0]) - 120) / 200


@pytest.mark.slow
def test_the_tongues_tip_rises_by_a_twentieth_of_the_head() -> None:
    assert top_of_tongue() - top_of_tongue(tongue=1.0) == pytest.approx(0.05, abs=0.01)


def test_a_risen_tip_stays_at_the_upper_teeth_when_the_jaw_drops() -> None:
    """A tip at rest goes down with the jaw, a risen one by four tenths of it, one between the teeth not at all."""
    for pose, share in (({}, 1.0), ({"tongue": 1.0}, 0.4), ({"through": 1.0}, 0.0)):
        way = top_of_tongue(jaw=0.1, **pose) - top_of_tongue(**pose)
        assert way == pytest.approx(0.1 * share, abs=0.01)


def test_the_tongues_back_rises_by_half_its_height_and_is_dark() -> None:
    assert top_of_tongue() - top_of_tongue(back=1.0) == pytest.approx(0.55 * 0.2, abs=0.02)
    row = 120 + round(0.26 * 200)  # between the tongue's edge and the lower teeth
    low, high = (tongue_at(back=back)[row] - 16 for back in (0.0, 1.0))
    assert high / low == pytest.approx(1 - 0.35, abs=0.06)


def test_a_tongue_between_the_teeth_covers_the_lower_ones() -> None:
    row = 120 + round(0.34 * 200)  # both are there
    behind, before = tongue_at()[row], tongue_at(through=1.0)[row]
    assert behind > 1.25 * before
    # it lies in front of the mouth, and is as bright again as the tongue within
    depth = 120 + round(0.26 * 200)  # above the lower teeth
    assert tongue_at(through=1.0)[depth] - 16 > 1.6 * (tongue_at()[depth] - 16)


@pytest.mark.parametrize("beside", ["a", "i", "o"])
def test_sounds_made_with_lips_have_the_lips_of_that_sound(avatar: Avatar, beside: str) -> None:
    """Lower lip to upper teeth for f and v, whose edges show; lips pushed forward and narrow for sh, zh, ch and j."""
    geometry, basis = FaceGeometry(avatar, load_basis()), load_basis()
    eyes = float(geometry.eyes[0])

    def lips(sound: str) -> tuple[float, float, float]:
        """Return the opening and the width of the mouth, and how far the upper lip has risen, in eye distances."""
        marks = tuple(
            Mark("phoneme", text, at, at + 0.15) for text, at in ((beside, 0.2), (sound, 0.35), (beside, 0.5))
        )
        mouth = articulate(marks, replace(SILENCE, marks=marks), 25, 25.0)
        units = {
            u: float(w) for u, w in zip(mouth.units, mouth.weights[round(0.425 * 25)], strict=True) if u in basis.delta
        }
        movement = sum((w * basis.delta[u] for u, w in units.items()), np.zeros((478, 3), np.float32))
        points = geometry.moved(0, movement)
        gap = float(np.linalg.norm(points[14] - points[13])) / eyes
        wide = float(np.linalg.norm(points[308] - points[78])) / eyes
        return gap, wide, float(geometry.rest[0, 13, 1] - points[13, 1]) / eyes

    for sound in ("f", "v"):
        gap, _, risen = lips(sound)
        assert 0.03 < gap < 0.12 and risen > 0.02
    spread = lips("s")[1]
    for sound in ("ʃ", "ʒ", "tʃ", "dʒ"):
        gap, wide, _ = lips(sound)
        assert gap > 0.03 and wide < (0.95 if beside == "o" else 0.9) * spread


def test_lips_keep_their_volume(avatar: Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spread lips thin and rounded ones bulge, by the 0.7th power of the mouth's width."""
    geometry, delta = FaceGeometry(avatar, load_basis()), load_basis().delta

    def width(points: np.ndarray) -> float:
        return float(np.hypot(*(points[UPPER_INNER[-1]] - points[UPPER_INNER[0]])))

    def thickness(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.array([points[17] - points[14], points[13] - points[0]]) @ geometry.down[0])

    spread = 0.4 * (delta["mouthStretchLeft"] + delta["mouthStretchRight"])
    for movement, thins in ((spread, True), (0.8 * delta["mouthPucker"], False)):
        moved = geometry.moved(0, movement)
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.engines.mesh.geometry.FULLNESS", 0.0)
            without = geometry.moved(0, movement)
        factor = (width(geometry.rest[0]) / width(moved)) ** 0.7
        assert (factor < 0.97) if thins else (factor > 1.1)
        np.testing.assert_allclose(thickness(moved), factor * thickness(without), rtol=0.01)


@pytest.mark.parametrize("name", ["talk_long", "woman"])
def test_a_round_mouth_opens_in_its_middle_and_a_spread_one_along_its_width(name: str) -> None:
    store = AvatarStore(Settings().precomputed)
    geometry, delta = FaceGeometry(store.load(store.find(name, "360p")), load_basis()), load_basis().delta

    def in_the_middle(sound: str) -> float:
        """Return the share of the opening that lies in the middle third of the mouth's width."""
        shape = viseme_of(sound).shape
        moves = [shape.get(unit.removesuffix("Left").removesuffix("Right"), 0.0) * delta[unit] for unit in delta]
        points = geometry.moved(0, np.sum(moves, axis=0))
        along = points[UPPER_INNER, 0]
        places = np.linspace(along[0], along[-1], 301)
        gap = np.interp(places, along, (points[LOWER_INNER] - points[UPPER_INNER]) @ geometry.down[0])
        return float(gap[100:201].sum() / gap.sum())

    assert in_the_middle("u") > 0.68 and in_the_middle("o") > 0.61
    assert in_the_middle("i") < 0.5 and in_the_middle("e") < 0.5


@pytest.mark.parametrize("sound", ["u", "o", "ʃ", "w"])
@pytest.mark.parametrize("name", ["talk_long", "woman"])
def test_the_skin_below_a_rounded_lip_is_squeezed_and_never_folds(name: str, sound: str) -> None:
    """It keeps four tenths of its height: a lip that covers it ends in a straight edge."""
    store = AvatarStore(Settings().precomputed)
    geometry = FaceGeometry(store.load(store.find(name, "360p")), load_basis())
    shape = viseme_of(sound).shape
    delta = load_basis().delta
    moves = [shape.get(unit.removesuffix("Left").removesuffix("Right"), 0.0) * delta[unit] for unit in delta]
    moved = geometry.moved(0, np.sum(moves, axis=0))
    for lip, skin in ((17, 18), (84, 83), (314, 313), (181, 182), (405, 406)):
        height, rest = ((points[skin] - points[lip]) @ geometry.down[0] for points in (moved, geometry.rest[0]))
        assert height > 0.38 * rest


def test_a_mouth_that_opens_a_little_is_dark_inside(avatar: Avatar) -> None:
    """Lips keep the light from the teeth: what lies between them is less than two thirds as bright as the skin."""
    frame, units = base(avatar, 1)[0], ("jawOpen",)
    mover = FaceMover(avatar, units)
    skin = float(np.median(frame.y[tuple(avatar.landmarks[0, [205, 425], 1::-1].round().astype(int).T)]))
    mover.move(frame, 0, np.array([0.12], np.float32))
    target = mover.target(0, np.array([0.12], np.float32))
    x, y = target[[13, 14]].mean(0).round().astype(int)
    assert frame.y[y, x] - 16 < 0.67 * (skin - 16)


def test_the_lower_front_teeth_stand_together() -> None:
    """The slit between them is no wider than a twentieth of a tooth."""
    lower = load_sprites(600.0, -6.3)["lower"]
    width = lower.picture.shape[1]
    left, top = lower.corners[0]
    scale = width / float(lower.corners[1, 0] - left)
    middle, tooth = round(-left * scale), round(0.085 * scale)
    row = lower.picture[round((-6.26 - top) * scale), middle - tooth // 2 : middle + tooth // 2]
    bright = row[:, 0] * row[:, 3]
    assert (bright < 0.6 * np.median(bright)).sum() <= 0.05 * tooth
