"""How fast MuseTalk is on this machine's GPU, step by step, with random weights of full size: none need be fetched.

    python -m benchmarks.musetalk [--resolution 720p] [--seconds 8]

One run, one table. The first row is the loop as it was published: float32, batches of 8, the pictures brought to the
host, resized and blended there. Each further row adds one step to the rows above it; then comes what the server takes
of them. "network" is UNet and decoder alone, with latents and features ready; "finished mp4" is the whole lipsync
stage, speech in memory to a file on disk, as the server does it. Random weights draw noise: only times, memory and
errors mean anything. The last columns show how far the last step is from float32, or what could not be used, and which
encoder was: not every card has NVENC. torch.compile takes minutes the first time.
"""

from __future__ import annotations

import argparse
import gc
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.machine import describe_machine, load
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.ahead import ahead
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.musetalk.audio import SpeechFeatures, features_of
from pipeline.engines.musetalk.colors import rgb_of
from pipeline.engines.musetalk.device import wait
from pipeline.engines.musetalk.device_worker import Models, Worker
from pipeline.engines.musetalk.inpainting import inpainting_of
from pipeline.engines.musetalk.network import Network
from pipeline.engines.musetalk.optimise import (
    BATCHES,
    CHANNELS_LAST,
    COMPILED,
    GRAPHS,
    HALF,
    STEPS,
    Graphs,
    Step,
    random_input,
)
from pipeline.jobs.generate import FRAMES_AHEAD_ON_CARD
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Speech
from pipeline.video.encoder import AUTO, X264, X264_BESIDE_CARD, Encoder, encoder_for
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader
from pipeline.video.writer import Mp4Writer

