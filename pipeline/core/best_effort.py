"""Side products of a task, which a video can do without."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import Cancelled, TookTooLong

logger = logging.getLogger(__name__)


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Log an error of the block and go on without its product; a cancelled task still stops.

    Args:
        what: What the block makes, for the log.
    """
    try:
        yield
    except (Cancelled, TookTooLong):
        raise
    except Exception:
        logger.exception("no %s", what)
