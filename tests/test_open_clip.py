"""Clips are shown as players show them: what is hidden, how they lie, when each picture comes, in which colours."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.errors import BadClip
from pipeline.preparing.encode_clip import keep_stream
from pipeline.preparing.open_clip import BT601, Clip, open_clip, pictures
from pipeline.preparing.photo import open_photo
from pipeline.preparing.playback import deinterlaced
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader
from tests.footage import copied
from tests.media import add_video, delay

WIDTH, HEIGHT, FPS, COUNT = 320, 180, 25, 40
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
"""The display matrix (a, b, c, d) that does what each orientation of EXIF does."""


def _level(number: int) -> int:
    return 30 + 5 * number


def _grey(level: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = level
    return planes


def _write(
    path: Path,
    pictures: Iterable[np.ndarray | av.VideoFrame],
    codec: str = "libx264",
    stamps: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    **tags: Any,
) -> Path:
    """Write PICTURES (yuv420p) shown at STAMPS (hundredths of a second; usually 25 a second); return PATH."""
    with av.open(str(path), "w") as container:
        stream = add_video(container, codec, WIDTH, HEIGHT, pix_fmt, **(options or {}))
        stream.codec_context.time_base = Fraction(1, 100)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for number, shown in enumerate(pictures):
            frame = shown if isinstance(shown, av.VideoFrame) else av.VideoFrame.from_ndarray(shown, format="yuv420p")
            picture = frame.reformat(format=pix_fmt)
            if number == 0:
                stream.width, stream.height = picture.width, picture.height
            picture.pts, picture.time_base = 4 * number if stamps is None else stamps[number], Fraction(1, 100)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


INTERLACED = {"flags": "+ildct+ilme", "crf": "10"}


def _interlaced(planes: Iterable[np.ndarray], field: str) -> Iterator[av.VideoFrame]:
    """Yield PLANES (yuv420p) marked as interlaced, with FIELD, "tff" or "bff", first."""
    for one in planes:
        picture = av.VideoFrame.from_ndarray(one, format="yuv420p")
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 100)
        )
        graph.link_nodes(source, graph.add("setfield", field), graph.add("buffersink")).configure()
        graph.vpush(picture)
        yield graph.vpull()


def _patch(path: Path, box: bytes, at: int, content: bytes) -> Path:
    """Write CONTENT over what lies AT bytes after the name of the mp4's first BOX."""
    data = bytearray(path.read_bytes())
    begin = data.index(box) + len(box) + at
    data[begin : begin + len(content)] = content
    path.write_bytes(data)
    return path


def _turn(path: Path, orientation: int) -> Path:
    a, b, c, d = (number << 16 for number in MATRICES[orientation])
    return _patch(path, b"tkhd", 40, struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30))


