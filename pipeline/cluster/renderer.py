"""The deployment: one replica in each slot of the nodes renders one video at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
import traceback
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.avatars.eye_contact import with_eye_contact
from pipeline.avatars.framing import played_at
from pipeline.cluster.chores import Chore, Output, do
from pipeline.cluster.content_store import fetch, open_store
from pipeline.cluster.node import perform
from pipeline.cluster.node_disk import decoded_of, folder_of, has_room, wait_for_room
from pipeline.cluster.nodes import Described
from pipeline.cluster.parcels import BEAT_SECONDS, Alive, Broken, Memory, Order, Parcel, together
from pipeline.cluster.slots import MOST_SLOTS, SLOT, Wanted, replicas
from pipeline.core.cancel import CancelToken
from pipeline.engines.select import problem_of
from pipeline.errors import PipelineError, Unavailable
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio, warm_up
from pipeline.settings import Settings

logger = logging.getLogger(__name__)

APP = "avatar"
RENDERER = "renderer"
RUN = "avatar-run"
"""Name of the run of the web server, in the store of keys and values of Ray's head."""
TROUBLE = ("UNHEALTHY", "DEPLOY_FAILED")
LOST_SECONDS = 60.0
"""Seconds after which a slot that went away, or that is not needed, is given up.

Before, Ray knows which of the replicas has gone with it.
"""
LONG_SECONDS = 86_400.0
"""In place of no limit."""


class Renderer:
    """Makes videos, one at a time.

    Args:
        make_studio: Makes the studio of this node's settings.
        store: Address of the store of the web server.
        run: Which run of the web server this is, as a folder name.
    """

    def __init__(self, make_studio: Callable[[Settings], Studio], store: str, run: str) -> None:
        logging.basicConfig(level=logging.INFO)
        wait_for_room()
        self._node = node_name()
        self._store = open_store(store)
        self._packs = folder_of(run)
        self._tidy()
        self._studio = make_studio(replace(Settings.from_environment(), results=self._packs / "results"))
        warm_up(self._studio)

    async def render(self, order: Order, memory: Memory) -> AsyncIterator[list[Parcel]]:
        """Yield what happens while a video is made, at least every `BEAT_SECONDS`; cancelling this stops it."""

        def work(send: Callable[[Any], object], stop: CancelToken) -> None:
            with self._request(order) as request:
                for parcel in perform(request, order.task_id, self._studio, memory, stop):
                    send(parcel)

        async with aclosing(_replies(work, self._node)) as replies:
            async for parcels in replies:
                yield parcels

    async def run(self, chore: Chore) -> AsyncIterator[list[Output]]:
        """Yield what a command prints and writes; otherwise as `render`."""

        def work(send: Callable[[Any], object], stop: CancelToken) -> None:
            asyncio.run(do(chore, self._store, send, stop))

        async with aclosing(_replies(work, self._node)) as replies:
            async for outputs in replies:
                yield outputs

    def describe(self) -> Described:
        """Return what works here."""
        engines, voices = self._studio.engines.values(), self._studio.tts.values()
        return Described(
            self._node,
            tuple(engine.name for engine in engines if problem_of(engine) is None),
            tuple(voice.name for voice in voices if voice.available()),
        )

    @contextmanager
    def _request(self, order: Order) -> Iterator[GenerateRequest]:
        """Give the request of an order, with what the store has of it."""
        pack = self._packs / Path(order.avatar).name
        if not pack.exists():
            fetch(self._store, order.avatar, pack)
        avatar = self._studio.avatars.load(pack)
        if avatar.fps != order.fps:
            avatar = played_at(avatar, order.fps)
        if order.eye_contact:
            avatar = with_eye_contact(avatar)
        with tempfile.TemporaryDirectory(prefix="avatar-") as home:

            def fetched(name: str | None) -> Path | None:
                if name is None:
                    return None
                path = Path(home) / Path(name).name
                fetch(self._store, name, path)
                return path

            behind = replace(order.request.background, picture=fetched(order.picture))
            yield replace(order.request, avatar=avatar, recording=fetched(order.recording), background=behind)

    def _tidy(self) -> None:
        """Remove packs of avatars that were deleted while this node was away."""
        here = list(self._packs.glob("*.pkl"))
        try:
            there = self._store.list("packs") if here else {}
        except Unavailable:
            there = {}  # they are fetched once more
        for pack in here:
            if f"packs/{pack.name}" not in there:
                pack.unlink(missing_ok=True)
                shutil.rmtree(decoded_of(pack), ignore_errors=True)

    def forget(self, avatar: str, id: str) -> None:
        """Remove what this node has of an avatar: its pack, and what was composed of it."""
        pack = self._packs / Path(avatar).name
        self._studio.avatars.forget(pack)
        shutil.rmtree(decoded_of(pack), ignore_errors=True)
        self._studio.backdrops.forget([id])


