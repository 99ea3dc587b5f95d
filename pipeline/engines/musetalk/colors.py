"""Converts between a video's own planes and the network's RGB with one matrix, both ways."""

from __future__ import annotations

import numpy as np

from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

BT709, BT601 = 1, 6
KNOWN_MATRICES = {BT709: (0.2126, 0.0722), 5: (0.299, 0.114), BT601: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Shares of red and blue in luma (ITU-R BT.709, BT.601 and BT.2020), by the matrix's number in H.273."""
_FULL = 2


def matrix_of(colors: ColorTags, height: int) -> int:
    """Return the matrix (its number in H.273) of a video.

    Untagged videos use BT.709 from 720 lines up and BT.601 below, like players.
    """
    return colors.space if colors.space in KNOWN_MATRICES else BT709 if height >= 720 else BT601


def yuv_matrix(colors: ColorTags, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (3, 3) and (3,) float32 that convert RGB in 0..1 to Y, U, V in 0..255: matrix @ rgb + offset.

    Matrix and range are those of `colors`; see ``matrix_of``.
    """
    red, blue = KNOWN_MATRICES[matrix_of(colors, height)]
    luma = np.array([red, 1 - red - blue, blue])
    rgb = np.eye(3)
    matrix = np.stack([luma, (rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red)])
    scale, offset = ((255, 255, 255), (0, 128, 128)) if colors.range == _FULL else ((219, 224, 224), (16, 128, 128))
    return (matrix * np.array(scale)[:, None]).astype(np.float32), np.array(offset, np.float32)


def rgb_of(frame: Frame, colors: ColorTags) -> np.ndarray:
    """Return a frame as (height, width, 3) uint8 RGB, with the matrix and range of `colors`; see ``matrix_of``.

    This is the exact inverse of the conversion back. FFmpeg's own is fast, but a level too dark: a network that
    returned its input would leave a darker patch.
    """
    matrix, offset = yuv_matrix(colors, frame.height)
    back = np.linalg.inv(matrix.astype(np.float64)).T * 255
    chroma = [plane.repeat(2, axis=0).repeat(2, axis=1) for plane in frame.uv]
    yuv = np.stack([frame.y, *chroma], axis=2).astype(np.float32)
    rgb = yuv @ back.astype(np.float32) - (offset @ back).astype(np.float32)
    return np.asarray(rgb.round().clip(0, 255), np.uint8)
