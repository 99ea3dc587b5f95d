"""Which encoder writes a video: one that works here, and none that only says so."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.jobs.studio import make_studio
from pipeline.settings import Settings
from pipeline.video.encoder import NVENC, X264, X264_BESIDE_CARD, Encoder, encoder_for, works
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from pipeline.video.writer import Mp4Writer
from tests.fakes import FakeEngine

WIDTH, HEIGHT = 320, 180

SLOW = Encoder("slow", "libx264", {"preset": "medium"})
COARSE = Encoder("coarse", "libx264", {**X264.options, "crf": "51"})
OWN_KEYS = Encoder("own keys", "libx264", {**X264.options, "x264-params": "keyint=1"})
ABSENT = Encoder("absent", "h264_of_nobody", {})
SHUT = Encoder("shut", "libx264rgb", {"preset": "no such preset"})
STAND_IN = Encoder("nvenc", "libx264", {**X264.options, "preset": "superfast", "profile": "baseline"})
"""What NVENC is where there is one."""


def _written(path: Path, encoder: Encoder) -> bytes:
    with Mp4Writer(path, WIDTH, HEIGHT, Fraction(25), ColorTags(), encoder) as writer:
        for number in range(30):
            planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            planes[:HEIGHT] = (np.arange(WIDTH)[None] + 3 * number) % 200 + 20
            writer.write_frame(Frame(planes))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("encoder", "problem"),
    [
        (SLOW, "keeps pictures back"),
        (COARSE, "its pictures are others"),
        (OWN_KEYS, "key frames are not where"),
        (ABSENT, "built without it"),
        (SHUT, "Invalid argument"),
    ],
    ids=lambda value: value.name if isinstance(value, Encoder) else "",
)
def test_an_encoder_that_does_not_do_what_is_asked_is_detected_and_reported_once(
    encoder: Encoder, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not any(works(encoder, WIDTH, HEIGHT) for _ in range(3))
    [line] = caplog.messages
    assert line.startswith(f"{encoder.name} does not encode 320x180 here") and problem in line


def test_x264_does_all_that_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    assert (
        works(X264, WIDTH, HEIGHT)
        and works(X264_BESIDE_CARD, WIDTH, HEIGHT)
        and works(STAND_IN, WIDTH, HEIGHT)
        and not caplog.messages
    )


def test_auto_takes_the_card_only_where_a_card_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.video.encoder.NVENC", STAND_IN)
    size = WIDTH, HEIGHT
    chosen = [encoder_for(setting, on_gpu, *size) for setting in ("auto", "x264", "nvenc") for on_gpu in (False, True)]
    assert chosen == [X264, STAND_IN, X264, X264_BESIDE_CARD, STAND_IN, STAND_IN]
    monkeypatch.setattr("pipeline.video.encoder.NVENC", SHUT)
    assert {encoder_for(setting, True, *size) for setting in ("auto", "nvenc")} == {X264_BESIDE_CARD}
    assert encoder_for("nvenc", False, *size) is X264


def test_a_video_is_encoded_by_the_card_that_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.video.encoder.NVENC", STAND_IN)
    studio, engine = make_studio(Settings()), FakeEngine()
    assert studio.encoder(engine, WIDTH, HEIGHT) is X264
    engine.draws_on_gpu = True
    assert studio.encoder(engine, WIDTH, HEIGHT) is STAND_IN


def test_what_is_chosen_works_on_this_machine_whatever_it_has() -> None:
    chosen = encoder_for("nvenc", False, 640, 360)
    assert chosen in (NVENC, X264) and works(chosen, 640, 360)


def test_a_setting_that_names_no_encoder_is_refused() -> None:
    make_studio(Settings(video_encoder="nvenc"))
    with pytest.raises(ValueError, match=r"VIDEO_ENCODER='h265': expected auto, x264 or nvenc"):
        make_studio(Settings(video_encoder="h265"))


def test_where_the_encoder_does_not_open_the_video_is_x264s_to_the_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fallen = _written(tmp_path / "a.mp4", SHUT)
    assert "shut cannot encode one more video now (Invalid argument): x264 does" in caplog.text
    assert fallen == _written(tmp_path / "b.mp4", X264_BESIDE_CARD) != _written(tmp_path / "c.mp4", STAND_IN)
