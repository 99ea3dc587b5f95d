"""Between a video's own planes and the RGB that the network sees and draws: one matrix, both ways."""

from __future__ import annotations

import numpy as np

from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

BT709, BT601 = 1, 6
KNOWN_MATRICES = {BT709: (0.2126, 0.0722), 5: (0.299, 0.114), BT601: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Red's and blue's share of luma (ITU-R BT.709, BT.601 and BT.2020), by the matrix' number in H.273."""
_FULL = 2


def matrix_of(colors: ColorTags, height: int) -> int:
    """Return which matrix (the number that H.273 gives it) a video of HEIGHT lines with COLORS is made with.

    Where they name none, BT.709 from 720 lines up and BT.601 below, which is what players take it for.
    """
    return colors.space if colors.space in KNOWN_MATRICES else BT709 if height >= 720 else BT601


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


def rgb_of(frame: Frame, colors: ColorTags) -> np.ndarray:
    """Return FRAME as (height, width, 3) uint8 RGB, by the matrix and range that COLORS name; see ``matrix_of``.

    The very reverse of how what was drawn is put back: FFmpeg's own conversion is quick, but a level too dark, and a
    network that returns what it saw would leave a darker patch.
    """
    matrix, offset = yuv_matrix(colors, frame.height)
    back = np.linalg.inv(matrix.astype(np.float64)).T * 255
    chroma = [plane.repeat(2, axis=0).repeat(2, axis=1) for plane in frame.uv]
    yuv = np.stack([frame.y, *chroma], axis=2).astype(np.float32)
    rgb = yuv @ back.astype(np.float32) - (offset @ back).astype(np.float32)
    return np.asarray(rgb.round().clip(0, 255), np.uint8)
