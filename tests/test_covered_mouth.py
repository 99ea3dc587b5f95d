"""A covered mouth is distinguished from a visible one, whatever covers it and whatever the face is like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import BadClip
from pipeline.face.finder import FaceFinder, box_of
from pipeline.preparing.covered_mouth import mouth_score
from pipeline.preparing.encode_clip import encode
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.preparing.usable_frames import DOUBTFUL, HIDDEN
from pipeline.settings import ROOT
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader, ColorTags

Draw = Callable[[np.ndarray, np.ndarray], None]
"""Draws on a picture (RGB) with a face at points."""
JAW = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454]
OUTER = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146]
INNER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]


def _filled(picture: np.ndarray, outline: np.ndarray, color: tuple[int, ...], softness: float = 1.5) -> None:
    mask = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.round(outline).astype(int)], 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), softness)[..., None]
    picture[:] = np.round(picture * (1 - mask) + np.array(color) * mask).astype(np.uint8)


def _mask(*color: int) -> Draw:
    return lambda picture, at: _filled(picture, np.concatenate([at[[127, 5, 356], :2], at[JAW[::-1], :2]]), color)


def _microphone(*color: int) -> Draw:
    def draw(picture: np.ndarray, at: np.ndarray) -> None:
        x, y = at[[13, 14], :2].mean(0).astype(int)
        size = int(0.18 * box_of(at).width)
        cv2.ellipse(picture, (x, y), (size, size), 0, 0, 360, color, -1)
        cv2.rectangle(picture, (x - size // 4, y), (x + size // 4, picture.shape[0]), color, -1)

    return draw


def _text(picture: np.ndarray, at: np.ndarray) -> None:
    x, y = at[[13, 14], :2].mean(0).astype(int)
    for color, thickness in (((0, 0, 0), 7), ((255, 255, 255), 3)):
        cv2.putText(picture, "SUBTITLE OVER MOUTH", (x - 250, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 1.4, color, thickness)


def _bar(picture: np.ndarray, at: np.ndarray) -> None:
    y, half = int(at[[13, 14], 1].mean()), int(0.12 * box_of(at).height)
    picture[y - half : y + half] = 0


def _lips(share: float, *color: int) -> Draw:
    def draw(picture: np.ndarray, at: np.ndarray) -> None:
        painted, mouth = picture.copy(), picture.copy()
        _filled(painted, at[OUTER, :2], color)
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(at[INNER, :2]).astype(int)], 1)
        picture[:] = np.where(mask[..., None] > 0, mouth, picture * (1 - share) + painted * share).astype(np.uint8)

    return draw


def _beard(*color: int) -> Draw:
    def draw(picture: np.ndarray, at: np.ndarray) -> None:
        bare, hair = picture.copy(), np.random.default_rng(1).normal(0, 14, picture.shape[:2]).astype(np.float32)
        edge = [132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 410, 164, 186]
        _filled(picture, at[edge, :2], color, 4)
        changed = (np.abs(picture.astype(int) - bare).max(2) > 8)[..., None]
        hair = cv2.GaussianBlur(hair, (0, 0), 1.2, sigmaY=3)[..., None] * 4
        picture[:] = np.where(changed, np.clip(picture + hair, 0, 255), picture).astype(np.uint8)
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(at[OUTER, :2]).astype(int)], 1)
        picture[mask > 0] = bare[mask > 0]

    return draw


def _glasses(picture: np.ndarray, at: np.ndarray) -> None:
    for left, right in ((33, 133), (362, 263)):
        center = at[[left, right], :2].mean(0).astype(int)
        cv2.circle(picture, (int(center[0]), int(center[1])), int(0.14 * box_of(at).width), (20, 20, 20), 5)


def _toned(gamma: float, *tint: float) -> Draw:
    def draw(picture: np.ndarray, at: np.ndarray) -> None:
        picture[:] = np.round(255 * (picture / 255) ** gamma * np.array(tint)).astype(np.uint8)

    return draw


def _grey(picture: np.ndarray, at: np.ndarray) -> None:
    picture[:] = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]


COVERS: dict[str, Draw] = {
    "black mask": _mask(22, 22, 25),
    "white mask": _mask(225, 225, 222),
    "blue mask": _mask(120, 180, 215),
    "red mask": _mask(160, 40, 45),
    "black microphone": _microphone(35, 35, 38),
    "grey microphone": _microphone(120, 120, 122),
    "text": _text,
    "black bar": _bar,
}
NO_COVERS: dict[str, Draw] = {
    "nothing": lambda picture, at: None,
    "pale lips": _lips(0.5, 215, 175, 155),
    "red lips": _lips(0.6, 180, 20, 45),
    "dark lips": _lips(0.6, 60, 15, 35),
    "black beard": _beard(30, 25, 24),
    "brown beard": _beard(85, 60, 45),
    "glasses": _glasses,
    "dark skin": _toned(2.2, 0.9, 0.8, 0.75),
    "warm light": _toned(1.0, 1.0, 0.85, 0.65),
    "no colours": _grey,
}


@pytest.fixture(scope="module", params=["talk_short", "woman"])
def face(request: pytest.FixtureRequest) -> Iterator[tuple[FaceFinder, np.ndarray, np.ndarray]]:
    """Somebody's picture (RGB), and where their face is."""
    frame = next(ClipReader((ROOT / "examples" / f"{request.param}.mp4").read_bytes()).once())
    picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
    with FaceFinder() as finder:
        points = finder.points(picture, finder.boxes(picture)[0])
        assert points is not None
        yield finder, picture, points


def _score(face: tuple[FaceFinder, np.ndarray, np.ndarray], draw: Draw) -> float:
    finder, picture, points = face
    drawn = picture.copy()
    draw(drawn, points)
    found = finder.points(drawn, box_of(points))
    found = points if found is None else found
    return mouth_score(Frame(cv2.cvtColor(drawn, cv2.COLOR_RGB2YUV_I420)), found)


@pytest.mark.parametrize("what", COVERS)
def test_a_covered_mouth_is_not_seen(face: tuple[FaceFinder, np.ndarray, np.ndarray], what: str) -> None:
    assert _score(face, COVERS[what]) < HIDDEN


@pytest.mark.parametrize("what", NO_COVERS)
def test_a_mouth_is_seen(face: tuple[FaceFinder, np.ndarray, np.ndarray], what: str) -> None:
    assert _score(face, NO_COVERS[what]) > DOUBTFUL


@pytest.mark.slow
def test_a_clip_of_a_covered_mouth_is_refused(tmp_path: Path) -> None:
    frames = list(islice(ClipReader((ROOT / "examples" / "talk_short.mp4").read_bytes()).once(), 14))
    with FaceFinder() as finder:
        picture = cv2.cvtColor(frames[0].planes, cv2.COLOR_YUV2RGB_I420)
        points = finder.points(picture, finder.boxes(picture)[0])
    assert points is not None
    drawn = []
    for frame in frames:
        picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)
        _microphone(35, 35, 38)(picture, points)
        drawn.append(Frame(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)))
    (tmp_path / "mic.mp4").write_bytes(encode(drawn, 1280, 720, Fraction(25), ColorTags()))
    with pytest.raises(BadClip, match="The mouth is covered throughout"):
        prepare(tmp_path / "mic.mp4", PrepareOptions(name="mic", resolutions=["360p"], out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
