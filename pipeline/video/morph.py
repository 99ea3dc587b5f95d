"""Pictures between two others."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from pipeline.video.frame import Frame

_SHRUNK = 2
"""Factor by which pictures are shrunk to find what moves where."""


class Morph:
    """Goes from one picture to another: what is in both moves, the rest fades.

    Dense optical flow (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016) says where each pixel of
    the one is in the other; both are drawn on the way, and blended.

    Args:
        one: A picture.
        other: Another of the same size.
    """

    def __init__(self, one: Frame, other: Frame) -> None:
        size = max(16, one.width // _SHRUNK), max(16, one.height // _SHRUNK)
        small = [cv2.resize(frame.y, size, interpolation=cv2.INTER_AREA) for frame in (one, other)]
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(small[0], small[1], None)
        scale = np.array([one.width / size[0], one.height / size[1]], np.float32)
        self._flow = cv2.resize(cv2.GaussianBlur(flow, (0, 0), 4), (one.width, one.height)) * scale
        self._half = cv2.resize(self._flow, (one.width // 2, one.height // 2), interpolation=cv2.INTER_AREA) / 2
        # memory for places of pixels: to get it anew for each picture takes longer than to find them
        self._places = [np.empty_like(flow) for flow in (self._flow, self._half)]

    def between(self, one: Frame, other: Frame, share: float) -> Frame:
        """Return a picture on the way.

        Args:
            one: A picture like the first one.
            other: A picture like the other one.
            share: How far it is on the way, 0..1.
        """
        planes = np.empty_like(one.planes)
        between = Frame(planes)
        for flow, places, first, last, out in (
            (self._flow, self._places[0], one.y, other.y, between.y),
            *((self._half, self._places[1], *planes) for planes in zip(one.uv, other.uv, between.uv, strict=True)),
        ):
            there = _moved(first, cv2.scaleAdd(flow, -share, _grid(*out.shape), places))
            here = _moved(last, cv2.add(places, flow, places))
            cv2.addWeighted(there, 1 - share, here, share, 0, out)
        return between


@lru_cache(maxsize=4)  # two for each size of pictures; a session needs them within its 0.2 s
def _grid(height: int, width: int) -> np.ndarray:
    """Return the place (x, y) of each pixel, (height, width, 2) float32."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)


def _moved(plane: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.asarray(
        cv2.remap(np.ascontiguousarray(plane), places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
