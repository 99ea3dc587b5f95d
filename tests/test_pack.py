"""Avatar packs: what is saved comes back, and what is not a pack is refused before anything of it runs."""

from __future__ import annotations

import dataclasses
import os
import pickle
import struct
import tracemalloc
import zlib
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar, Inpainting
from pipeline.avatars.pack import gender_of, load, save
from pipeline.avatars.points import packed, unpacked
from pipeline.avatars.unpickle import Refused, restricted_loads
from pipeline.errors import BadPack, NotFound
from pipeline.preparing.encode_clip import encode
from pipeline.preparing.legacy_pack import adopt
from pipeline.settings import ROOT
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader, ColorTags

FRAMES, WIDTH, HEIGHT = 6, 64, 48
TALK_SHORT = ROOT / "examples" / "talk_short.mp4"


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    rng = np.random.default_rng(5)
    frames = [Frame(np.full((HEIGHT * 3 // 2, WIDTH), 30 * n, np.uint8)) for n in range(FRAMES)]
    video = encode(frames, WIDTH, HEIGHT, Fraction(30000, 1001), ColorTags(1, 1, 1, 1))
    points = np.rint(rng.uniform(0, HEIGHT, (FRAMES, 478, 3)) * 64).astype(np.float32) / 64
    usable = np.arange(FRAMES) != 2
    return Avatar(
        name="ann",
        resolution="360p",
        width=WIDTH,
        height=HEIGHT,
        fps=Fraction(30000, 1001),
        video=video,
        landmarks=points,
        rest=points + 1,
        usable=usable,
    )


@pytest.fixture
def content(avatar: Avatar, tmp_path: Path) -> dict[str, object]:
    """The dict that a pack pickles."""
    save(avatar, tmp_path / "a.pkl")
    return dict(pickle.loads((tmp_path / "a.pkl").read_bytes()))


def _write(path: Path, value: object) -> Path:
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol=4))
    return path


def test_what_is_saved_comes_back(avatar: Avatar, tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.pkl"
    save(avatar, path)
    back = load(path)
    for field in dataclasses.fields(Avatar):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(avatar, field.name))
    assert back.id == "ann_360p"
    assert [p.name for p in path.parent.iterdir()] == ["a.pkl"]


def test_a_closed_mouth_is_stored_once(avatar: Avatar, tmp_path: Path) -> None:
    save(dataclasses.replace(avatar, rest=avatar.landmarks.copy()), tmp_path / "once.pkl")
    save(avatar, tmp_path / "twice.pkl")
    once, twice = ((tmp_path / name).stat().st_size for name in ("once.pkl", "twice.pkl"))
    assert twice - once >= avatar.rest.nbytes / 4
    np.testing.assert_array_equal(load(tmp_path / "once.pkl").rest, avatar.landmarks)


@pytest.fixture
def inpainting() -> Inpainting:
    boxes = np.tile(np.array([[10, 4, 40, 44]], np.int32), (FRAMES, 1))
    boxes[2] = 0
    latents = np.random.default_rng(6).standard_normal((FRAMES, 8, 32, 32)).astype(np.float32)
    return Inpainting(boxes, latents, np.full((FRAMES, 128, 128), 7, np.uint8))


def test_what_musetalk_needs_comes_back(avatar: Avatar, inpainting: Inpainting, tmp_path: Path) -> None:
    save(dataclasses.replace(avatar, inpainting=inpainting), tmp_path / "a.pkl")
    back = load(tmp_path / "a.pkl").inpainting
    assert back is not None
    for field in dataclasses.fields(Inpainting):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(inpainting, field.name))


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": np.full((FRAMES, 4), (10, 4, WIDTH + 2, 44), np.int32)},
        {"boxes": np.full((FRAMES, 4), (40, 4, 10, 44), np.int32)},
        {"boxes": np.zeros((FRAMES, 4), np.int64)},
        {"latents": np.full((FRAMES, 8, 32, 32), np.nan, np.float32)},
        {"latents": np.zeros((FRAMES - 1, 8, 32, 32), np.float32)},
        {"masks": np.zeros((FRAMES, 64, 64), np.uint8)},
    ],
    ids=["outside", "inside out", "other numbers", "no numbers", "too few", "too small"],
)
def test_what_musetalk_cannot_use_is_refused(
    avatar: Avatar, inpainting: Inpainting, change: dict[str, np.ndarray], tmp_path: Path
) -> None:
    save(dataclasses.replace(avatar, inpainting=dataclasses.replace(inpainting, **change)), tmp_path / "a.pkl")
    with pytest.raises(BadPack):
        load(tmp_path / "a.pkl")


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_opens(content: dict[str, object], protocol: int, tmp_path: Path) -> None:
    path = _write(tmp_path / "p.pkl", pickle.dumps(content, protocol=protocol))
    points = content["landmarks"]
    assert isinstance(points, bytes)
    np.testing.assert_array_equal(load(path).landmarks, unpacked(points, FRAMES))


