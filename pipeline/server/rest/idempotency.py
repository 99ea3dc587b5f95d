"""Requests that are sent twice, for example after a broken connection.

An Idempotency-Key returns the task of the first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool

from pipeline import messages
from pipeline.errors import BadRequest, KeyReused
from pipeline.jobs.tasks import Job, TaskBook

_KEY = re.compile("[!-~]{1,255}")


class Repeats:
    """The tasks of requests with a key, as long as they are remembered."""

    def __init__(self, book: TaskBook) -> None:
        self._book = book
        self._tasks: dict[tuple[str, str], tuple[bytes, Job]] = {}
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def join(
        self, caller: str, key: str | None, body: Callable[[], object], make: Callable[[], Awaitable[Job]]
    ) -> Job:
        """Return the task of an earlier request with the same key and body, or make a new one.

        Args:
            caller: The client.
            key: The Idempotency-Key; None without one.
            body: Returns the decoded request; called only with a key, in a thread.
            make: Makes the task; if it raises, the key stays free.

        Raises:
            BadRequest: The key is invalid.
            Conflict: The key was used with another body.
        """
        if key is None:
            return await make()
        if not _KEY.fullmatch(key):
            raise BadRequest(messages.server.IDEMPOTENCY_KEY_INVALID())
        name = caller, key
        content = await run_in_threadpool(body)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:  # the same request twice at once is one task, too
            before = self._tasks.get(name)
            if before is not None and self._remembered(before[1]):
                if before[0] != digest:
                    raise KeyReused(messages.server.IDEMPOTENCY_KEY_REUSED())
                return before[1]
            task = await make()
            self._tasks = {one: kept for one, kept in self._tasks.items() if self._remembered(kept[1])}
            self._tasks[name] = digest, task
            return task

    def _remembered(self, task: Job) -> bool:
        return self._book.find(task.id) is task
