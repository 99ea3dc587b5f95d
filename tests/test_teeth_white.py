"""What the white of the eyes shows about teeth that a clip does not show."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.interior import light_of, teeth_white
from pipeline.engines.mesh.mover import FaceMover
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person
from pipeline.preparing.teeth_white import USUAL, teeth_by_eyes
from pipeline.preparing.usable_frames import Findings
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from tests.footage import as_footage

FRAMES = 4
Change = Callable[[Frame, np.ndarray], None]


@pytest.fixture(scope="module")
def man() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_long", "720p"))


def filmed(man: Avatar, change: Change) -> tuple[Footage, Person]:
    """The bundled man's first frames, each CHANGEd in place."""
    frames = [Frame(frame.planes.copy()) for frame in islice(man.clip.frames(), FRAMES)]
    points, nothing = man.landmarks[:FRAMES], np.zeros(FRAMES, bool)
    for frame, row in zip(frames, points, strict=True):
        change(frame, row[:, :2])
    footage = as_footage([frame.planes for frame in frames], points)
    zeros = np.zeros(FRAMES)
    findings = Findings(
        usable=~nothing, missing=nothing, turned=nothing, covered=nothing, gap=zeros, yaw=zeros, width=250.0
    )
    return footage, Person(points, points, findings)


def dark_skin(frame: Frame, points: np.ndarray) -> None:
    """Everything below the eyes gets a third of its light."""
    top = round(float(points[[145, 374], 1].max())) + 8
    frame.y[top:] = 16 + (frame.y[top:].astype(np.float32) - 16) / 3


def blue_lamp(frame: Frame, points: np.ndarray) -> None:
    frame.uv[0][:] = np.clip(frame.uv[0].astype(int) + 40, 0, 255)


def shut_eyes(frame: Frame, points: np.ndarray) -> None:
    for upper, lower in ((159, 145), (158, 153), (160, 144), (386, 374), (385, 380), (387, 373)):
        points[upper] = points[lower]


def test_teeth_shine_in_dark_skin(man: Avatar) -> None:
    footage, person = filmed(man, dark_skin)
    found = teeth_by_eyes(footage, person)
    assert found is not None and found.picture is None
    light = light_of(footage.frame(0), person.landmarks[0][:, :2])
    assert found.white * (teeth_white(light) - 16) > 2 * (float(light.skin[0]) - 16)


def test_usual_skin_in_usual_light_has_usual_teeth(man: Avatar) -> None:
    footage, person = filmed(man, lambda frame, points: None)
    found = teeth_by_eyes(footage, person)
    assert found is not None
    assert found.white == pytest.approx(USUAL + 0.165, abs=0.03)  # his skin is darker beside the white of his eyes
    light = light_of(footage.frame(0), person.landmarks[0][:, :2])
    np.testing.assert_allclose(found.tint, 0.42 * (light.skin[1:] - 128), atol=4)


def test_teeth_take_the_colour_of_the_lamp(man: Avatar) -> None:
    plain, blue = (teeth_by_eyes(*filmed(man, change)) for change in (lambda frame, points: None, blue_lamp))
    assert plain is not None and blue is not None
    np.testing.assert_allclose(blue.tint - plain.tint, (40, 0), atol=2)


def test_eyes_that_are_shut_show_nothing(man: Avatar) -> None:
    own = replace(man, landmarks=man.landmarks.copy())
    assert teeth_by_eyes(*filmed(own, shut_eyes)) is None


def test_nothing_is_red_in_a_grey_clip(man: Avatar) -> None:
    frame = next(islice(man.clip.frames(), 1))
    for plane in frame.uv:
        plane[:] = 128
    FaceMover(man, ("jawOpen",)).move(frame, 0, np.array([0.5], np.float32))
    assert all(np.ptp(plane) <= 12 for plane in frame.uv)
