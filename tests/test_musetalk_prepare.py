"""Preparing an avatar for MuseTalk, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.avatars.pack import load
from pipeline.preparing.prepare import main
from tests.footage import first_second
from tests.tiny_musetalk import save_models

pytestmark = pytest.mark.usefixtures("small_pictures")


def _arguments(out: Path) -> list[str]:
    (out / "me.mp4").write_bytes(first_second((640, 360), 15))
    asked = ["--name", "me", "--engine", "musetalk", "--resolution", "360p"]
    return [str(out / "me.mp4"), *asked, "--out", str(out)]


@pytest.mark.slow
def test_a_pack_gets_boxes_latents_and_masks_of_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS_DIR", str(save_models(tmp_path / "models")))
    assert main(_arguments(tmp_path)) == 0
    avatar = load(tmp_path / "360p" / "me_360p_precomputed.pkl")
    made = avatar.inpainting
    assert made is not None and len(made.boxes) == len(avatar.landmarks)
    mouth = avatar.landmarks[:, 14, :2]
    assert (made.boxes[:, :2] < mouth).all() and (mouth < made.boxes[:, 2:]).all()
    assert np.abs(np.diff(made.latents, axis=0)).max() > 0 and (made.masks.max((1, 2)) == 255).all()


@pytest.mark.slow
def test_missing_weights_are_reported_before_the_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "none"))
    assert main(_arguments(tmp_path)) == 1
    assert "sd-vae/config.json" in capsys.readouterr().err
    assert not list(tmp_path.glob("*p"))
