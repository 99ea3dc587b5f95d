"""While the device draws, no thread waits for it: tried with a device that has no numbers, only shapes, to wait for."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from benchmarks.musetalk import UNET, VAE
from pipeline.engines.musetalk.audio import SpeechFeatures, features_of
from pipeline.engines.musetalk.blend import Blender, Place
from pipeline.engines.musetalk.device import to_device, to_host
from pipeline.engines.musetalk.network import Network
from pipeline.engines.musetalk.optimise import BATCHES, HALF
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from tests.tiny_musetalk import CHANNELS, diffusers, make_unet, make_vae

META = torch.device("meta")
"""PyTorch's device of tensors without content: what would read one raises."""
ROOM = 4.5e9
"""Bytes of 6 GB that are left beside CUDA itself, its libraries' workspaces, Whisper and the blending."""


class Transfers(TorchFunctionMode):
    """Counts what goes to the device, and refuses ways there that wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: object, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is torch.Tensor.to and args[0].device != result.device:
            assert (kwargs or {}).get("non_blocking"), "it waits until the device has done all before"
            self.count += 1
        if function in (torch.tensor, torch.as_tensor):
            assert result.device != META, "it waits until the device has done all before"
        return result


@pytest.mark.slow
def test_a_batch_is_given_to_the_device_without_waiting_for_it() -> None:
    network = Network(make_unet().to(META), make_vae().to(META))
    blender = Blender(320, 180, ColorTags(), (100, 90), META)
    before = np.random.default_rng(0).integers(16, 236, (270, 320)).astype(np.uint8)
    frames = [Frame(before.copy()) for _ in range(3)]
    places = [Place((40 + i, 30, 140 + i, 120), np.full((128, 128), 255, np.uint8), 0.5) for i in range(3)]
    with Transfers() as transfers:
        features = features_of(torch.empty(100, 5, CHANNELS, device=META), Fraction(25), [0, 1, 2])
        latents = to_device(np.zeros((3, 8, 32, 32), np.float32), META)
        finish = blender.blend(network.draw(latents, features), frames, places)
    assert transfers.count == 5  # what is heard, latents, masks, places, and all planes at once
    assert all((frame.planes == before).all() for frame in frames)
    with pytest.raises(TypeError, match="meta"):
        finish()  # only here a thread waits


def test_sound_is_encoded_on_the_device_and_stays_there() -> None:
    asked: list[str] = []

    class Encoder:
        device, dtype = META, torch.float16

        def __call__(self, mel: torch.Tensor, output_hidden_states: bool) -> SimpleNamespace:
            assert output_hidden_states and mel.device == META and mel.dtype == torch.float16
            return SimpleNamespace(hidden_states=[torch.empty(1, 1500, CHANNELS, device=META)] * 5)

    def extractor(samples: np.ndarray, sampling_rate: int, return_tensors: str, device: str) -> SimpleNamespace:
        asked.append(device)
        return SimpleNamespace(input_features=torch.zeros(1, 80, 3000))

    states = SpeechFeatures(Encoder(), extractor).states(np.zeros(44_100 * 31, np.float32), 44_100)
    assert asked == ["meta", "meta"] and states.device == META and states.shape == (1550, 5, CHANNELS)


class Memory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own, without types
    """Counts the bytes of all tensors that are alive at a time. peak: at the most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[int, int] = {}
        self.peak: int = 0

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: object, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self._alive:
                    self._alive[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self._alive.pop, storage._cdata)
        self.peak = max(self.peak, sum(self._alive.values()))
        return result


def _drawing(network: Network, size: int) -> int:
    """Bytes that NETWORK takes on top of its weights to draw SIZE frames."""
    latents, features = torch.empty(size, 8, 32, 32, device=META), torch.empty(size, 50, 384, device=META)
    with Memory() as memory:
        network.draw(latents, features)
    return int(memory.peak)


def _weights(network: Network) -> int:
    return sum(one.nbytes for model in (network.unet, network.vae) for one in model.parameters())


@pytest.mark.slow
def test_the_network_of_full_size_fits_on_a_card_of_6_gb() -> None:
    with META:
        network = Network(diffusers.UNet2DConditionModel(**UNET), diffusers.AutoencoderKL(**VAE))
    assert sum(one.numel() for one in network.unet.parameters()) == pytest.approx(849.9e6, rel=1e-3)
    assert _weights(network) + _drawing(network, BATCHES[0]) < ROOM  # as it is loaded, before it is made faster
    HALF.apply(network)
    largest = _drawing(network, BATCHES[-1])
    assert largest > 256 * 65_536 * 2 * BATCHES[-1]  # its last layers' pictures alone
    assert _weights(network) + 2 * largest < ROOM  # outside of CUDA graphs, and again for them


def test_what_goes_to_the_device_comes_back() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(to_host(to_device(array, torch.device("cpu")) + 1)(), array + 1)
