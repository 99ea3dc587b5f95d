"""The slots of the nodes, each of which makes one video at a time: one replica of the deployment fills one slot."""

from __future__ import annotations

import time
from typing import Any

SLOT = "avatar_slot"
"""Ray's resource of which a replica takes one."""
MOST_SLOTS = 10_000
"""Ray wants to know a limit of replicas."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at the slots."""


def replicas(context: Any) -> tuple[int, dict[str, Any]]:
    """Return how many replicas there shall be; Ray asks for it several times a second."""
    import ray

    state = context.policy_state
    if time.monotonic() - state.get("looked", 0.0) >= LOOK_SECONDS:
        slots = int(ray.cluster_resources().get(SLOT, 0))
        state = {"looked": time.monotonic(), "slots": slots}
    return max(1, state["slots"]), state
