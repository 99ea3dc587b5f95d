"""Lets a node do what it has before it is stopped: ``python -m pipeline.cluster.drain`` on the node.

It takes nothing new: its tasks are done to their end, its sessions go on on other nodes, and then Ray ends on it.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

LOOK_SECONDS = 1.0
"""Seconds between two looks whether the node is there."""

logger = logging.getLogger(__name__)


def main() -> int:
    """Run the command; return 0 once the node has ended, 1 if it has not."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=1260, help="how long it may take")
    options.add_argument("--address", help="of the head; by default that of the node on this machine")
    options.add_argument("--node", help="Ray's name of the node; by default the one on this machine")
    given = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return 0 if drain(given.seconds, given.address, given.node) else 1


def drain(seconds: int, address: str | None = None, node: str | None = None) -> bool:
    """Have a node finish; return whether it has ended in time.

    Args:
        seconds: How long it may take.
        address: Of the head; by default that of the node on this machine.
        node: Ray's name of the node; by default the one on this machine.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read where Ray is imported
    import ray

    until = time.monotonic() + seconds
    ray.init(address=address or "auto", namespace="avatar", log_to_driver=False, configure_logging=False)
    node = node or ray.get_runtime_context().get_node_id()
    asked = ["--address", ray.get_runtime_context().gcs_address, "--node-id", node]
    asked += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "it is to be stopped"]
    asked += ["--deadline-remaining-seconds", str(seconds)]
    program = Path(sysconfig.get_path("scripts")) / "ray"
    subprocess.run([str(program), "drain-node", *asked], check=True)
    logger.info("node %s takes nothing new", node)
    while time.monotonic() < until:
        if not any(one["Alive"] and one["NodeID"] == node for one in ray.nodes()):
            logger.info("node %s has ended", node)
            return True
        time.sleep(LOOK_SECONDS)
    logger.warning("node %s still has something to do", node)
    return False


if __name__ == "__main__":
    sys.exit(main())
