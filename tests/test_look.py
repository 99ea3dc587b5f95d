"""Pictures that are cropped around the person, captioned and marked."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageDraw, ImageFont

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.framing import at_rate, box_of
from pipeline.avatars.store import AvatarStore
from pipeline.errors import BadRequest
from pipeline.jobs.look import AS_FILMED, BurntCaptions, Look
from pipeline.speech_types import Mark
from pipeline.video import lettering
from pipeline.video.captions import cues_of, srt_of, text_of
from pipeline.video.crop import Box
from pipeline.video.frame import Frame

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def man() -> Avatar:
    store = AvatarStore(ROOT / "precomputed")
    return store.load(store.find("talk_short", "720p"))


def picture(width: int, height: int, luma: int = 100) -> Frame:
    frame = Frame(np.full((height * 3 // 2, width), 90, np.uint8))
    frame.y[:] = luma
    return frame


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("9:16", (404, 720)), ("1:1", (720, 720)), ("4:5", (576, 720)), ("16:9", None), ("source", None)],
)
def test_a_crop_has_its_aspect_and_the_head_in_the_middle(
    man: Avatar, aspect: str, size: tuple[int, int] | None
) -> None:
    box = box_of(man, aspect)
    if size is None:
        assert box is None
        return
    assert box is not None and (box.width, box.height) == size and box.left % 2 == 0
    faces = man.landmarks[..., 0]
    middle = np.median((faces.min(1) + faces.max(1)) / 2)
    assert abs(box.left + box.width / 2 - float(middle)) < 20
    assert box.left < faces.min() and faces.max() < box.left + box.width


def test_an_upright_clip_is_cropped_with_room_above_the_head(man: Avatar) -> None:
    points = man.landmarks * np.array([0.5, 0.5, 0.5], np.float32) + np.array([60, 400, 0], np.float32)
    upright = replace(man, width=720, height=1280, landmarks=points)
    box = box_of(upright, "1:1")
    assert box is not None and (box.width, box.height) == (720, 720)
    top, bottom = points[..., 1].min(), points[..., 1].max()
    hair = top - 0.4 * (bottom - top)
    assert 0.04 * 720 < hair - box.top < 0.16 * 720 and bottom < box.top + box.height


def test_an_aspect_that_cuts_the_head_is_refused_with_those_that_do_not(man: Avatar) -> None:
    near = replace(man, landmarks=(man.landmarks - 600) * np.float32(2.2) + 600)
    with pytest.raises(BadRequest) as refused:
        box_of(near, "9:16")
    assert "source, 16:9" in refused.value.message.en and "9:16, " not in refused.value.message.en.split(":", 3)[-1]


def test_a_crop_is_the_pixels_of_the_picture() -> None:
    frame = Frame(np.arange(64 * 48 * 3 // 2, dtype=np.uint8).reshape(72, 64))
    part = Box(10, 6, 20, 16).cut(frame)
    assert (part.y == frame.y[6:22, 10:30]).all()
    assert all((own == whole[3:11, 5:15]).all() for own, whole in zip(part.uv, frame.uv, strict=True))
    assert AS_FILMED.of(frame) is frame


@pytest.mark.parametrize("rate", [24, 25, 30])
def test_a_rate_is_that_of_every_clip_and_the_pictures_stay(man: Avatar, rate: int) -> None:
    changed = at_rate(replace(man, clips={"nod": man}), rate)
    assert changed.fps == Fraction(rate) == (changed if rate == 25 else changed.clips["nod"]).fps
    assert changed.landmarks is man.landmarks and man.fps == 25
    with pytest.raises(BadRequest, match="fps"):
        at_rate(replace(man, fps=Fraction(60 if rate > 24 else 12)), rate)  # nobody moves at half or twice the pace


@pytest.mark.parametrize("size", [(1280, 720), (404, 720), (720, 720), (640, 360), (200, 356)])
def test_captions_are_two_lines_at_most_within_the_safe_area(size: tuple[int, int]) -> None:
    text = "안녕하세요, 면접에 오신 것을 환영합니다 SQL은 아시나요"
    frame = picture(*size)
    shown = Look(captioned=True).of(frame, BurntCaptions().drawn(text, *size))
    assert (frame.y == 100).all() and shown is not frame
    rows, columns = np.nonzero(shown.y != 100)
    width, height = size
    assert columns.min() >= 0.04 * width and columns.max() <= 0.96 * width
    assert rows.min() > 0.7 * height and rows.max() <= 0.96 * height
    assert shown.y.max() == pytest.approx(235, abs=2) and shown.y.min() == pytest.approx(16, abs=2)
    filled = (shown.y != 100).any(1)
    assert 1 <= np.count_nonzero(np.diff(filled.astype(int)) == 1) <= 2


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (404, 720), (576, 720), (720, 720)])
@pytest.mark.parametrize(
    "text",
    [
        "Welcome to the interview, tell me about yo",
        "안녕하세요, 면접에 오신 것을 환영합니다. 예.",
        "Расскажите, пожалуйста, о себе и об опыте",
        "Bitte erzählen Sie uns von Ihrer Erfahrung",
        "AI というとても長い日本語の文章、です。",
        "「面接」へようこそ、まずは自己紹介です。",
        "コンピューターのプログラマーの仕事です。",
        "歡迎參加面試，請介紹一下自己，以及經驗。",
        "WWWWWWWWWW WWWWWWWWWW WWWWWWWWWW WWWWWWWWW",
    ],
)
def test_a_cue_is_shown_whole_in_two_lines(size: tuple[int, int], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (cue,) = cues_of([Mark("word", text, 0, 1)], 2)
    drawn: list[tuple[str, ImageFont.FreeTypeFont]] = []
    write = ImageDraw.ImageDraw.multiline_text

    def noted(draw: ImageDraw.ImageDraw, place: Any, text: str, fill: Any, font: Any, **options: Any) -> None:
        drawn.append((text, font))
        write(draw, place, text, fill, font, **options)

    lettering.caption.cache_clear()
    monkeypatch.setattr(ImageDraw.ImageDraw, "multiline_text", noted)
    assert lettering.caption(cue.text, *size) is not None
    lines, font = drawn[0][0].split("\n"), drawn[0][1]
    assert text.startswith("WWW") or font.size >= int(lettering.CAPTION * min(size))
    assert 1 <= len(lines) <= 2 and re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    assert all(line == line.strip() and line[0] not in "、，。」ー" and line[-1] != "「" for line in lines)
    assert all(word in " ".join(lines) for word in [*text.split(), "プログラマーの"] if word in text and word.isalpha())


def test_what_does_not_fit_is_cut_and_what_the_font_lacks_is_left_out() -> None:
    long = lettering.caption("아주 긴 자막입니다 " * 30, 404, 720)
    assert long is not None and long.clear.shape[1] <= 404 * 0.92 and long.clear.shape[0] < 404 * 0.2
    assert lettering.caption("سلام", 640, 360) is None and lettering.caption(" ", 640, 360) is None
    assert lettering.caption("こんにちは 漢字 Привет ¿Qué?", 640, 360) is not None
    one, other = lettering.caption("네 سلام", 640, 360), lettering.caption("네", 640, 360)
    assert one is not None and other is not None and (one.clear == other.clear).all()
    assert lettering.caption("가" * 200, 200, 356) is not None
    for unseen in ("\u200b\u200d", "สวัสดี", "\u0489"):  # neither letters of no width nor boxes
        assert lettering.caption(unseen, 640, 360) is None
    one, other = lettering.caption("cafe\u0301 \u0489\u200e", 640, 360), lettering.caption("caf\u00e9", 640, 360)
    assert one is not None and other is not None and (one.light == other.light).all()


@pytest.mark.parametrize("label", ["AI 생성", "AI"])
def test_a_mark_stands_in_the_corner(label: str) -> None:
    shown = Look(box=Box(100, 0, 400, 360), label=label).of(picture(640, 360))
    assert (shown.width, shown.height) == (400, 360)
    rows, columns = np.nonzero(shown.y != 100)
    assert columns.min() > 200 and rows.max() < 50 and shown.y.max() > 220
    assert (shown.uv[0][:, :50] == 90).all() and (shown.uv[0] != 90).any()


@pytest.mark.parametrize("width", [200, 640])
def test_subrip_has_the_same_words_at_the_same_times(width: int) -> None:
    words = [Mark("word", "A < B & ", 0.5, 0.9), Mark("word", "둘. ", 1.0, 1.5), Mark("word", "셋.", 3725.0, 3726.25)]
    vtt = "WEBVTT\n\n" + "".join(cue.to_vtt() for cue in cues_of(words, 4000))
    assert srt_of(vtt) == ("1\n00:00:00,500 --> 00:00:02,000\nA < B & 둘.\n\n2\n01:02:05,000 --> 01:02:06,750\n셋.\n")
    assert text_of(vtt) == "A < B & 둘. 셋."
    assert srt_of("WEBVTT\n\n") == text_of("WEBVTT\n\n") == ""
