"""Opening photos as phones and cameras take them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.avatar.photo import open_photo
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
