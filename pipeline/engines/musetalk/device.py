"""Transfers arrays to the device and back without blocking it.

PyTorch's own ``tensor.to(device)`` and ``torch.tensor(..., device=...)`` wait until the device has done all its work.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array on the device; the transfer is queued after the device's current work."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # the card reads directly only from pinned memory
    return tensor.to(device, non_blocking=True)


def to_host(tensor: torch.Tensor) -> Callable[[], np.ndarray]:
    """Start the transfer of a tensor to the host; the returned function waits for it and returns the array."""
    if tensor.device.type != "cuda":
        return tensor.numpy
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    there = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # a thread that waits leaves the core to others
    there.record(torch.cuda.current_stream(tensor.device))

    def fetch() -> np.ndarray:
        there.synchronize()
        return host.numpy()

    return fetch


def wait(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
