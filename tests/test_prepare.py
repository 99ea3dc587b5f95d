"""Preparing avatars from real clips: what is kept, what is measured, and what is refused."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.signal import savgol_filter

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import load
from pipeline.avatars.store import AvatarStore
from pipeline.errors import BadClip, BadRequest
from pipeline.face.finder import FaceChoice, FaceFinder, box_of
from pipeline.jobs.events import report_sentences
from pipeline.preparing.encode_clip import encode
from pipeline.preparing.open_clip import open_clip, pictures
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import main, prepare, preview_faces, size_at
from pipeline.preparing.usable_frames import mouth_gap
from pipeline.settings import ROOT
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader, ColorTags
from tests.footage import copied, first_second
from tests.media import image

CLIP = ROOT / "examples" / "talk_short.mp4"
WEBCAM = ROOT / "tests" / "clips" / "webcam_woman.mp4"
FACE = 212
"""Pixels across, of the face in the bundled clip."""
FORTH = 20
"""Pictures of a clip that goes back after them."""
SKIN = [0, 17, 61, 291, 37, 267, 84, 314, 40, 270, 91, 321]
LIPS = [61, 291, 0, 17, 13, 14, 78, 308]

pytestmark = pytest.mark.usefixtures("quick_preparing")


@pytest.fixture(scope="module")
def source() -> list[Frame]:
    """The first 30 pictures of the bundled clip."""
    return [frame for frame, _ in zip(ClipReader(CLIP.read_bytes()).once(), range(30), strict=False)]


@pytest.fixture(scope="module")
def loop(source: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip whose end meets its start: `FORTH` pictures of the bundled one, and back."""
    path = tmp_path_factory.mktemp("loop") / "clip.mp4"
    there_and_back = [*source[:FORTH], *source[FORTH - 2 : 0 : -1]]
    colors = ClipReader(CLIP.read_bytes()).colors
    path.write_bytes(encode(there_and_back, 1280, 720, Fraction(25), colors, {"preset": "veryfast", "crf": "16"}))
    return path


@pytest.fixture(scope="module")
def packs(loop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Avatar]:
    out = tmp_path_factory.mktemp("precomputed")
    shares: list[float] = []
    paths = prepare(
        loop,
        PrepareOptions(name="man", resolutions=["720p", "360p"], out=out),
        lambda share, doing: shares.append(share),
    )
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert [path.relative_to(out).as_posix() for path in paths] == [
        "720p/man_720p_precomputed.pkl",
        "360p/man_360p_precomputed.pkl",
    ]
    return {path.parent.name: load(path) for path in paths}


def _grey(level: int) -> Frame:
    planes = np.full((270, 320), 128, np.uint8)
    planes[:180] = level
    return Frame(planes)


def _write(path: Path, frames: Iterable[Frame], size: tuple[int, int], fps: Fraction = Fraction(25)) -> Path:
    path.write_bytes(encode(frames, *size, fps, ColorTags()))
    return path


def _packets(video: bytes | Path) -> list[bytes]:
    with av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video), mode="r") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.slow
def test_a_fitting_stream_is_kept_bit_for_bit(packs: dict[str, Avatar], loop: Path) -> None:
    assert _packets(packs["720p"].video) == _packets(loop)
    assert packs["720p"].fps == 25 and len(packs["720p"].landmarks) == len(_packets(loop)) == 2 * FORTH - 2


@pytest.mark.slow
def test_smaller_packs_show_the_same_in_the_same_colours(packs: dict[str, Avatar]) -> None:
    large, small = packs["720p"], packs["360p"]
    assert (small.width, small.height) == (640, 360)
    np.testing.assert_allclose(small.landmarks * 2, large.landmarks, atol=0.03)  # 64ths of a pixel
    for one, other in zip(ClipReader(large.video).once(), ClipReader(small.video).once(), strict=True):
        for plane, shrunk in zip((one.y, *one.uv), (other.y, *other.uv), strict=True):
            assert abs(float(plane.mean()) - float(shrunk.mean())) < 0.5
    # players go by the height where nothing is said: the smaller one must say what the larger one is taken for
    assert ClipReader(small.video).colors.space == 1


