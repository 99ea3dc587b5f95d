"""Jobs of other web servers, as this one knows them from Redis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline import messages
from pipeline.errors import TasksUnavailable, Unavailable
from pipeline.jobs.events import Ended, Failed, Queued
from pipeline.jobs.history import Entry, History
from pipeline.shared.codec import from_text
from pipeline.shared.link import BLOCK_SECONDS, PREFIX, Link
from pipeline.shared.servers import LEASE_SECONDS, WebServer, key_of, server_of

FOLLOWED_SECONDS = LEASE_SECONDS
"""Seconds for which a listener of another server counts, which may be held up for as long as it counts as alive; it
reports every `BLOCK_SECONDS` that it is there."""
AWAY_SECONDS = 30.0
"""Seconds for which listeners wait for Redis before their stream breaks off."""
AGAIN_SECONDS = 0.5
"""Seconds between two tries meanwhile."""
LOST_SECONDS = 4.0
"""Seconds after which a job without a server, or unknown to Redis, is lost."""


@dataclass(frozen=True)
class Record:
    """What Redis has of a job besides its events.

    Attributes:
        kind: Of the job.
        url, run: Its server, and the run of that.
        ended: Whether it has ended.
    """

    kind: str
    url: str
    run: str
    ended: bool

    def is_by(self, server: WebServer | None) -> bool:
        """Return whether a server has the job, and not a later run of it."""
        return server is not None and server.run == self.run


def record_key(task_id: str) -> str:
    """Return the name in Redis of a job's record."""
    return f"{PREFIX}task:{task_id}"


def events_key(task_id: str) -> str:
    """Return the name in Redis of the stream of a job's events; the id of an entry is its number."""
    return f"{PREFIX}task:{task_id}:events"


def followed_key(task_id: str) -> str:
    """Return the name in Redis that exists while clients of other servers follow a job."""
    return f"{PREFIX}task:{task_id}:followed"


def record_of(text: str) -> Record:
    """Return the record of a JSON text."""
    return Record(**json.loads(text))


class RemoteHistory(History):
    """The events of another server's job: those of the moment in which it was looked up, and later ones from Redis."""

    ours = False

    def __init__(self, link: Link, task_id: str, record: Record, entries: Sequence[Entry], at: float) -> None:
        super().__init__()
        self._link = link
        self._task_id = task_id
        self._record = record
        self._entries = list(entries)
        self._at = at

    def place(self) -> Queued | None:
        """Return the position of the job, and its estimate for now; None if it does not wait."""
        last = self.last
        if last is None or not isinstance(last.event, Queued):
            return None
        waited = time.time() - self._at if self._at else 0.0
        eta = None if last.event.eta is None else max(0.0, last.event.eta - waited)
        return Queued(last.event.position, eta)

    async def follow(self, after: int, heartbeat: float | None = None) -> AsyncGenerator[Entry | None]:
        """See ``History``.

        Raises:
            TasksUnavailable: Redis is away for long.
        """
        yielded = time.monotonic()
        away_since: float | None = None
        lost_since: float | None = None
        while True:
            try:
                entries = await self._entries_after(after)
                lost = not entries and await self._is_lost()
            except self._link.errors as error:
                self._link.failed(error)
                away_since = away_since or time.monotonic()  # not before: this server may have been held up
                if time.monotonic() - away_since > AWAY_SECONDS:
                    raise TasksUnavailable from error
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            self._link.works()
            answered, away_since = time.monotonic(), None
            lost_since = (lost_since or answered) if lost else None
            if lost_since is not None and answered - lost_since > LOST_SECONDS:
                entries = [lost_entry(after + 1)]
            for entry in entries:
                yielded, after = answered, entry.number
                yield entry
                if isinstance(entry.event, Ended):
                    return
            if heartbeat is not None and answered - yielded >= heartbeat:
                yielded = answered
                yield None

    async def _entries_after(self, after: int) -> list[Entry]:
        """Return the events after a number; wait a moment for them."""
        redis, key = self._link.later, events_key(self._task_id)
        await redis.set(followed_key(self._task_id), "1", ex=FOLLOWED_SECONDS)
        streams = await redis.xread({key: f"{after}-0"}, block=round(1000 * BLOCK_SECONDS))
        return entries_of(streams[0][1]) if streams else []

    async def _is_lost(self) -> bool:
        """Return whether nothing more will come of the job: its server is gone, or Redis does not know it."""
        redis = self._link.later
        known = await redis.exists(record_key(self._task_id))
        if known and self._record.is_by(server_of(await redis.get(key_of(self._record.url)))):
            return False
        return self._link.is_settled(await redis.info("server"))  # otherwise servers still publish it once more


def lost_entry(number: int) -> Entry:
    """Return the last event of a job that has lost its server."""
    return Entry(number, 0.0, Failed(Unavailable(messages.cluster.SERVER_LOST())))


def entries_of(stream: Any) -> list[Entry]:
    """Return the entries of a part of a stream."""
    found = []
    for id, fields in stream:
        with suppress(ValueError, KeyError, TypeError):  # of another version of the program
            found.append(from_text(int(id.partition("-")[0]), fields["entry"]))
    return found
