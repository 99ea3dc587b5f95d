"""Which job belongs to a request that may be repeated, whichever web server it comes to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pipeline.errors import TasksUnavailable
from pipeline.jobs.claims import Claim, Kept
from pipeline.jobs.tasks import Job
from pipeline.shared.link import PREFIX, Link
from pipeline.shared.task_book import SharedTaskBook

HOLD_SECONDS = 30.0
"""Seconds for which a request may hold its name: as long as it takes to check and queue it."""
LOOK_SECONDS = 0.05
"""Seconds between two checks whether a name is free."""


class SharedClaims:
    """The jobs of the requests to all web servers; use it from the event loop.

    Args:
        link: Redis.
        book: The tasks of all web servers.
    """

    def __init__(self, link: Link, book: SharedTaskBook) -> None:
        self._link = link
        self._book = book

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[Claim]:
        """See ``pipeline.jobs.claims.Claims``."""
        key = f"{PREFIX}key:{name}"
        redis = self._link.later
        lock = redis.lock(f"{key}:held", timeout=HOLD_SECONDS, sleep=LOOK_SECONDS, blocking_timeout=HOLD_SECONDS)
        with self._link.asked():
            if not await lock.acquire():
                raise TasksUnavailable
        try:
            with self._link.asked():
                text = await redis.get(key)
            kept = None if text is None else await self._kept(text)
            yield _SharedClaim(self._link, self._book, key, kept)
        finally:
            with suppress(*self._link.errors):  # it ends by itself
                await lock.release()

    async def _kept(self, text: str) -> Kept | None:
        content = json.loads(text)
        job = await asyncio.to_thread(self._book.find, content["task"])
        return None if job is None else Kept(content["digest"], job)


@dataclass
class _SharedClaim:
    link: Link
    book: SharedTaskBook
    key: str
    kept: Kept | None

    async def keep(self, digest: str, job: Job) -> None:
        """See ``Claim``; the job is made, so an error of Redis does not matter to it."""
        text = json.dumps({"digest": digest, "task": job.id})
        self.book.keep_key(job, self.key, text)
        try:
            await self.link.later.set(self.key, text, ex=round(HOLD_SECONDS))  # now; the book keeps it
        except self.link.errors as error:
            self.link.failed(error)
