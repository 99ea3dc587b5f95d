"""The MuseTalk engine: a network draws the mouth for the sound; see ``LipsyncEngine``. Imports nothing heavy."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pynvml

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.core.cancel import CancelToken
from pipeline.core.pool import Pool
from pipeline.engines.lipsync_engine import LiveFrames, Stretch
from pipeline.engines.musetalk.weights import check_weights, stamp
from pipeline.errors import PipelineError, Unavailable
from pipeline.video.frame import Frame

if TYPE_CHECKING:
    from pipeline.engines.musetalk.device_worker import Worker

logger = logging.getLogger(__name__)

LIVE_FADE_FRAMES = 8
"""Frames after speech in which the drawn mouth may still be fading, at up to 60 a second."""
_LIBRARIES = ("torch", "diffusers", "transformers", "safetensors")


class MuseTalkEngine:
    """Lipsync by MuseTalk 1.5, on every CUDA device, or else on the CPU.

    The models are loaded on first use, one copy per device; there are as many renders at a time as devices.

    Args:
        models: Folder of the weights.
        compiles: Whether to try torch.compile when the models are loaded.
    """

    name = "musetalk"
    together = 16

    def __init__(self, models: Path, compiles: bool = False) -> None:
        self._models = models
        self._compiles = compiles
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._idle: Pool[Worker] = Pool()
        self._broken: tuple[object, PipelineError] | None = None

    @property
    def concurrency(self) -> int:
        """How many renders run at a time: one per card if there are weights."""
        try:
            self.check()
        except Unavailable:
            return 1
        return max(1, devices()) if cards() > 1 else 1  # one card needs no torch, which takes seconds to import

    @property
    def draws_on_gpu(self) -> bool:
        """Whether torch sees a card; otherwise the CPU draws."""
        return on_gpu()

    @property
    def notes(self) -> tuple[str, ...]:
        """Results of the attempts to be faster, once the models are loaded; with several devices, of each."""
        if len(self._workers) < 2:
            return self._workers[0].notes if self._workers else ()
        return tuple(f"{worker.device}: {note}" for worker in self._workers for note in worker.notes)

    def check(self) -> None:
        """Check that libraries and weights are there and not broken; cheap.

        Raises:
            Unavailable: They are not; the message says what to do.
        """
        if self._workers:
            return
        missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
        if missing:
            raise Unavailable(messages.engines.LIBRARIES_MISSING(missing=", ".join(missing)))
        check_weights(self._models)
        if self._broken is not None and self._broken[0] == stamp(self._models):
            raise self._broken[1].afresh()

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        """Yield the avatar's frames with the mouths of the stretches; see ``LipsyncEngine.render``.

        Raises:
            Unavailable: Libraries or weights are missing, or the card's memory is full.
        """
        self.load()
        with self._idle.one(cancel) as worker, _memory_reported():
            yield from worker.render(avatar, stretches, cancel, first)

    def get_ready(self, avatar: Avatar) -> None:
        """Load the weights, and prepare an avatar whose pack has no data for the network; see ``LiveEngine``."""
        self.load()
        with self._idle.one(CancelToken()) as worker, _memory_reported():
            worker.get_ready(avatar)

    def changes(self, frames: LiveFrames) -> bool:
        """Return whether the mouth moves, or has just come to rest; see ``LiveEngine``."""
        return bool(frames.mouth[max(0, frames.lead - LIVE_FADE_FRAMES) :].any())

    def draw(self, sessions: Sequence[LiveFrames]) -> list[list[Frame]]:
        """Return the frames of several live sessions, drawn in common batches; see ``LiveEngine``."""
        self.load()
        with self._idle.one(CancelToken()) as worker, _memory_reported():
            return worker.draw(sessions)

    def load(self) -> None:
        """Load the weights, one copy for each card; without a card, for the CPU.

        Raises:
            Unavailable: Libraries or weights are missing or do not fit, or a card's memory is full.
        """
        with self._lock:
            if self._workers:
                return
            self.check()
            import torch

            from pipeline.engines.musetalk.device_worker import Worker, models_in
            from pipeline.engines.musetalk.optimise import STEPS, STEPS_WITH_COMPILED

            found = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
            models = models_in(self._models)
            steps = STEPS_WITH_COMPILED if self._compiles else STEPS
            with _memory_reported():
                try:
                    workers = [Worker(device, models, steps) for device in found]
                    workers = workers or [Worker(torch.device("cpu"), models, ())]
                except Unavailable as error:
                    self._broken = stamp(self._models), error.afresh()
                    raise
            for worker in workers:
                self._idle.add(worker)
            self._workers = workers
            logger.info("musetalk: ready on %s", ", ".join(map(str, found)) or "the CPU")


def cards() -> int:
    """Return how many NVIDIA cards this machine has, without loading anything onto them."""
    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


def devices() -> int:
    """Return how many cards torch can use: CUDA_VISIBLE_DEVICES may hide some. Nothing is loaded onto them.

    torch is imported only if there are any.
    """
    if not cards():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def on_gpu() -> bool:
    """Return whether torch can use a CUDA device."""
    return devices() > 0


@contextmanager
def _memory_reported() -> Iterator[None]:
    """Turn torch's error for a full card into Unavailable, whose message says what to do."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise Unavailable(messages.engines.CARD_MEMORY_FULL()) from error
