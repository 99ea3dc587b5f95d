"""One device at work: computes features of speech, draws the mouth and blends it into the frames."""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import torch

from pipeline.avatars.avatar import Avatar, Inpainting
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import LiveFrames, Stretch
from pipeline.engines.mesh.mover import fade
from pipeline.engines.musetalk.audio import RATE, SpeechFeatures, features_of
from pipeline.engines.musetalk.blend import Blender, Place
from pipeline.engines.musetalk.device import to_device
from pipeline.engines.musetalk.inpainting import inpainting_of
from pipeline.engines.musetalk.network import Network
from pipeline.engines.musetalk.optimise import BATCHES, Accepted, Step, accept
from pipeline.engines.musetalk.plan import Plan, live_strength, plan
from pipeline.engines.musetalk.weights import load_unet, load_vae, load_whisper
from pipeline.video.frame import Frame

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

KEPT = 6
"""Clips whose latents are cached if their pack has none."""


@dataclass(frozen=True)
class Models:
    """Makes the models on a device, new at every call.

    Attributes:
        features: Makes the model that reads speech.
        network: Makes the network that draws, float32.
    """

    features: Callable[[torch.device], SpeechFeatures]
    network: Callable[[torch.device], Network]


def models_in(folder: Path) -> Models:
    """Return the models with the weights in a folder; making them raises Unavailable."""

    def features(device: torch.device) -> SpeechFeatures:
        encoder, extractor = load_whisper(folder)
        return SpeechFeatures(encoder.to(device), extractor)

    def network(device: torch.device) -> Network:
        return Network(load_unet(folder).to(device), load_vae(folder).to(device))

    return Models(features, network)


