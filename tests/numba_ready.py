"""Numba made ready, where this is imported: it reads what it knows of Python when the first function is called."""

from __future__ import annotations

import numpy as np

from pipeline.engines.mesh.warp import _reach

_corner = np.zeros((1, 2), np.float32)
_reach(_corner, _corner, np.zeros((1, 3), np.int32))
