"""The judge of lips: what it measures of a video that is right, late, and still."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import av
import pytest

from benchmarks.film import film
from benchmarks.lip_judge import check, face_choice
from pipeline.core.cancel import CancelToken
from pipeline.jobs.studio import make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings
from pipeline.speech_types import Speech

pytestmark = pytest.mark.slow

LATE = 0.12
"""Seconds: three frames."""


@dataclass(frozen=True)
class _Filmed:
    speech: Speech
    base: Path
    video: Path


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> _Filmed:
    """The bundled man says a sentence, in 360p."""
    folder = tmp_path_factory.mktemp("judged")
    studio = make_studio(replace(Settings(), results=folder))
    avatar = studio.avatars.load(studio.avatars.find("talk_long", "360p"))
    (folder / "base.mp4").write_bytes(avatar.video)
    speech = studio.espeak.synthesize("네, 밥을 먹었습니다.", "ko", CancelToken())
    task = TaskBook(folder, 0).files_of("said")
    film(avatar, [speech], task, studio)
    return _Filmed(speech, folder / "base.mp4", task.video)


@pytest.fixture(scope="module")
def judged(filmed: _Filmed) -> dict[str, float]:
    """What is found in that video."""
    return check(filmed.video, filmed.speech, base=filmed.base)


def _with_sound(pictures: Path, sound: Path, seconds: float, to: Path) -> Path:
    """Put the first SECONDS of the pictures of one video and the sound of another together."""
    with av.open(str(pictures)) as one, av.open(str(sound)) as other, av.open(str(to), "w") as out:
        sources = one.streams.video[0], other.streams.audio[0]
        streams = [out.add_stream_from_template(source) for source in sources]
        for container, source, stream in zip((one, other), sources, streams, strict=True):
            for packet in container.demux(source):
                if packet.dts is None or packet.dts * packet.time_base > seconds:
                    continue
                packet.stream = stream
                out.mux(packet)
    return to


def test_lips_that_follow_the_sound_are_found_to(judged: dict[str, float]) -> None:
    assert judged["closure"] == 1 and judged["bilabials"] >= 3 and abs(judged["lag_ms"]) <= 40
    assert judged["corr"] > 0.85 and 0.14 < judged["motion"] < 0.28
    assert judged["untouched_db"] > 40 and judged["sharpness"] > 0.9
    assert judged["face_found"] == 1 and judged["audio_match"] > 0.99


def test_a_face_that_does_not_move_is_found_out(filmed: _Filmed, tmp_path: Path) -> None:
    still = _with_sound(filmed.base, filmed.video, filmed.speech.duration, tmp_path / "still.mp4")
    found = check(still, filmed.speech)
    assert found["motion"] < 0.03 and found["corr"] < 0.6


def test_speech_that_comes_late_makes_the_lips_early(filmed: _Filmed, judged: dict[str, float]) -> None:
    """The sounds are looked for where the sound has them; here the given times are wrong."""
    shifted = tuple(replace(mark, start=mark.start + LATE, end=mark.end + LATE) for mark in filmed.speech.marks)
    wrong = check(filmed.video, replace(filmed.speech, marks=shifted))
    assert wrong["lag_ms"] - judged["lag_ms"] == pytest.approx(-1000 * LATE, abs=20)


def test_the_choices_of_a_face_are_those_of_prepare() -> None:
    assert [face_choice(text) for text in ("center", "largest", "2")] == ["center", "largest", 2]
    with pytest.raises(ValueError):
        face_choice("left")
