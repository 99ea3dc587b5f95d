"""Opening photos as phones and cameras take them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.errors import BadClip
from pipeline.preparing.file_kinds import MAX_PICTURE, MAX_VIDEO, kind_of
from pipeline.preparing.open_clip import open_clip
from pipeline.preparing.photo import BACKGROUND, color_of, open_photo
from pipeline.settings import ROOT
from pipeline.video.reader import ClipReader

RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_an_iphones_photo_is_opened_upright() -> None:
    photo = open_photo(ROOT / "tests" / "woman.heic")  # its pixels lie on their side, and it says so
    frame = next(ClipReader((ROOT / "examples" / "woman.mp4").read_bytes()).once())
    clip = cv2.resize(cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420), (640, 360), interpolation=cv2.INTER_AREA)
    assert photo.shape == clip.shape
    assert np.abs(photo.astype(float) - clip).mean() < 4


def _mirrored_profile() -> bytes:
    """Return an sRGB profile whose red is blue and whose blue is red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)


@pytest.mark.parametrize(("profile", "shown"), [(_mirrored_profile(), BLUE), (b"broken", RED), (None, RED)])
def test_colours_are_those_that_the_photo_says(profile: bytes | None, shown: tuple[int, ...], tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), RED).save(tmp_path / "red.png", icc_profile=profile)
    np.testing.assert_allclose(open_photo(tmp_path / "red.png")[0, 0], shown, atol=3)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_photos_of_any_kind_of_pixels_are_opened(mode: str, tmp_path: Path) -> None:
    level = 255 if mode == "1" else 120
    grey = Image.new("L", (8, 6), level)
    picture = Image.fromarray(np.full((6, 8), level << 8, np.uint16)) if mode == "I;16" else grey.convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png")
    picture.save(path)
    photo = open_photo(path)
    assert photo.shape == (6, 8, 3) and photo.dtype == np.uint8
    np.testing.assert_allclose(photo, level, atol=2)


@pytest.mark.parametrize("white", [1, 255, 65535, 1e6])
def test_decimals_are_seen_in_their_range(white: float, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, white, 8, dtype=np.float32), (6, 1))
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    np.testing.assert_allclose(open_photo(tmp_path / "a.tif")[..., 1], 255 * ramp / white, atol=2)
    Image.fromarray(np.full((6, 8), -np.inf, np.float32)).save(tmp_path / "none.tif")
    assert (open_photo(tmp_path / "none.tif") == 0).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("name", ["face.jfif", "face", "face.mp4", "face.txt"])
def test_a_picture_is_one_whatever_it_is_called(kind: str, name: str, tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), BLUE).save(tmp_path / name, kind)
    assert kind_of(tmp_path / name) == "photo"
    np.testing.assert_allclose(open_photo(tmp_path / name)[20, 30], BLUE, atol=4)


def test_other_files_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "face.heic").write_bytes((ROOT / "tests" / "woman.heic").read_bytes())
    (tmp_path / "clip.jpg").write_bytes((ROOT / "examples" / "talk_short.mp4").read_bytes())
    (tmp_path / "cut.bin").write_bytes((ROOT / "tests" / "woman.heic").read_bytes()[:300])
    (tmp_path / "text.png").write_bytes(b"hello")
    kinds = {"face.heic": "photo", "clip.jpg": "video", "cut.bin": "photo", "text.png": "video", "missing.jpg": "video"}
    assert {name: kind_of(tmp_path / name) for name in kinds} == kinds


