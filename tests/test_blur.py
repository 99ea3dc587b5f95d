"""What is drawn into a soft picture is as soft."""

from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.mover import FaceMover
from pipeline.engines.mesh.sprites import load_sprites
from pipeline.face.basis import head_pose
from pipeline.preparing.blur import MOST, softness_of
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person
from pipeline.preparing.usable_frames import Findings
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from tests.footage import as_footage

FRAMES = 3


@pytest.fixture(scope="module")
def man() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_long", "720p"))


def filmed(man: Avatar, sigma: float) -> tuple[Footage, Person]:
    """The bundled man's first frames, blurred by SIGMA (px)."""
    frames = [frame.planes.copy() for frame in islice(man.clip.frames(), FRAMES)]
    for planes in frames:
        luma = Frame(planes).y
        luma[:] = cv2.GaussianBlur(luma, (0, 0), sigma) if sigma else luma
    points, nothing, zeros = man.landmarks[:FRAMES], np.zeros(FRAMES, bool), np.zeros(FRAMES)
    footage = as_footage(frames, points)
    findings = Findings(
        usable=~nothing, missing=nothing, turned=nothing, covered=nothing, gap=zeros, yaw=zeros, width=250.0
    )
    return footage, Person(points, points, findings)


def test_a_crisp_clip_is_not_softened(man: Avatar) -> None:
    assert softness_of(*filmed(man, 0.0)) == 0


def test_a_blurred_clip_is_found_about_as_soft_as_it_was_made(man: Avatar) -> None:
    per_unit = float(np.median(head_pose(man.landmarks[:FRAMES]).scale))
    soft = [softness_of(*filmed(man, sigma)) * per_unit for sigma in (1.0, 1.5, 2.0)]
    np.testing.assert_allclose(soft, (1.0, 1.5, 2.0), rtol=0.5)
    assert soft[0] < soft[1] < soft[2] < MOST * per_unit


def test_the_opening_has_soft_edges_in_a_soft_clip(man: Avatar) -> None:
    crisp, soft = (_steepest(replace(man, softness=softness)) for softness in (0.0, 0.01))
    assert soft < 0.75 * crisp


def _steepest(man: Avatar) -> float:
    """Return the steepest slope of luma between the lips when the mouth is open."""
    frame = next(islice(man.clip.frames(), 1))
    before = frame.y.astype(np.float32)
    FaceMover(man, ("jawOpen",)).move(frame, 0, np.array([0.5], np.float32))
    change = np.abs(frame.y - before)
    x, y = man.landmarks[0, 14, :2].astype(int)
    column = change[y - 10 : y + 60, x - 20 : x + 20]
    return float(np.abs(np.diff(column, axis=0)).max())


def test_blurred_teeth_stay_where_they_are_and_fade_out_below() -> None:
    crisp, soft = (load_sprites(300.0, -6.3, softness=softness)["upper"] for softness in (0.0, 0.01))
    middles = []
    for sprite in (crisp, soft):
        alpha = sprite.picture[..., 3]
        rows = np.linspace(sprite.corners[0, 1], sprite.corners[2, 1], len(alpha), endpoint=False)
        middles.append(float((alpha.sum(1) * rows).sum() / alpha.sum()))
    assert middles[0] == pytest.approx(middles[1], abs=0.003)
    assert soft.picture[[0, -1], :, 3].max() < 0.02
