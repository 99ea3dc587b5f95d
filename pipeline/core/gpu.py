"""Reads the memory of the graphics card through NVIDIA's management library."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

import pynvml

logger = logging.getLogger(__name__)

MEBIBYTE = 2**20


@dataclass(frozen=True)
class GpuMemory:
    """Memory of one card in MB (2**20 bytes); every field is None without an NVIDIA card."""

    total: int | None = None
    used: int | None = None
    free: int | None = None

    def to_json(self) -> dict[str, int | None]:
        """Return the documented JSON shape (API.md)."""
        return asdict(self)


class Gpu:
    """The first NVIDIA card of this machine, if there is one; safe to use from any thread."""

    def __init__(self) -> None:
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        except pynvml.NVMLError as error:
            logger.info("no NVIDIA card: %s", error)
            self._handle = None

    def memory(self) -> GpuMemory:
        """Return the current memory of the card."""
        if self._handle is None:
            return GpuMemory()
        try:
            info = pynvml.nvmlDeviceGetMemoryInfo(self._handle)
        except pynvml.NVMLError as error:  # the driver was unloaded or the card was lost
            logger.warning("the card's memory cannot be read: %s", error)
            return GpuMemory()
        return GpuMemory(info.total // MEBIBYTE, info.used // MEBIBYTE, info.free // MEBIBYTE)
