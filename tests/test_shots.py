"""Cuts are found, at once and by fades; what a camera or a light does within a shot is no cut."""

from __future__ import annotations

from collections.abc import Sequence

import av
import cv2
import numpy as np
import pytest

from pipeline.preparing.shots import Shot, find_shots, thumbnail
from pipeline.settings import ROOT
from pipeline.video.frame import Frame

SIZE = (320, 180)
FPS = 25.0
Pictures = list[np.ndarray]


def _read(name: str, count: int = 110) -> Pictures:
    """Return the luma of the first COUNT pictures of an example."""
    with av.open(str(ROOT / "examples" / f"{name}.mp4")) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(count), strict=False)]
    return [cv2.resize(frame.to_ndarray(format="gray"), SIZE, interpolation=cv2.INTER_AREA) for frame in frames]


@pytest.fixture(scope="module")
def man() -> Pictures:
    return _read("talk_long")


@pytest.fixture(scope="module")
def woman() -> Pictures:
    return _read("woman")


def _shots(pictures: Sequence[np.ndarray]) -> list[Shot]:
    planes = [np.concatenate([one, np.full((SIZE[1] // 2, SIZE[0]), 128, np.uint8)]) for one in pictures]
    return find_shots(np.array([thumbnail(Frame(one)) for one in planes]), FPS)


def _mixed(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return np.round(one * (1 - share) + other.astype(float) * share).astype(np.uint8)


def _faded(before: Pictures, after: Pictures, length: int) -> Pictures:
    """Return BEFORE and AFTER with the last LENGTH of one and the first of the other mixed."""
    shares = np.arange(1, length + 1) / (length + 1)
    middle = [_mixed(a, b, s) for a, b, s in zip(before[-length:], after[:length], shares, strict=True)]
    return [*before[:-length], *middle, *after[length:]]


def _with_text(picture: np.ndarray, text: str) -> np.ndarray:
    with_text = picture.copy()
    cv2.putText(with_text, text, (8, 165), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,), 2)
    return with_text


def _closer(pictures: Pictures) -> Pictures:
    return [cv2.resize(one[30:150, 60:273], SIZE) for one in pictures]


@pytest.mark.slow
def test_another_view_begins_where_it_does(man: Pictures, woman: Pictures) -> None:
    assert _shots(man[:40] + woman[:50]) == [(0, 40), (40, 90)]
    assert _shots(man[:40] + _closer(man[40:80])) == [(0, 40), (40, 80)]  # the same person
    assert _shots(man[:40] + woman[:15] + man[55:90]) == [(0, 40), (40, 55), (55, 90)]  # away, and back
    seat = [one.copy() for one in man[:80]]
    for one, other in zip(seat[40:], woman[:40], strict=True):
        one[20:, 90:230] = other[20:, 90:230]
    assert _shots(seat) == [(0, 40), (40, 80)]  # the room stays


@pytest.mark.parametrize("length", [6, 12, 25, 40])
def test_fades_belong_to_no_shot(man: Pictures, woman: Pictures, length: int) -> None:
    [(begin, end), (next_begin, last)] = _shots(_faded(man[:60], woman[:80], length))
    assert (begin, last) == (0, 140 - length)
    assert 60 - length - 15 <= end <= 60 - length + 2 and 58 <= next_begin <= 75  # a little more may go, not less


def test_a_flash_between_two_shots_belongs_to_none(man: Pictures, woman: Pictures) -> None:
    assert _shots([*man[:40], *[np.full_like(man[0], 250)] * 2, *woman[:40]]) == [(0, 40), (42, 82)]


@pytest.mark.parametrize("length", [6, 20])
def test_black_between_two_shots_is_left_out(man: Pictures, woman: Pictures, length: int) -> None:
    black = [np.full_like(man[0], 16)] * length
    pictures = _faded(_faded(man[:60], black * 2, length), woman[:60], length)
    first, *_, last = _shots(pictures)
    assert first[0] == 0 and abs(first[1] - (60 - length)) <= 2
    assert last[1] == len(pictures) and abs(last[0] - (len(pictures) - 60 + length)) <= 2


def test_what_happens_within_a_shot_is_no_cut(man: Pictures, woman: Pictures) -> None:
    noise = np.random.default_rng(1)
    shown = {
        "nothing": man,
        "flash": [*man[:40], np.clip(man[40] * 2.0 + 60, 0, 255).astype(np.uint8), *man[41:]],
        "broken picture": [*man[:40], noise.integers(0, 255, man[0].shape, np.uint8), *man[41:]],
        "light off": [*man[:40], *((one * 0.45).astype(np.uint8) for one in man[40:])],
        "light dims": [(one * (0.4 + 0.6 * abs(np.cos(n / 25)))).astype(np.uint8) for n, one in enumerate(woman)],
        "repeated pictures": [man[n - n % 3] for n in range(100)],
        "noise": [np.clip(one + noise.normal(0, 12, one.shape), 0, 255).astype(np.uint8) for one in man[:60]],
        "camera turns": [np.roll(one, round(50 * np.sin(n / 8)), 1) for n, one in enumerate(woman)],
        "subtitles": [_with_text(one, "ABCDEFGHIJ"[n // 20] * 22 if n // 20 % 2 else "") for n, one in enumerate(man)],
        "something comes in": [
            cv2.ellipse(one.copy(), (150, max(95, 220 - 8 * max(0, n - 40))), (40, 34), 0, 0, 360, 150, -1)
            for n, one in enumerate(man)
        ],
    }
    assert {name: _shots(pictures) for name, pictures in shown.items()} == {
        name: [(0, len(pictures))] for name, pictures in shown.items()
    }


def test_very_short_clips_have_one_shot(man: Pictures) -> None:
    for count in (1, 2, 3, 5):
        assert _shots(man[:count]) == [(0, count)]
