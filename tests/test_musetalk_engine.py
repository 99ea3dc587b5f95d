"""The MuseTalk engine with tiny random weights: every frame comes, in order, drawn where the person speaks."""

from __future__ import annotations

import pickle
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline.avatars.avatar import Avatar, Inpainting
from pipeline.avatars.pack import load
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.musetalk import device_worker, optimise
from pipeline.engines.musetalk.audio import SpeechFeatures, features_of
from pipeline.engines.musetalk.blend import Blender, Place
from pipeline.engines.musetalk.inpainting import inpainting_of
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine, on_gpu
from pipeline.engines.musetalk.network import Network
from pipeline.engines.musetalk.optimise import (
    BFLOAT,
    CHANNELS_LAST,
    GRAPHS,
    Accepted,
    Drawer,
    Quickest,
    Step,
    accept,
    fused,
    random_input,
)
from pipeline.engines.musetalk.plan import plan
from pipeline.engines.musetalk.weights import load_vae, load_whisper
from pipeline.errors import Cancelled, Unavailable
from pipeline.preparing.legacy_pack import adopt
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Speech
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader
from tests.tiny_musetalk import make_unet, make_vae, short_man

RATE = 16_000


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def avatar(models: Path) -> Avatar:
    """Most of a second of the bundled man, prepared for the network; in frames 3 and 4 his face cannot be used."""
    man = short_man()
    man.usable[3:5] = False
    return replace(man, inpainting=inpainting_of(man, load_vae(models)))


@pytest.fixture(scope="module")
def engine(models: Path) -> MuseTalkEngine:
    return MuseTalkEngine(models)


