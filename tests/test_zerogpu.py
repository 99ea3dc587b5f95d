"""MuseTalk where a card is lent by the call, in another process: on a stand-in for Hugging Face's ``spaces``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import save
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.musetalk.inpainting import inpainting_of
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.engines.musetalk.weights import load_vae
from pipeline.engines.musetalk.zerogpu import LOADING_SECONDS, ZeroGpuEngine, draw
from pipeline.engines.select import lipsync_engines, preferred
from pipeline.errors import Cancelled, Unavailable
from pipeline.server.gradio.lender import card_lender
from pipeline.settings import ROOT, Settings
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Speech
from pipeline.video.frame import Frame
from tests.servers import Server, running, wait_for
from tests.tiny_musetalk import short_man

MODULES = str(ROOT / "tests" / "space_modules")
SPACE = {"SYSTEM": "spaces", "SPACES_ZERO_GPU": "true"}
BODY = {"avatar": "man", "resolution": "360p", "tts_engine": "espeak"}


@pytest.fixture(scope="module")
def man(models: Path) -> Avatar:
    drawn = replace(short_man(), name="man")
    return replace(drawn, inpainting=inpainting_of(drawn, load_vae(models)))


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process believes that it is a Space on ZeroGPU."""
    for name, value in SPACE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(MODULES)


@pytest.fixture(scope="module")
def server(models: Path, man: Avatar, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program as a Space on ZeroGPU starts it."""
    root = tmp_path_factory.mktemp("store") / "precomputed"
    save(man, root / "360p" / "man_360p_precomputed.pkl")
    environ = {**SPACE, "PYTHONPATH": MODULES, "MODELS_DIR": str(models), "PRECOMPUTED": str(root)}
    with running(["app.py"], tmp_path_factory.mktemp("zero"), OMP_NUM_THREADS="1", **environ) as started:
        wait_for(lambda: "warm after" in started.log, 150)  # the process that draws loads torch first
        yield started


def stretch_of(frames: int, opening: float = 0.5) -> Stretch:
    """Some sound, and a mouth that stands open for it."""
    mouth = np.full((frames, 1), opening, np.float32)
    samples = np.sin(np.arange(frames * 640) / 20).astype(np.float32)
    return Stretch(Speech(samples=samples, rate=16_000, text="", language="ko"), MouthTrack(25.0, mouth, ("jawOpen",)))


@pytest.mark.slow
def test_a_sentence_is_drawn_by_a_process_that_has_the_card(server: Server) -> None:
    before = len(server.log)
    asked = {"X-IP-Token": "of a visitor"}
    reply = server.post("/api/v2/lipsync", {**BODY, "text": "네. 네."}, headers=asked).json()
    assert reply["success"] is True, reply
    lent = re.findall(r"lent to '(.*)' for (\d+) s: process (\d+)", server.log[before:])
    assert lent and server.log[before:].count("given back") == len(lent)
    assert server.log.count("lent to") == server.log.count("found imported: ['diffusers', 'transformers']")
    for visitor, seconds, process in lent:
        assert visitor == "of a visitor"  # whose time it is
        assert LOADING_SECONDS < int(seconds) < LOADING_SECONDS + 10 and int(process) != server.process.pid
    with av.open(str(server.results / f"{reply['task_id']}.mp4")) as container:
        pictures = [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]
    assert len(pictures) == round(reply["audio_duration"] * 25)
    assert server.get("/api/v2/status").json()["lipsync"]["engine"] == "musetalk"


@pytest.mark.slow
def test_a_cancelled_task_gives_the_card_back(server: Server) -> None:
    before = len(server.log)
    with server.stream({**BODY, "text": "하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열. " * 4}) as events:
        task_id = next(events)["task_id"]
        wait_for(lambda: "lent to" in server.log[before:], 90)
        server.post(f"/api/cancel/{task_id}")
        assert list(events)[-1]["cancelled"] is True
    wait_for(lambda: server.log[before:].count("given back") == server.log[before:].count("lent to") == 1, 90)
    server.wait_idle()
    assert server.half_made() == []


@pytest.mark.slow
def test_stretches_that_are_drawn_apart_go_on_where_the_one_before_ended(models: Path, man: Avatar) -> None:
    closed, opened = stretch_of(18, 0.0), stretch_of(5)  # more than the clip has, which is played round
    apart = [*draw(models, man, closed, 0), *draw(models, man, opened, 18)]
    together = list(MuseTalkEngine(models).render(man, [closed, opened], CancelToken()))
    assert len(apart) == len(together) == 23
    for number, (one, other) in enumerate(zip(apart, together, strict=True)):
        assert isinstance(one, Frame)
        difference = np.abs(one.planes.astype(int) - other.planes)
        assert difference.max() <= 2, number  # batches are cut elsewhere, which rounds otherwise


@pytest.mark.slow
def test_where_no_card_is_lent_the_reason_is_reported(space: None, models: Path, man: Avatar, tmp_path: Path) -> None:
    lender = card_lender()
    assert lender is not None
    engine = ZeroGpuEngine(models, lender)
    with pytest.raises(Unavailable, match=r"illegal duration.*engine: mesh"):
        list(engine.render(man, [stretch_of(25 * 100)], CancelToken()))
    with pytest.raises(Unavailable, match=r"musetalk\.json is missing"):  # told by the other process
        list(ZeroGpuEngine(tmp_path, lender).render(man, [stretch_of(5)], CancelToken()))
    cancelled = CancelToken()
    cancelled.cancel()
    with pytest.raises(Cancelled):
        list(engine.render(man, [stretch_of(5)], cancelled))


@pytest.mark.slow
def test_cards_are_lent_only_on_zerogpu(space: None, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = lipsync_engines(Settings(models_dir=models), card_lender())
    assert isinstance(engines["musetalk"], ZeroGpuEngine) and preferred(engines, "auto").name == "musetalk"
    assert preferred(lipsync_engines(Settings(models_dir=models / "none"), card_lender()), "auto").name == "mesh"
    for name, value in (("SPACES_ZERO_GPU", ""), ("SYSTEM", "")):
        monkeypatch.setenv(name, value)
        assert card_lender() is None
    assert not isinstance(lipsync_engines(Settings(models_dir=models))["musetalk"], ZeroGpuEngine)
