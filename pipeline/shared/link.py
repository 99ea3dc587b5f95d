"""The connections of a web server to Redis."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from pipeline import messages
from pipeline.errors import PipelineError, TasksUnavailable

logger = logging.getLogger(__name__)

PREFIX = "avatar:"
"""What all names in Redis begin with, so that it can be used for other things, too."""
ANSWER_SECONDS = 5.0
"""Seconds in which Redis must answer; every other limit is longer."""
QUIET_SECONDS = 2.0
"""Seconds for which clients do not ask again after that, so that one that hangs does not hold up all of them."""
BLOCK_SECONDS = 1.5
"""Seconds for which a reader waits in Redis for new entries."""
SETTLED_SECONDS = 15.0
"""Seconds after its start in which Redis may lack what servers have not published again."""


class CannotShare(PipelineError):
    """The server cannot start, because Redis cannot be used: the message states what is wrong."""

    status = 503

    @classmethod
    def of(cls, url: str, error: Exception) -> CannotShare:
        """Return what an error of Redis at an address means."""
        return cls(messages.cluster.NO_REDIS(url=_public(url), reason=type(error).__name__))


class Link:
    """Redis, for threads and for the event loop; both clients connect when they are first used.

    Args:
        url: ``redis://host:port/number``, or ``rediss://`` with TLS.

    Attributes:
        now: The client for threads.
        later: The client for the event loop of the server, and for no other loop.
        errors: What both raise where Redis does not answer, or answers with an error.
        away: Whether Redis did not answer when it was asked last.

    Raises:
        CannotShare: The package is not installed, the address is none, or Redis does not answer.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis
            from redis import asyncio as later
            from redis.asyncio.retry import Retry as RetryLater
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise CannotShare(messages.cluster.NO_RAY(setting="TASKS_URL")) from error
        self.errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        limits: dict[str, Any] = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
        limits |= {"decode_responses": True, "max_connections": 10_000, "protocol": 2}
        # once more at once: a connection from before a restart of Redis fails when it is used
        try:
            self.now: Any = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 1), **limits)
            self.later: Any = later.Redis.from_url(url, retry=RetryLater(NoBackoff(), 1), **limits)
            self.now.ping()
        except (ValueError, *self.errors) as error:
            raise CannotShare.of(url, error) from error
        self._lock = threading.Lock()
        self.away = False
        self._failed = 0.0

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Turn errors of Redis in the block into TasksUnavailable; where it has just not answered, do not ask again."""
        if self.away and time.monotonic() - self._failed < QUIET_SECONDS:
            raise TasksUnavailable
        try:
            yield
        except self.errors as error:
            self.failed(error)
            raise TasksUnavailable from error
        self.works()

    def failed(self, error: Exception) -> None:
        """Log that Redis does not answer, once until it does."""
        with self._lock:
            known, self.away, self._failed = self.away, True, time.monotonic()
        if not known:
            logger.warning("Redis does not answer: %s", type(error).__name__)

    def works(self) -> None:
        """Log that Redis answers again, if it did not."""
        if self.away:
            self.away = False
            logger.info("Redis answers again")

    def local_address(self) -> str:
        """Return the address of this machine, as Redis' machine sees it; "" for one that only this machine reaches."""
        pool = self.now.connection_pool
        connection = pool.get_connection()
        try:
            sock = connection._sock  # a Unix socket has no address
            host = sock.getsockname()[0] if sock is not None and sock.family.name in ("AF_INET", "AF_INET6") else ""
        finally:
            pool.release(connection)
        return str(host)

    def check_settled(self, info: dict[str, Any]) -> None:
        """Check that what Redis does not know does not exist.

        Raises:
            TasksUnavailable: It was started a moment ago.
        """
        if not self.is_settled(info):
            raise TasksUnavailable

    @staticmethod
    def is_settled(info: dict[str, Any]) -> bool:
        """Return whether Redis, by what ``INFO server`` returns, knows all that servers have published."""
        return float(info.get("uptime_in_seconds", 0)) >= SETTLED_SECONDS

    def close(self) -> None:
        """Close the connections of threads."""
        self.now.close()


def _public(url: str) -> str:
    """Return an address without its password."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "?"
