"""The web server's side of live sessions that run on the nodes of a Ray cluster."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from pipeline import messages
from pipeline.cluster.content_store import Store, lent
from pipeline.cluster.host import PIECE, Host
from pipeline.cluster.packs import Packs
from pipeline.cluster.slots import SLOT
from pipeline.errors import Unavailable
from pipeline.live.pipe_messages import Packed, receive
from pipeline.live.processes import Files, Link
from pipeline.live.session_request import SessionRequest

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5
"""Seconds of a wait for a message of a node, which sends one that often."""
SILENT_WAITS = 6
"""Waits in a row without a message after which a node is lost. A wait counts once, however long it took: it is not the
node that was silent while this process was held up."""
START_SECONDS = 60.0
"""Seconds until its first message."""
AVOIDED_SECONDS = 30.0
"""Seconds for which no session is given to a node that was lost: Ray may not know that yet."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A core of a node.

    Attributes:
        node: Ray's name of the node.
        number: Which of its cores, from 0.
    """

    node: str
    number: int


class NodeSessions:
    """The nodes as places for processes of sessions: as many processes on each as it has cores.

    Args:
        packs: Where avatars are lent to nodes.
        store: What the web server and the nodes share.
        host: The arguments of ``Host`` after the module.
        slots_max: Most slots that Ray's autoscaler may bring; 0 if it does not.
        coming_seconds: Seconds that it may need.
    """

    go_on = True

    def __init__(
        self, packs: Packs, store: Store, host: tuple[str, str], slots_max: int = 0, coming_seconds: float = 0.0
    ) -> None:
        self._packs, self._store, self._host = packs, store, host
        self._slots_max, self._coming_seconds = slots_max, coming_seconds
        self._slots = 0
        self._cores: dict[str, int] = {}
        self._avoided: dict[str, float] = {}
        self._leaving: frozenset[str] = frozenset()
        self.waiting: Callable[[], int] = lambda: 0
        """Returns how many sessions wait for a machine."""

    def look(self, nodes: Sequence[dict[str, Any]], draining: Collection[str] = ()) -> None:
        """Take what Ray reports of its nodes; those that are draining take no more sessions, and lose theirs."""
        there = [one for one in nodes if one["Alive"] and one["Resources"].get(SLOT)]
        self._leaving = frozenset(draining)
        staying = [one for one in there if one["NodeID"] not in self._leaving]
        self._slots = sum(int(one["Resources"][SLOT]) for one in staying)
        self._cores = {one["NodeID"]: max(1, int(one["Resources"].get("CPU", 1))) for one in staying}

    @property
    def slots_wanted(self) -> int:
        """How many slots there must be at least: sessions that wait find no room on those that there are."""
        return self._slots + 1 if self.waiting() else 0

    @property
    def coming_seconds(self) -> float:
        """See ``Machines``."""
        return self._coming_seconds if self._slots < self._slots_max else 0.0

    def leaves(self, place: Hashable) -> bool:
        """See ``Machines``."""
        assert isinstance(place, Place)
        return place.node in self._leaving

    def places(self, request: SessionRequest) -> list[Place]:
        """See ``Machines``: first one on each node."""
        now = time.monotonic()
        nodes = [one for one in self._cores.items() if self._avoided.get(one[0], 0.0) <= now]
        return [
            Place(node, number)
            for number in range(max((cores for _, cores in nodes), default=0))
            for node, cores in nodes
            if number < cores
        ]

    def machine_of(self, place: Hashable) -> Hashable:
        """See ``Machines``."""
        assert isinstance(place, Place)
        return place.node

    async def start(self, place: Hashable, module: str) -> Link:
        """See ``Machines``."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        assert isinstance(place, Place)
        there = NodeAffinitySchedulingStrategy(node_id=place.node, soft=False)
        options = {"num_cpus": 0, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": 1000}
        actor = ray.remote(Host).options(**options, scheduling_strategy=there).remote(module, *self._host)
        return _NodeLink(self, actor, lambda: self._lost(place.node), ray)

    def _lost(self, node: str) -> None:
        self._avoided[node] = time.monotonic() + AVOIDED_SECONDS

    def forget(self, ids: Sequence[str]) -> None:
        """See ``Machines``: nodes forget an avatar together with its pack."""

    def clean(self) -> None:
        """See ``Machines``: what is decoded of a pack stays until that goes."""

    async def name_in_store(self, request: SessionRequest, while_open: AsyncExitStack) -> tuple[str, str | None]:
        """Put the files of a session into the store, until it ends; return their names there."""
        pack = self._packs.lent(request.avatar)
        name = await asyncio.to_thread(pack.__enter__)
        while_open.callback(pack.__exit__, None, None, None)
        if request.background.picture is None:
            return name, None
        picture = lent(self._store, request.background.picture)
        picture_name = await asyncio.to_thread(picture.__enter__)
        while_open.push_async_callback(asyncio.to_thread, picture.__exit__, None, None, None)
        return name, picture_name


class _NodeLink:
    """The way to a process on a node."""

    def __init__(self, nodes: NodeSessions, actor: Any, lost: Callable[[], None], ray: Any) -> None:
        self._number = next(_numbers)
        self._nodes, self._actor, self._lost, self._ray = nodes, actor, lost, ray
        self._pieces = actor.messages.options(num_returns="streaming").remote().__aiter__()
        self._sent = 0
        self._ending = False
        self._how: object = None
        self._received = asyncio.StreamReader()
        self._over = asyncio.Event()
        self._pumping = asyncio.ensure_future(self._pump())

    @property
    def pid(self) -> int:
        """See ``Link``; below 0, since it is no process of this machine."""
        return -self._number

    async def files(self, request: SessionRequest, while_open: AsyncExitStack) -> Files:
        """See ``Link``."""
        pack, picture = await self._nodes.name_in_store(request, while_open)
        variant = repr((request.background.kind, request.background.color, picture))
        try:
            async with asyncio.timeout(START_SECONDS):
                fetching = asyncio.ensure_future(_result(self._actor.files.remote(pack, picture, variant)))
                over = asyncio.ensure_future(self._over.wait())
                await asyncio.wait([fetching, over], return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if not fetching.done():
                    fetching.cancel()
                    raise Unavailable(messages.cluster.NO_NODE())
                files: Files = fetching.result()
                return files
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause.afresh() if isinstance(error.cause, Unavailable) else error from error
        except (TimeoutError, self._ray.exceptions.RayError) as error:
            raise Unavailable(messages.cluster.NO_NODE()) from error

    def send(self, message: Packed) -> None:
        """See ``Link``."""
        data = message.to_bytes()
        for start in range(0, len(data), PIECE):
            if not self._over.is_set():
                self._actor.write.remote(self._sent, data[start : start + PIECE])
                self._sent += 1

    async def receive(self) -> Packed | None:
        """See ``Link``."""
        return await receive(self._received)

    async def _pump(self) -> None:
        """Take what the process sends, until it ends or has been silent for too long."""
        waits, lost = round(START_SECONDS / WAIT_SECONDS), True
        try:
            while True:
                self._received.feed_data(await self._next(waits))
                waits = SILENT_WAITS
        except StopAsyncIteration:
            self._how, lost = "the end of its process", False
        except TimeoutError:
            self._how = f"silence for {waits * WAIT_SECONDS:g} s"
        except Exception as error:  # Ray has many
            self._how = type(error).__name__
        finally:
            if lost and not self._ending:
                self._lost()
            self._over.set()
            self._received.feed_eof()

    async def _next(self, waits: int) -> bytes:
        """Return what the process sends next.

        Raises:
            TimeoutError: It sends nothing in so many waits.
        """
        coming = asyncio.ensure_future(self._piece())
        try:
            for _ in range(waits):
                if (await asyncio.wait([coming], timeout=WAIT_SECONDS))[0]:
                    return coming.result()
            raise TimeoutError
        finally:
            coming.cancel()

    async def _piece(self) -> bytes:
        piece: bytes = await _result(await anext(self._pieces))
        return piece

    async def wait(self) -> object:
        """See ``Link``."""
        await self._over.wait()
        with suppress(Exception):  # it may be gone
            await asyncio.to_thread(self._ray.kill, self._actor)
        return self._how

    def end(self) -> None:
        """See ``Link``."""
        self._ending = True
        self._actor.end.remote()

    def kill(self) -> None:
        """See ``Link``."""
        self._actor.kill.remote()


async def _result(reference: Any) -> Any:
    return await reference
