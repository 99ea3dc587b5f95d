"""Makes the network fast, step by step, without changing what it draws.

A reduced-precision VAE may return plain grey. So each step is tried on random input when the network is loaded, and
kept only if its pictures stay close to those of the plain network.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from pipeline.engines.musetalk.audio import WINDOW
from pipeline.engines.musetalk.device import wait
from pipeline.engines.musetalk.network import Network

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""Highest mean error, of pictures in 0..1, at which a step is accepted."""
BATCHES = (2, 4, 8)
"""Frames that are drawn at a time.

Fewer are padded. The first batch of a video is the smallest, so that it starts soon.
"""
ROUNDS = 3
"""Batches over which alternatives are timed."""
_DEPTHS = 5
"""Hidden states of whisper-tiny per moment: its input and its four layers."""


class Drawer(Protocol):
    """An object that draws; see ``Network.draw``."""

    def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return pictures for latents and features."""
        ...


@dataclass(frozen=True)
class Step:
    """A way to be faster.

    Attributes:
        name: For the notes.
        apply: Returns an object that draws, which may be the given network, changed.
        undo: Restores that network; without it the network is made again.
    """

    name: str
    apply: Callable[[Network], Drawer]
    undo: Callable[[Network], object] | None = None


class Quickest(tuple[Step, ...]):
    """Alternatives of which the fastest is used, not the first that is accepted; none if none is faster."""


def _in_format(number_format: torch.dtype) -> Callable[[Network], Drawer]:
    def apply(network: Network) -> Drawer:
        for model in (network.unet, network.vae):
            torch.nn.Module.to(model, number_format)  # the models' own method warns about layers that they lack
        return network

    return apply


def _in_layout(layout: torch.memory_format) -> Callable[[Network], Drawer]:
    def apply(network: Network) -> Drawer:
        for model in (network.unet, network.vae):
            model.to(memory_format=layout)
        return network

    return apply


def fused(network: Network, backend: str | Callable[..., object] = "inductor") -> Network:
    """Compile a network with torch.compile, once for every size in `BATCHES`.

    Its mode "reduce-overhead" has its own CUDA graphs, which break when another thread than the first one draws
    (github.com/pytorch/pytorch/issues/123177); here every video has its thread. So ``Graphs`` wraps the result.
    """
    for model in (network.unet, network.vae.decoder):
        model.compile(dynamic=False, backend=backend)
    return network


class Graphs:
    """A network as CUDA graphs, one per batch size: one launch for all kernels instead of one each."""

    def __init__(self, network: Network, sizes: Sequence[int] = BATCHES) -> None:
        self._graphs = {}
        pool = None
        with torch.cuda.device(network.device), torch.inference_mode():
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # PyTorch's default for this is on one device only
            for size in sorted(sizes, reverse=True):  # the others fit into the memory of the largest
                latents, features = random_input(network, size)
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(3):  # libraries choose algorithms and reserve memory
                        network.draw(latents, features)
                torch.cuda.current_stream().wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool, side, capture_error_mode="thread_local"):
                    pictures = network.draw(latents, features)
                pool = graph.pool()
                self._graphs[size] = graph, latents, features, pictures

    @torch.inference_mode()
    def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return pictures as the network does; the number of rows must be one of the sizes."""
        graph, given, held_features, pictures = self._graphs[len(latents)]
        given.copy_(latents, non_blocking=True)
        held_features.copy_(features, non_blocking=True)
        graph.replay()
        return pictures.clone()


HALF = Step("float16", _in_format(torch.float16))
BFLOAT = Step("bfloat16", _in_format(torch.bfloat16))
CHANNELS_LAST = Step("channels last", _in_layout(torch.channels_last), _in_layout(torch.contiguous_format))
"""Convolutions prefer it, group norms do not (github.com/pytorch/pytorch/issues/111824): it may be slower."""
GRAPHS = Step("CUDA graphs", Graphs, undo=lambda network: network)
COMPILED = Step("torch.compile in CUDA graphs", lambda network: Graphs(fused(network)))
STEPS: tuple[tuple[Step, ...], ...] = ((HALF, BFLOAT), Quickest((CHANNELS_LAST,)), (GRAPHS,))
"""Steps for a GPU, in order; of the alternatives in brackets the first that is accepted is used."""
STEPS_WITH_COMPILED: tuple[tuple[Step, ...], ...] = (*STEPS[:-1], Quickest((GRAPHS, COMPILED)))
"""The same with torch.compile, which takes minutes for networks of this size."""


