"""Live sessions that MuseTalk draws, in common batches; with tiny random weights on the CPU."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.avatars.avatar import Avatar
from pipeline.engines.lipsync_engine import LiveEngine, LiveFrames
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.musetalk import musetalk_engine
from pipeline.engines.musetalk.inpainting import inpainting_of
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.engines.musetalk.optimise import BATCHES, Accepted
from pipeline.engines.musetalk.plan import live_strength
from pipeline.engines.musetalk.weights import load_vae
from pipeline.errors import Unavailable
from pipeline.jobs.studio import make_studio
from pipeline.live.clock import Clock
from pipeline.live.fragments import Fragment
from pipeline.live.pictures import Pictures
from pipeline.live.session import Session
from pipeline.live.session_events import TurnStarted
from pipeline.live.session_parser import parse_session
from pipeline.live.turn import Voice
from pipeline.live.workers import Workers, _Process
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.frame import Frame
from pipeline.video.writer import AUDIO_RATE
from tests.servers import wait_for
from tests.tiny_musetalk import short_man

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def engine(models: Path) -> MuseTalkEngine:
    return MuseTalkEngine(models)


@pytest.fixture(scope="module")
def avatar(models: Path) -> Avatar:
    man = short_man()
    return replace(man, inpainting=inpainting_of(man, load_vae(models)))


def _asked(avatar: Avatar, seed: int, mouth: np.ndarray, lead: int = 0) -> LiveFrames:
    samples = round(len(mouth) * AUDIO_RATE / avatar.fps)
    sound = np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)
    return LiveFrames(avatar=avatar, first=seed, lead=lead, mouth=mouth, sound=sound, rate=AUDIO_RATE)


def _mouth(frames: int) -> np.ndarray:
    return np.ones((frames, len(UNITS)), np.float32)


def _shown(frames: list[Frame]) -> np.ndarray:
    return np.stack([frame.planes for frame in frames]).astype(int)


@pytest.mark.slow
def test_sessions_share_batches_and_look_as_each_alone(
    engine: MuseTalkEngine, avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(engine, LiveEngine) and not isinstance(MeshEngine(), LiveEngine)
    asked = [_asked(avatar, seed, _mouth(5)) for seed in range(3)]
    alone = [_shown(engine.draw([one])[0]) for one in asked]
    rows: list[int] = []
    draw = Accepted.draw

    def counting(self: Accepted, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        rows.append(len(latents))
        return draw(self, latents, features)

    monkeypatch.setattr(Accepted, "draw", counting)
    together = [_shown(frames) for frames in engine.draw(asked)]
    assert rows == [BATCHES[-1], 15 - BATCHES[-1]]  # not 5, 5, 5
    for one, other in zip(alone, together, strict=True):
        assert np.abs(one - other).max() <= 1  # batches of other sizes round otherwise
    filmed = _shown([frame for frame, _ in zip(avatar.clip.frames(0), range(5), strict=False)])
    assert np.abs(together[0] - filmed).max() > 20 and np.abs(together[0] - together[1]).max() > 20


def test_a_mouth_at_rest_is_the_clips_own(engine: MuseTalkEngine, avatar: Avatar) -> None:
    rest = _asked(avatar, 2, np.zeros((5, len(UNITS)), np.float32))
    assert not engine.changes(rest)
    filmed = _shown([frame for frame, _ in zip(avatar.clip.frames(2), range(5), strict=False)])
    speaks = _asked(avatar, 2, _mouth(5))
    drawn = engine.draw([rest, speaks])
    assert (_shown(drawn[0]) == filmed).all() and not (_shown(drawn[1]) == filmed).all()


def test_the_drawn_mouth_fades_in_and_out_across_groups(engine: MuseTalkEngine, avatar: Avatar) -> None:
    mouth = np.zeros((20, 1), np.float32)
    mouth[5:10] = 1
    strength = live_strength(mouth, 25.0)
    assert strength[4:11] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1, 2 / 3])
    assert strength[11:14] == pytest.approx([1 / 3, 0, 0])
    by_groups = [live_strength(mouth[max(0, first - 10) : first + 5], 25.0)[-5:] for first in range(0, 20, 5)]
    assert np.concatenate(by_groups) == pytest.approx(strength)
    after = np.zeros((10, len(UNITS)), np.float32)
    after[:5] = 1
    assert engine.changes(_asked(avatar, 0, after, lead=5))


class _Stage:
    """Sessions of one avatar on a clock of their own."""

    def __init__(self, engine: Any, avatar: Avatar, folder: Path, count: int) -> None:
        self.clock = Clock()
        espeak = EspeakEngine()
        voice = Voice(choose=lambda language: espeak, name="Custom", language="en-us", espeak=espeak)
        pictures = Pictures(avatar, engine, folder / "clip.yuv")
        self.started: list[int] = []
        self.fragments: list[Fragment] = []
        self.failed: list[int] = []
        self.sessions = [Session(pictures, voice, self._hearing(number)) for number in range(count)]

    def _hearing(self, number: int) -> Callable[[object], None]:
        return lambda event: self.started.append(number) if isinstance(event, TurnStarted) else None

    def run_until(self, done: Callable[[], bool]) -> None:
        for number, session in enumerate(self.sessions):
            session.say("One two three four five six seven eight nine ten.")
            session.flush()
            fail = lambda number=number: self.failed.append(number)  # noqa: E731
            self.clock.add(str(number), session, self.fragments.append, fail)
        thread = threading.Thread(target=self.clock.run)
        thread.start()
        try:
            wait_for(done, 60)
        finally:
            self.clock.stop()
            thread.join()
            for session in self.sessions:
                session.close()


@pytest.mark.slow
def test_a_clock_draws_sessions_together_and_measures_the_device(
    engine: MuseTalkEngine, avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = _Stage(engine, avatar, tmp_path, 3)
    sizes: list[int] = []
    draw = engine.draw

    def noting(sessions: list[LiveFrames]) -> list[list[Frame]]:
        sizes.append(len(sessions))
        assert all(len(one.sound) * float(avatar.fps) / AUDIO_RATE >= len(one.mouth) - 0.01 for one in sessions)
        return draw(sessions)

    monkeypatch.setattr(engine, "draw", noting)
    stage.run_until(lambda: set(stage.started) == {0, 1, 2} and sum(bool(one.drawn) for one in stage.fragments) >= 12)
    assert max(sizes) > 1 and not stage.failed
    assert stage.clock.load.frame_seconds > 0.001  # the network's time, though another thread spends it


@pytest.mark.slow
def test_one_session_that_cannot_be_drawn_leaves_the_others_alone(
    engine: MuseTalkEngine, avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = _Stage(engine, avatar, tmp_path, 2)
    draw, spoiled = engine.draw, stage.sessions[1]
    prepare, marked = spoiled.prepare, []

    def marking(may_cross: bool) -> Any:
        coming = prepare(may_cross)
        marked.append(coming.drawing)
        return coming

    def failing(sessions: list[LiveFrames]) -> list[list[Frame]]:
        if any(one is bad for one in sessions for bad in marked):
            raise RuntimeError("broken")
        return draw(sessions)

    monkeypatch.setattr(spoiled, "prepare", marking)
    monkeypatch.setattr(engine, "draw", failing)
    stage.run_until(lambda: stage.failed == [1] and sum(bool(one.drawn) for one in stage.fragments) >= 4)


@pytest.mark.parametrize("on_gpu", [True, False])
def test_a_session_is_drawn_by_musetalk_only_where_a_card_draws(
    models: Path, monkeypatch: pytest.MonkeyPatch, on_gpu: bool
) -> None:
    monkeypatch.setattr(musetalk_engine, "on_gpu", lambda: on_gpu)
    studio = make_studio(Settings(models_dir=models))
    body = {"avatar": "talk_long", "resolution": "360p", "tts_engine": "espeak"}
    assert parse_session({**body, "engine": "mesh"}, studio).devices == 0
    if not on_gpu:
        with pytest.raises(Unavailable, match="GPU"):
            parse_session({**body, "engine": "musetalk"}, studio)
        return
    request = parse_session({**body, "engine": "musetalk"}, studio)
    assert (request.engine, request.devices) == ("musetalk", 1)


def test_a_card_has_one_process_and_cores_have_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions on a card fill its process before the next card gets one; those on cores are spread."""
    started: list[tuple[str, int] | None] = []
    workers = Workers(Settings(results=tmp_path), cores=2)

    async def start(device: tuple[str, int] | None) -> Any:
        started.append(device)
        process = _Process(SimpleNamespace(pid=len(started)), device)
        workers._processes.append(process)
        return process

    monkeypatch.setattr(workers, "_start", start)
    fast = SimpleNamespace(fps=25, id="a")

    async def add(devices: int, load: float = 0.004) -> None:
        request: Any = SimpleNamespace(
            avatar=fast, engine="musetalk" if devices else "mesh", devices=devices, voice_seconds=0.0
        )
        process = await workers._room(request)
        process.load.frame_seconds = load
        process.sessions[str(len(process.sessions))] = SimpleNamespace(request=request, voice_seconds=0.0)  # type: ignore[assignment]

    async def add_all() -> None:
        for _ in range(3):
            await add(devices=2)
        assert started == [("musetalk", 0)]
        await add(devices=2, load=0.03)
        await add(devices=2)
        assert started == [("musetalk", 0), ("musetalk", 1)]
        for _ in range(3):
            await add(devices=0)
        assert started[2:] == [None, None]

    asyncio.run(add_all())
