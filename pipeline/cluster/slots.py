"""The slots of the nodes, each of which makes one video at a time: one replica of the deployment fills one slot.

Where Ray's autoscaler brings the nodes, replicas follow the work instead: one that has no slot is what the autoscaler
brings a node for, and it takes away nodes that have none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

SLOT = "avatar_slot"
"""Ray's resource of which a replica takes one."""
MOST_SLOTS = 10_000
"""Ray wants to know a limit of replicas."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at the slots."""
DEMAND = "avatar-demand/"
"""What the names of web servers begin with, in the store of keys and values of Ray's head."""
FORGET_SECONDS = 10.0
"""Seconds after which a web server that publishes nothing new is thought to be gone."""


def replicas(context: Any) -> tuple[int, dict[str, Any]]:
    """Return how many replicas there shall be; Ray asks for it several times a second."""
    import ray

    state = context.policy_state
    if time.monotonic() - state.get("looked", 0.0) >= LOOK_SECONDS:
        slots = int(ray.cluster_resources().get(SLOT, 0))
        state = {"looked": time.monotonic(), "slots": slots}
    return max(1, state["slots"]), state


def publish(server: str, number: int, waiting: int, least: int) -> None:
    """Publish at the head what a web server has to do.

    Args:
        server: Its name.
        number: Another one each time.
        waiting: Its tasks that wait for a slot.
        least: Slots that there must be at least: a session finds no room on those that there are.
    """
    from ray.experimental import internal_kv

    internal_kv._internal_kv_put(DEMAND + server, f"{number} {waiting} {least}")


class Wanted:
    """As many replicas as there are tasks, whether they run or wait; Ray asks for them several times a second."""

    def __init__(self) -> None:
        self._looked = 0.0
        self._published: dict[bytes, tuple[bytes, float]] = {}
        """What each web server has published last, and when that was new."""

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Return how many there shall be."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look(_all_published(), now)
        requests = math.ceil(context.total_num_requests)
        return self.slots(requests), {}

    def _look(self, published: Mapping[bytes, bytes], now: float) -> None:
        before = self._published
        self._published = {}
        for server, content in published.items():
            since = before[server][1] if server in before and before[server][0] == content else now
            if now - since < FORGET_SECONDS:
                self._published[server] = content, since
            else:
                _forget(server)

    def slots(self, requests: int) -> int:
        """Return how many slots there shall be.

        Args:
            requests: Tasks that nodes have, or that wait in Ray.
        """
        published = [tuple(map(int, content.split())) for content, _ in self._published.values()]
        return max([requests + sum(waiting for _, waiting, _ in published), *(least for _, _, least in published)])


def _all_published() -> dict[bytes, bytes]:
    from ray.experimental import internal_kv

    names = internal_kv._internal_kv_list(DEMAND)
    found = {name: internal_kv._internal_kv_get(name) for name in names}
    return {name: content for name, content in found.items() if content is not None}


def _forget(server: bytes) -> None:
    from ray.experimental import internal_kv

    internal_kv._internal_kv_del(server)