async def _replies(
    work: Callable[[Callable[[Any], object], CancelToken], object], node: str
) -> AsyncGenerator[list[Any]]:
    """Yield what is sent by work that is done in a thread, at least every `BEAT_SECONDS`; cancelling this stops it.

    What is sent meanwhile goes together: Ray takes time for each reply. If the work fails on a full disk, this replica
    ends, so that another node does it; the next one here waits for room.
    """
    loop, stop = asyncio.get_running_loop(), CancelToken()
    queued, arrived = deque[Any](), asyncio.Event()

    def send(parcel: Any) -> None:
        queued.append(parcel)
        loop.call_soon_threadsafe(arrived.set)

    def work_and_send() -> None:
        try:
            work(send, stop)
        except PipelineError as error:
            send(Broken(error.afresh()))
        except Exception:  # of a library or of this program: its type need not be known on the other side
            send(Broken(RuntimeError(traceback.format_exc())))
        finally:
            send(None)

    working = asyncio.create_task(asyncio.to_thread(work_and_send))
    try:
        parcels: list[Any] = [Alive(node)]
        while parcels:
            if isinstance(parcels[-1], Broken) and not stop.cancelled and not has_room():
                stop.cancel()
                await working  # which leaves no file
                logger.error("the disk of this node is full: this replica ends")
                os._exit(1)
            yield parcels
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    while not queued:
                        arrived.clear()
                        await arrived.wait()
                parcels = together(queued)
            except TimeoutError:
                parcels = [Alive()]
    finally:
        stop.cancel()
        await asyncio.shield(working)


def deployment(slots_max: int, task_seconds: float) -> Any:
    """Return the deployment; its replicas follow the slots of the nodes, or the work.

    Args:
        slots_max: Most slots that Ray's autoscaler may bring; 0 if it does not.
        task_seconds: The longest that a task may take, which a replica that stops may still do; 0 sets no limit.
    """
    from ray import serve
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

    following = AutoscalingConfig(
        policy=AutoscalingPolicy(policy_function=Wanted if slots_max else replicas),
        min_replicas=0 if slots_max else 1,
        max_replicas=slots_max or MOST_SLOTS,
        metrics_interval_s=1,
        look_back_period_s=2,
        upscale_delay_s=0,
        downscale_delay_s=LOST_SECONDS,
        downscale_to_zero_delay_s=0,
    )
    return serve.deployment(
        Renderer,
        name=RENDERER,
        autoscaling_config=following,
        max_ongoing_requests=1,
        max_queued_requests=-1,
        health_check_period_s=2,
        health_check_timeout_s=5,
        graceful_shutdown_timeout_s=task_seconds or LONG_SECONDS,
        ray_actor_options={"num_cpus": 0, "resources": {SLOT: 1}},
    )


def node_name() -> str:
    """Return Ray's name of this node."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def deployed() -> str:
    """Return for which run of the web server replicas are deployed; "" without any."""
    from ray import serve
    from ray.experimental import internal_kv

    return (internal_kv._internal_kv_get(RUN) or b"").decode() if APP in serve.status().applications else ""


def note(run: str) -> None:
    """Note for which run replicas are deployed."""
    from ray.experimental import internal_kv

    internal_kv._internal_kv_put(RUN, run)


def draining() -> set[str]:
    """Return Ray's names of the nodes that do what they have, take nothing new, and then end."""
    from ray._private.state import state  # `ray.nodes` does not return them

    return set(state.get_draining_nodes())


def look() -> tuple[int, str]:
    """Return how many replicas are ready for a video, and what is wrong; "" if nothing is."""
    from ray import serve

    app = serve.status().applications.get(APP)
    seen = app.deployments.get(RENDERER) if app else None
    if seen is None:
        return 0, ""
    return int(seen.replica_states.get("RUNNING", 0)), seen.message if seen.status in TROUBLE else ""