UNET: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": 8,
    "out_channels": 4,
    "layers_per_block": 2,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "cross_attention_dim": 384,
    "attention_head_dim": 8,
}
VAE: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
WHISPER: dict[str, Any] = {
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
}
TINY: dict[str, dict[str, Any]] = {
    "unet": {
        "layers_per_block": 1,
        "block_out_channels": [8, 16, 16, 16],
        "norm_num_groups": 4,
        "attention_head_dim": 2,
    },
    "vae": {"layers_per_block": 1, "block_out_channels": [4, 4, 8, 8], "norm_num_groups": 2},
}
"""Changes that make the models small: the script can be tried on a CPU."""
ROWS: tuple[tuple[str, tuple[tuple[Step, ...], ...], str], ...] = (
    ("fixed batches, blended on the GPU, ahead of the encoder", (), X264.name),
    ("float16", ((HALF,),), X264.name),
    ("CUDA graphs", ((HALF,), (GRAPHS,)), X264.name),
    ("channels last", ((HALF,), (CHANNELS_LAST,), (GRAPHS,)), X264.name),
    ("as the server runs", STEPS, AUTO),
    ("the same with torch.compile (MUSETALK_COMPILE=1)", (*STEPS[:-1], (COMPILED,)), AUTO),
)
"""Name, steps and VIDEO_ENCODER of each."""
SIZES = (1, 2, 4, 8, 16, 32)
"""Batches that the network's speed is compared for."""
ROUNDS = 20
"""Batches that the network's speed is measured over; one with small models, which are only tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What every row draws. rounds: batches that the network's speed is measured over."""

    models: Models
    avatar: Avatar
    stretch: Stretch
    device: torch.device
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. fps: frames a second; first: seconds to the first frame; memory: MiB at the most; error: mean, 0..1.

    start: seconds that the network takes to be ready; encoder: which one was used.
    """

    name: str
    network_fps: float
    file_fps: float
    first: float
    memory: float
    start: float
    error: str
    encoder: str


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--avatar", default="talk_long")
    options.add_argument("--resolution", default="720p")
    options.add_argument("--seconds", type=float, default=8.0)
    options.add_argument("--tiny", action="store_true", help="small models, to try this script without a GPU")
    given = options.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not given.tiny:
        raise SystemExit("torch finds no CUDA device here, so there is nothing to measure; --tiny tries the script.")
    models = _models(given.tiny)
    avatar = _prepared(given.avatar, given.resolution, models, device)
    stretch = _stretch(given.seconds, avatar.fps)

    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(f"machine: {describe_machine()}; load {load():.1f}")
    print(f"{card}, torch {torch.__version__}; {avatar.id}, {given.seconds:g} s of speech, random weights\n")
    print("| step | network, fps | finished mp4, fps | first frame, s | GPU memory, MiB | ready, s | error | encoder |")
    print("|---|---|---|---|---|---|---|---|")
    rounds = 1 if given.tiny else ROUNDS
    work = Load(models=models, avatar=avatar, stretch=stretch, device=device, rounds=rounds)
    _show(_published(work))
    for name, steps, encoder in ROWS:
        _show(_with_steps(name, steps, encoder, work))
    if device.type == "cuda":
        print(f"\nnetwork in float16 and CUDA graphs, fps by frames at a time: {_by_batch(models, device)}")
        waits = _waits(models, avatar, stretch)
        print(f"\nwaits for the card while {len(stretch.mouth.weights)} frames are drawn: {waits}")


def _show(row: Row) -> None:
    numbers = f"{row.network_fps:.0f} | {row.file_fps:.0f} | {row.first:.2f} | {row.memory:.0f} | {row.start:.1f}"
    print(f"| {row.name} | {numbers} | {row.error} | {row.encoder} |", flush=True)


# --- what it runs on


def _models(tiny: bool) -> Models:
    """Return models with random weights, the same at every call."""
    import diffusers
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    make: Any = diffusers  # its classes have no types
    unet, vae = (UNET | TINY["unet"], VAE | TINY["vae"]) if tiny else (UNET, VAE)

    def network(device: torch.device) -> Network:
        torch.manual_seed(0)
        with device:
            made = make.UNet2DConditionModel(**unet), make.AutoencoderKL(**vae)
        return Network(*(model.eval().requires_grad_(False) for model in made))

    def features(device: torch.device) -> SpeechFeatures:
        with device:
            encoder: Any = WhisperEncoder(transformers.WhisperConfig(**WHISPER))
        extractor: Any = transformers.WhisperFeatureExtractor
        return SpeechFeatures(encoder.eval().requires_grad_(False), extractor())

    return Models(features, network)


def _prepared(name: str, resolution: str, models: Models, device: torch.device) -> Avatar:
    store = AvatarStore(Settings().precomputed)
    avatar = store.load(store.find(name, resolution))
    return replace(avatar, inpainting=inpainting_of(avatar, models.network(device).vae))


def _stretch(seconds: float, fps: Fraction) -> Stretch:
    """Return speech without a pause, so that the network draws every frame."""
    frames = round(seconds * fps)
    samples = np.random.default_rng(1).uniform(-0.3, 0.3, math.ceil(frames / fps * 16_000)).astype(np.float32)
    mouth = MouthTrack(float(fps), np.full((frames, len(UNITS)), 0.5, np.float32), UNITS)
    return Stretch(Speech(samples=samples, rate=16_000, text="", language="ko"), mouth)


# --- the rows


def _published(work: Load) -> Row:
    """Measure the published loop: one picture after the other, all of a batch waiting for its last."""
    models, avatar, stretch, device = work.models, work.avatar, work.stretch, work.device
    _forget(device)
    start = time.perf_counter()
    network, listener = models.network(device), models.features(device)
    ready = time.perf_counter() - start
    size = BATCHES[-1]
    latents, features = random_input(network, size)

    def draw() -> np.ndarray:
        pictures = network.draw(latents, features)
        return (pictures.permute(0, 2, 3, 1).cpu().numpy() * 255).round().astype(np.uint8)

    network_fps = _rate(draw, size, device, work.rounds)
    first: list[float] = []

    def frames(stretch: Stretch) -> Iterator[Frame]:
        assert avatar.inpainting is not None
        states = listener.states(stretch.speech.samples, stretch.speech.rate)
        clip = ClipReader(avatar.video)
        source = clip.frames()
        box, mask = avatar.inpainting.boxes[0], avatar.inpainting.masks[0]  # one for all
        left, top, right, bottom = box.tolist()
        soft = cv2.resize(mask, (right - left, bottom - top)).astype(np.float32)[..., None] / 255
        count = len(stretch.mouth.weights)
        for start in range(0, count, size):
            numbers = list(range(start, min(count, start + size)))
            rows = torch.from_numpy(avatar.inpainting.latents[[i % len(avatar.usable) for i in numbers]])
            features = features_of(states, avatar.fps, numbers)
            pictures = (network.draw(rows, features).permute(0, 2, 3, 1).cpu().numpy() * 255).round().astype(np.uint8)
            for picture, frame in zip(pictures, islice(source, len(numbers)), strict=True):
                body = rgb_of(frame, clip.colors)
                drawn = cv2.resize(picture, (right - left, bottom - top))
                face = body[top:bottom, left:right]
                face[:] = (drawn * soft + face * (1 - soft)).astype(np.uint8)
                yield Frame(cv2.cvtColor(body, cv2.COLOR_RGB2YUV_I420))

    for _ in frames(_stretch(0.4, avatar.fps)):  # warm
        pass
    file_fps = _to_file(frames(stretch), avatar, X264_BESIDE_CARD, first)
    return Row(
        name="published loop, float32",
        network_fps=network_fps,
        file_fps=file_fps,
        first=first[0],
        memory=_memory(device),
        start=ready,
        error="0",
        encoder=X264.name,
    )


def _with_steps(name: str, steps: Sequence[Sequence[Step]], encoder_setting: str, work: Load) -> Row:
    """Measure the engine's own worker with STEPS, and what ENCODER_SETTING chooses."""
    models, avatar, stretch, device = work.models, work.avatar, work.stretch, work.device
    _forget(device)
    encoder = encoder_for(encoder_setting, True, avatar.width, avatar.height)
    start = time.perf_counter()
    worker = Worker(device, models, steps)
    ready = time.perf_counter() - start
    memory_to_start = _memory(device)
    _forget(device)
    latents, features = random_input(worker.network.network, BATCHES[-1])
    network_fps = _rate(lambda: worker.network.draw(latents, features), BATCHES[-1], device, work.rounds)
    for _ in worker.render(avatar, [_stretch(0.4, avatar.fps)], CancelToken()):  # warm
        pass
    first: list[float] = []
    file_fps = _to_file(worker.render(avatar, [stretch], CancelToken()), avatar, encoder, first)
    error = "; ".join([note for note in worker.notes if ": not used" in note] or worker.notes[-1:]) or "0"
    memory = max(memory_to_start, _memory(device))
    return Row(
        name=name,
        network_fps=network_fps,
        file_fps=file_fps,
        first=first[0],
        memory=memory,
        start=ready,
        error=error,
        encoder=encoder.name,
    )


