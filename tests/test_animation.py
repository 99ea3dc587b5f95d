"""Animated pictures are clips: shown for as long as they say, put together as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BadClip
from pipeline.preparing.animation import animated_pictures, open_animation
from pipeline.preparing.file_kinds import kind_of
from pipeline.preparing.open_clip import open_clip, pictures
from pipeline.preparing.photo import BACKGROUND
from pipeline.video.frame import Frame
from tests.media import add_video

LEVELS = (40, 200, 90, 150)
DURATIONS = (200, 400, 120, 80)
"""Milliseconds."""


def _save(path: Path, pictures: list[Image.Image], **how: Any) -> Path:
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **how)
    return path


def _levels(path: Path, start: float | None = None, end: float | None = None) -> list[int]:
    """Return the luma in the middle of each frame, of 0..255."""
    animation = open_animation(path, start, end, BACKGROUND)
    frames = list(animated_pictures(animation, 64, 48))
    assert len(frames) == round((animation.end - animation.start) * animation.fps)
    return [_grey(frame)[24, 32] for frame in frames]


def _grey(frame: Frame) -> np.ndarray:
    return np.round((frame.y.astype(float) - 16) / 219 * 255).astype(int)


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_each_picture_is_shown_for_its_own_time(tmp_path: Path, kind: str) -> None:
    pictures = [Image.new("RGB", (64, 48), (level,) * 3) for level in LEVELS]
    path = _save(tmp_path / f"a.{kind}", pictures, duration=list(DURATIONS), loop=0)
    assert kind_of(path.rename(tmp_path / "no_name")) == "animation"
    fps = float(open_animation(tmp_path / "no_name", None, None, BACKGROUND).fps)
    begins = np.cumsum([0, *DURATIONS])
    wanted = [LEVELS[np.searchsorted(begins, 1000 * (n + 0.5) / fps, "right") - 1] for n in range(round(0.8 * fps))]
    np.testing.assert_allclose(_levels(tmp_path / "no_name"), wanted, atol=4)
    part = _levels(tmp_path / "no_name", 0.2, 0.72)
    assert abs(part[0] - LEVELS[1]) <= 4 and abs(part[-1] - LEVELS[2]) <= 4


@pytest.mark.parametrize(("stored", "shown"), [(0, 100), (10, 100), (20, 20), (50, 50)])
def test_no_duration_is_what_browsers_make_of_it(tmp_path: Path, stored: int, shown: int) -> None:
    pictures = [Image.new("L", (64, 48), level) for level in range(0, 240, 8)]
    path = _save(tmp_path / "a.gif", pictures, duration=stored)
    assert open_animation(path, None, None, BACKGROUND).end == pytest.approx(len(pictures) * shown / 1000)


@pytest.mark.parametrize(("kind", "disposal"), [("gif", 1), ("gif", 2), ("gif", 3), ("png", 0), ("png", 1), ("png", 2)])
def test_parts_are_put_together_as_the_file_states(tmp_path: Path, kind: str, disposal: int) -> None:
    whole = Image.new("RGBA", (64, 48), (200, 200, 200, 255))
    patch = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    patch.paste((60, 60, 60, 255), (0, 0, 32, 48))
    other = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    other.paste((120, 120, 120, 255), (0, 24, 16, 48))
    blend = {"blend": 1} if kind == "png" else {}
    path = _save(tmp_path / "a", [whole, patch, other], format=kind, duration=400, disposal=disposal, **blend)
    shown = {
        round(n / 10): _grey(f)
        for n, f in enumerate(animated_pictures(open_animation(path, None, None, BACKGROUND), 64, 48))
    }
    # what is left of a picture when the next one comes: itself, nothing, or what was before it: of a first one, nothing
    left = (60, 200) if (kind, disposal) in (("gif", 1), ("png", 0)) else (BACKGROUND[0],) * 2
    assert abs(shown[0][24, 48] - 200) <= 3
    last = shown[max(shown)]
    for x, level in zip((24, 48), left, strict=True):
        assert abs(last[10, x] - level) <= 3
    assert abs(last[36, 8] - 120) <= 3


def test_a_picture_for_viewers_without_animation_is_not_shown(tmp_path: Path) -> None:
    pictures = [Image.new("L", (64, 48), level) for level in (250, *LEVELS)]
    path = _save(tmp_path / "a.png", pictures, duration=200, default_image=True)
    assert [round(level) for level in _levels(path)[::5]] == pytest.approx(LEVELS, abs=4)


def test_what_is_hidden_stays_hidden_in_every_picture(tmp_path: Path) -> None:
    pictures = []
    for level in LEVELS:
        picture = Image.new("RGBA", (64, 48), (255, 0, 0, 0))
        picture.paste((level, level, level, 255), (16, 12, 48, 36))
        pictures.append(picture)
    for kind in ("png", "webp", "gif"):
        lossless = {"lossless": True, "exact": True} if kind == "webp" else {"disposal": 2 if kind == "gif" else 1}
        path = _save(tmp_path / f"a.{kind}", pictures, duration=200, **lossless)
        for level, frame in zip(
            LEVELS, list(animated_pictures(open_animation(path, None, None, (0, 0, 255)), 64, 48))[2::5], strict=False
        ):
            assert abs(_grey(frame)[24, 32] - level) <= 4
            assert frame.uv[0][3, 3] > 220 and frame.uv[1][3, 3] < 120  # blue, not red


def test_one_picture_is_a_photo_and_many_are_too_long(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "one.gif")
    assert kind_of(tmp_path / "one.gif") == "photo"
    pictures = [Image.new("L", (8, 8), level % 256) for level in range(700)]
    path = _save(tmp_path / "long.gif", pictures, duration=1000)
    with pytest.raises(BadClip, match="too long"):
        open_animation(path, None, None, BACKGROUND)
    assert open_animation(path, 300, 310, BACKGROUND).end == 310
    with pytest.raises(BadClip, match=r"0\.20 s long"):
        open_animation(_save(tmp_path / "short.gif", pictures[:2], duration=100), None, None, BACKGROUND)


def test_a_broken_one_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pictures = [Image.fromarray(rng.integers(0, 255, (48, 64), np.uint8)) for _ in range(20)]
    for kind in ("gif", "png", "webp"):
        path = _save(tmp_path / f"a.{kind}", pictures, duration=100)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(BadClip, match="cannot be read"):
            list(animated_pictures(open_animation(path, None, None, BACKGROUND), 64, 48))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "ending"),
    [
        ("libvpx-vp9", "yuva420p", "webm"),
        ("libvpx", "yuva420p", "webm"),
        ("prores_ks", "yuva444p10le", "mov"),
        ("qtrle", "argb", "mov"),
        ("png", "rgba", "mov"),
        ("ffv1", "yuva420p", "mkv"),
    ],
)
def test_what_is_hidden_in_a_video_stays_hidden(tmp_path: Path, codec: str, pix_fmt: str, ending: str) -> None:
    picture = np.zeros((96, 128, 4), np.uint8)
    picture[:, :64] = (255, 0, 0, 0)  # hidden red
    picture[:, 64:] = (200, 200, 200, 255)
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w") as container:
        stream = add_video(container, codec, 128, 96, pix_fmt, **({"auto-alt-ref": "0"} if "vpx" in codec else {}))
        for number in range(15):
            drawn = av.VideoFrame.from_ndarray(picture, format="rgba")
            drawn.pts = number
            container.mux(stream.encode(drawn))
        container.mux(stream.encode(None))
    clip = open_clip(path)
    assert not clip.plain
    frames = list(pictures(clip, 128, 96, (0, 0, 255)))
    assert len(frames) == 15
    for frame in frames:
        assert frame.uv[0][24, 8] > 220 and frame.uv[1][24, 8] < 125  # blue, not red
        assert abs(_grey(frame)[48, 110] - 200) <= 4
