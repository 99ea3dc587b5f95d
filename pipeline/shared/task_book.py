"""The tasks of several web servers: each publishes its own in Redis, and finds those of the others there."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pipeline.core.notifier import Notifier, until
from pipeline.jobs.events import Ended, Queued
from pipeline.jobs.tasks import AvatarJob, Job, TaskBook, is_task_id
from pipeline.shared.codec import to_text
from pipeline.shared.link import Link
from pipeline.shared.remote import (
    AGAIN_SECONDS,
    Record,
    RemoteHistory,
    entries_of,
    events_key,
    followed_key,
    lost_entry,
    record_key,
    record_of,
)
from pipeline.shared.servers import (
    BEAT_SECONDS,
    LEASE_SECONDS,
    MARK_LENGTH,
    WebServer,
    key_of,
    mark_key,
    server_of,
)

logger = logging.getLogger(__name__)

OPEN_SECONDS = 900
"""Seconds for which Redis keeps a job of which nothing more is published."""
RENEW_SECONDS = 120.0
"""Seconds between two times that a server reports which of its jobs go on."""
FOREVER_SECONDS = 7 * 24 * 3600
"""Seconds for which Redis keeps an ended job whose results are kept for ever."""
PUBLISH_SECONDS = 1.0
"""Seconds for which a client waits until other servers know the event that it receives."""
GOODBYE_SECONDS = 3.0
"""Seconds in which a server that ends publishes its last events."""


@dataclass
class _Published:
    """What Redis has of a job of this server.

    Attributes:
        numbers: Of its events.
        key: Name and value of its Idempotency-Key.
        following: Until its end is published.
        changes: Reports that Redis has more.
    """

    job: Job
    numbers: set[int] = field(default_factory=set)
    key: tuple[str, str] | None = None
    following: ExitStack = field(default_factory=ExitStack)
    changes: Notifier = field(default_factory=Notifier)

    @property
    def names(self) -> list[str]:
        """What it has in Redis."""
        return [record_key(self.job.id), events_key(self.job.id), *([self.key[0]] if self.key else [])]


class SharedTaskBook(TaskBook):
    """The tasks of all web servers; safe to use from any thread.

    Its own tasks it has in memory, as ``TaskBook`` does, and a thread of its own publishes them: what a task does
    never waits for Redis. If Redis was away, or has forgotten everything, all is published once more.

    Args:
        results: Folder of finished files.
        ttl: Seconds for which they are kept; 0 keeps them for ever.
        link: Redis.
        server: This web server.
        forgotten: Called in a thread where Redis has forgotten what was published.

    Attributes:
        server: This web server.
    """

    def __init__(
        self, results: Path, ttl: float, link: Link, server: WebServer, forgotten: Callable[[], object]
    ) -> None:
        super().__init__(results, ttl)
        self.server = server
        self._link = link
        self._forgotten = forgotten
        self._published: dict[str, _Published] = {}
        self._pending: dict[str, _Published] = {}
        self._woken = threading.Condition()
        self._ending = False
        self._beaten = self._renewed = float("-inf")
        self._redis_run = ""
        self._lost = False
        self._beat()
        self._lost = False  # nothing was published yet
        self._publisher = threading.Thread(target=self._publish_all, name="tasks", daemon=True)
        self._publisher.start()

    # --- what this server publishes

    def note(self, job: Job) -> None:
        """See ``TaskBook``."""
        super().note(job)
        published = _Published(job)
        with self._woken:
            self._published[job.id] = published
        published.following.enter_context(job.history.changes.calling(lambda: self._wake(published)))
        self._wake(published)  # the recording of a session has no event until it ends

    def keep_key(self, job: Job, name: str, value: str) -> None:
        """Keep an Idempotency-Key in Redis as long as its job.

        Args:
            job: A job of this server.
            name: Name in Redis.
            value: Its content.
        """
        published = self._published.get(job.id)
        if published is not None:
            published.key = name, value
            self._wake(published)

    def _wake(self, published: _Published) -> None:
        with self._woken:
            self._pending[published.job.id] = published
            self._woken.notify_all()

    def _publish_all(self) -> None:
        """Publish what is new, until the program ends."""
        while not self._ending or self._pending:
            with self._woken:
                due = self._beaten + BEAT_SECONDS
                self._woken.wait_for(lambda: self._pending or self._ending, max(0.0, due - time.monotonic()))
                pending, self._pending = self._pending, {}
            try:
                if time.monotonic() >= due:
                    self._beat()
                if self._lost:
                    self._forgotten()
                    with self._woken:
                        for published in self._published.values():
                            published.numbers = set()
                        pending |= self._published
                    self._lost = False
                self._publish([*pending.values()])
                self._link.works()
            except self._link.errors as error:
                self._link.failed(error)
                with self._woken:
                    self._pending = {**pending, **self._pending}
                    self._woken.wait_for(lambda: self._ending, AGAIN_SECONDS)
                if self._ending:
                    return
            except Exception:  # this thread must go on
                logger.exception("a task is not published to other servers")

    def _beat(self) -> None:
        """Report that this server lives, and find out whether Redis may have forgotten what was published."""
        with self._link.now.pipeline(transaction=False) as pipe:
            pipe.set(self.server.mark_key, self.server.to_text(), ex=LEASE_SECONDS)
            pipe.set(self.server.key, self.server.to_text(), ex=LEASE_SECONDS, get=True).info("server")
            _, known, info = pipe.execute()
        run, self._redis_run = self._redis_run, info.get("run_id", "")
        self._lost = self._lost or known is None or run != self._redis_run
        now = time.monotonic()
        if now - self._renewed > RENEW_SECONDS:
            self._renewed = now
            with self._woken:
                going_on = [published for published in self._published.values() if not published.job.history.ended]
                names = [name for published in going_on for name in published.names]
            with self._link.now.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.expire(name, OPEN_SECONDS)
                pipe.execute()
        self._beaten = now

    def _publish(self, pending: list[_Published]) -> None:
        """Publish all of some jobs that Redis does not have."""
        if not pending:
            return
        sent: list[tuple[_Published, set[int], bool]] = []
        with self._link.now.pipeline(transaction=False) as pipe:
            for published in pending:
                entries, key = published.job.history.entries, events_key(published.job.id)
                ended = bool(entries) and isinstance(entries[-1].event, Ended)
                numbers = {entry.number for entry in entries}
                for entry in entries:
                    if entry.number not in published.numbers:
                        pipe.xadd(key, {"entry": to_text(entry), "time": time.time()}, id=f"{entry.number}-0")
                if replaced := published.numbers - numbers:
                    pipe.xdel(key, *(f"{number}-0" for number in replaced))
                seconds = OPEN_SECONDS if not ended else max(1, round(self.ttl)) if self.ttl else FOREVER_SECONDS
                record = Record(published.job.kind, self.server.url, self.server.run, ended)
                pipe.set(record_key(published.job.id), json.dumps(asdict(record)), ex=seconds)
                pipe.expire(key, seconds)
                if published.key is not None:
                    pipe.set(*published.key, ex=seconds)
                sent.append((published, numbers, ended))
            for answer in pipe.execute(raise_on_error=False):
                # an entry that is there already is refused: Redis had not forgotten it
                if isinstance(answer, Exception) and "equal or smaller" not in str(answer):
                    raise answer
        for published, numbers, ended in sent:
            published.numbers = numbers
            published.changes.notify()
            if ended:
                published.following.close()
        if any(ended for _, _, ended in sent):
            self._forget_expired()

    def _forget_expired(self) -> None:
        """Forget what no client may ask for any more."""
        with self._woken:
            self._published = {id: one for id, one in self._published.items() if super(SharedTaskBook, self).find(id)}

    async def published(self, job: Job) -> None:
        """See ``TaskBook``."""
        published, last = self._published.get(job.id), job.history.last
        if published is None or last is None or self._link.away:
            return
        with suppress(TimeoutError):  # it is published later
            async with asyncio.timeout(PUBLISH_SECONDS):
                await until(lambda: max(published.numbers, default=0) >= last.number, published.changes)

    def disconnect(self) -> None:
        """Publish the last events, and that this server is gone."""
        with self._woken:
            self._ending = True
            self._woken.notify_all()
        self._publisher.join(GOODBYE_SECONDS)
        try:
            self._link.now.delete(self.server.key, self.server.mark_key)
        except self._link.errors as error:
            self._link.failed(error)
        self._link.close()

    # --- what other servers publish

    def find(self, task_id: str) -> Job | None:
        """See ``TaskBook``; finds jobs of other servers, too.

        Raises:
            TasksUnavailable: Redis does not answer, or does not know yet.
        """
        own = super().find(task_id)
        if own is not None or not is_task_id(task_id):
            return own
        with self._link.asked():
            redis = self._link.now
            with redis.pipeline(transaction=False) as pipe:
                pipe.get(record_key(task_id)).xrange(events_key(task_id))
                text, stream = pipe.execute()
            if text is None:
                self._link.check_settled(redis.info("server"))
                return None
            record = record_of(text)
            entries, at = entries_of(stream), float(stream[-1][1].get("time", 0)) if stream else 0.0
            if not record.ended and not record.is_by(server_of(redis.get(key_of(record.url)))):
                self._link.check_settled(redis.info("server"))
                entries.append(lost_entry(entries[-1].number + 1 if entries else 1))
        return self._remote(task_id, record, RemoteHistory(self._link, task_id, record, entries, at))

    def _remote(self, task_id: str, record: Record, history: RemoteHistory) -> Job:
        if record.kind == AvatarJob.kind:
            return AvatarJob(id=task_id, history=history)
        return replace(self.files_of(task_id), history=history)

    async def server_of(self, task_id: str) -> WebServer | None:
        """Return the other server that has the files of a task; None if there is none, or it is gone.

        Raises:
            TasksUnavailable: Redis does not answer, or does not know yet.
        """
        with self._link.asked():
            redis = self._link.later
            text = await redis.get(record_key(task_id))
            if text is None:
                self._link.check_settled(await redis.info("server"))
                return None
            server = server_of(await redis.get(key_of(record_of(text).url)))
        return None if server is None or server.url == self.server.url else server

    async def server_of_session(self, session_id: str) -> WebServer | None:
        """Return the other server that has a live session, by the end of its id; None if there is none.

        Raises:
            TasksUnavailable: Redis does not answer, or does not know yet.
        """
        mark = session_id[-MARK_LENGTH:]
        if mark == self.server.mark:
            return None
        with self._link.asked():
            text = await self._link.later.get(mark_key(mark))
            if text is None:
                self._link.check_settled(await self._link.later.info("server"))
            return server_of(text)

    async def followed_elsewhere(self, job: Job) -> bool:
        """See ``TaskBook``; without an answer of Redis a client may follow it."""
        try:
            return bool(await self._link.later.exists(followed_key(job.id)))
        except self._link.errors as error:
            self._link.failed(error)
            return True

    def place(self, task_id: str) -> Queued | None:
        """Return the position of a waiting job of another server; None for any other."""
        if self.get(task_id) is not None:
            return None
        job = self.find(task_id)
        return job.history.place() if job is not None and isinstance(job.history, RemoteHistory) else None

    async def leave(self, task_id: str) -> bool:
        """Return False: jobs of other servers leave their queues there."""
        return False

    def is_open(self, task_id: str) -> bool:
        """See ``TaskBook``; without an answer of Redis it may be open at another server."""
        if super().is_open(task_id):
            return True
        try:
            text = self._link.now.get(record_key(task_id))
            if text is None or (record := record_of(text)).ended:
                return False
            return record.is_by(server_of(self._link.now.get(key_of(record.url))))
        except self._link.errors as error:
            self._link.failed(error)
            return True
