"""Requests that are sent twice, for example after a broken connection.

An Idempotency-Key returns the task of the first one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool

from pipeline import messages
from pipeline.errors import BadRequest, KeyReused
from pipeline.jobs.claims import Claims
from pipeline.jobs.tasks import Job

_KEY = re.compile("[!-~]{1,255}")


class Repeats:
    """The jobs of requests with a key, as long as they are remembered.

    Args:
        claims: Where they are kept.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

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
            TasksUnavailable: Other web servers cannot be asked.
        """
        if key is None:
            return await make()
        if not _KEY.fullmatch(key):
            raise BadRequest(messages.server.IDEMPOTENCY_KEY_INVALID())
        digest = _digest_of(await run_in_threadpool(body))
        async with self._claims.held(_digest_of([caller, key])) as claim:
            if claim.kept is not None:
                if claim.kept.digest != digest:
                    raise KeyReused(messages.server.IDEMPOTENCY_KEY_REUSED())
                return claim.kept.job
            job = await make()
            await claim.keep(digest, job)
            return job


def _digest_of(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