@pytest.mark.slow
def test_mattes_follow_the_person_in_every_size(packs: dict[str, Avatar]) -> None:
    store = AvatarStore(ROOT / "precomputed")
    for resolution, avatar in packs.items():
        exact = store.load(store.find(CLIP.stem, resolution))  # rendered
        assert avatar.matte is not None and exact.matte is not None and avatar.matte.key is None
        assert avatar.matte.clip.count == len(avatar.landmarks)
        pairs = islice(zip(avatar.matte.clip.once(), exact.matte.clip.once(), strict=False), 0, FORTH, 6)
        wrong = [float(np.abs(one.y.astype(int) - other.y).mean()) for one, other in pairs]
        assert max(wrong) < 3  # of 255, over the whole picture
        assert len(avatar.matte.video) < 0.2 * len(avatar.video)


@pytest.mark.slow
def test_points_lie_on_the_face_and_do_not_tremble(packs: dict[str, Avatar]) -> None:
    points = packs["720p"].landmarks
    assert packs["720p"].usable.all()
    eyes = np.linalg.norm(points[:, 33, :2] - points[:, 263, :2], axis=1)
    assert 130 < eyes.mean() < 200
    assert (points[:, 152, 1] > points[:, 14, 1]).all() and (points[:, 13, 1] > points[:, 4, 1]).all()
    trembling = points[:, LIPS, :2] - savgol_filter(points[:, LIPS, :2], 15, 3, axis=0)
    assert trembling.std() < 0.2
    assert packs["720p"].rest is packs["720p"].landmarks  # the mouth is closed


@pytest.mark.slow
def test_a_clip_that_does_not_meet_its_start_goes_back(source: list[Frame], tmp_path: Path) -> None:
    grey = [Frame(np.where(np.arange(1280) < 12 * n, 40, f.planes).astype(np.uint8)) for n, f in enumerate(source)]
    clip = _write(tmp_path / "clip.mp4", grey, (640, 360))
    [path] = prepare(clip, PrepareOptions(name="one", resolutions=["360p"], matte=False, out=tmp_path))
    avatar = load(path)
    assert len(avatar.landmarks) == 2 * len(source) - 2
    np.testing.assert_array_equal(avatar.landmarks[1:30], avatar.landmarks[:28:-1])
    frames = [frame.y.astype(int) for frame in ClipReader(avatar.video).once()]
    assert np.abs(frames[5] - frames[-5]).mean() < 1.5 < np.abs(frames[5] - frames[25]).mean()


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((1920, 1080), 720, (1280, 720)),
        ((1920, 1080), 480, (854, 480)),
        ((1080, 1920), 360, (360, 640)),
        ((640, 480), 720, (960, 720)),
        ((3840, 2160), 720, (1280, 720)),
    ],
)
def test_sizes(size: tuple[int, int], short: int, expected: tuple[int, int]) -> None:
    assert size_at(*size, short) == expected


@pytest.mark.parametrize(
    ("fps", "wanted"), [(60, 30), (50, 25), (30, 30), (25, 25), (24, 24), (15, 30), (12, 24), (120, 30)]
)
def test_frame_rates_become_what_lips_need(source: list[Frame], tmp_path: Path, fps: int, wanted: int) -> None:
    clip = open_clip(_write(tmp_path / "c.mp4", (source * 3)[: fps if fps > 30 else 30], (320, 180), Fraction(fps)))
    assert clip.wanted_fps == wanted
    count = len(list(pictures(clip, 320, 180)))
    assert count == round((clip.end - clip.start) * wanted)


def test_a_part_starts_and_ends_where_it_was_asked_to(tmp_path: Path) -> None:
    numbers = [_grey(20 + 4 * n) for n in range(50)]
    clip = open_clip(_write(tmp_path / "c.mp4", numbers, (320, 180)), 0.4, 1.4)
    got = [int(frame.y[90, 160]) for frame in pictures(clip, 320, 180)]
    np.testing.assert_allclose(got, [20 + 4 * n for n in range(10, 35)], atol=2)