def _by_batch(models: Models, device: torch.device) -> str:
    """Return how fast the network is for batches of other sizes: whether BATCHES are well chosen for this card."""
    _forget(device)
    network = models.network(device)
    HALF.apply(network)
    rates = []
    for size in SIZES:
        sample = random_input(network, size)
        graphs = Graphs(network, (size,))
        rates.append(f"{size}: {_rate(partial(graphs.draw, *sample), size, device, ROUNDS):.0f}")
    return ", ".join(rates)


def _waits(models: Models, avatar: Avatar, stretch: Stretch) -> int:
    """Return how often the host waits for the card where it need not, by PyTorch's own count; see ``device.py``.

    Hearing the speech counts, once or twice; more than that would be a fault.
    """
    worker = Worker(torch.device("cuda"), models, ((HALF,),))
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        for _ in worker.render(avatar, [stretch], CancelToken()):
            pass
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in met)


def _rate(draw: Callable[[], object], size: int, device: torch.device, rounds: int) -> float:
    """Return how many frames a second DRAW makes, SIZE at a time, in so many ROUNDS once it is warm."""
    for _ in range(min(3, rounds)):
        draw()
    wait(device)
    start = time.perf_counter()
    for _ in range(rounds):
        draw()
    wait(device)
    return rounds * size / (time.perf_counter() - start)


def _to_file(frames: Iterator[Frame], avatar: Avatar, encoder: Encoder, first: list[float]) -> float:
    """Encode FRAMES with ENCODER as the server does; return how many a second.

    When the first one was there (s) is added to FIRST.
    """
    start = time.perf_counter()
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path, colors = Path(folder) / "out.mp4", ClipReader(avatar.video).colors
        with Mp4Writer(path, avatar.width, avatar.height, avatar.fps, colors, encoder) as writer:
            for count, frame in enumerate(ahead(frames, FRAMES_AHEAD_ON_CARD, CancelToken()), 1):
                if count == 1:
                    first.append(time.perf_counter() - start)
                writer.write_frame(frame)
    return count / (time.perf_counter() - start)


def _forget(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _memory(device: torch.device) -> float:
    """Return the most memory that was reserved on DEVICE, MiB; without what CUDA itself takes, some 500."""
    return torch.cuda.max_memory_reserved(device) / 2**20 if device.type == "cuda" else 0.0


if __name__ == "__main__":
    main()
