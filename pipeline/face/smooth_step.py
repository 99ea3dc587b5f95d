"""A rise without a kink."""

from __future__ import annotations

import numpy as np


def smooth_step(share: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 while `share` does, with a speed of 0 at both ends; what lies beyond is 0 or 1."""
    share = np.clip(share, 0, 1)
    risen: np.ndarray = share * share * (3 - 2 * share)
    return risen
