"""Side products of a task: what a video can do without."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import Cancelled, TookTooLong

logger = logging.getLogger(__name__)


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Log it where the block fails, and go on without WHAT it was to give. A task that is told to stop still stops."""
    try:
        yield
    except (Cancelled, TookTooLong):
        raise
    except Exception:
        logger.exception("no %s", what)
