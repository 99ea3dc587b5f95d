"""Blends drawn faces into frames, many at a time, on the network's device and in the video's own planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from pipeline.engines.musetalk.colors import yuv_matrix
from pipeline.engines.musetalk.device import to_device, to_host
from pipeline.engines.musetalk.face_crop import Box
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags


@dataclass(frozen=True)
class Place:
    """Where a face goes.

    Attributes:
        box: See ``face_box``.
        mask: (128, 128) uint8, see ``face_mask``.
        strength: 0..1.
    """

    box: Box
    mask: np.ndarray
    strength: float


class Blender:
    """Blends pictures into frames.

    Args:
        width, height: Size of the frames in pixels.
        colors: Their colours.
        sides: Largest box (pixels across and down); all are processed in windows of one size.
        device: Where to compute.
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
        """Blend pictures into frames.

        The device works asynchronously: the frames change when you call the returned function.

        Args:
            pictures: (n, 3, h, w) float32 RGB in 0..1.
            frames: The frames.
            places: Where each picture goes.
        """
        corners = [self._corner(place.box) for place in places]
        windows = [self._planes(frame, corner) for frame, corner in zip(frames, corners, strict=True)]
        masks = to_device(np.stack([place.mask for place in places]), self._device).float() / 255
        rows = [(*place.box, *corner, place.strength) for place, corner in zip(places, corners, strict=True)]
        boxes, corner, strength = torch.split(to_device(np.array(rows, np.float32), self._device), [4, 2, 1], dim=1)
        grid, inside = self._grids(boxes, corner)
        mask = functional.grid_sample(masks[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
        mask = mask * inside * strength[:, :, None]
        drawn = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        y, u, v = (torch.einsum("yc,nchw->nyhw", self._matrix, drawn) + self._offset[:, None, None]).unbind(1)
        whole, half = mask.flatten(1), _halved(mask)
        shown = torch.cat([y.flatten(1), _halved(u), _halved(v)], dim=1)
        share = torch.cat([whole, half, half], dim=1)
        filmed = to_device(np.stack([_packed(planes) for planes in windows]), self._device).float()
        fetch = to_host((filmed + (shown - filmed) * share).round().clamp(0, 255).to(torch.uint8))

        def finish() -> None:
            for mixed, planes in zip(fetch(), windows, strict=True):
                start = 0
                for plane in planes:
                    plane[:] = mixed[start : start + plane.size].reshape(plane.shape)
                    start += plane.size

        return finish

    def _corner(self, box: Box) -> tuple[int, int]:
        """Return the even corner (x, y) of a window around a box."""
        x, y = (
            min(start // 2 * 2, limit - side)
            for start, limit, side in zip(box[:2], self._limits, self._size, strict=True)
        )
        return x, y

    def _planes(self, frame: Frame, corner: tuple[int, int]) -> list[np.ndarray]:
        """Return a window of a frame in Y, U and V, as views."""
        (x, y), (across, down) = corner, self._size
        return [
            plane[y // step : (y + down) // step, x // step : (x + across) // step]
            for plane, step in zip((frame.y, *frame.uv), (1, 2, 2), strict=True)
        ]

    def _grids(self, boxes: torch.Tensor, corner: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return every window pixel's position in the box, (n, h, w, 2) in -1..1, and whether it is inside.

        Boxes (n, 4) and corners (n, 2) are in pixels of the frame. Pixels are areas: the middle of the box's first
        pixel is half a pixel from its edge.
        """
        axes = []
        for axis in (0, 1):
            middles = torch.arange(self._size[axis], device=self._device) + 0.5 + corner[:, axis, None]
            start, stop = boxes[:, axis, None], boxes[:, axis + 2, None]
            axes.append((middles - start) / (stop - start) * 2 - 1)
        across, down = axes[0][:, None].expand(-1, self._size[1], -1), axes[1][:, :, None].expand(-1, -1, self._size[0])
        return torch.stack([across, down], dim=3), (across.abs() < 1) & (down.abs() < 1)


def _halved(planes: torch.Tensor) -> torch.Tensor:
    """Return planes (n, h, w) at half the size, each pixel the mean of four, as (n, h / 2 * w / 2)."""
    return functional.avg_pool2d(planes[:, None], 2).flatten(1)


def _packed(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Return all pixels of some planes in one array: one transfer to the device is faster than three."""
    return np.concatenate([plane.ravel() for plane in planes])