def test_points_are_kept_to_a_64th_of_a_pixel(avatar: Avatar, tmp_path: Path) -> None:
    for points in (avatar.landmarks * np.float32(1.234) - 50, avatar.landmarks * 1000):
        back = unpacked(packed(points), FRAMES)
        assert back.dtype == np.float32 and np.abs(back - points).max() <= 1 / 128 + 1e-3
    still = np.tile(avatar.landmarks[:1], (50, 1, 1))
    assert len(packed(still + np.linspace(0, 3, 50)[:, None, None])) < still.nbytes / 20


def test_packs_with_points_as_arrays_open(content: dict[str, object], avatar: Avatar, tmp_path: Path) -> None:
    old = {**content, "version": 1, "landmarks": avatar.landmarks, "rest": None}
    back = load(_write(tmp_path / "old.pkl", old))
    np.testing.assert_array_equal(back.landmarks, avatar.landmarks)
    assert back.rest is back.landmarks


def test_a_save_that_fails_leaves_the_old_pack(avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pkl"
    save(avatar, path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(dataclasses.replace(avatar, name="bob"), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.pkl"]


@pytest.mark.parametrize(("width", "height"), [(WIDTH - 1, HEIGHT), (WIDTH, HEIGHT - 1), (WIDTH - 1, HEIGHT - 1)])
def test_a_picture_of_odd_size_is_refused(content: dict[str, Any], width: int, height: int, tmp_path: Path) -> None:
    """The decoder crops pictures to the size in the mp4's header; half a pixel of colour has no place in planes."""
    video = bytearray(content["video"])
    struct.pack_into(">HH", video, video.index(b"avc1", video.index(b"stsd")) + 28, width, height)
    assert (ClipReader(bytes(video)).width, ClipReader(bytes(video)).height) == (width, height)
    path = _write(tmp_path / "odd.pkl", {**content, "video": bytes(video), "width": width, "height": height})
    with pytest.raises(BadPack, match=f"odd size {width}x{height}"):
        load(path)


@pytest.mark.parametrize("keep", [0, 1, 10, 200, 0.5, -1])
def test_a_pack_cut_short_is_refused(avatar: Avatar, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.pkl"
    save(avatar, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)] if isinstance(keep, float) else data[:keep])
    with pytest.raises(BadPack) as caught:
        load(path)
    assert "a.pkl" in caught.value.message.ko and "pipeline.preparing" in caught.value.message.en


class _Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_pack_does_not_run(content: dict[str, object], tmp_path: Path, protocol: int) -> None:
    touched = tmp_path / "touched"
    for carrying in (_Bomb(touched), content | {"video": _Bomb(touched)}, [_Bomb(touched)]):
        path = _write(tmp_path / "bomb.pkl", pickle.dumps(carrying, protocol=protocol))
        with pytest.raises(BadPack, match="system"):
            load(path)
    assert not touched.exists()


def test_other_doors_to_code_are_shut() -> None:
    for data in (
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"(S'1'\nibuiltins\neval\n.",  # INST
        b"\x80\x04\x8c\x0bnumpy.core.\x8c\x04load\x93.",
        b"\x80\x02}\x8a\x01\x05Q.",  # BINPERSID
        b"\x80\x02\x82\x01.",  # EXT1
        b"cnumpy.core.multiarray\n_reconstruct\n}S'__defaults__'\nNsb.",  # BUILD on a name
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"cpipeline.avatars.unpickle\n_DTYPES\n.",
        b"cnumpy\ndtype.__init__\n.",
    ):
        with pytest.raises(Refused):
            restricted_loads(data)


def test_sizes_that_are_not_there_are_not_reserved() -> None:
    huge = 2**33
    shape = b"(I1\n(I%d\ntcnumpy\ndtype\n(S'f4'\ntRI00\nS'abc'\ntb" % huge
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    for data in (
        b"}S'a'\n" + reconstruct + shape + b"s.",
        b"\x80\x05\x96" + huge.to_bytes(8, "little") + b"abc.",  # BYTEARRAY8
        b"\x80\x04\x8e" + huge.to_bytes(8, "little") + b"abc.",  # BINBYTES8
    ):
        with pytest.raises(Refused):
            restricted_loads(data)


def _laughs(deepest: bytes, levels: int = 60) -> bytes:
    """Return a tuple in so many levels, each of which refers to the one below twice: 2**LEVELS values in all."""
    return deepest + b"".join(b"q%ch%c\x86" % (level, level) for level in range(levels))


_DTYPE = b"cnumpy\ndtype\n"
_BUFFER = b"cnumpy.core.numeric\n_frombuffer\n"
_BYTES_OF_TEXT = b"c_codecs\nencode\n"
_DEEP = b")" + b"\x85" * 300_000
_HARM = {
    "a deep tuple as a key": b"}" + _DEEP + b"Ns.",
    "a tuple of tuples as a key": b"}" + _laughs(b")") + b"Ns.",
    "a number as a key": b"}K\x01Ns.",
    "numbers that collide as keys": b"}("
    + b"".join(b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") + b"N" for n in range(60_000))
    + b"u.",
    "bytes as a key": b"}C\x01aNs.",
    "a deep tuple": b"}U\x01a" + _DEEP + b"s.",
    "a deep list": b"}U\x01a" + b"]" * 200_000 + b"a" * 199_999 + b"s.",
    "deep dicts": b"}" + b"U\x01a}" * 100_000 + b"s" * 100_000 + b".",
    "a list in itself": b"}U\x01a]q\x00h\x00as.",
    "a dict in itself": b"}q\x00U\x01ah\x00s.",
    "tuples of tuples": b"}U\x01a" + _laughs(b")", 7) * 9 + b"s.",
    "one list very often": b"}U\x01a](" + b"]q\x00(" + b"N" * 10_000 + b"e" + b"h\x00" * 10_000 + b"es.",
    "tuples of tuples as a format": b"}U\x06format" + _laughs(b")") + b"s.",
    "tuples of tuples as a version": b"}U\x06formatU\x0bavatar-packsU\x07version" + _laughs(b")") + b"s.",
    "tuples of tuples as a dtype": _DTYPE + b"(" + _laughs(b")") + b"tR.",
    "tuples of tuples as a shape": _BUFFER + b"(C\x00" + _DTYPE + b"(U\x02f4tR(" + _laughs(b")") + b"tU\x01CtR.",
    "tuples of tuples as an encoding": _BYTES_OF_TEXT + b"(U\x01a" + _laughs(b")") + b"tR.",
    "a memo slot far away": b"}r\xff\xff\xff\x7f.",
    "a memo slot far away, in digits": b"}p2147483647\n.",
    "a number of a million digits": b"}U\x01a\x8b\x40\x42\x0f\x00" + b"\x01" * 1_000_000 + b"s.",
    "a number of many digits": b"}U\x01aL" + b"9" * 4000 + b"L\ns.",
    "a text as arguments": _DTYPE + b"X\x40\x42\x0f\x00" + b"a" * 1_000_000 + b"R.",
    "a list as arguments": _DTYPE + b"]R.",
    "one text made bytes very often": b"}U\x01a](X\x40\x42\x0f\x00"
    + b"a" * 1_000_000
    + b"q\x000"
    + (_BYTES_OF_TEXT + b"(h\x00U\x06latin1tR") * 1000
    + b"es.",
    "one array very often": b"}U\x01a](B\x40\x42\x0f\x00"
    + b"\x00" * 1_000_000
    + b"q\x000"
    + (_BUFFER + b"(h\x00" + _DTYPE + b"(U\x02b1tR(J\x40\x42\x0f\x00tU\x01CtR") * 1000
    + b"es.",
    "an array larger than its bytes": b"}U\x01a" + _BUFFER + b"(C\x04abcd" + _DTYPE + b"(U\x02f4tR(K\x02tU\x01CtRs.",
    "an array smaller than its bytes": b"}U\x01a"
    + _BUFFER
    + b"(C\x08abcdabcd"
    + _DTYPE
    + b"(U\x02f4tR(K\x01tU\x01CtRs.",
    "an array of less than nothing": b"}U\x01a"
    + _BUFFER
    + b"(C\x04abcd"
    + _DTYPE
    + b"(U\x02f4tR(J\xff\xff\xff\xfftU\x01CtRs.",
    "an endless side": b"}U\x01a"
    + _BUFFER
    + b"(C\x00"
    + _DTYPE
    + b"(U\x02f4tR(K\x00J\xff\xff\xff\x7fJ\xff\xff\xff\x7f"
    + b"J\xff\xff\xff\x7ftU\x01CtRs.",
    "too many opcodes": b"}" + b"N0" * 300_000 + b".",
    "marks": b"}" + b"(" * 600_000 + b".",
    "a name alone": b"}U\x01a" + _DTYPE + b"s.",
    "a changed name": b"}U\x01a" + _DTYPE + b"}bs.",
    "a changed list": b"}U\x01a]}bs.",
    "items of a list": b"}U\x01a]K\x00Nss.",
    "a key without a value": b"}(U\x01au.",
    "more than there is": b"}s.",
    "below a mark": b"}(U\x01as.",
    "a memo slot that is empty": b"}h\x07.",
    "nothing": b"\x80\x04.",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("pickled", _HARM.values(), ids=_HARM.keys())
def test_what_would_crash_hang_or_fill_the_memory_is_refused(pickled: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadPack):
        load(_write(tmp_path / "x.pkl", pickled))


@pytest.mark.parametrize("what", [name for name in _HARM if "often" in name or "far" in name])
def test_what_is_refused_takes_no_memory(what: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            restricted_loads(_HARM[what])
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_many_opcodes_are_enough_for_any_pack() -> None:
    content: dict[str, list[Any]] = {
        "frames": [np.full((2, 2, 3), n % 256, np.uint8) for n in range(2000)],
        "boxes": [(1, 2, 3, np.int64(4))] * 2000,
    }
    for protocol in range(6):
        back = restricted_loads(pickle.dumps(content, protocol=protocol))
        assert isinstance(back, dict) and back["boxes"] == content["boxes"]
        assert all((one == two).all() for one, two in zip(back["frames"], content["frames"], strict=True))


def test_object_arrays_are_refused(content: dict[str, object], tmp_path: Path) -> None:
    path = _write(tmp_path / "o.pkl", content | {"landmarks": np.array([{}, []], dtype=object)})
    with pytest.raises(BadPack):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 99},
        {"width": 66},
        {"width": 1 << 60},
        {"height": True},
        {"opening": 0.1},
        {"opening": float("nan")},
        {"opening": "wide"},
        {"softness": -0.1},
        {"softness": float("nan")},
        {"fps": (25, 0)},
        {"fps": (10, 1)},
        {"fps": 25.0},
        {"video": b"not a video"},
        {"video": "text"},
        {"landmarks": np.zeros((FRAMES + 1, 478, 3), np.float32)},
        {"landmarks": np.zeros((FRAMES, 468, 3), np.float32)},
        {"landmarks": np.zeros((FRAMES, 478, 3), np.float64)},
        {"landmarks": b"no zlib"},
        {"landmarks": packed(np.zeros((FRAMES + 1, 478, 3)))},
        {"landmarks": packed(np.zeros((FRAMES, 478, 3)))[:-3]},
        {"landmarks": packed(np.full((FRAMES, 478, 3), 1e6))},
        {"rest": zlib.compress(bytes(10**7))},
        {"landmarks": np.full((FRAMES, 478, 3), np.nan, np.float32)},
        {"landmarks": np.full((FRAMES, 478, 3), 1e9, np.float32)},
        {"rest": np.full((FRAMES, 478, 3), np.inf, np.float32)},
        {"usable": np.ones(FRAMES, np.uint8)},
        {"usable": None},
        {"name": 5},
        {"gender": "man"},
        {"gender": None},
        {"gender": b"male"},
    ],
    ids=lambda change: "-".join(f"{k}={v!r:.12}" for k, v in change.items()),
)
def test_contents_that_do_not_agree_are_refused(
    content: dict[str, object], change: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(BadPack):
        load(_write(tmp_path / "x.pkl", content | change))


@pytest.mark.parametrize("gender", ["", "female", "male"])
def test_the_gender_is_read_without_the_pictures(avatar: Avatar, tmp_path: Path, gender: str) -> None:
    path = tmp_path / "a.pkl"
    save(dataclasses.replace(avatar, gender=gender, name="가" * 64), path)
    assert load(path).gender == gender_of(path) == gender
    path.write_bytes(path.read_bytes()[:1000])
    assert gender_of(path) == gender


@pytest.mark.parametrize("protocol", range(6))
def test_packs_from_before_genders_have_none(content: dict[str, object], tmp_path: Path, protocol: int) -> None:
    del content["gender"]
    path = _write(tmp_path / "old.pkl", pickle.dumps(content, protocol=protocol))
    assert load(path).gender == gender_of(path) == ""


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x80\x04",
        b"PK\x03\x04",
        pickle.dumps({"format": "avatar-pack", "gender": "other"}),
        pickle.dumps({"format": "avatar-pack", "gender": ["male"]}),
        pickle.dumps({"format": "else", "gender": "male"}),
        pickle.dumps(["format", "avatar-pack", "gender", "male"]),
        pickle.dumps({"format": "avatar-pack", "x": print, "gender": "male"}),
        b"(" * 1024,
        b"\x80\x04]\x94" + b"((e" * 300,
    ],
)
def test_what_is_no_pack_has_no_gender(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(head)
    assert gender_of(path) == ""
    assert gender_of(tmp_path / "missing.pkl") == ""


def test_other_pickles_and_files_are_refused(tmp_path: Path) -> None:
    values: tuple[object, ...] = ([], 5, None, {}, {"a": 1}, b"hello", b"PK\x03\x04", pickle.dumps({"frames": 1}))
    for value in values:
        with pytest.raises(BadPack):
            load(_write(tmp_path / "x.pkl", value))


def test_a_missing_pack_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load(tmp_path / "none.pkl")


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """Pictures of a man as packs of the original system hold them, of odd sides."""
    clip = ClipReader(TALK_SHORT.read_bytes())
    frames = [cv2.cvtColor(frame.planes, cv2.COLOR_YUV2BGR_I420) for frame in islice(clip.once(), 6)]
    return [cv2.resize(frame, (641, 361), interpolation=cv2.INTER_AREA) for frame in frames]


@pytest.mark.parametrize("key", ["frames", "frame_list", "frames_cycle", "frame_list_cycle"])
def test_packs_of_the_original_system_open_whatever_their_keys(
    pictures: list[np.ndarray], key: str, tmp_path: Path
) -> None:
    shown = pictures[:3] + pictures[2::-1] if key.endswith("cycle") else pictures
    content = {key: shown, "coord_list_cycle": [(10, 20, 30, 40)] * 6, "mask_list_cycle": [shown[0][..., 0]] * 6}
    avatar = load(_write(tmp_path / "old_360p_precomputed.pkl", content), adopt)
    assert avatar.fps == 25 and avatar.landmarks.shape == (6, 478, 3) and avatar.usable.all()
    back = [cv2.cvtColor(one.planes, cv2.COLOR_YUV2BGR_I420) for one in ClipReader(avatar.video).once()]
    errors = [np.abs(ours.astype(int) - one[:360, :640]).mean() for ours, one in zip(back, shown, strict=True)]
    assert max(errors) < 2.5


def test_packs_of_the_original_system_without_a_rate_play_at_25(pictures: list[np.ndarray], tmp_path: Path) -> None:
    for known, expected in ((None, 25), (30, 30), (np.float32(12.5), 12.5)):
        content = {"frames": pictures[:2], "fps": known}
        assert load(_write(tmp_path / "old_360p_precomputed.pkl", content), adopt).fps == expected
    for rate in (0, -25, True, "25", float("nan"), 1e9):
        with pytest.raises(BadPack, match="fps"):
            load(_write(tmp_path / "bad_360p_precomputed.pkl", {"frames": pictures, "fps": rate}), adopt)


def test_packs_of_the_original_system_open(pictures: list[np.ndarray], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    frames = pictures
    content = {
        "frames": frames,
        "coords_list": [(10, 20, 30, np.int64(40))] * 6,
        "input_latent_list": [torch.zeros(1, 8, 4, 4, dtype=torch.float16)] * 6,
        "cached_mask": np.zeros((4, 4), np.uint8),
        "cached_crop_box": [1, 2, 3, 4],
        "fps": 25.0,
        "width": 641,
        "height": 361,
        "total_frames": 6,
        "face_index": "center",
        "extra_margin": 10,
        "use_float16": True,
        "video_path": "talk.mp4",
    }
    avatar = load(_write(tmp_path / "old_man_360p_precomputed.pkl", content), adopt)
    assert (avatar.id, avatar.width, avatar.height) == ("old_man_360p", 640, 360) and avatar.fps == 25
    assert avatar.landmarks.shape == (6, 478, 3) and avatar.usable.all()
    shown = next(ClipReader(avatar.video).once())
    picture = cv2.cvtColor(shown.planes, cv2.COLOR_YUV2BGR_I420)
    assert np.abs(picture.astype(int) - frames[0][:360, :640]).mean() < 2
    changes: tuple[dict[str, object], ...] = (
        {"frames": []},
        {"frames": [1, 2]},
        {"fps": "25"},
        {"frames": [torch.zeros(2, 2)]},
    )
    for change in changes:
        with pytest.raises(BadPack):
            load(_write(tmp_path / "bad_360p_precomputed.pkl", content | change), adopt)
    with pytest.raises(BadPack, match="face"):
        grey = [np.full_like(frame, 127) for frame in frames]
        load(_write(tmp_path / "grey_360p_precomputed.pkl", content | {"frames": grey}), adopt)


def _shot(example: str, count: int) -> list[np.ndarray]:
    with av.open(str(ROOT / "examples" / f"{example}.mp4")) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(count), strict=False)]
    return [cv2.resize(one.to_ndarray(format="bgr24"), (640, 360), interpolation=cv2.INTER_AREA) for one in frames]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["mw", "mwwm"])
