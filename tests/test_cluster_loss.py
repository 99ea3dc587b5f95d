"""Nodes of a real Ray cluster that are killed, cut off or fall silent, while they make videos and run sessions.

Where this user may make network namespaces, each node has a network of its own, with a cable that is unplugged.
Skipped where Ray is not installed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ray_nodes import (
    ASKED,
    START_SECONDS,
    Loopback,
    Namespaces,
    Node,
    Nodes,
    clustered_server,
    namespaces,
    processes_of,
    tasks_done_at,
    title_of,
    two_nodes,
    wait_for_slots,
)
from tests.servers import Server, wait_for
from tests.watching import Watched, check_whole, events_while, sessions_on

pytestmark = pytest.mark.slow
KILLED, CUT = "killed", "cut off"


@pytest.fixture(scope="module", params=[KILLED, CUT])
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """Two nodes, and how they are lost."""
    with ExitStack() as stack:
        network = Loopback() if request.param == KILLED else stack.enter_context(namespaces())
        yield stack.enter_context(two_nodes(network))


@pytest.fixture(scope="module")
def clustered(nodes: Nodes, fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with clustered_server(nodes, fake_packs, tmp_path_factory.mktemp("clustered")) as server:
        yield server


def lose(nodes: Nodes, node: Node) -> None:
    """Kill all processes of a node, or unplug its cable."""
    if isinstance(nodes.network, Namespaces):
        nodes.network.cut(node.number)
    else:
        nodes.kill(node)


def bring_back(nodes: Nodes, node: Node) -> None:
    """Start a lost node again, at its address; one whose cable was unplugged has been given up, and ends by itself."""
    if isinstance(nodes.network, Namespaces):
        nodes.network.heal(node.number)
        node.process.wait(START_SECONDS)
    nodes.slots[nodes.slots.index(node)] = nodes.start_slot(node.number)


def test_a_node_is_lost_with_eight_videos_and_four_sessions_and_comes_back(clustered: Server, nodes: Nodes) -> None:
    wait_for_slots(clustered, 2)
    before, lost = clustered.log.count("lost its node"), nodes.slots[0]
    watched = [Watched(clustered) for _ in range(4)]
    try:
        wait_for(lambda: all(one.stream.tell() for one in watched), START_SECONDS)
        assert sorted(sessions_on(clustered).values()) == [2, 2]

        def happens() -> None:
            for one in watched:
                one.say()
            wait_for(lambda: all(len(one.of("word")) > 3 for one in watched))
            lose(nodes, lost)

        told = events_while(clustered, 8, happens)
        wait_for(lambda: all(one.of("turn_ended") for one in watched), START_SECONDS)
        [(_, count)] = sessions_on(clustered).items()
        assert count == 4
        lines = clustered.get("/metrics").text.splitlines()
        assert any(line.startswith("avatar_node_sessions{") and line.endswith(" 4.0") for line in lines)
    finally:
        for one in watched:
            one.close()
    check_whole(clustered, told)
    assert clustered.log.count("lost its node") > before
    for one in watched:
        one.check_said()
    bring_back(nodes, lost)  # it takes work without a restart of the server
    wait_for_slots(clustered, 2)
    made = tasks_done_at(clustered, nodes, lost)
    check_whole(clustered, events_while(clustered, 4, lambda: None))
    assert tasks_done_at(clustered, nodes, lost) > made


def test_all_nodes_are_lost_and_what_they_did_may_be_retried(clustered: Server, nodes: Nodes) -> None:
    wait_for_slots(clustered, 2)
    lost, session = [*nodes.slots], Watched(clustered)
    try:
        wait_for(lambda: session.stream.tell(), START_SECONDS)
        with clustered.stream({"text": "frozen words", **ASKED}) as first:
            assert any(event.get("stage") == "tts" for event in first)
            for node in lost:
                lose(nodes, node)
            last = list(first)[-1]
        assert last["type"] == "error" and last["retryable"] and not clustered.half_made(), last
        wait_for(lambda: session.of("closed"), START_SECONDS)
        assert [one["code"] for one in session.of("error")] == ["session_failed"], session.events
    finally:
        session.close()
    wait_for_slots(clustered, 0)
    with ThreadPoolExecutor(1) as pool:  # a task waits for the node that comes
        waiting = pool.submit(clustered.events, {"text": "two words", **ASKED})
        bring_back(nodes, lost[0])
        assert waiting.result(timeout=600)[-1]["type"] == "done"
    bring_back(nodes, lost[1])
    wait_for_slots(clustered, 2)
    session = Watched(clustered)
    try:
        wait_for(lambda: session.stream.tell(), START_SECONDS)
        session.say()
        wait_for(lambda: session.of("turn_ended"), START_SECONDS)
    finally:
        session.close()
    session.check_said()


def test_a_node_falls_silent_and_no_video_is_lost(clustered: Server, nodes: Nodes) -> None:
    wait_for_slots(clustered, 2)
    before = clustered.log.count("lost its node")
    [replica] = [one for one in processes_of(nodes.slots[0]) if "ServeReplica" in title_of(one)]
    try:
        check_whole(clustered, events_while(clustered, 4, lambda: os.kill(replica, signal.SIGSTOP)))
    finally:
        with contextlib.suppress(ProcessLookupError):  # Ray may have ended it by now
            os.kill(replica, signal.SIGCONT)
    assert clustered.log.count("lost its node") > before
    assert clustered.events({"text": "two words", **ASKED})[-1]["type"] == "done"