def _see_through(mode: str) -> Image.Image:
    """Return a picture whose left half is blue and seen, its right half hidden: red, or black in a grey MODE."""
    picture = Image.new("RGBA", (8, 4), (*RED, 0))
    picture.paste((*BLUE, 255), (0, 0, 4, 4))
    if mode == "P with alpha":
        return picture.quantize(4)
    if mode == "P":
        picture = Image.new("P", (8, 4), 1)
        picture.putpalette([*BLUE, *RED])
        picture.paste(0, (0, 0, 4, 4))
        picture.info["transparency"] = 1
    elif mode == "RGB":
        picture = picture.convert("RGB")
        picture.info["transparency"] = RED
    elif mode in ("LA", "L", "1"):
        grey = Image.new("LA", (8, 4), (0, 0))
        grey.paste((255, 255), (0, 0, 4, 4))
        picture = grey if mode == "LA" else grey.convert("L").convert(mode)
        if mode != "LA":
            picture.info["transparency"] = 0
    elif mode == "I;16":
        deep = np.full((4, 8), 255 << 8, np.uint16)
        deep[:, 4:] = 7
        picture = Image.fromarray(deep)
        picture.info["transparency"] = 7
    return picture


@pytest.mark.parametrize("mode", ["RGBA", "P", "P with alpha", "RGB", "LA", "L", "1", "I;16"])
def test_what_is_hidden_is_not_shown(mode: str, tmp_path: Path) -> None:
    picture = _see_through(mode)
    picture.save(tmp_path / "a.png", **{str(name): value for name, value in picture.info.items()})
    photo = open_photo(tmp_path / "a.png")
    np.testing.assert_allclose(photo[2, 1], BLUE if mode[0] in "RP" else (255, 255, 255), atol=3)
    np.testing.assert_array_equal(photo[2, 6], BACKGROUND)
    np.testing.assert_array_equal(open_photo(tmp_path / "a.png", color_of("#123456"))[2, 6], (0x12, 0x34, 0x56))


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "GIF", "TIFF"])
def test_nor_in_other_kinds_of_files(kind: str, tmp_path: Path) -> None:
    exact = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    _see_through("RGBA").resize((80, 40), Image.Resampling.NEAREST).save(tmp_path / "a", kind, **exact)
    np.testing.assert_allclose(open_photo(tmp_path / "a")[20, 70], BACKGROUND, atol=3)


def test_half_hidden_is_half_shown(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 4), (0, 0, 0, 128)).save(tmp_path / "a.png")
    np.testing.assert_allclose(open_photo(tmp_path / "a.png", (200, 100, 0)), np.full((4, 8, 3), (100, 50, 0)), atol=1)


@pytest.mark.parametrize("text", ["", "fff", "#12345", "gggggg", "0x1234"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no colour"):
        color_of(text)


def _png_of(width: int, height: int) -> bytes:
    """Return the beginning of a PNG that says it has so many pixels, with none of them."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(64))
    chunks = b"".join(
        struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("width", "height", "why"),
    [
        (16_320, 12_240, "16320x12240). Make it 100 million pixels or fewer"),
        (20_000, 20_000, "20000x20000). Make it 100 million pixels or fewer"),
        (2**31 - 1, 2**31 - 1, "Make it 100 million pixels or fewer"),
        (20_000, 400, "20000x400). Crop it: its long side may be at most 5 times its short one"),
        (16, 65_534, "16x65534). Crop it"),
    ],
)
def test_pictures_beyond_the_limits_are_refused_before_they_are_decoded(
    width: int, height: int, why: str, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(_png_of(width, height))
    for look in (kind_of, open_photo):
        with pytest.raises(BadClip) as caught:
            look(tmp_path / "a.png")
        assert why in caught.value.message.en
    assert width * height > MAX_PICTURE or "길쭉" in caught.value.message.ko


@pytest.mark.parametrize(
    ("width", "height", "why"),
    [(7000, 6000, "7000x6000). Make it 36 million pixels or fewer"), (16, 4096, "16x4096). Crop it")],
)
def test_videos_beyond_the_limits_are_refused(width: int, height: int, why: str, tmp_path: Path) -> None:
    assert width * height > MAX_VIDEO or height > 5 * width
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "gray"
        picture = av.VideoFrame.from_ndarray(np.zeros((height, width), np.uint8), format="gray")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with pytest.raises(BadClip) as caught:
        open_clip(tmp_path / "a.mov")
    assert why in caught.value.message.en