def test_of_a_cut_pack_of_the_original_system_one_shot_loops(order: str, tmp_path: Path) -> None:
    shots = {"m": _shot("talk_long", 20), "w": _shot("woman", 14)}
    parts = [shots[name][::-1] if name in order[:place] else shots[name] for place, name in enumerate(order)]
    content = {"frames": [picture for part in parts for picture in part], "fps": 25}
    avatar = load(_write(tmp_path / "old_360p_precomputed.pkl", content), adopt)
    # the longest shot: the man's, there and back, or the woman's in the middle of a cycle, which loops by itself
    shown = shots["w"] + shots["w"][::-1] if order == "mwwm" else shots["m"] + shots["m"][-2:0:-1]
    assert avatar.clip.count == len(avatar.landmarks) == len(avatar.rest) == len(avatar.usable) == len(shown)
    back = [cv2.cvtColor(one.planes, cv2.COLOR_YUV2BGR_I420) for one in ClipReader(avatar.video).once()]
    errors = [np.abs(ours.astype(int) - one).mean() for ours, one in zip(back, shown, strict=True)]
    assert max(errors) < 2.5


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_a_pack_can_be_read_by_other_users(avatar: Avatar, tmp_path: Path) -> None:
    save(avatar, tmp_path / "a.pkl")  # written through a temporary file, which only its owner can read
    assert (tmp_path / "a.pkl").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("protocol", range(3, 5))
def test_truth_values_are_0_and_1(protocol: int) -> None:
    data = pickle.dumps({"usable": np.ones(8, bool)}, protocol=protocol)
    assert b"\x01" * 8 in data
    with pytest.raises(Refused, match="truth values other than 0 and 1"):
        restricted_loads(data.replace(b"\x01" * 8, b"\x01\x02" * 4))
