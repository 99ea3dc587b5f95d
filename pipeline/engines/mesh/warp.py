"""Carries pixels along with a moving mesh, in the video's own planes."""

from __future__ import annotations

import cv2
import numba
import numpy as np

from pipeline.video.frame import Frame

EDGE = 1e-4
"""How far outside a triangle, in barycentric coordinates, a pixel still counts as inside: no cracks between them."""
STAYS = 0.05
"""Pixels; what would move by less stays as it is."""


@numba.njit(cache=True, nogil=True)
def _rasterize(
    target: np.ndarray,
    source: np.ndarray,
    triangles: np.ndarray,
    left: int,
    top: int,
    map_x: np.ndarray,
    map_y: np.ndarray,
) -> None:
    """Fill the maps with, for each pixel of a moved triangle, where it came from; later triangles cover earlier."""
    height, width = map_x.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = target[a, 0], target[a, 1], target[b, 0], target[b, 1], target[c, 0], target[c, 1]
        sax, say, sbx, sby = source[a, 0], source[a, 1], source[b, 0], source[b, 1]
        scx, scy = source[c, 0], source[c, 1]
        area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
        if abs(area) < 1e-6:
            continue
        x0, x1 = max(int(np.ceil(min(ax, bx, cx))) - left, 0), min(int(np.floor(max(ax, bx, cx))) - left + 1, width)
        y0, y1 = max(int(np.ceil(min(ay, by, cy))) - top, 0), min(int(np.floor(max(ay, by, cy))) - top + 1, height)
        du, dv = (by - cy) / area, (cy - ay) / area  # how the barycentric coordinates change from pixel to pixel
        dw = -du - dv
        step_x, step_y = du * sax + dv * sbx + dw * scx, du * say + dv * sby + dw * scy
        for y in range(y0, y1):
            dx, dy = x0 + left - cx, y + top - cy
            u = ((by - cy) * dx + (cx - bx) * dy) / area
            v = ((cy - ay) * dx + (ax - cx) * dy) / area
            w = 1 - u - v
            first, last = 0.0, x1 - x0 - 1.0  # the pixels of this row that lie inside, counted from x0
            for start, step in ((u, du), (v, dv), (w, dw)):
                if step > 1e-12:
                    first = max(first, np.ceil((-EDGE - start) / step))
                elif step < -1e-12:
                    last = min(last, np.floor((-EDGE - start) / step))
                elif start < -EDGE:
                    last = -1.0
            start_x, start_y = u * sax + v * sbx + w * scx, u * say + v * sby + w * scy
            for i in range(int(first), int(last) + 1):
                map_x[y, x0 + i] = start_x + i * step_x
                map_y[y, x0 + i] = start_y + i * step_y


class Crop:
    """The part of a frame that a movement can reach: even coordinates, so that chroma falls in step."""

    def __init__(self, points: np.ndarray, width: int, height: int) -> None:
        low, high = np.floor(points.min(0)) - 2, np.ceil(points.max(0)) + 3
        self.left, self.top = (int(v) // 2 * 2 for v in np.clip(low, 0, (width - 2, height - 2)))
        self.right, self.bottom = (
            -(-int(v) // 2) * 2 for v in np.clip(high, (self.left + 2, self.top + 2), (width, height))
        )

    @property
    def luma(self) -> tuple[slice, slice]:
        """Rows and columns of the Y plane."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def chroma(self) -> tuple[slice, slice]:
        """Rows and columns of the U and V planes."""
        return slice(self.top // 2, self.bottom // 2), slice(self.left // 2, self.right // 2)


def warp(base: Frame, out: Frame, source: np.ndarray, target: np.ndarray, triangles: np.ndarray, crop: Crop) -> None:
    """Write into OUT's crop what BASE shows there once its mesh has moved from SOURCE to TARGET ((n, 2) float32 px)."""
    rows, columns = crop.luma
    map_x, map_y = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32), np.arange(rows.start, rows.stop, dtype=np.float32)
    )
    _rasterize(target, source, triangles, crop.left, crop.top, map_x, map_y)
    out.y[crop.luma] = cv2.remap(base.y, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    half = map_x.shape[1] // 2, map_x.shape[0] // 2
    half_x, half_y = (cv2.resize(m, half, interpolation=cv2.INTER_AREA) / 2 - 0.25 for m in (map_x, map_y))
    for plane, moved in zip(base.uv, out.uv, strict=True):
        moved[crop.chroma] = cv2.remap(plane, half_x, half_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
