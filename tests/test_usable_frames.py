"""What hides a face, and what does not."""

from itertools import islice

import numpy as np
import pytest

from pipeline.avatars.store import AvatarStore
from pipeline.preparing.footage import Footage, _patch
from pipeline.preparing.usable_frames import find_usable
from pipeline.settings import Settings
from pipeline.video.frame import Frame
from tests.footage import as_footage

FRAMES, HIDDEN = 40, slice(15, 25)


def filmed(left: float, top: float, right: float, bottom: float) -> Footage:
    """The bundled man, with something the colour of skin before a part of his face for a while.

    Its edges are in widths of the face, from the tip of the nose.
    """
    store = AvatarStore(Settings().precomputed)
    man = store.load(store.find("talk_long", "720p"))
    frames, patches = list(islice(man.clip.frames(), FRAMES)), []
    for number, (frame, points) in enumerate(zip(frames, man.landmarks, strict=False)):
        shown = Frame(frame.planes.copy())
        if HIDDEN.start <= number < HIDDEN.stop:
            width, (x, y) = np.ptp(points[:, 0]), points[4, :2]
            rows, columns = (
                slice(int(c + a * width), int(c + b * width)) for c, a, b in ((y, top, bottom), (x, left, right))
            )
            shown.y[rows, columns] = 150
        patches.append(_patch(shown, points))
    planes = [frame.planes for frame in frames]
    return as_footage(planes, man.landmarks[:FRAMES], patches=np.array(patches))


@pytest.mark.parametrize("place", [(-0.4, 0.1, 0.4, 0.6), (-0.2, -0.4, 0.8, 0.5)], ids=["mouth", "half"])
def test_a_hand_before_the_mouth_is_detected_for_as_long_as_it_is_there(
    place: tuple[float, float, float, float],
) -> None:
    covered = find_usable(filmed(*place))[0].covered
    assert covered[HIDDEN.start + 1 : HIDDEN.stop - 1].all()
    assert not covered[: HIDDEN.start - 2].any() and not covered[HIDDEN.stop + 2 :].any()


def test_a_hand_beside_the_mouth_hides_nothing() -> None:
    assert find_usable(filmed(0.35, -0.2, 0.8, 0.6))[0].usable.all()
