"""Which job belongs to a request that may be repeated: one interface, here in memory.

``pipeline.shared.shared_claims`` has it for several web servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from pipeline.jobs.tasks import Job, TaskBook


@dataclass(frozen=True)
class Kept:
    """What is kept of a request.

    Attributes:
        digest: Of its content.
        job: What became of it.
    """

    digest: str
    job: Job


class Claim(Protocol):
    """A name that one request holds, so that the same request at the same moment waits."""

    kept: Kept | None
    """The earlier request with that name, as long as its job is remembered."""

    async def keep(self, digest: str, job: Job) -> None:
        """Keep the job of this request."""


class Claims(Protocol):
    """The jobs of requests by name, as long as they are remembered."""

    def held(self, name: str) -> AbstractAsyncContextManager[Claim]:
        """Wait for a name, and hold it while the block lasts.

        Raises:
            TasksUnavailable: Other web servers cannot be asked.
        """


class MemoryClaims:
    """The jobs of the requests to one web server."""

    def __init__(self, book: TaskBook) -> None:
        self._book = book
        self._kept: dict[str, Kept] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[Claim]:
        """See ``Claims``."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            before = self._kept.get(name)
            yield _MemoryClaim(self, name, before if before is not None and self._remembered(before) else None)

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a request, and forget those whose jobs are forgotten."""
        self._kept = {one: each for one, each in self._kept.items() if self._remembered(each)}
        self._kept[name] = kept

    def _remembered(self, kept: Kept) -> bool:
        return self._book.find(kept.job.id) is kept.job


@dataclass
class _MemoryClaim:
    claims: MemoryClaims
    name: str
    kept: Kept | None

    async def keep(self, digest: str, job: Job) -> None:
        """See ``Claim``."""
        self.claims.keep(self.name, Kept(digest, job))
