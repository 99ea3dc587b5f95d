"""How wide a mouth looks: all open as wide, whatever the lips are like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.mover import FaceMover
from pipeline.face.mesh_basis import LOWER_INNER, UPPER_INNER
from pipeline.preparing.mouth_scale import LIMITS, opening_of
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.settings import ROOT, Settings

WEBCAM = ROOT / "tests" / "clips" / "webcam_woman.mp4"
NEAR = 40
"""Frames that are looked at."""


@dataclass
class _Findings:
    usable: np.ndarray


@dataclass
class _Seen:
    """A part of an avatar's clip, as it is known while the avatar is prepared."""

    frames: np.ndarray
    fps: Fraction
    landmarks: np.ndarray
    rest: np.ndarray
    findings: _Findings


def _seen(avatar: Avatar) -> _Seen:
    frames = np.array([frame.planes.copy() for frame in islice(avatar.clip.frames(), NEAR)])
    findings = _Findings(avatar.usable[:NEAR])
    return _Seen(frames, avatar.fps, avatar.landmarks[:NEAR], avatar.rest[:NEAR], findings)


@pytest.fixture(scope="module")
def man() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_long", "480p"))


@pytest.mark.slow
def test_the_bundled_man_opens_a_little_wider_than_usual(man: Avatar) -> None:
    seen = _seen(man)
    assert opening_of(seen, seen) == pytest.approx(1.08, abs=0.06)  # type: ignore[arg-type]


@pytest.mark.slow
def test_lips_that_do_not_part_leave_everything_as_it_is(man: Avatar) -> None:
    seen = _seen(man)
    seen.frames[:] = 128  # no face at all
    assert opening_of(seen, seen) == 1.0  # type: ignore[arg-type]


@pytest.mark.slow
def test_thin_lips_open_wider(tmp_path: Path) -> None:
    (path,) = prepare(WEBCAM, PrepareOptions(name="thin", resolutions=["360p"], matte=False, out=tmp_path, end=0.7))
    assert 1.1 < AvatarStore(tmp_path).load(path).opening <= LIMITS[1]


def test_only_what_parts_the_lips_is_more(man: Avatar) -> None:
    units = ("jawOpen", "mouthStretchLeft")
    usual, wide = (FaceMover(avatar, units) for avatar in (replace(man, opening=1.0), replace(man, opening=1.2)))

    def moved(mover: FaceMover, *weights: float) -> np.ndarray:
        return mover.target(0, np.array(weights, np.float32))

    def gap(points: np.ndarray) -> float:
        return float(np.linalg.norm(points[LOWER_INNER[5]] - points[UPPER_INNER[5]]))

    assert gap(moved(wide, 0.5, 0)) == pytest.approx(1.2 * gap(moved(usual, 0.5, 0)), rel=0.02)
    np.testing.assert_array_equal(moved(wide, 0, 0.5), moved(usual, 0, 0.5))
    assert gap(moved(wide, 0, 0)) == gap(moved(usual, 0, 0))