def _stretch(frames: int, spoken: slice, frame_skip: int = 1) -> Stretch:
    """A stretch at 25 frames a second whose mouth moves in the frames of SPOKEN."""
    weights = np.zeros((frames, 3), np.float32)
    weights[spoken] = 0.5
    noise = np.random.default_rng(frames).uniform(-0.2, 0.2, frames * RATE // 25).astype(np.float32)
    return Stretch(
        Speech(samples=noise, rate=RATE, text="", language="ko"), MouthTrack(25.0, weights, ("a", "b", "c")), frame_skip
    )


def _rendered(engine: MuseTalkEngine, avatar: Avatar, *stretches: Stretch) -> list[Frame]:
    return list(engine.render(avatar, stretches, CancelToken()))


def _inpainting(avatar: Avatar) -> Inpainting:
    assert avatar.inpainting is not None
    return avatar.inpainting


def _base(avatar: Avatar, count: int) -> list[Frame]:
    return list(islice(ClipReader(avatar.video).frames(), count))


def _seen(avatar: Avatar, frames: Iterable[int]) -> list[int]:
    """FRAMES of the clip, going round, in which the face can be used."""
    return [i for i in frames if avatar.usable[i % len(avatar.usable)]]


def _changed(frames: list[Frame], base: list[Frame]) -> list[int]:
    return [i for i, (one, other) in enumerate(zip(frames, base, strict=True)) if (one.planes != other.planes).any()]


@pytest.mark.slow
def test_every_frame_comes_and_silence_is_the_film_itself(engine: MuseTalkEngine, avatar: Avatar) -> None:
    frames = _rendered(engine, avatar, _stretch(33, slice(10, 29)), _stretch(14, slice(8, 14)))
    assert len(frames) == 47  # the last frame among them
    base = _base(avatar, 47)
    assert _changed(frames, base) == _seen(avatar, [*range(10, 29), *range(41, 47)])
    for i in (15, 46):
        left, top, right, bottom = _inpainting(avatar).boxes[i % len(avatar.usable)]
        outside = np.ones((avatar.height, avatar.width), bool)
        outside[top:bottom, left:right] = False
        np.testing.assert_array_equal(frames[i].y[outside], base[i].y[outside])


@pytest.mark.slow
def test_frames_without_a_usable_face_pass_and_keep_the_others_in_place(
    engine: MuseTalkEngine, avatar: Avatar, models: Path
) -> None:
    frames = _rendered(engine, avatar, _stretch(16, slice(0, 16)))
    changed = _changed(frames, _base(avatar, 16))
    assert not {3, 4} & set(changed) and {0, 10, 15} <= set(changed)
    assert not _inpainting(avatar).boxes[3:5].any() and not _inpainting(avatar).latents[3:5].any()
    alone = inpainting_of(replace(avatar, usable=np.ones_like(avatar.usable)), load_vae(models))
    torch.testing.assert_close(
        torch.from_numpy(_inpainting(avatar).latents[5:].copy()), torch.from_numpy(alone.latents[5:]), atol=1e-3, rtol=0
    )


@pytest.mark.slow
def test_what_is_drawn_follows_the_network(engine: MuseTalkEngine, avatar: Avatar, models: Path) -> None:
    """The mouth's pixels are those that the plain network draws for that frame alone."""
    stretch = _stretch(20, slice(0, 20))
    frames = _rendered(engine, avatar, stretch)
    encoder, extractor = load_whisper(models)
    states = SpeechFeatures(encoder, extractor).states(stretch.speech.samples, RATE)
    network = Network(make_unet(), make_vae())
    for number in (8, 15, 19):
        latents = torch.from_numpy(_inpainting(avatar).latents[number : number + 1].copy())
        picture = network.draw(latents, features_of(states, Fraction(25), [number]))
        frame = _base(avatar, number + 1)[-1]
        box = tuple(_inpainting(avatar).boxes[number].tolist())
        sides = (box[2] - box[0], box[3] - box[1])
        colors = ClipReader(avatar.video).colors
        blender = Blender(avatar.width, avatar.height, colors, sides, torch.device("cpu"))
        blender.blend(picture, [frame], [Place(box, _inpainting(avatar).masks[number], 1.0)])()
        assert np.abs(frame.planes.astype(int) - frames[number].planes).max() <= 1


def test_the_clip_goes_round(engine: MuseTalkEngine, avatar: Avatar) -> None:
    count = len(avatar.landmarks)
    quiet = _stretch(count - 2, slice(0, 0))
    frames = _rendered(engine, avatar, quiet, _stretch(10, slice(0, 10)))
    assert len(frames) == count + 8
    assert _changed(frames, _base(avatar, count + 8)) == _seen(avatar, range(count - 2, count + 8))


@pytest.mark.slow
def test_frame_skip_blends_between_what_was_drawn(engine: MuseTalkEngine, avatar: Avatar) -> None:
    every = _rendered(engine, avatar, _stretch(30, slice(6, 26)))
    skipped = _rendered(engine, avatar, _stretch(30, slice(6, 26), frame_skip=4))
    assert _changed(skipped, _base(avatar, 30)) == _seen(avatar, range(6, 26))
    differs = [float(np.abs(a.y.astype(int) - b.y).mean()) for a, b in zip(every, skipped, strict=True)]
    solved = [6, 10, 14, 18, 22, 25]  # and 23 and 24 show no face
    assert max(differs[i] for i in solved) < 0.01 < min(differs[i] for i in range(11, 14))


@pytest.mark.slow
def test_a_pack_that_was_not_prepared_for_it_plays(engine: MuseTalkEngine, avatar: Avatar) -> None:
    plain = replace(avatar, inpainting=None)
    frames = _rendered(engine, plain, _stretch(12, slice(5, 12)))
    prepared = _rendered(engine, avatar, _stretch(12, slice(5, 12)))
    assert max(np.abs(a.planes.astype(int) - b.planes).max() for a, b in zip(frames, prepared, strict=True)) <= 1


@pytest.mark.slow
def test_a_pack_of_the_original_system_plays(engine: MuseTalkEngine, tmp_path: Path) -> None:
    man = short_man()
    pictures = [cv2.cvtColor(frame.planes, cv2.COLOR_YUV2BGR_I420) for frame in _base(man, 6)]
    boxes = [(1, 2, 3, 4)] * 6
    latents = [torch.zeros(1, 8, 32, 32)] * 5 + [None]
    content = {"frames": pictures, "coords_list": boxes, "input_latent_list": latents, "fps": 25.0}
    path = tmp_path / "old_360p_precomputed.pkl"
    path.write_bytes(pickle.dumps(content))
    old = load(path, adopt)
    frames = _rendered(engine, old, _stretch(9, slice(2, 8)))
    assert len(frames) == 9 and _changed(frames, _base(old, 9)) == list(range(2, 8))


@pytest.mark.slow
def test_cancelled_it_stops_and_its_worker_is_free(engine: MuseTalkEngine, avatar: Avatar) -> None:
    cancel = CancelToken()
    frames = engine.render(avatar, [_stretch(20, slice(0, 20))], cancel)
    next(frames)
    cancel.cancel()
    with pytest.raises(Cancelled):
        list(frames)
    closed = engine.render(avatar, [_stretch(20, slice(0, 20))], CancelToken())
    next(closed)
    closed.close()
    assert len(_rendered(engine, avatar, _stretch(3, slice(0, 3)))) == 3


def test_broken_weights_are_reported_once_loaded_and_again_only_if_they_change(models: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(models, tmp_path / "broken"))
    unet = broken / "musetalkV15" / "unet.pth"
    torch.save(make_vae().state_dict(), unet)
    engine = MuseTalkEngine(broken)
    engine.check()  # nothing is loaded yet
    man = short_man()
    with pytest.raises(Unavailable, match="does not fit"):
        list(engine.render(man, [_stretch(3, slice(0, 3))], CancelToken()))
    with pytest.raises(Unavailable, match="does not fit"):
        engine.check()
    torch.save(make_unet().state_dict(), unet)
    engine.check()
    with pytest.raises(Unavailable, match="is missing"):
        MuseTalkEngine(tmp_path / "none").check()


@pytest.mark.slow
def test_all_networks_run_on_one_thread_for_all_callers(
    models: Path, avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(work: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object) -> object:
            threads.append(threading.get_ident())
            return work(*given)

        return call

    for owner, name in ((Network, "draw"), (SpeechFeatures, "states")):
        monkeypatch.setattr(owner, name, noted(getattr(owner, name)))
    monkeypatch.setattr(device_worker, "inpainting_of", noted(inpainting_of))
    fresh = MuseTalkEngine(models)
    visitors = [
        threading.Thread(target=_rendered, args=(fresh, one, _stretch(5, slice(0, 5))))
        for one in (avatar, replace(avatar, inpainting=None))
    ]
    for visitor in visitors:
        visitor.start()
        visitor.join()
    asked = {visitor.ident for visitor in visitors} | {threading.get_ident()}
    assert len(threads) > 6 and len(set(threads)) == 1 and not asked & set(threads)


def test_a_card_that_fills_up_while_it_draws_is_reported(
    models: Path, avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = MuseTalkEngine(models)
    assert len(_rendered(fresh, avatar, _stretch(3, slice(0, 3)))) == 3

    def full(*given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Network, "draw", full)
    with pytest.raises(Unavailable, match="too little memory"):
        _rendered(fresh, avatar, _stretch(3, slice(0, 3)))
    monkeypatch.undo()
    assert len(_rendered(fresh, avatar, _stretch(3, slice(0, 3)))) == 3  # its worker is free again


@pytest.mark.parametrize(("visible", "renders"), [(0, 1), (1, 1), (3, 3)])
def test_as_many_renders_go_on_as_torch_sees_cards(
    models: Path, monkeypatch: pytest.MonkeyPatch, visible: int, renders: int
) -> None:
    """Of a machine's eight; CUDA_VISIBLE_DEVICES, or a torch for the CPU alone, hides the others."""
    monkeypatch.setattr("pynvml.nvmlInit", lambda: None)
    monkeypatch.setattr("pynvml.nvmlDeviceGetCount", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: visible > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    assert MuseTalkEngine(models).concurrency == renders and on_gpu() == (visible > 0)
    assert MuseTalkEngine(models / "none").concurrency == 1
    monkeypatch.setattr("pynvml.nvmlDeviceGetCount", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("of one card torch need not be asked"))
    assert MuseTalkEngine(models).concurrency == 1


class OneDevice:
    """Stands in for a worker: it yields its device for every stretch, and notes it."""

    def __init__(self, device: torch.device, models: object, steps: object) -> None:
        self.device = device
        self.notes = ("float16: used",)

    def render(self, avatar: object, stretches: Iterable[Any], cancel: CancelToken, first: int) -> Iterator[Any]:
        for _ in stretches:
            yield self.device


def test_every_card_has_a_worker_and_the_last_task_waits(
    models: Path, avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_worker, "Worker", OneDevice)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    engine = MuseTalkEngine(models)
    both = [_stretch(1, slice(0)), _stretch(1, slice(0))]
    visitors = [engine.render(avatar, both, CancelToken()) for _ in range(2)]
    assert {str(next(visitor)) for visitor in visitors} == {"cuda:0", "cuda:1"}
    assert engine.notes == ("cuda:0: float16: used", "cuda:1: float16: used")
    cancelled = CancelToken()
    cancelled.cancel()
    with pytest.raises(Cancelled):
        next(engine.render(avatar, both[:1], cancelled))
    visitors[1].close()
    assert str(next(engine.render(avatar, both[:1], CancelToken()))) == "cuda:1"


# --- which frames are drawn


def _mouth(pattern: str) -> np.ndarray:
    """Rows for PATTERN: "#" moves, "." rests."""
    return np.array([[0.3 if sign == "#" else 0.0] for sign in pattern], np.float32)


def test_silence_is_not_drawn_but_lips_that_meet_are() -> None:
    pattern = "....#####.#####......####...."
    planned = plan(_mouth(pattern), np.ones(len(pattern)), 25.0)
    speaks = np.array([sign == "#" for sign in pattern])
    speaks[9] = True  # one frame at rest between two sounds
    np.testing.assert_array_equal(planned.strength > 0, speaks)
    np.testing.assert_array_equal(planned.solved, np.flatnonzero(speaks))
    inside = planned.strength[4:15]
    assert 0 < inside[0] < inside[1] < inside[2] == 1 and inside[-1] < inside[-2] < 1  # it fades in and out


def test_speech_that_goes_on_in_the_next_stretch_does_not_fade() -> None:
    assert (plan(_mouth("########"), np.ones(8), 25.0).strength == 1).all()


def test_between_solved_frames_each_has_its_two_neighbours() -> None:
    planned = plan(_mouth("..#######..##."), np.ones(14), 25.0, frame_skip=3)
    assert planned.solved.tolist() == [2, 5, 8, 11, 12]
    assert planned.before[2:9].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert planned.after[2:9].tolist() == [0, 1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(planned.share[2:9], [0, 1 / 3, 2 / 3, 0, 1 / 3, 2 / 3, 0], atol=1e-6)
    assert planned.before[11:13].tolist() == planned.after[11:13].tolist() == [3, 4]


def test_no_face_is_not_drawn() -> None:
    faces = np.array([1, 1, 0.5, 0, 0, 1, 1.0])
    planned = plan(_mouth("#######"), faces, 25.0)
    assert planned.solved.tolist() == [0, 1, 2, 5, 6] and planned.strength[2] == 0.5
    assert len(plan(_mouth("..."), np.ones(3), 25.0).solved) == 0


# --- faster, and still the same


def _make() -> Network:
    return Network(make_unet(), make_vae())


def _grey(network: Network) -> Network:
    """What a VAE that overflows answers."""
    for parameter in network.vae.decoder.parameters():
        parameter.zero_()
    return network


def _not_a_number(network: Network) -> Network:
    for parameter in network.unet.parameters():
        parameter.fill_(float("nan"))
    return network


def _no_memory(network: Network) -> Network:
    raise RuntimeError("CUDA out of memory")


def _error(accepted: Accepted) -> float:
    sample = random_input(accepted.network, 3)
    return float((accepted.draw(*sample) - _make().draw(*sample)).abs().mean())


def test_cudnn_looks_for_the_quickest_ways_but_not_of_the_network_that_is_only_compared_with() -> None:
    looked: list[bool] = []

    class Looking(Network):
        def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
            looked.append(torch.backends.cudnn.benchmark)
            return super().draw(latents, features)

    accept(lambda: Looking(make_unet(), make_vae()), ((Step("none", lambda network: network),),))
    assert looked == [False] * 4 + [True]


@pytest.mark.slow
def test_steps_that_change_what_is_drawn_are_undone_and_reported() -> None:
    steps = ((Step("grey", _grey), Step("nan", _not_a_number), BFLOAT), (Step("large", _no_memory),))
    accepted = accept(_make, steps)
    assert [note.split(":")[0] for note in accepted.notes] == ["grey", "nan", "bfloat16", "large"]
    assert [": used" in note for note in accepted.notes] == [False, False, True, False]
    assert "out of memory" in accepted.notes[3] and "nan" in accepted.notes[1]
    assert accepted.network.unet.dtype == torch.bfloat16
    assert 0 < _error(accepted) < 0.01


class Recording:
    """Stands in for ``torch.cuda.CUDAGraph``: replayed, it draws again what was drawn then, into the same memory."""

    now: Recording | None = None

    def __init__(self) -> None:
        self.drawn: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def pool(self) -> str:
        return "pool"

    def replay(self) -> None:
        for latents, features, pictures in self.drawn:
            pictures.copy_(_make().draw(latents, features))


class Recorded(Network):
    """Draws, and leaves a record where one is made."""

    def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        pictures = super().draw(latents, features)
        if Recording.now is not None:
            Recording.now.drawn.append((latents, features, pictures))
        return pictures


@pytest.mark.slow
def test_graphs_draw_what_they_are_given_and_keep_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded on a stream of the network's own device: PyTorch's own stream belongs to the first one that recorded."""
    current, asked = SimpleNamespace(wait_stream=lambda other: None), []

    @contextmanager
    def device(of: torch.device) -> Iterator[None]:
        monkeypatch.setattr(torch.cuda, "Stream", lambda: SimpleNamespace(device=of, wait_stream=lambda other: None))
        yield

    @contextmanager
    def graph(one: Recording, pool: object, stream: Any, capture_error_mode: str) -> Iterator[None]:
        asked.append((pool, stream.device, capture_error_mode))
        monkeypatch.setattr(Recording, "now", one)
        yield
        monkeypatch.setattr(Recording, "now", None)

    stand_ins = {"device": device, "graph": graph, "CUDAGraph": Recording, "current_stream": lambda: current}
    for name, stand_in in {**stand_ins, "stream": lambda one: nullcontext()}.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    accepted = accept(lambda: Recorded(make_unet(), make_vae()), ((GRAPHS,),))
    assert accepted.notes == ("CUDA graphs: used, mean error 0.0000",)
    assert asked == [(None, torch.device("cpu"), "thread_local")] + [("pool", torch.device("cpu"), "thread_local")] * 2
    inputs = [tuple(torch.rand_like(rows) for rows in random_input(accepted.network, size)) for size in (8, 3, 3, 1)]
    drawn = [accepted.draw(*one) for one in inputs]  # none of them is changed by the next
    for one, pictures in zip(inputs, drawn, strict=True):
        torch.testing.assert_close(pictures, _make().draw(*one), atol=1e-4, rtol=0)


def _network_of(label: str, seconds: float) -> Step:
    """A step that changes nothing, and whose drawing takes SECONDS, but for the first time."""

    class Sleeper:
        name = label

        def __init__(self, network: Network) -> None:
            self._network = network
            self._drawn: dict[int, torch.Tensor] = {}

        def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
            if len(latents) not in self._drawn:
                self._drawn[len(latents)] = self._network.draw(latents, features)
            time.sleep(seconds)
            return self._drawn[len(latents)]

    return Step(label, Sleeper)


def test_a_network_is_let_go_before_it_is_made_again() -> None:
    """Also where a step failed: a card has no room for two."""
    alive: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()

    def make() -> Network:
        assert len(alive) == 0
        network = _make()
        alive.update((network.unet, network.vae))
        return network

    failing = [Step(name, _no_memory) for name in ("one", "two")]
    assert len(accept(make, (failing, failing[:1], (BFLOAT,))).notes) == 4 and len(alive) == 2


@pytest.mark.slow
def test_of_rivals_the_quickest_is_taken_that_draws_the_same() -> None:
    slower, slow, swift = (_network_of(name, s) for name, s in (("slower", 0.2), ("slow", 0.1), ("swift", 0)))
    grey = Step("grey", _grey)
    for rivals in (Quickest((swift, slow)), Quickest((grey, slow, swift))):
        accepted = accept(_make, ((slower,), rivals))
        notes = {note.partition(": ")[0]: note for note in accepted.notes[1:]}
        assert list(notes) == [step.name for step in rivals]
        assert "swift: used, mean error 0.0000" in notes["swift"] and "ms for 8 frames" in notes["swift"]
        assert all("not used" in note for name, note in notes.items() if name != "swift")
        assert getattr(accepted.drawer, "name", "") == "swift" and _error(accepted) < 1e-6


@pytest.mark.slow
def test_what_is_no_quicker_than_before_is_undone() -> None:
    made: list[Network] = []

    def make() -> Network:
        made.append(_make())
        return made[-1]

    swift, slow = _network_of("swift", 0), _network_of("slow", 0.1)

    def lay_out_and_sleep(network: Network) -> Drawer:
        CHANNELS_LAST.apply(network)
        return slow.apply(network)

    accepted = accept(make, ((swift,), Quickest((replace(CHANNELS_LAST, apply=lay_out_and_sleep),))))
    assert accepted.notes[0].startswith("swift: used")
    assert accepted.notes[1].startswith("channels last: not used, mean error 0.0000") and "before" in accepted.notes[1]
    assert getattr(accepted.drawer, "name", "") == "swift"
    assert len(made) == 1  # nothing had to be loaded again
    assert all(parameter.is_contiguous() for parameter in made[0].unet.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")  # torch says so of Python 3.13.0
def test_compiled_it_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and rewritten as for a card, but for the last step: to make code for a CPU takes minutes."""
    monkeypatch.setattr(optimise, "BATCHES", (2, 4))  # it is done for each size
    accepted = accept(_make, ((Step("compiled", lambda network: fused(network, backend="aot_eager")),),))
    assert accepted.notes[0].startswith("compiled: used, mean error 0.0000")
    assert accepted.network.unet._compiled_call_impl is not None and _error(accepted) < 1e-5


@pytest.mark.slow
def test_where_nothing_can_be_compiled_it_states_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_compiler(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(optimise, "BATCHES", (2, 4))
    accepted = accept(_make, (Quickest((Step("compiled", lambda network: fused(network, without_compiler)),)),))
    assert accepted.notes == ("compiled: not used, RuntimeError: no C++ compiler",)
    assert _error(accepted) < 1e-6


def test_without_steps_it_is_the_plain_network_and_nothing_is_drawn_to_load_it(
    models: Path, avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    draw = Network.draw

    def noted(network: Network, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        drawn.append(len(latents))
        return draw(network, latents, features)

    monkeypatch.setattr(Network, "draw", noted)
    accepted = accept(_make, ())
    assert accepted.notes == () and drawn == []
    assert _error(accepted) < 1e-6
    drawn.clear()
    assert len(_rendered(MuseTalkEngine(models), avatar, _stretch(4, slice(0, 2)))) == 4
    assert sum(drawn) == 2  # on a CPU, only what is asked for


@pytest.mark.slow
def test_fewer_frames_than_a_batch_are_padded() -> None:
    accepted = accept(_make, ())
    sizes: list[int] = []

    class Counting:
        def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
            sizes.append(len(latents))
            return accepted.network.draw(latents, features)

    counting = Accepted(accepted.network, Counting(), ())
    latents, features = random_input(accepted.network, 8)
    whole = counting.draw(latents, features)
    for count in (1, 2, 3, 5, 8):
        torch.testing.assert_close(counting.draw(latents[:count], features[:count]), whole[:count], atol=1e-4, rtol=0)
    assert sizes == [8, 2, 2, 4, 8, 8]