class Worker:
    """Renders on one device; use it from one thread at a time.

    Every video has its own thread, but all networks run on one permanent thread: PyTorch remembers cuDNN's fastest
    algorithm for a layer per thread (github.com/pytorch/pytorch/pull/103939), so a new thread would search again.

    Args:
        device: Where to render.
        models: Makes the models.
        steps: Ways to be faster; those that change nothing are used.
    """

    def __init__(self, device: torch.device, models: Models, steps: Sequence[Sequence[Step]]) -> None:
        self.device = device
        self._thread = ThreadPoolExecutor(1, f"musetalk-{device}")
        self._features = self._run(models.features, device)
        self.network: Accepted = self._run(accept, lambda: models.network(device), steps)
        self._prepared: OrderedDict[bytes, Inpainting] = OrderedDict()
        self._blenders: OrderedDict[bytes, Blender] = OrderedDict()
        """Of the avatars of live sessions."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Results of the steps that were tried."""
        return self.network.notes

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Iterator[Frame]:
        """Yield the avatar's frames with the mouths of the stretches; see ``LipsyncEngine.render``."""
        with self._on_device():
            clip = avatar.clip
            inpainting = self._inpainting(avatar, cancel)
            blender = self._blender(avatar, inpainting)
            gain = fade(np.asarray(inpainting.boxes.any(axis=1)))
            done = first
            with contextlib.closing(clip.frames(first)) as frames:
                for stretch in stretches:
                    mouth = stretch.mouth.weights
                    numbers = (done + np.arange(len(mouth))) % len(gain)
                    planned = plan(mouth, gain[numbers], float(avatar.fps), stretch.frame_skip)
                    scene = _Scene(islice(frames, len(mouth)), avatar.fps, planned, inpainting, numbers)
                    yield from self._play(scene, stretch, blender, cancel, soon=done == first)
                    done += len(mouth)

    def get_ready(self, avatar: Avatar) -> None:
        """Prepare an avatar for live sessions, and draw a frame, so that the first one need not wait."""
        mouth = np.ones((1, 1), np.float32)
        silence = np.zeros(round(RATE / avatar.fps), np.float32)
        self.draw([LiveFrames(avatar=avatar, first=0, lead=0, mouth=mouth, sound=silence, rate=RATE)])

    def draw(self, sessions: Sequence[LiveFrames]) -> list[list[Frame]]:
        """Return the frames of live sessions; a batch of the network may hold those of several."""
        with self._on_device():
            parts = [_LivePart(frames, self._inpainting(frames.avatar, CancelToken())) for frames in sessions]
            drawing = [part for part in parts if len(part.drawn)]
            if not drawing:
                return [part.shown for part in parts]
            states = self._run(
                self._features.states_of_all, [(part.frames.sound, part.frames.rate) for part in drawing]
            )
            features = torch.cat(
                [
                    features_of(rows, part.frames.avatar.fps, (part.frames.lead + part.drawn).tolist())
                    for part, rows in zip(drawing, states, strict=True)
                ]
            )
            latents = to_device(np.concatenate([part.latents for part in drawing]), self.device)
            size = BATCHES[-1]
            pictures = torch.cat(
                [
                    self._run(self.network.draw, latents[first : first + size], features[first : first + size])
                    for first in range(0, len(latents), size)
                ]
            )
            counts = [len(part.drawn) for part in drawing]
            finish = []
            for part, own in zip(drawing, torch.split(pictures, counts), strict=True):
                blender = self._live_blender(part.frames.avatar, part.inpainting)
                finish.append(blender.blend(own, [part.shown[number] for number in part.drawn], part.places))
            for one in finish:
                one()
            return [part.shown for part in parts]

    def _blender(self, avatar: Avatar, inpainting: Inpainting) -> Blender:
        sides = (inpainting.boxes[:, 2:] - inpainting.boxes[:, :2]).max(0)
        size = avatar.width, avatar.height
        return Blender(*size, avatar.clip.colors, (int(sides[0]), int(sides[1])), self.device)

    def _live_blender(self, avatar: Avatar, inpainting: Inpainting) -> Blender:
        if avatar.video not in self._blenders:
            self._blenders[avatar.video] = self._blender(avatar, inpainting)
        self._blenders.move_to_end(avatar.video)
        while len(self._blenders) > KEPT:
            self._blenders.popitem(last=False)
        return self._blenders[avatar.video]

    def _play(
        self, scene: _Scene, stretch: Stretch, blender: Blender, cancel: CancelToken, soon: bool
    ) -> Iterator[Frame]:
        """Yield the frames of a stretch; while the consumer works on a batch, the device draws the next one."""
        solved = scene.plan.solved
        sound = stretch.speech.samples, stretch.speech.rate
        states = self._run(self._features.states, *sound) if len(solved) else None
        waiting: Iterable[Frame] = ()
        last: torch.Tensor | None = None
        for first, stop in _batches(len(solved), stretch.frame_skip, soon):
            cancel.check()
            idle = scene.idle()
            if idle:
                yield from waiting
                yield from idle
                waiting = ()
            assert states is not None
            features = features_of(states, scene.fps, solved[first:stop].tolist())
            latents = to_device(scene.latents(first, stop), self.device)
            drawn = self._run(self.network.draw, latents, features)
            pictures = drawn if last is None else torch.cat([last, drawn])
            shown = scene.until(solved[stop - 1] + 1)
            numbers = scene.drawn(len(shown))
            changed = [shown[i - numbers[-1] - 1] for i in numbers]  # the last one taken is drawn
            finish = blender.blend(scene.pictures(numbers, pictures, stop), changed, scene.places(numbers))
            yield from waiting
            waiting, last = _when(finish, shown), drawn[-1:]
        yield from waiting
        for frame in scene.frames:
            cancel.check()
            yield frame

    def _inpainting(self, avatar: Avatar, cancel: CancelToken) -> Inpainting:
        """Return the pack's data for this engine; without it, prepare the clip now."""
        if avatar.inpainting is not None:
            return avatar.inpainting
        if avatar.video not in self._prepared:
            logger.info("musetalk: %s is prepared now; prepare --engine musetalk saves this time", avatar.id)
            vae = self.network.network.vae
            self._prepared[avatar.video] = self._run(inpainting_of, avatar, vae, lambda share: cancel.check())
        self._prepared.move_to_end(avatar.video)
        while len(self._prepared) > KEPT:
            self._prepared.popitem(last=False)
        return self._prepared[avatar.video]

    def _run(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Call `work` on the thread of the networks; return or raise what it does."""

        def run() -> T:
            with self._on_device():
                return work(*given, **named)

        return self._thread.submit(run).result()

    def _on_device(self) -> contextlib.AbstractContextManager[object]:
        return torch.cuda.device(self.device) if self.device.type == "cuda" else contextlib.nullcontext()


class _LivePart:
    """The frames of one live session.

    Attributes:
        frames: What was asked for.
        inpainting: The clip's data.
        drawn: Numbers of those that the network draws, from 0.
        shown: The frames.
    """

    def __init__(self, frames: LiveFrames, inpainting: Inpainting) -> None:
        self.frames = frames
        self.inpainting = inpainting
        avatar = frames.avatar
        with contextlib.closing(avatar.clip.frames(frames.first)) as filmed:
            self.shown = list(islice(filmed, frames.count))
        gain = fade(np.asarray(inpainting.boxes.any(axis=1)))
        self._numbers = (frames.first + np.arange(frames.count)) % len(gain)
        self._strength = live_strength(frames.mouth, float(avatar.fps))[frames.lead :] * gain[self._numbers]
        self.drawn = np.flatnonzero(self._strength)

    @property
    def latents(self) -> np.ndarray:
        """The latents of the frames that are drawn, (n, 8, 32, 32)."""
        rows: np.ndarray = self.inpainting.latents[self._numbers[self.drawn]]
        return rows

    @property
    def places(self) -> list[Place]:
        """Where their pictures belong."""
        numbers = self._numbers
        return [
            Place(
                tuple(self.inpainting.boxes[numbers[i]].tolist()),
                self.inpainting.masks[numbers[i]],
                float(self._strength[i]),
            )
            for i in self.drawn
        ]


class _Scene:
    """The frames of one stretch and the plan for them.

    Args:
        frames: The frames.
        fps: Frames per second.
        planned: The plan.
        inpainting: The clip's data.
        numbers: Numbers of the frames in the clip.
    """

    def __init__(
        self, frames: Iterator[Frame], fps: Fraction, planned: Plan, inpainting: Inpainting, numbers: np.ndarray
    ) -> None:
        self.frames = frames
        self.fps = fps
        self.plan = planned
        self._inpainting = inpainting
        self._numbers = numbers
        self._taken = 0

    def until(self, stop: int) -> list[Frame]:
        """Take the frames before number `stop`."""
        taken = list(islice(self.frames, max(0, stop - self._taken)))
        self._taken += len(taken)
        return taken

    def idle(self) -> list[Frame]:
        """Take the next frames up to the first that is drawn."""
        return self.until(self._taken + int((self.plan.strength[self._taken :] > 0).argmax()))

    def latents(self, first: int, stop: int) -> np.ndarray:
        """Return the latents of solved frames `first` to `stop`, (n, 8, 32, 32)."""
        rows: np.ndarray = self._inpainting.latents[self._numbers[self.plan.solved[first:stop]]]
        return rows

    def drawn(self, count: int) -> np.ndarray:
        """Return the numbers of those of the last `count` frames that are drawn."""
        first = self._taken - count
        return first + np.flatnonzero(self.plan.strength[first : self._taken])

    def pictures(self, numbers: np.ndarray, solved: torch.Tensor, stop: int) -> torch.Tensor:
        """Return the pictures of frames, interpolated between solved ones, which end at solved frame `stop`."""
        offset = len(solved) - stop
        rows = np.stack([self.plan.before[numbers], self.plan.after[numbers]]) + offset
        before, after = solved[to_device(rows, solved.device)]
        share = to_device(self.plan.share[numbers], solved.device)
        return torch.lerp(before, after, share[:, None, None, None])

    def places(self, numbers: np.ndarray) -> list[Place]:
        """Return where the pictures of frames belong."""
        places = []
        for i in numbers:
            left, top, right, bottom = self._inpainting.boxes[self._numbers[i]].tolist()
            mask = self._inpainting.masks[self._numbers[i]]
            places.append(Place((left, top, right, bottom), mask, float(self.plan.strength[i])))
        return places


def _batches(solved: int, frame_skip: int, soon: bool) -> Iterator[tuple[int, int]]:
    """Yield the beginning and end of batches of solved frames; the first is small if a picture must appear soon.

    With frames between the solved ones batches are smaller, too: all of them wait for the batch.
    """
    usual = max(BATCHES[0], BATCHES[-1] * 2 // (frame_skip + 1))
    first, size = 0, BATCHES[0] if soon else usual
    while first < solved:
        yield first, min(solved, first + size)
        first, size = first + size, usual


def _when(finish: Callable[[], None], frames: list[Frame]) -> Iterator[Frame]:
    finish()
    yield from frames
