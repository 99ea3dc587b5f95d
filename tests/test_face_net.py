"""The face networks in OpenCV against points that MediaPipe 0.10.21 found in the bundled clips."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.face.finder import FaceFinder
from pipeline.face.networks import FaceDetector, FaceMesh
from pipeline.settings import ROOT
from pipeline.video.reader import ClipReader

CLIPS = ["talk_long", "talk_short", "woman"]
STEP = 15
"""Every n-th frame's points are stored."""


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).with_name("face_points_mediapipe.npz")) as points:
        return dict(points)


def pictures(clip: str) -> Iterator[np.ndarray]:
    for frame in ClipReader((ROOT / "examples" / f"{clip}.mp4").read_bytes()).once():
        yield cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)


@pytest.mark.parametrize("clip", [*CLIPS[:1], *(pytest.param(clip, marks=pytest.mark.slow) for clip in CLIPS[1:])])
def test_points_are_those_of_mediapipe(clip: str, stored: dict[str, np.ndarray]) -> None:
    wanted = stored[clip]
    found = []
    with FaceFinder() as finder:
        box = None
        for picture in islice(pictures(clip), STEP * (len(wanted) - 1) + 1):
            if box is None:
                [box] = finder.boxes(picture)
            found.append(finder.points(picture, box))
    here = np.array(found[::STEP])
    eyes = np.linalg.norm(wanted[:, 33, :2] - wanted[:, 263, :2], axis=1)
    apart = np.linalg.norm(here - wanted, axis=2)[..., None] / eyes[:, None, None]
    assert apart.mean() < 0.0025  # of the distance between the eyes, which is 131 pixels
    assert np.linalg.norm((here - wanted)[..., :2], axis=2).max() / eyes.min() < 0.035


@pytest.mark.parametrize("clip", CLIPS)
def test_boxes_are_those_of_mediapipe(clip: str, stored: dict[str, np.ndarray]) -> None:
    [wanted] = stored[f"{clip}_box"]
    with FaceFinder() as finder:
        [box] = finder.boxes(next(pictures(clip)))
    np.testing.assert_allclose([box.x, box.y, box.width, box.height], wanted[:4], atol=0.01 * wanted[2])
    assert abs(box.score - wanted[4]) < 0.02


def test_a_turned_picture_turns_the_points() -> None:
    picture = next(pictures("talk_short"))[:, 280:1000]
    upright = FaceMesh().find(picture)
    turn = cv2.getRotationMatrix2D((360, 360), 25, 1)
    turned = FaceMesh().find(cv2.warpAffine(picture, turn, (720, 720)))
    assert upright is not None and turned is not None
    wanted = upright[:, :2] @ turn[:, :2].T + turn[:, 2]
    eyes = np.linalg.norm(upright[33, :2] - upright[263, :2])
    assert np.linalg.norm(turned[:, :2] - wanted, axis=1).mean() / eyes < 0.03


def test_a_face_is_followed_and_lost() -> None:
    picture = next(pictures("talk_short"))[:, 280:1000]
    mesh = FaceMesh()
    first, second = mesh.find(picture), mesh.find(picture)  # by the detector's box, then by its own
    assert first is not None and second is not None
    eyes = np.linalg.norm(first[33, :2] - first[263, :2])
    assert np.linalg.norm((first - second)[:, :2], axis=1).mean() / eyes < 0.03
    assert mesh.find(np.zeros_like(picture)) is None  # followed into a picture without a face
    assert mesh.find(np.zeros_like(picture)) is None  # looked for in one
    assert mesh.find(picture) is not None


def test_an_empty_picture_has_no_faces() -> None:
    for near in (True, False):
        assert FaceDetector(near=near).find(np.full((300, 500, 3), 127, np.uint8)).shape == (0, 17)
