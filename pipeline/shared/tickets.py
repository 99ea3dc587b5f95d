"""One order for the tasks of all web servers that have their videos made on one cluster.

Each task takes a ticket when it joins the queue. Redis has the tickets of all servers in one hash, and each server
changes it only as long as no other one has: so all of them see the same order, and agree on whose turn it is.

The order says who is next; how many run at a time is up to the cluster, whose slots take one task each and refuse a
second. So nothing but the order is lost with Redis: then each server goes on with its own tickets, and those that
begin too early wait at the cluster. When Redis is back, even empty, each server puts its tickets there again, with the
times at which they were taken.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.core.notifier import Notifier, until
from pipeline.jobs.eta import TIMED_TASKS, Pace
from pipeline.jobs.turns import Slots
from pipeline.shared.link import PREFIX, Link
from pipeline.shared.servers import BEAT_SECONDS, WebServer, key_of, server_of

logger = logging.getLogger(__name__)

KEPT_SECONDS = 900
"""Seconds for which Redis keeps the tickets of servers that publish nothing any more."""
PACE_SECONDS = 7 * 24 * 3600
"""Seconds for which it keeps how long tasks took."""
AGAIN_SECONDS = 0.5
"""Seconds between two tries while Redis is away."""
PLACE_SECONDS = 1.0
"""Seconds for which a new task waits for its place in the order."""
PATIENCE_SECONDS = 10.0
"""Seconds after the cluster has its first slot in which other servers may not have noticed."""
GOODBYE_SECONDS = 3.0
"""Seconds in which the threads of a server that ends do so."""
_LAST = 1 << 62
"""Later than every ticket."""


@dataclass(frozen=True)
class Ticket:
    """A task in the order.

    Attributes:
        id: Of the task.
        url, run: Its server, and the run of that.
        work: See ``pipeline.jobs.eta``; None if it is unknown.
        address: Where its request came from.
        at: When it was taken, in microseconds of Redis' clock: the order; 0 until it has a place there.
        began: When its task began, likewise; 0 while it waits.
        able: Whether its server sees a slot: no task waits long behind one that has lost the cluster.
    """

    id: str
    url: str
    run: str
    work: float | None
    address: str
    at: int = 0
    began: int = 0
    able: bool = True


class SharedTickets:
    """The tickets of all web servers of one cluster; safe to use from any thread.

    A thread of its own makes Redis and this server agree whenever something changes here or there.

    Args:
        link: Redis.
        server: This web server.
        slots: Those of the cluster.
        name: Which cluster it is: servers with the same one share its slots.

    Attributes:
        changed: Reports every change of the order.
        pace: How long the tasks of all servers took.
    """

    def __init__(self, link: Link, server: WebServer, slots: Slots, name: str) -> None:
        self.changed = Notifier()
        self.pace = Pace()
        self._link = link
        self._server = server
        self._slots = slots
        self._key = f"{PREFIX}queue:{name}"
        self._own: dict[str, Ticket] = {}
        self._others: tuple[Ticket, ...] = ()
        self._unpublished: list[tuple[float | None, float]] = []
        """How long tasks of this server took, which Redis does not know yet."""
        self._clock = time.time() - time.monotonic()
        """Redis' clock is this many seconds ahead of the monotonic one."""
        self._alone = False
        self._seen, self._seen_since = slots.slots, time.monotonic()
        """Slots that this server has seen last, and since when there are any."""
        self._lock = threading.RLock()
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._following = ExitStack()
        self._following.enter_context(slots.changed.calling(self._resize))
        self._threads = [
            threading.Thread(target=one, name=name, daemon=True)
            for one, name in ((self._keep_in_order, "tickets"), (self._listen, "order"))
        ]
        for thread in self._threads:
            thread.start()

    # --- what this server does

    def take(self, task_id: str, work: float | None, address: str) -> None:
        """Add a task at the end of the order.

        Args:
            task_id: Its id.
            work: See ``pipeline.jobs.eta``; None if it is unknown.
            address: Where its request came from.
        """
        with self._lock:
            self._own[task_id] = Ticket(task_id, self._server.url, self._server.run, work, address)
        self._act()

    async def placed(self, task_id: str) -> None:
        """Wait until a new task has its place in the order, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PLACE_SECONDS):
                await until(lambda: task_id not in self._own or bool(self._own[task_id].at), self.changed)

    def leave(self, task_id: str) -> None:
        """Remove a task that has ended, or waits no more; no effect on any other."""
        with self._lock:
            if self._own.pop(task_id, None) is None:
                return
        self._act()
        self.changed.notify()

    def timed(self, work: float | None, seconds: float) -> None:
        """Remember how many seconds a task took."""
        self.pace.note(work, seconds)
        with self._lock:
            self._unpublished.append((work, seconds))

    # --- what is known of all servers

    @property
    def waiting(self) -> list[Ticket]:
        """The tasks that wait, in their order."""
        return [ticket for ticket in self._all() if not ticket.began]

    @property
    def running(self) -> list[Ticket]:
        """The tasks that have begun, in no order."""
        return [ticket for ticket in self._all() if ticket.began]

    def may_run(self, task_id: str) -> bool:
        """Return whether it is the turn of a task of this server."""
        with self._lock:
            return task_id in self._own and bool(self._own[task_id].began)

    def seconds_since(self, ticket: Ticket) -> float:
        """Return for how many seconds a task has been running."""
        return self._now() / 1e6 - ticket.began / 1e6

    def _all(self) -> list[Ticket]:
        with self._lock:
            return _in_order([*self._others, *self._own.values()])

    def _now(self) -> int:
        return round((time.monotonic() + self._clock) * 1e6)

    # --- agreeing with the other servers

    def _act(self) -> None:
        """Do what has become possible: together with the others, or alone while Redis is away."""
        if self._alone:
            self._go_alone()
        self._woken.set()

    def _resize(self) -> None:
        """Follow the slots of the cluster."""
        before, self._seen = self._seen, self._slots.slots
        if not before:
            self._seen_since = time.monotonic()
        self._act()

    def _keep_in_order(self) -> None:
        while not self._closed.is_set():
            self._woken.clear()
            try:
                self._agree()
                self._link.works()
            except self._link.errors as error:
                self._link.failed(error)
                self._go_alone()
                self._closed.wait(AGAIN_SECONDS)
                continue
            except Exception:  # this thread must go on
                logger.exception("the tickets of other web servers cannot be followed")
                self._closed.wait(AGAIN_SECONDS)
            self._woken.wait(BEAT_SECONDS)

    def _agree(self) -> None:
        """Make Redis and this server agree on the order, and on whose turn it is."""
        with self._lock:
            own, unpublished = [*self._own.values()], [*self._unpublished]
        agreed = self._link.now.transaction(
            lambda pipe: self._change(pipe, own, unpublished), self._key, value_from_callable=True
        )
        now, others, mine, timed = agreed
        with self._lock:
            before, self._alone = self._all(), False
            self._clock = now / 1e6 - time.monotonic()
            self._others = others
            for ticket in mine:
                if (known := self._own.get(ticket.id)) is not None:  # it may have begun meanwhile, without Redis
                    self._own[ticket.id] = replace(ticket, began=known.began or ticket.began)
            del self._unpublished[: len(unpublished)]
            self.pace.replace([*timed, *self._unpublished])
            changed = self._all() != before
        if changed:
            self.changed.notify()

    def _change(self, pipe: Any, own: list[Ticket], unpublished: list[tuple[float | None, float]]) -> tuple[Any, ...]:
        """Read the tickets, and queue the commands that bring them up to date.

        Args:
            pipe: Watches the tickets: its commands have no effect if another server changes them meanwhile.
            own: The tickets of this server.
            unpublished: How long its tasks took.

        Returns:
            Redis' time in microseconds, the tickets of other servers that live, those of this one, and how long tasks
            took.
        """
        seconds, micros = pipe.time()
        now = int(seconds) * 1_000_000 + int(micros)
        known = _tickets_of(pipe.hgetall(self._key))
        others = self._living(pipe, known.values())
        timed = _timed_of(pipe.lrange(f"{self._key}:pace", 0, -1))
        slots = self._slots.slots
        patient = time.monotonic() - self._seen_since < PATIENCE_SECONDS
        in_front = [one for one in others if one.began or one.able or patient]
        mine = _with_turns([replace(one, able=slots > 0) for one in own], in_front, slots, now)
        gone = known.keys() - {ticket.id for ticket in (*others, *mine)}
        updated = {ticket.id: json.dumps(asdict(ticket)) for ticket in mine if known.get(ticket.id) != ticket}
        unpublished = unpublished if timed else self.pace.timed  # Redis may have forgotten it
        pipe.multi()
        if gone:
            pipe.hdel(self._key, *gone)
        if updated:
            pipe.hset(self._key, mapping=updated)
        if mine:
            pipe.expire(self._key, KEPT_SECONDS)
        if unpublished:
            pipe.rpush(f"{self._key}:pace", *map(json.dumps, unpublished))
            pipe.ltrim(f"{self._key}:pace", -TIMED_TASKS, -1)
            pipe.expire(f"{self._key}:pace", PACE_SECONDS)
        if gone or updated:
            pipe.publish(self._key, self._server.run)
        return now, tuple(others), mine, [*timed, *unpublished][-TIMED_TASKS:]

    def _living(self, pipe: Any, tickets: Iterable[Ticket]) -> list[Ticket]:
        """Return the tickets of other servers that are there."""
        others = [ticket for ticket in tickets if ticket.url != self._server.url]
        urls = sorted({ticket.url for ticket in others})
        texts = pipe.mget([key_of(url) for url in urls]) if urls else []
        runs = {url: server.run for url, text in zip(urls, texts, strict=True) if (server := server_of(text))}
        return [ticket for ticket in others if runs.get(ticket.url) == ticket.run]

    def _go_alone(self) -> None:
        """Go on with the tickets of this server, in their order."""
        with self._lock:
            before, self._alone, self._others = self._all(), True, ()
            mine = _with_turns([*self._own.values()], (), self._slots.slots, self._now())
            self._own = {ticket.id: ticket for ticket in mine}
            changed = self._all() != before
        if changed:
            self.changed.notify()

    def _listen(self) -> None:
        """Wake the other thread whenever another server has changed the tickets."""
        while not self._closed.is_set():
            try:
                with self._link.now.pubsub(ignore_subscribe_messages=True) as changes:
                    changes.subscribe(self._key)
                    self._woken.set()  # it may have missed a change
                    while not self._closed.is_set():
                        message = changes.get_message(timeout=BEAT_SECONDS)
                        if message is not None and message["data"] != self._server.run:
                            self._woken.set()
            except self._link.errors as error:
                self._link.failed(error)
                self._closed.wait(AGAIN_SECONDS)

    def close(self) -> None:
        """Remove the tickets of this server, which ends."""
        self._following.close()
        with self._lock:
            self._own = {}
        with suppress(*self._link.errors):  # without Redis they expire
            self._agree()
            self._closed.set()
            self._link.now.publish(self._key, self._server.url)  # which ends the waiting for it
        self._closed.set()
        self._woken.set()
        for thread in self._threads:
            thread.join(GOODBYE_SECONDS)


def _in_order(tickets: Iterable[Ticket]) -> list[Ticket]:
    """Return tickets in their order; those without a place there come last."""
    return sorted(tickets, key=lambda ticket: (ticket.at, ticket.id) if ticket.at else (_LAST, ""))


def _with_turns(own: list[Ticket], others: Iterable[Ticket], slots: int, now: int) -> list[Ticket]:
    """Return the tickets of this server with their places, and with the turns that they have.

    Args:
        own: The tickets of this server, in the order in which they were taken.
        others: Those of the others: what runs, and what waits in front.
        slots: How many tasks run at a time.
        now: The time, in microseconds.
    """
    others = [*others]
    latest = max((ticket.at for ticket in (*own, *others)), default=0)
    placed = []
    for ticket in own:
        latest = max(now, latest + 1) if not ticket.at else latest
        placed.append(ticket if ticket.at else replace(ticket, at=latest))
    tickets = [*placed, *others]
    free = max(0, slots - sum(bool(ticket.began) for ticket in tickets))
    waiting = _in_order(ticket for ticket in tickets if not ticket.began)
    turns = {ticket.id for ticket in waiting[:free]}
    return [replace(ticket, began=now) if ticket.id in turns else ticket for ticket in placed]


def _tickets_of(texts: dict[str, str]) -> dict[str, Ticket]:
    """Return the tickets of a hash in Redis."""
    found = {}
    for id, text in texts.items():
        with suppress(ValueError, TypeError):  # of another version of the program
            found[id] = Ticket(**json.loads(text))
    return found


def _timed_of(texts: Iterable[str]) -> list[tuple[float | None, float]]:
    """Return how long tasks took, of a list in Redis."""
    return [(work, seconds) for work, seconds in map(json.loads, texts)]
