"""The whole way of a request with MuseTalk: text in, a finished mp4 out; and without weights, a clear refusal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pipeline.avatars.pack import save
from pipeline.engines.musetalk.inpainting import inpainting_of
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.engines.musetalk.weights import load_vae
from pipeline.engines.select import lipsync_engines, preferred
from pipeline.jobs.studio import make_studio, warm_up
from pipeline.settings import Settings
from tests.servers import Server, running, wait_for
from tests.tiny_musetalk import make_vae, short_man

BODY = {"text": "안녕.", "avatar": "man", "resolution": "360p", "tts_engine": "espeak"}


@pytest.fixture(scope="module")
def packs(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one avatar, "man", prepared for the network."""
    man = replace(short_man(), name="man")
    man = replace(man, inpainting=inpainting_of(man, load_vae(models)))
    root = tmp_path_factory.mktemp("store") / "precomputed"
    save(man, root / "360p" / "man_360p_precomputed.pkl")
    return root


@contextmanager
def _musetalk(folder: Path, models: Path, packs: Path) -> Iterator[Server]:
    environ = {"LIPSYNC_ENGINE": "musetalk", "MODELS_DIR": str(models), "PRECOMPUTED": str(packs)}
    with running(["app.py"], folder, OMP_NUM_THREADS="1", **environ) as server:
        yield server


def _pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]


@pytest.mark.slow
def test_weights_of_another_model_are_reported_and_with_the_right_ones_either_engine_draws(
    models: Path, packs: Path, tmp_path: Path
) -> None:
    weights = Path(shutil.copytree(models, tmp_path / "models"))
    torch.save(make_vae().state_dict(), weights / "musetalkV15" / "unet.pth")
    with _musetalk(tmp_path, weights, packs) as server:
        wait_for(lambda: "warm after" in server.log, 150)  # they are loaded
        _refuses(server, "musetalkV15/unet.pth", "does not fit")
        shutil.copy(models / "musetalkV15" / "unet.pth", weights / "musetalkV15")
        status = server.get("/api/v2/status").json()
        expected = {
            "engine": "musetalk",
            "engines": ["mesh", "musetalk"],
            "problem": None,
            "notes": [],
            "encoder": "x264",
        }
        assert status["models_loaded"] is True and status["lipsync"] == expected
        replies = [server.post("/api/v2/lipsync", body).json() for body in (BODY, {**BODY, "engine": "mesh"})]
        drawn, moved = (_pictures(server.results / f"{reply['task_id']}.mp4") for reply in replies)
    assert len(drawn) == len(moved) == round(replies[0]["audio_duration"] * 25)
    differs = [float(np.abs(a.astype(int) - b).mean()) for a, b in zip(drawn, moved, strict=True)]
    assert differs[0] < 0.5 and differs[-1] < 0.5  # silence: the film itself
    assert max(differs) > 0.6  # speech: noise, from random weights


@pytest.mark.slow
def test_without_weights_this_engine_refuses_and_the_other_works(packs: Path, tmp_path: Path) -> None:
    with _musetalk(tmp_path, tmp_path / "none", packs) as server:
        _refuses(server, "musetalkV15/musetalk.json", "is missing")


def _refuses(server: Server, file: str, reason: str) -> None:
    status = server.get("/api/v2/status", headers={"Accept-Language": "en"}).json()
    assert status["models_loaded"] is False and status["lipsync"]["engines"] == ["mesh"]
    assert f"{file} {reason}" in status["lipsync"]["problem"]
    assert file in server.get("/api/v2/status").json()["lipsync"]["problem"]
    for body in (BODY, {**BODY, "engine": "musetalk"}):
        refused = server.post("/api/v2/lipsync", body)
        assert refused.status_code == 503 and "musetalk.download" in refused.json()["error"]
    assert server.post("/api/v2/lipsync", {**BODY, "engine": "mesh"}).status_code == 200
    unknown = server.post("/api/v2/lipsync", {**BODY, "engine": "wav2lip"})
    assert unknown.status_code == 400 and "mesh, musetalk" in unknown.json()["error"]


@pytest.mark.slow
def test_auto_takes_musetalk_only_with_weights_and_a_card(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = lipsync_engines(Settings(models_dir=models))
    monkeypatch.setattr("pipeline.engines.select.on_gpu", lambda: False)
    assert preferred(engines, "auto").name == "mesh"
    assert preferred(engines, "musetalk").name == "musetalk"
    monkeypatch.setattr("pipeline.engines.select.on_gpu", lambda: True)
    assert preferred(engines, "auto").name == "musetalk" and preferred(engines, "mesh").name == "mesh"
    assert preferred(lipsync_engines(Settings(models_dir=models / "none")), "auto").name == "mesh"


def test_an_engine_that_does_not_exist_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"LIPSYNC_ENGINE='wav2lip': expected mesh, musetalk or auto"):
        lipsync_engines(Settings(lipsync_engine="wav2lip"))


@pytest.mark.slow
def test_warming_up_without_a_card_draws_nothing(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.engines.musetalk.musetalk_engine.devices", lambda: 0)
    monkeypatch.setattr(MuseTalkEngine, "render", lambda *given: pytest.fail("it would draw for a minute"))
    studio = make_studio(Settings(models_dir=models, lipsync_engine="musetalk"))
    assert studio.engine.name == "musetalk"
    warm_up(studio)
