"""The progress of preparing an avatar, which a bar shows."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.avatars.pack import load
from pipeline.preparing import animate_photo
from pipeline.preparing import prepare as preparing
from pipeline.preparing.encode_clip import encode
from pipeline.preparing.ends import pictures_meet
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.preparing.progress import Stages, expected, writing_of
from pipeline.settings import ROOT
from pipeline.video.reader import ClipReader
from tests.footage import first_second

pytestmark = pytest.mark.usefixtures("quick_preparing")


def test_stages_take_their_share_of_the_time() -> None:
    seen: list[float] = []
    stages = Stages({"reading": 1.0, "faces": 3.0}, lambda share, stage: seen.append(share))
    for share, stage in ((0, "reading"), (0.5, "reading"), (1, "reading"), (0, "faces"), (0.5, "faces"), (2, "faces")):
        stages(share, stage)
    assert seen == pytest.approx([0, 0.125, 0.25, 0.25, 0.625, 1.0])


def test_a_stage_that_turns_out_otherwise_moves_those_after_it() -> None:
    seen: list[float] = []
    stages = Stages({"reading": 1.0, "mouth": 1.0, "writing": 2.0}, lambda share, stage: seen.append(share))
    stages(1, "reading")
    stages.expect("writing", 0.0)
    stages(0.5, "mouth")
    stages(1, "mouth")
    stages(0, "writing")
    assert seen == pytest.approx([0.25, 0.625, 1.0, 1.0])


@pytest.mark.parametrize("photo", [True, False])
@pytest.mark.parametrize("resolutions", [["720p"], ["360p"], ["720p", "480p", "360p"]])
def test_writing_is_as_long_as_it_takes(photo: bool, resolutions: list[str]) -> None:
    seconds = expected(photo, resolutions)
    assert list(seconds)[:5] == ["reading", "faces", "measuring", "mouth", "matte"]
    assert list(seconds)[5:] == [writing_of(resolution) for resolution in resolutions]
    share = sum(seconds[writing_of(resolution)] for resolution in resolutions) / sum(seconds.values())
    assert (0.15 < share < 0.75) if "720p" in resolutions else share < 0.3


@pytest.mark.parametrize(("last", "meets"), [(0, True), (1, True), (5, False)])
def test_the_end_meets_the_start_where_the_pictures_are_as_alike_as_those_that_follow_each_other(
    last: int, meets: bool
) -> None:
    shades = [0, 2, 4, 6, 8, 10, 8, 6, 4, 2 * last]
    assert pictures_meet(np.full((90, 80), 100 + shade, np.uint8) for shade in shades) is meets


@pytest.mark.slow
def test_the_bar_does_not_wait_for_a_video_that_is_kept_as_it_is(tmp_path: Path) -> None:
    seen: list[float] = []
    clip, source = tmp_path / "me.mp4", ClipReader((ROOT / "examples" / "talk_short.mp4").read_bytes())
    frames = list(islice(source.once(), 15))
    clip.write_bytes(encode([*frames, *frames[::-1]], source.width, source.height, source.fps, source.colors))
    options = PrepareOptions(name="me", resolutions=["720p"], out=tmp_path)
    (path,) = prepare(clip, options, lambda share, stage: seen.append(share))
    ours, kept = (ClipReader(video).once() for video in (clip.read_bytes(), load(path).video))
    assert all(np.array_equal(one.planes, other.planes) for one, other in zip(ours, kept, strict=True))
    assert np.diff(seen).max() < 0.1


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "resolutions"), [("clip", ["480p", "360p"]), ("photo", ["360p"])])
def test_the_bar_moves_in_small_steps(
    kind: str, resolutions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (animate_photo, preparing):  # the fewer frames there are, the larger are the steps
        monkeypatch.setattr(module, "FRAMES", 60)
    if kind == "clip":
        path = tmp_path / "me.mp4"
        path.write_bytes(first_second((640, 360)))
    else:
        path = tmp_path / "me.png"
        frame = next(ClipReader((ROOT / "examples" / "talk_short.mp4").read_bytes()).once())
        cv2.imwrite(str(path), cv2.cvtColor(frame.planes, cv2.COLOR_YUV2BGR_I420)[::2, 320:960:2])
    seen: list[tuple[float, str]] = []
    prepare(
        path,
        PrepareOptions(name="me", resolutions=resolutions, out=tmp_path),
        lambda share, stage: seen.append((share, stage)),
    )
    shares = np.array([share for share, _ in seen])
    assert shares[0] == 0 and shares[-1] == 1 and (np.diff(shares) >= 0).all()
    # thirty frames of a clip, sixty of a photo: no step is longer than a few frames take
    assert np.diff(shares).max() < 0.1
    assert list(dict.fromkeys(stage for _, stage in seen)) == [
        *("reading", "faces", "measuring", "mouth", "matte", *map(writing_of, resolutions), "done")
    ]
