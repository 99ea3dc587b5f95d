"""Text in, a speaking person out: ``text -> speech -> mouth movement -> video``."""

from pathlib import Path

from pipeline.core.numba_cache import ensure_numba_cache

ensure_numba_cache(Path(__file__).parent)
