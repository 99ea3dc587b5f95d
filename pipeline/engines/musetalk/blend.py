"""Puts drawn faces into frames, many at a time, on the network's device and in the video's own planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from pipeline.engines.musetalk.crop import KNOWN_MATRICES, Box, matrix_of
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

_FULL = 2


@dataclass(frozen=True)
class Place:
    """Where a face goes. box: see ``face_box``; mask: (128, 128) uint8, see ``face_mask``; strength: 0..1."""

    box: Box
    mask: np.ndarray
    strength: float


class Blender:
    """Blends pictures into frames of WIDTH x HEIGHT pixels whose colours are COLORS.

    SIDES (pixels across and down) is the largest box that will come: all are worked on in windows of one size.
    """

    def __init__(
        self, width: int, height: int, colors: ColorTags, sides: tuple[int, int], device: torch.device
    ) -> None:
        self._size = tuple(min(limit, side // 2 * 2 + 4) for limit, side in zip((width, height), sides, strict=True))
        self._limits = width, height
        self._device = device
        matrix, offset = yuv_matrix(colors, height)
        self._matrix = torch.from_numpy(matrix).to(device)
        self._offset = torch.from_numpy(offset).to(device)

    @torch.inference_mode()
    def blend(self, pictures: torch.Tensor, frames: Sequence[Frame], places: Sequence[Place]) -> Callable[[], None]:
        """Blend PICTURES ((n, 3, h, w) float32 RGB in 0..1) into FRAMES at PLACES.

        The device works on it while others do something else: FRAMES are changed once the returned function was called.
        """
        corners = [self._corner(place.box) for place in places]
        share = torch.tensor([place.strength for place in places], device=self._device)[:, None, None]
        masks = to_device(np.stack([place.mask for place in places]), self._device).float() / 255
        grid, inside = self._grids(places, corners)
        mask = functional.grid_sample(masks[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
        mask = mask * inside * share
        drawn = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        yuv = torch.einsum("yc,nchw->nyhw", self._matrix, drawn) + self._offset[:, None, None]
        mixed = [
            self._mix([frame.y for frame in frames], corners, yuv[:, 0], mask, 1),
            *(
                self._mix([frame.uv[i] for frame in frames], corners, _halved(yuv[:, 1 + i]), _halved(mask), 2)
                for i in (0, 1)
            ),
        ]
        done = _event(self._device)

        def finish() -> None:
            done()
            for planes, views in mixed:
                for plane, view in zip(planes.numpy(), views, strict=True):
                    view[:] = plane

        return finish

    def _corner(self, box: Box) -> tuple[int, int]:
        """Return x and y, even, of a window that holds BOX."""
        x, y = (
            min(start // 2 * 2, limit - side)
            for start, limit, side in zip(box[:2], self._limits, self._size, strict=True)
        )
        return x, y

    def _grids(self, places: Sequence[Place], corners: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return for every pixel of each window its place in the box, (n, h, w, 2) in -1..1, and whether it is in it.

        Pixels are areas: the middle of the box's first pixel is half a pixel from its edge.
        """
        boxes = torch.tensor([place.box for place in places], dtype=torch.float32, device=self._device)
        corner = torch.tensor(corners, dtype=torch.float32, device=self._device)
        axes = []
        for axis in (0, 1):
            middles = torch.arange(self._size[axis], device=self._device) + 0.5 + corner[:, axis, None]
            start, stop = boxes[:, axis, None], boxes[:, axis + 2, None]
            axes.append((middles - start) / (stop - start) * 2 - 1)
        across, down = axes[0][:, None].expand(-1, self._size[1], -1), axes[1][:, :, None].expand(-1, -1, self._size[0])
        return torch.stack([across, down], dim=3), (across.abs() < 1) & (down.abs() < 1)

    def _mix(
        self,
        planes: Sequence[np.ndarray],
        corners: Sequence[tuple[int, int]],
        drawn: torch.Tensor,
        mask: torch.Tensor,
        step: int,
    ) -> tuple[torch.Tensor, list[np.ndarray]]:
        """Return DRAWN over the windows of PLANES by MASK, on its way to the host, and where it belongs."""
        across, down = (side // step for side in self._size)
        views = [
            plane[y // step : y // step + down, x // step : x // step + across]
            for plane, (x, y) in zip(planes, corners, strict=True)
        ]
        filmed = to_device(np.stack(views), self._device).float()
        mixed = (filmed + (drawn - filmed) * mask).round().clamp(0, 255).to(torch.uint8)
        if self._device.type != "cuda":
            return mixed.cpu(), views
        host = torch.empty(mixed.shape, dtype=torch.uint8, pin_memory=True)
        return host.copy_(mixed, non_blocking=True), views


def yuv_matrix(colors: ColorTags, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (3, 3) and (3,) float32 that carry RGB in 0..1 to Y, U, V in 0..255: matrix @ rgb + offset.

    By the matrix and range that COLORS name; see ``matrix_of``.
    """
    red, blue = KNOWN_MATRICES[matrix_of(colors, height)]
    luma = np.array([red, 1 - red - blue, blue])
    rgb = np.eye(3)
    matrix = np.stack([luma, (rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red)])
    scale, offset = ((255, 255, 255), (0, 128, 128)) if colors.range == _FULL else ((219, 224, 224), (16, 128, 128))
    return (matrix * np.array(scale)[:, None]).astype(np.float32), np.array(offset, np.float32)


def _halved(planes: torch.Tensor) -> torch.Tensor:
    """Return PLANES (n, h, w) at half the size, each place the mean of four."""
    return functional.avg_pool2d(planes[:, None], 2)[:, 0]


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return ARRAY on DEVICE, without waiting for what that has to do before."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _event(device: torch.device) -> Callable[[], None]:
    """Return what waits until DEVICE has done all that it was given so far."""
    if device.type != "cuda":
        return lambda: None
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event.synchronize
