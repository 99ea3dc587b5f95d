"""What is known of the nodes of a cluster: what they offer, and what they have done."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.cluster.slots import SLOT
from pipeline.errors import Cancelled
from pipeline.jobs.events import Done

DONE, FAILED, CANCELLED, LOST = "done", "failed", "cancelled", "lost"


@dataclass
class Node:
    """A machine of the cluster.

    Attributes:
        address: Its address, by which people know it.
        slots: How many tasks it can do at a time.
        cores, gpus: What it has, as Ray counts.
        engines: The lipsync engines that work there; empty until it has reported them.
        voices: The speech engines that work there.
        sessions: Live sessions that run there.
        running: Tasks that it works on.
        ended: Tasks of each kind that have ended there, by how.
        seconds: Time of each stage of all its videos together.
    """

    address: str
    slots: int = 0
    cores: int = 0
    gpus: int = 0
    engines: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    sessions: int = 0
    running: int = 0
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Described:
    """What a replica reports of its node.

    Attributes:
        node: Ray's name of it.
        engines, voices: Those that work there.
    """

    node: str
    engines: tuple[str, ...]
    voices: tuple[str, ...]


class Nodes:
    """The nodes of a cluster; safe to use from any thread. Those that are gone keep what they have done."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._nodes: dict[str, Node] = {}
        self._lock = threading.Lock()

    def look(self, reported: Sequence[dict[str, Any]]) -> None:
        """Take what Ray reports of its nodes."""
        with self._lock:
            for node in self._nodes.values():
                node.slots = node.cores = node.gpus = 0
            for one in reported:
                has = one["Resources"]
                if one["Alive"] and has.get(SLOT):
                    self._addresses[one["NodeID"]] = one["NodeManagerAddress"]
                    node = self._node(one["NodeID"])
                    node.slots += int(has[SLOT])
                    node.cores += int(has.get("CPU", 0))
                    node.gpus += int(has.get("GPU", 0))

    def describe(self, reported: Sequence[Described]) -> None:
        """Take what replicas report."""
        with self._lock:
            for one in reported:
                node = self._node(one.node)
                node.engines, node.voices = one.engines, one.voices

    def _node(self, name: str) -> Node:
        address = self._addresses.get(name, name)
        return self._nodes.setdefault(address, Node(address))

    def all(self, sessions: Mapping[Any, int]) -> list[Node]:
        """Return all nodes, those that are gone with no slot.

        Args:
            sessions: How many sessions run on each, by Ray's name.
        """
        with self._lock:
            for node in self._nodes.values():
                node.sessions = 0
            for name, count in sessions.items():
                self._node(name).sessions += count
            return sorted(self._nodes.values(), key=lambda node: node.address)

    @contextmanager
    def counted(self, kind: str) -> Iterator[Callable[[str], None]]:
        """Count a task while the block lasts; gives what notes which node has taken it, by Ray's name."""
        taken: list[Node] = []

        def take(name: str) -> None:
            with self._lock:
                if taken:
                    self._end(taken.pop(), kind, LOST)
                taken.append(self._node(name))
                taken[0].running += 1

        how = DONE
        try:
            yield take
        except (Cancelled, GeneratorExit):
            how = CANCELLED
            raise
        except BaseException:
            how = FAILED
            raise
        finally:
            with self._lock:
                if taken:
                    self._end(taken[0], kind, how)

    def _end(self, node: Node, kind: str, how: str) -> None:
        node.running -= 1
        node.ended[kind, how] += 1

    def made(self, name: str, done: Done) -> None:
        """Note the times of a video that a node has made."""
        with self._lock:
            self._node(name).seconds.update({"tts": done.tts, "lipsync": done.lipsync, "total": done.total})