def _numbers(clip: Clip) -> list[float]:
    """Return which of the grey pictures CLIP shows, one after the other."""
    shown = [float(frame.y.mean()) for frame in pictures(clip, WIDTH, HEIGHT)]
    return [(level - _level(0)) / (_level(1) - _level(0)) for level in shown]


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mp4 of 40 pictures, each lighter than the one before; one key frame, B-frames."""
    return _write(tmp_path_factory.mktemp("clip") / "grey.mp4", (_grey(_level(n)) for n in range(COUNT)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cut.mp4", {}),
        ("cut.mov", {}),
        ("cut.m4v", {}),
        ("pieces.mp4", {"movflags": "frag_keyframe+delay_moov"}),
        ("cut.mkv", {"avoid_negative_ts": "disabled"}),
    ],
)
def test_what_trimming_hid_is_left_out(grey: Path, tmp_path: Path, name: str, options: dict[str, str]) -> None:
    clip = open_clip(copied(grey, tmp_path / name, -15 / FPS, **options))
    assert clip.wanted_fps == FPS and clip.timeline.hidden == 15 and not clip.plain
    assert abs(clip.end - 25 / FPS) < 0.01
    np.testing.assert_allclose(_numbers(clip), range(15, 40), atol=0.4)
    [note] = clip.left_out
    assert "15 frames (0.6 s)" in note.en and "15프레임, 0.6초" in note.ko


def _edited(path: Path, *edits: tuple[float, float | None]) -> Path:
    """Give the mp4 at PATH EDITS, each of so many seconds from a second of the film, or from none, which shows none."""
    data = path.read_bytes()
    with av.open(str(path)) as container:
        unit = container.streams.video[0].time_base
    assert unit is not None
    ticks = unit.denominator
    begin = data.index(b"elst") - 4
    size, _, _, _, _, zero = struct.unpack(">I4sIIIi", data[begin : begin + 24])
    listed = [(round(1000 * long), -1 if at is None else zero + round(at * ticks)) for long, at in edits]
    box = struct.pack(">I4sII", 16 + 12 * len(edits), b"elst", 0, len(edits))
    box += b"".join(struct.pack(">IiI", *edit, 1 << 16) for edit in listed)
    out = bytearray(data[:begin] + box + data[begin + size :])
    for outer in (b"moov", b"trak", b"edts"):
        where = out.index(outer) - 4
        struct.pack_into(">I", out, where, struct.unpack_from(">I", out, where)[0] + len(box) - size)
    path.write_bytes(out)
    return path


@pytest.mark.parametrize(
    ("edits", "numbers", "lead"),
    [
        ([(0.8, 0.2)], range(5, 25), 0),
        ([(0.6, 0)], range(15), 0),
        ([(0.4, 0), (0.4, 1)], [*range(10), *range(25, 35)], 0),
        ([(0.4, 1), (0.4, 0)], [*range(25, 35), *range(10)], 0),
        ([(0.8, 0), (0.8, 0)], [*range(20), *range(20)], 0),
        ([(1, None), (1.6, 0)], range(COUNT), 1),
    ],
    ids=["both ends", "the end", "the middle", "the other way round", "twice", "later"],
)
def test_any_edit_list_is_followed(
    grey: Path, tmp_path: Path, edits: list[tuple[float, float | None]], numbers: Sequence[int], lead: float
) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(grey.read_bytes())
    clip = open_clip(_edited(path, *edits))
    assert clip.wanted_fps == FPS and clip.timeline.hidden == COUNT - len(set(numbers))
    np.testing.assert_allclose(_numbers(clip), numbers, atol=0.4)
    part = open_clip(path, start=lead + 0.08)  # as a player's clock shows it
    np.testing.assert_allclose(_numbers(part), numbers[2:], atol=0.4)


def test_pictures_missing_at_the_end_of_a_cut_keep_the_rate(grey: Path, tmp_path: Path) -> None:
    stamps = [4 * n for n in range(COUNT - 3)] + [4 * (COUNT - 2), 4 * COUNT, 4 * (COUNT + 1)]
    clip = open_clip(_write(tmp_path / "c.mp4", (_grey(_level(n)) for n in range(COUNT)), stamps=stamps))
    assert clip.timeline.constant and clip.wanted_fps == FPS and not clip.plain
    expected = [*range(COUNT - 3), COUNT - 4, COUNT - 3, COUNT - 3, COUNT - 2, COUNT - 1]
    np.testing.assert_allclose(_numbers(clip), expected, atol=0.4)


def _quarters() -> np.ndarray:
    """A picture of which no turn or mirror image is like another, (HEIGHT, WIDTH)."""
    picture = np.full((HEIGHT, WIDTH), 60, np.uint8)
    picture[:90, :160], picture[90:, :160], picture[:90, 160:] = 200, 150, 100
    return picture


@pytest.mark.parametrize("path", ["constant", "wandering", "10 bits"])
@pytest.mark.parametrize("orientation", MATRICES)
def test_all_eight_orientations_are_shown_upright(tmp_path: Path, orientation: int, path: str) -> None:
    planes = _grey(0)
    planes[:HEIGHT] = _quarters()
    stamps = np.cumsum([0, *([2, 6, 3, 5] * 5)]).tolist() if path == "wandering" else None
    pix_fmt = "yuv420p10le" if path == "10 bits" else "yuv420p"
    clip = open_clip(_turn(_write(tmp_path / "c.mp4", [planes] * 20, stamps=stamps, pix_fmt=pix_fmt), orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved = io.BytesIO()
    Image.fromarray(_quarters()).save(saved, "PNG", exif=exif)
    with Image.open(saved) as photo:  # as Pillow turns a photo of that orientation
        expected = np.array(ImageOps.exif_transpose(photo))
    assert (clip.width, clip.height) == expected.shape[::-1]
    frame = next(pictures(clip, clip.width, clip.height))
    assert np.abs(frame.y.astype(int) - expected).mean() < 2


@pytest.mark.slow
def test_hdr_is_turned_and_mirrored(tmp_path: Path) -> None:
    planes = _grey(0)
    planes[:HEIGHT] = _quarters()
    tags: dict[str, Any] = {"color_primaries": 9, "colorspace": 9, "color_trc": 18, "color_range": 1}
    clip = open_clip(_turn(_write(tmp_path / "c.mp4", [planes] * 14, pix_fmt="yuv420p10le", **tags), 7))
    assert clip.wide and (clip.width, clip.height) == (HEIGHT, WIDTH)
    stored = next(pictures(clip, clip.width, clip.height)).y[::-1, ::-1].T.astype(int)
    corners = [int(stored[row, column]) for row, column in ((45, 80), (135, 80), (45, 240), (135, 240))]
    assert corners == sorted(corners, reverse=True) and len(set(corners)) == 4


def _bar(time: int) -> np.ndarray:
    """A light bar on grey that goes 6 pixels to the right with every field; TIME counts these."""
    planes = _grey(60)
    planes[:HEIGHT, 40 + 6 * time : 60 + 6 * time] = 200
    return planes


def _woven(top_first: bool) -> Iterator[np.ndarray]:
    for number in range(15):
        early, late = _bar(2 * number), _bar(2 * number + 1)
        first = 0 if top_first else 1
        late[first:HEIGHT:2] = early[first:HEIGHT:2]
        yield late


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("field", ["tff", "bff"])
def test_interlaced_clips_are_deinterlaced_in_their_field_order(tmp_path: Path, field: str, codec: str) -> None:
    options = INTERLACED if codec == "libx264" else {**INTERLACED, "qscale": "2", "b": "20M"}
    clip = open_clip(_write(tmp_path / "c.ts", _interlaced(_woven(field == "tff"), field), codec, options=options))
    assert clip.wanted_fps == FPS and not clip.plain
    shown = list(pictures(clip, WIDTH, HEIGHT))
    assert len(shown) == 15
    for number, frame in enumerate(shown[1:-1], 1):
        picture = frame.y.astype(int)
        assert np.abs(np.diff(picture, axis=0))[4:-4].mean() < 1  # woven: 7
        light = np.flatnonzero(picture[HEIGHT // 2] > 130)
        assert abs(light.mean() - (49.5 + 12 * number)) < 1.5  # where it was when the first field was taken


def test_pictures_that_are_not_interlaced_pass_untouched(tmp_path: Path) -> None:
    plain = _write(tmp_path / "a.ts", (_bar(2 * n) for n in range(15)))
    joined = tmp_path / "joined.ts"
    woven = _write(tmp_path / "b.ts", _interlaced(_woven(True), "tff"), options=INTERLACED)
    joined.write_bytes(plain.read_bytes() + woven.read_bytes())
    with av.open(str(joined)) as container:
        frames = list(container.decode(video=0))
    assert [frame.interlaced_frame for frame in frames] == [False] * 15 + [True] * 15
    out = list(deinterlaced(iter(frames)))
    assert all(a is b for a, b in zip(out[:15], frames[:15], strict=True)) and len(out) == 30
    combed = [np.abs(np.diff(f.to_ndarray()[:HEIGHT].astype(int), axis=0))[4:-4].mean() for f in out]
    assert max(combed) < 1
    clip = open_clip(joined)
    assert not clip.plain and len(list(pictures(clip, WIDTH, HEIGHT))) == 30


def test_an_interlaced_stream_is_not_kept_as_it_is(tmp_path: Path) -> None:
    planes, fast = [_grey(90, 1280, 720)] * 15, {"preset": "fast"}
    assert open_clip(_write(tmp_path / "whole.mp4", planes, options=fast)).plain
    fields = _interlaced(planes, "tff")
    assert not open_clip(_write(tmp_path / "fields.mp4", fields, options={**fast, **INTERLACED})).plain


WRAP = (1 << 33) / 90_000
"""Seconds after which the clock of MPEG-TS begins anew."""


@pytest.mark.parametrize("start", [0, WRAP - 0.5, WRAP - 1.2, WRAP + 3], ids=["zero", "wraps", "wraps late", "wrapped"])
def test_the_clock_of_an_mpeg_ts_goes_on(grey: Path, tmp_path: Path, start: float) -> None:
    clip = open_clip(copied(grey, tmp_path / "c.ts", start))
    assert clip.wanted_fps == FPS and abs(clip.end - COUNT / FPS) < 0.01
    np.testing.assert_allclose(_numbers(clip), range(COUNT), atol=0.4)
    kept = ClipReader(keep_stream(clip.path, clip.stream))
    assert kept.count == len(list(kept.once())) == COUNT


@pytest.mark.parametrize("second", [0.0, 7.0, 500.0, WRAP - 1], ids=["reset", "gap", "long gap", "wraps"])
def test_a_clock_that_jumps_goes_on(grey: Path, tmp_path: Path, second: float) -> None:
    first = copied(grey, tmp_path / "a.ts", 1.0)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + copied(grey, tmp_path / "b.ts", second).read_bytes())
    clip = open_clip(joined)
    assert clip.wanted_fps == FPS and abs(clip.end - 2 * COUNT / FPS) < 0.1
    shown = _numbers(clip)
    np.testing.assert_allclose(shown[:38] + shown[-38:], [*range(38), *range(2, COUNT)], atol=0.4)


@pytest.mark.parametrize(
    "name",
    ["10:30.mp4", "-film.mp4", "50%d.mp4", "#1 of 2?.mp4", " a b .mp4", "영상.mp4", os.fsdecode(b"\xff\xfe.mp4")],
)
def test_any_name_is_a_files_name(grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(grey.read_bytes())
    clip = open_clip(Path(name))
    assert len(list(pictures(clip, WIDTH, HEIGHT))) == COUNT
    assert len(keep_stream(clip.path, clip.stream)) > 1000


def test_a_cover_or_a_second_angle_is_not_the_film(grey: Path, tmp_path: Path) -> None:
    kinds = av.stream.Disposition
    for name, other, marked in (("c.mp4", kinds.attached_pic, None), ("a.mkv", kinds(0), kinds.default)):
        path = tmp_path / name
        with av.open(str(path), "w") as container, av.open(str(grey)) as film:
            cover = container.add_stream("mjpeg", rate=25, options={"strict": "unofficial"})
            cover.width, cover.height, cover.pix_fmt, cover.disposition = 640, 480, "yuvj420p", other
            copy = container.add_stream_from_template(film.streams.video[0])
            if marked is not None:
                copy.disposition = marked
            for number in range(1 if marked is None else COUNT):
                picture = av.VideoFrame.from_ndarray(_grey(250, 640, 480), format="yuv420p")
                picture = picture.reformat(format="yuvj420p")
                picture.pts, picture.time_base = number, Fraction(1, 25)
                container.mux(cover.encode(picture))
            container.mux(cover.encode(None))
            for packet in film.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copy
                    container.mux(packet)
        clip = open_clip(path)
        assert (clip.width, clip.height) == (WIDTH, HEIGHT)
        np.testing.assert_allclose(_numbers(clip), range(COUNT), atol=0.4)


@pytest.mark.parametrize(("name", "late", "sound"), [("c.mkv", 0.0, 70.0), ("c.mp4", 0.0, 70.0), ("c.mkv", 1.0, 4.0)])
def test_sound_that_begins_earlier_or_lasts_longer(
    grey: Path, tmp_path: Path, name: str, late: float, sound: float
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container, av.open(str(grey)) as film:
        copy = container.add_stream_from_template(film.streams.video[0])
        voice = container.add_stream("aac", rate=8000, layout="mono")
        for packet in film.demux(video=0):
            if packet.dts is not None:
                delay(packet, late)
                packet.stream = copy
                container.mux(packet)
        for number in range(round(sound * 8)):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
            samples.rate, samples.pts, samples.time_base = 8000, 1000 * number, Fraction(1, 8000)
            container.mux(voice.encode(samples))
        container.mux(voice.encode(None))
    clip = open_clip(path)
    assert abs(clip.end - clip.start - COUNT / FPS) < 0.01
    np.testing.assert_allclose(_numbers(clip), range(COUNT), atol=0.4)
    part = open_clip(path, start=late + 0.4, end=late + 1.0)  # as a player's clock shows it
    np.testing.assert_allclose(_numbers(part), range(10, 25), atol=0.4)
    if late:
        np.testing.assert_allclose(_numbers(open_clip(path, end=late + 0.6)), range(15), atol=0.4)


def test_times_that_a_file_does_not_say(grey: Path, tmp_path: Path) -> None:
    bare = copied(grey, tmp_path / "c.h264", 0)
    live = copied(grey, tmp_path / "live.mkv", 0, live="1")
    for path in (bare, live):
        clip = open_clip(path)
        assert clip.wanted_fps == FPS
        np.testing.assert_allclose(_numbers(clip), range(COUNT), atol=0.4)


def test_a_part_far_into_a_clip_is_that_part(tmp_path: Path) -> None:
    planes = (_grey(_level(n // 5 % COUNT)) for n in range(250))
    path = _write(tmp_path / "long.mp4", planes, options={"g": "30"})
    for begin in (1.0, 6.0, 7.2):
        shown = _numbers(open_clip(path, start=begin, end=begin + 1))
        np.testing.assert_allclose(shown, [(25 * begin + n) // 5 % COUNT for n in range(25)], atol=0.4)
    with pytest.raises(BadClip, match=r"0\.00 s long"):
        open_clip(path, start=11)


@pytest.mark.parametrize(("aspect", "orientation", "size"), [((16, 11), 1, (465, 180)), ((16, 11), 6, (180, 465))])
def test_pixels_that_are_not_square(
    tmp_path: Path, aspect: tuple[int, int], orientation: int, size: tuple[int, int]
) -> None:
    path = _write(tmp_path / "c.mp4", [_grey(90)] * 15, sample_aspect_ratio=Fraction(*aspect))
    clip = open_clip(_turn(path, orientation))
    assert (clip.width, clip.height) == size and not clip.plain


COLORS = np.array([[200, 60, 50], [60, 180, 70], [60, 70, 190], [128, 128, 128], [230, 180, 150]], np.uint8)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "space", "span"),
    [
        ("libx264", "yuv420p", 1, 1),
        ("libx264", "yuv420p", 1, 2),
        ("libx264", "yuv420p", 5, 1),
        ("libx264", "yuv420p", 6, 2),
        ("libx264", "yuv420p", 7, 1),
        ("libx264", "yuv420p", 2, 1),
        ("libx264", "yuvj420p", 2, 2),
        ("libx264", "yuv444p", 1, 1),
        ("libx264", "yuv422p10le", 1, 1),
        ("libx264rgb", "rgb24", 2, 0),
    ],
)
@pytest.mark.parametrize("height", [480, 720])
def test_colours_are_those_that_players_show(
    tmp_path: Path, codec: str, pix_fmt: str, space: int, span: int, height: int
) -> None:
    across = 128 if height < 720 else 256
    rgb = np.repeat(np.repeat(COLORS[None], height, 0), across, 1)
    meant = space if space != 2 else 5 if height < 720 else 1
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    if pix_fmt != "rgb24":
        picture = picture.reformat(
            format=pix_fmt, dst_colorspace=5 if meant == 6 else meant, dst_color_range=span, interpolation="BICUBIC"
        )
    path = tmp_path / "c.mkv"
    with av.open(str(path), "w") as container:
        stream = add_video(container, codec, 5 * across, height, pix_fmt, crf="4", preset="ultrafast")
        if pix_fmt != "rgb24":
            stream.codec_context.colorspace, stream.codec_context.color_range = space, span
            picture.colorspace, picture.color_range = space, span
        for number in range(15):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    clip = open_clip(path)
    frame = next(pictures(clip, 5 * across, height))
    assert clip.shown_colors.range == 1
    shown = _rgb(
        frame, 0.299 if clip.shown_colors == BT601 else 0.2126, 0.114 if clip.shown_colors == BT601 else 0.0722
    )
    np.testing.assert_allclose(shown[height // 2, across // 2 :: across], COLORS, atol=5)


def _rgb(frame: Frame, red: float, blue: float) -> np.ndarray:
    """Return FRAME as RGB by the textbook: luma's weights of RED and BLUE, limited range."""
    y = (frame.y.astype(float) - 16) / 219
    u, v = (cv2.resize(p, frame.y.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(float) for p in frame.uv)
    b, r = y + (u - 128) / 224 * 2 * (1 - blue), y + (v - 128) / 224 * 2 * (1 - red)
    return 255 * np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], -1)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        pytest.param("c.webm", "libvpx-vp9", "yuva420p", marks=pytest.mark.slow),
        ("c.webm", "libvpx", "yuva420p"),
        ("c.mov", "prores_ks", "yuva444p10le"),
        ("c.mov", "png", "rgba"),
        ("c.mov", "qtrle", "argb"),
    ],
)
def test_hidden_pixels_of_a_film_never_show(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rgba[..., 0], rgba[:, :160, 3], rgba[:, :160, 1] = 255, 255, 200  # red, but hidden, on the right
    with av.open(str(tmp_path / name), "w") as container:
        stream = add_video(
            container, codec, WIDTH, HEIGHT, pix_fmt, **({"auto-alt-ref": "0"} if "vpx" in codec else {})
        )
        for number in range(15):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = open_clip(tmp_path / name)
    shown = [_rgb(one, 0.299, 0.114) for one in pictures(clip, 480, 270, (0, 0, 255))]
    assert len(shown) == 15
    for picture in (shown[0], shown[-1]):
        np.testing.assert_allclose(picture[135, [60, 180]], [[255, 200, 0]] * 2, atol=8)
        np.testing.assert_allclose(picture[135, [300, 420]], [[0, 0, 255]] * 2, atol=8)
        assert not ((picture[..., 0] > 120) & (picture[..., 1] < 60)).any()  # nowhere red


@pytest.mark.parametrize("orientation", MATRICES)
def test_photos_of_all_eight_orientations_are_upright(tmp_path: Path, orientation: int) -> None:
    a, b, c, d = MATRICES[orientation]
    stored = _quarters()
    upright = stored.T if a == 0 else stored
    upright = upright[:, :: -1 if (c if a == 0 else a) < 0 else 1][:: -1 if (b if a == 0 else d) < 0 else 1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("c.png", "c.jpg", "c.webp"):
        Image.fromarray(stored).convert("RGB").save(tmp_path / name, exif=exif, quality=95)
        shown = open_photo(tmp_path / name)[..., 1].astype(int)
        assert shown.shape == upright.shape and np.abs(shown - upright).mean() < 2
