"""Brings arrays to the device and back without standing still: it goes on with what it was given before.

PyTorch's own ``tensor.to(device)`` and ``torch.tensor(..., device=...)`` wait until the device has done all its work.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return ARRAY on DEVICE; it gets there after what the device was given so far."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # the card reads it by itself only from memory that stays where it is
    return tensor.to(device, non_blocking=True)


def to_host(tensor: torch.Tensor) -> Callable[[], np.ndarray]:
    """Send TENSOR to the host; the returned function waits until it is there, and returns it."""
    if tensor.device.type != "cuda":
        return tensor.numpy
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    there = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # who waits leaves the core to others
    there.record(torch.cuda.current_stream(tensor.device))

    def fetch() -> np.ndarray:
        there.synchronize()
        return host.numpy()

    return fetch


def wait(device: torch.device) -> None:
    """Wait until DEVICE has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