@dataclass(frozen=True)
class Accepted:
    """The fastest network that draws the same.

    Attributes:
        network: The network.
        drawer: The object that draws.
        notes: The result of every step, in English.
    """

    network: Network
    drawer: Drawer
    notes: tuple[str, ...]

    def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return pictures as the network does, for up to ``BATCHES[-1]`` rows."""
        count = len(latents)
        missing = next(size for size in BATCHES if size >= count) - count
        latents, features = (
            torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) for rows in (latents, features)
        )
        return self.drawer.draw(latents, features)[:count]


class _Trial:
    """The network that `make` makes, with the steps that were accepted so far."""

    def __init__(self, make: Callable[[], Network]) -> None:
        self._make = make
        self._taken: list[Step] = []
        self._tried: Step | None = None
        self.network = make()
        self.drawer: Drawer = self.network
        self._before: Drawer = self.network

    def try_out(self, step: Step) -> None:
        """Apply a step, in place of the one that was tried before."""
        self._undo()
        self._tried = step
        self.drawer = step.apply(self.network)

    def take(self, step: Step | None) -> None:
        """Accept a step, or none, in place of the one that was tried last."""
        if step is not self._tried:
            self._undo()
            if step is not None:
                self.drawer = step.apply(self.network)
        if step is not None:
            self._taken.append(step)
        self._tried, self._before = None, self.drawer

    def _undo(self) -> None:
        if self._tried is None:
            return
        if self._tried.undo is not None:
            self._tried.undo(self.network)
            self.drawer = self._before
        else:  # the step may have rounded the weights
            del self.network, self.drawer, self._before  # free their memory first
            self.network = self.drawer = self._make()
            for step in self._taken:
                self.drawer = step.apply(self.network)
            self._before = self.drawer
        self._tried = None


def accept(make: Callable[[], Network], steps: Sequence[Sequence[Step]]) -> Accepted:
    """Return the network with those steps that keep its pictures.

    Without steps nothing is drawn: on a CPU, which no step is for, that would take a minute.

    Args:
        make: Makes the network.
        steps: Alternatives in order.
    """
    trial = _Trial(make)
    if not steps:
        return Accepted(trial.network, trial.drawer, ())
    sample = random_input(trial.network, BATCHES[-1])
    pairs = zip(*(torch.split(rows, BATCHES[0]) for rows in sample), strict=True)  # all at once would fill a small card
    torch.backends.cudnn.benchmark = False
    plain = torch.cat([trial.network.draw(*pair) for pair in pairs])
    torch.backends.cudnn.benchmark = True  # few batch sizes: each is benchmarked once
    notes: list[str] = []
    for alternatives in steps:
        outcomes: dict[Step, str] = {}
        times: dict[Step | None, float] = {}
        timed = isinstance(alternatives, Quickest)
        if timed:
            times[None] = _seconds(trial.drawer, sample)
        for step in alternatives:
            try:
                trial.try_out(step)
                error = float((trial.drawer.draw(*sample) - plain).abs().mean())
                outcomes[step] = f"mean error {error:.4f}"
            except (RuntimeError, ValueError, NotImplementedError) as failure:
                error = float("inf")
                outcomes[step] = _reason(
                    failure
                )  # not the error itself: it refers to all memory in use when it was raised
            if error <= TOLERANCE:
                times[step] = _seconds(trial.drawer, sample) if timed else 0.0
                if not timed:
                    break
                now, before = (f"{times[one] * 1000:.1f} ms" for one in (step, None))
                outcomes[step] += f", {now} for {BATCHES[-1]} frames, {before} before"
        chosen = min(times, key=times.__getitem__, default=None)
        trial.take(chosen)
        for tried, outcome in outcomes.items():
            notes.append(f"{tried.name}: {'used' if tried is chosen else 'not used'}, {outcome}")
            if tried is not chosen:
                logger.warning("musetalk: %s", notes[-1])
    if trial.network.device.type == "cuda":
        torch.cuda.empty_cache()  # the plain network took twice the memory
    return Accepted(trial.network, trial.drawer, tuple(notes))


def random_input(network: Network, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return latents and features of `size` frames, the same at every call, on the network's device."""
    generator = torch.Generator().manual_seed(0)
    unet = network.unet.config
    latents = torch.randn(size, unet.in_channels, 32, 32, generator=generator)
    features = torch.randn(size, WINDOW * _DEPTHS, unet.cross_attention_dim, generator=generator)
    return latents.to(network.device), features.to(network.device)


def _reason(failure: Exception) -> str:
    met = getattr(failure, "inner_exception", failure)  # torch.compile wraps the error
    return f"{type(met).__name__}: {met}".splitlines()[0]


def _seconds(drawer: Drawer, sample: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Return how long drawing the sample takes, after a warm-up."""
    latents, features = sample
    drawer.draw(latents, features)
    wait(latents.device)
    start = time.perf_counter()
    for _ in range(ROUNDS):
        drawer.draw(latents, features)
    wait(latents.device)
    return (time.perf_counter() - start) / ROUNDS
