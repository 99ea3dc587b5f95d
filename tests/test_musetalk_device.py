"""While the device draws, nobody waits for it: tried with a device that has no numbers, only shapes, to wait for."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from pipeline.engines.musetalk.audio import features_of
from pipeline.engines.musetalk.blend import Blender, Place
from pipeline.engines.musetalk.device import to_device, to_host
from pipeline.engines.musetalk.network import Network
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from tests.tiny_musetalk import CHANNELS, make_unet, make_vae

META = torch.device("meta")
"""PyTorch's device of tensors without content: what would read one raises."""


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
        finish()  # only here somebody waits


def test_what_goes_to_the_device_comes_back() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(to_host(to_device(array, torch.device("cpu")) + 1)(), array + 1)