def test_a_wandering_rate_becomes_steady(tmp_path: Path) -> None:
    path = tmp_path / "phone.mkv"
    shown_at = np.cumsum([0, *([20, 60, 33, 47] * 10)])  # milliseconds
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, stamp in enumerate(shown_at):
            picture = av.VideoFrame.from_ndarray(_grey(20 + 4 * number).planes, format="yuv420p")
            picture.pts, picture.time_base = int(stamp), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    clip = open_clip(path)
    assert not clip.timeline.constant and clip.wanted_fps in (25, 30)
    for number, frame in enumerate(pictures(clip, 320, 180)):
        time = 1000 * (number + 0.5) / clip.wanted_fps
        expected = int(np.searchsorted(shown_at, float(time), side="right")) - 1
        assert abs(int(frame.y[90, 160]) - (20 + 4 * expected)) <= 2


LUMA = np.array([0.2627, 0.6780, 0.0593])
"""Shares of red, green and blue in BT.2020."""
WIDER = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""BT.709's primaries in BT.2020's (ITU-R BT.2087)."""


def _as_hdr(frame: Frame, width: int, height: int, curve: int) -> np.ndarray:
    """Return a frame as BT.2100 says it: (height * 3 / 2, width) uint16, yuv420p10le, with white at 203 nits."""
    plain = av.VideoFrame.from_ndarray(frame.planes, format="yuv420p")
    plain.colorspace, plain.color_range = 1, 1
    nits = 203 * (plain.reformat(width, height, "rgb24").to_ndarray() / 255) ** 2.4 @ WIDER.T
    if curve == 16:  # PQ
        power = (nits / 10_000) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:  # HLG, on a screen of 1000 nits
        scene = nits / 1000 * np.maximum(nits / 1000 @ LUMA, 1e-9)[..., None] ** (1 / 1.2 - 1)
        bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)
    luma = signal @ LUMA
    chroma = [(signal[..., 2] - luma) / 1.8814, (signal[..., 0] - luma) / 1.4746]
    small = [cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for plane in chroma]
    planes = np.concatenate([(64 + 876 * luma).ravel(), *((512 + 896 * plane).ravel() for plane in small)])
    return planes.round().astype(np.uint16).reshape(height * 3 // 2, width)


@pytest.mark.slow
@pytest.mark.parametrize("curve", [18, 16], ids=["HLG", "PQ"])
def test_hdr_is_shown_in_the_colours_of_a_pack(source: list[Frame], tmp_path: Path, curve: int) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p10le"
        stream.options = {"preset": "ultrafast", "x265-params": "log-level=none"}
        stream.codec_context.color_primaries, stream.codec_context.colorspace = 9, 9
        stream.codec_context.color_trc, stream.codec_context.color_range = curve, 1
        for frame in source[:14]:
            wide = av.VideoFrame.from_ndarray(_as_hdr(frame, 320, 180, curve), format="yuv420p10le")
            wide.colorspace, wide.color_range, wide.color_trc, wide.color_primaries = 9, 1, curve, 9
            container.mux(stream.encode(wide))
        container.mux(stream.encode(None))
    clip = open_clip(path)
    assert clip.wide and not clip.plain and clip.shown_colors.space == 1
    for shown, frame in zip(pictures(clip, 320, 180), source, strict=False):
        usual = av.VideoFrame.from_ndarray(frame.planes, format="yuv420p").reformat(320, 180).to_ndarray()
        assert np.abs(shown.planes.astype(int) - usual).mean() < 5  # read as if it were none: 15 to 30


@pytest.mark.slow
def test_faces_that_go_are_passed_over_and_reported(source: list[Frame], tmp_path: Path) -> None:
    def shown() -> Iterator[Frame]:
        for number, frame in enumerate(source + source[::-1]):
            planes = frame.planes.copy()
            if 22 <= number < 38:
                Frame(planes).y[400:560, 520:740] = 90  # something before the mouth
            yield Frame(planes)

    clip = _write(tmp_path / "hand.mp4", shown(), (1280, 720))
    [path] = prepare(
        clip, PrepareOptions(name="hand", resolutions=["360p"], matte=False, out=tmp_path, report=tmp_path / "report")
    )
    usable = load(path).usable[:60]
    assert usable[:20].all() and not usable[24:36].any() and usable[40:].all()
    assert np.abs(np.diff(usable.astype(int))).sum() == 2  # no flicker
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    kinds = {problem["kind"]: problem for problem in report["problems"]}
    [[begin, end]] = (kinds.get("covered") or kinds["missing"])["seconds"]
    assert abs(begin - 22 / 25) < 0.13 and abs(end - 38 / 25) < 0.13
    for name in ("faces.jpg", *(problem["picture"] for problem in report["problems"])):
        assert image((tmp_path / "report" / name).read_bytes()).shape == (720, 1280, 3)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["center", "largest", 1, 2, 3])
def test_the_face_that_was_asked_for_speaks(source: list[Frame], tmp_path: Path, which: FaceChoice) -> None:
    small = cv2.resize(cv2.cvtColor(source[0].planes, cv2.COLOR_YUV2BGR_I420), (640, 360))
    large = cv2.resize(small, (960, 540))[:, 160:760]
    picture = np.full((720, 1720, 3), 127, np.uint8)
    picture[100:460, :560], picture[100:640, 560:1160], picture[100:460, 1160:] = (
        small[:, 40:600],
        large,
        small[:, 40:600],
    )
    if which == "center":
        picture = np.ascontiguousarray(picture[:, :1160])  # now the small one on the left is as near, not nearer
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    clip = _write(tmp_path / "c.mp4", [Frame(planes)] * 14, (picture.shape[1], 720))
    [path] = prepare(clip, PrepareOptions(name="some", resolutions=["360p"], face=which, matte=False, out=tmp_path))
    nose = 2 * load(path).landmarks[:, 4, 0].mean()
    wanted = {"center": (560, 1160), "largest": (560, 1160), 1: (0, 560), 2: (560, 1160), 3: (1160, 1720)}[which]
    assert wanted[0] < nose < wanted[1]


@pytest.mark.slow
def test_asking_for_a_face_that_is_not_there_states_how_many_there_are(source: list[Frame], tmp_path: Path) -> None:
    with pytest.raises(BadClip, match="no face number 4: 1 found"):
        prepare(
            _write(tmp_path / "c.mp4", source[:13], (640, 360)),
            PrepareOptions(name="x", resolutions=["360p"], face=4, out=tmp_path / "out"),
        )


@pytest.mark.parametrize(
    ("name", "size", "share", "needed"),
    [
        ("photo.png", (320, 180), 0.06, 60),  # large photos are cut closer to the face instead
        ("film.mp4", (320, 180), 0.06, 60),
        pytest.param("film.mp4", (3840, 2160), 0.82, 180, marks=pytest.mark.slow),
    ],
)
def test_small_faces_are_reported_in_the_pixels_of_the_source(
    source: list[Frame], tmp_path: Path, size: tuple[int, int], share: float, needed: int, name: str
) -> None:
    face = cv2.cvtColor(source[0].planes, cv2.COLOR_YUV2BGR_I420)[60:660, 320:960]
    face = cv2.resize(face, (round(640 * share), round(600 * share)), interpolation=cv2.INTER_AREA)
    picture = np.full((size[1], size[0], 3), 127, np.uint8)
    top, left = (size[1] - face.shape[0]) // 2, (size[0] - face.shape[1]) // 2
    picture[top : top + face.shape[0], left : left + face.shape[1]] = face
    if name == "film.mp4":
        _write(tmp_path / name, [Frame(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420))] * 14, size)
    else:
        Image.fromarray(picture[..., ::-1]).save(tmp_path / name, lossless=True)
    with pytest.raises(BadClip, match=rf"\d+ pixels wide; at least {needed} are needed") as caught:
        prepare(tmp_path / name, PrepareOptions(name="x", resolutions=["360p"], out=tmp_path / "out"))
    [width] = map(int, re.findall(r"(\d+) pixels wide", caught.value.message.en))
    assert abs(width - FACE * share) < 0.08 * FACE * share
    assert f"너비가 {width}픽셀인데 {needed}픽셀 이상" in caught.value.message.ko


@pytest.mark.slow
def test_a_report_counts_in_the_source_and_reports_what_was_left_out(source: list[Frame], tmp_path: Path) -> None:
    film, cut = _write(tmp_path / "film.mp4", source[:20], (640, 360)), tmp_path / "cut.mp4"
    copied(film, cut, -7 / 25)
    [path] = prepare(cut, PrepareOptions(name="x", resolutions=["360p"], matte=False, out=tmp_path, report=tmp_path))
    assert len(load(path).landmarks) in (13, 24)  # there, or there and back
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert abs(report["face_width"] - FACE / 2) < 0.03 * FACE / 2 and report["frames"] == 13
    [note] = report["left_out"]
    assert "7 frames (0.3 s)" in note["message"] and "7프레임, 0.3초" in note["message_ko"]
    assert note["message"] in [message.en for message in report_sentences(report)]


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.slow
def test_the_command_line_takes_files_of_any_name(
    source: list[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"-10:30 50%d #\xff.mp4")
    _write(Path(name), source[:13], (640, 360))
    given = [name, "--name", "x", "--resolution", "360p", "--out", ".", "--report", ".", "--json"]
    assert main(given) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"made": ["360p/x_360p_precomputed.pkl"]}
    for broken in (name, "10:30.mp4", "-x.mp4"):
        Path(broken).write_bytes(b"hello")
        assert main([broken, *given[1:]]) == 1
        assert "cannot be read (Invalid data" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["en"]


def _bad_clips(folder: Path, source: list[Frame]) -> Iterator[tuple[Path, str]]:
    rng = np.random.default_rng(1)
    noise = [Frame(rng.integers(0, 255, (270, 320), np.uint8)) for _ in range(20)]
    yield _write(folder / "no_face.mp4", noise, (320, 180)), "No face was found"
    yield _write(folder / "short.mp4", source[:8], (320, 180)), "0.32 s long"
    yield _write(folder / "film.mp4", noise, (320, 180), Fraction(1, 400)), "too long"
    for name, content in (("text.mp4", b"hello"), ("empty.mp4", b""), ("half.mp4", CLIP.read_bytes()[:500_000])):
        (folder / name).write_bytes(content)
        yield folder / name, "cannot be read"
    (folder / "holes.mp4").write_bytes(CLIP.read_bytes()[:400_000] + bytes(300_000) + CLIP.read_bytes()[700_000:])
    yield folder / "holes.mp4", "cannot be read"
    yield folder / "missing.mp4", "No such file"
    (folder / "text.png").write_bytes(b"hello")
    yield folder / "text.png", "cannot be read"
    (folder / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    yield folder / "phone.HEIC", "cannot be read as a photo"
    Image.fromarray(rng.integers(0, 255, (300, 300, 3), np.uint8)).save(folder / "cat.jpg")
    yield folder / "cat.jpg", "No person's face"


def test_a_further_clip_that_cannot_be_read_is_refused_before_the_work(tmp_path: Path) -> None:
    nod = tmp_path / "nod.mp4"
    nod.write_bytes(b"no clip")
    stages: list[str] = []
    options = PrepareOptions(name="man", resolutions=["360p"], out=tmp_path, clips={"nod": nod})
    with pytest.raises(BadClip, match=r"nod\.mp4"):
        prepare(CLIP, options, lambda share, doing: stages.append(doing))
    assert set(stages) <= {"reading"} and len(stages) <= 1


def test_a_song_with_a_cover_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1, options={"strict": "unofficial"})
        cover.width, cover.height, cover.pix_fmt = 320, 240, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        grey = av.VideoFrame.from_ndarray(np.full((360, 320), 128, np.uint8), format="yuv420p").reformat(
            format="yuvj420p"
        )
        container.mux(cover.encode(grey))
        container.mux(cover.encode(None))
    with pytest.raises(BadClip, match="has no picture"):
        open_clip(path)


@pytest.mark.slow
def test_bad_clips_are_refused_and_leave_nothing(source: list[Frame], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for clip, message in _bad_clips(tmp_path / "in", source):
        with pytest.raises(BadClip) as caught:
            prepare(clip, PrepareOptions(name="bad", out=tmp_path / "out"))
            pytest.fail(f"{clip.name} was taken")
        assert message in caught.value.message.en, clip
        assert str(tmp_path) not in caught.value.message.en + caught.value.message.ko
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "a/b",
        "x_720p",
        ".x",
        "a b",
        "x" * 80,
        "a\0",
        "😀",
        "\ud800",
        "\u3164",
        "가\u3164",
        "\u115f",
        "a\u1160",
        "\uffa0x",
        "a\u200b",
        "a\u034f",
        "\u2800",
    ],
)
def test_names_that_make_no_file_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="name"):
        prepare(CLIP, PrepareOptions(name=name, out=tmp_path / "out"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sets no limit to files")
@pytest.mark.slow
@pytest.mark.parametrize("preview", [False, True])
def test_a_disk_without_room_is_reported_to_programs(preview: bool, tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))  # a disk says the same where it is full

    command = [sys.executable, "-m", "pipeline.preparing.prepare", "--json", str(CLIP), "--name=x", "--resolution=360p"]
    command += [f"--out={tmp_path}", *([f"--preview={tmp_path / 'x.jpg'}"] if preview else [])]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, cwd=ROOT, check=False)
    reply = json.loads(done.stdout.splitlines()[-1])
    assert (
        (reply["status"], reply["code"]) == (503, "disk_unavailable")
        and "disk" in reply["error"]["en"]
        and "디스크" in reply["error"]["ko"]
    ), done.stderr
    assert str(tmp_path) not in done.stdout and "mp4" not in reply["error"]["en"]


@pytest.mark.slow
def test_a_clip_becomes_an_avatar_in_1080p_only_if_it_has_as_many_pixels(tmp_path: Path) -> None:
    large, small = tmp_path / "large.mp4", tmp_path / "small.mp4"
    large.write_bytes(first_second((1920, 1080), 15))
    small.write_bytes(first_second((1280, 720), 15))
    wanted = ["1080p", "360p"]
    one, other = map(load, prepare(large, PrepareOptions(name="large", resolutions=wanted, matte=False, out=tmp_path)))
    assert (one.width, one.height, one.resolution) == (1920, 1080, "1080p")
    assert (other.width, other.height, other.resolution) == (640, 360, "360p")
    assert np.abs(one.landmarks / 3 - other.landmarks).max() < 0.05
    frame = next(iter(ClipReader(one.video).once()))
    assert frame.y.shape == (1080, 1920)
    done = prepare(small, PrepareOptions(name="small", resolutions=wanted, matte=False, out=tmp_path))
    assert [path.parent.name for path in done] == ["360p"]
    assert np.abs(load(done[0]).landmarks - other.landmarks).mean() < 0.5
    with pytest.raises(BadClip, match="1080 pixels or more"):
        prepare(small, PrepareOptions(name="none", resolutions=["1080p"], out=tmp_path))
    assert not list(tmp_path.rglob("none*"))


def test_unknown_resolutions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="1440p: choose from 1080p, 720p, 480p, 360p"):
        prepare(CLIP, PrepareOptions(name="x", resolutions=["1440p"], out=tmp_path))


def test_the_command_line_states_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.mp4").write_bytes(b"hello")
    assert main([str(tmp_path / "c.mp4"), "--name", "x", "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().err
    assert "읽을 수 없습니다" in printed and "cannot be read" in printed and "Traceback" not in printed


@pytest.mark.slow
def test_a_real_persons_points_move_as_their_skin_does(tmp_path: Path) -> None:
    [path] = prepare(WEBCAM, PrepareOptions(name="web", resolutions=["720p"], matte=False, out=tmp_path))
    avatar = load(path)
    apart, before = [], None
    for points, frame in zip(avatar.landmarks[:60], ClipReader(avatar.video).once(), strict=False):
        if before is not None:
            start = before[0][SKIN, None, :2]
            moved, _, _ = cv2.calcOpticalFlowPyrLK(before[1], frame.y, start, None, winSize=(21, 21), maxLevel=3)
            apart.append(np.median(moved[:, 0] - points[SKIN, :2], axis=0))
        before = points, frame.y.copy()
    assert np.std(apart, axis=0).max() < 0.25  # pixels between one frame and the next; the mesh alone has 0.7


def test_a_preview_numbers_the_faces(source: list[Frame], tmp_path: Path) -> None:
    picture = cv2.cvtColor(source[0].planes, cv2.COLOR_YUV2RGB_I420)
    two = np.hstack([picture[:, 300:980], picture[:, 300:980]])
    Image.fromarray(two).save(tmp_path / "two.png")
    shown, boxes = preview_faces(tmp_path / "two.png")
    assert boxes[0].center[0] < 680 < boxes[1].center[0]
    assert 0.001 < (np.abs(shown.astype(int) - two).max(2) > 60).mean() < 0.05  # drawn upon, little
    assert main([str(tmp_path / "two.png"), "--preview", str(tmp_path / "faces.jpg")]) == 0
    with Image.open(tmp_path / "faces.jpg") as saved:
        assert saved.size == (1360, 720)


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_stream_full_of_errors_does_not_hang(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "scratched.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 180, "yuv420p", 4_000_000
        for number in range(700):
            level = np.roll(np.arange(270 * 320, dtype=np.uint32) * 7 % 251, 40 * number).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(level.reshape(270, 320), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    begin = bytes(data).index(b"mdat") + 20_000
    index = bytes(data).index(b"moov") - 10
    where = rng.integers(begin, index, (index - begin) // 40)
    data[where] = rng.integers(0, 255, len(where))
    path.write_bytes(data.tobytes())
    try:
        assert len(list(pictures(open_clip(path), 320, 180))) > 600
    except BadClip as error:
        assert "cannot be read" in error.message.en


GRID = WEBCAM.with_name("grid_swwp2s.mp4")


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.slow
def test_the_closed_mouth_of_a_man_who_talks(tmp_path: Path) -> None:
    [path] = prepare(
        GRID,
        PrepareOptions(
            name="man", resolutions=["360p"], matte=False, out=tmp_path, report=tmp_path / "report", end=1.6
        ),
    )
    avatar = load(path)
    assert (avatar.width, avatar.height) == (450, 360) and avatar.usable.all()
    assert avatar.rest is avatar.landmarks and mouth_gap(avatar.rest).max() < 0.02
    with FaceFinder() as finder:
        pictures = [cv2.cvtColor(f.planes, cv2.COLOR_YUV2RGB_I420) for f in ClipReader(avatar.video).once()][:40:5]
        seen = [finder.points(picture, box_of(avatar.landmarks[0])) for picture in pictures]
    gaps = mouth_gap(np.array([points for points in seen if points is not None]))
    assert len(gaps) == len(pictures) and gaps.max() < 0.02  # in the clip itself it is 0.1 for a tenth of the time
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["speaking"] and "mouth_open" in {problem["kind"] for problem in report["problems"]}


@pytest.mark.slow
def test_of_a_clip_with_several_shots_one_is_used(source: list[Frame], tmp_path: Path) -> None:
    woman = list(itertools.islice(ClipReader((ROOT / "examples" / "woman.mp4").read_bytes()).once(), 13))
    clip = _write(tmp_path / "cut.mp4", [*source[:15], *woman], (640, 360))
    shown, boxes = preview_faces(clip)
    assert shown.shape == (360, 1280, 3) and [box.center[0] // 640 for box in boxes] == [0, 1]
    choices: tuple[tuple[FaceChoice, int, list[float]], ...] = (
        ("center", 15, [0.6, 1.12]),
        (1, 15, [0.6, 1.12]),
        (2, 13, [0.0, 0.6]),
    )
    for face, count, seconds in choices:
        report = tmp_path / "report"
        [path] = prepare(
            clip,
            PrepareOptions(
                name=f"face_{face}", resolutions=["360p"], face=face, matte=False, out=tmp_path, report=report
            ),
        )
        content = json.loads((report / "report.json").read_text("utf-8"))
        assert content["frames"] == count and content["usable"] == 1
        [cut] = [problem for problem in content["problems"] if problem["kind"] == "cut"]
        assert cut["seconds"] == [seconds] and cut["frames"] == 28 - count
        assert image((report / "cut.jpg").read_bytes()).shape == (180, 640, 3)
        frames = [frame.y.astype(float) for frame in ClipReader(load(path).video).once()]
        assert max(np.abs(one - frames[0]).mean() for one in frames) < 5  # no other person is in it
    with pytest.raises(BadClip, match="no face number 3: 2 found"):
        prepare(clip, PrepareOptions(name="x", resolutions=["360p"], face=3, out=tmp_path))
