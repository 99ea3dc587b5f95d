"""Nodes that come as there is work, and go: Ray's own autoscaler, whose nodes are processes of this machine.

Skipped where Ray is not installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from pipeline.cluster import slots
from pipeline.cluster.slots import FORGET_SECONDS, Wanted
from pipeline.settings import ROOT
from tests import servers
from tests.servers import Server, free_port, wait_for

TRIES = 4
START_SECONDS = 400
"""Ray is slow to start on a busy machine."""
HEAD = "f" * 51 + "00000"
"""Name of the head among Ray's nodes that are processes."""
IDLE_SECONDS = 10
"""After which Ray takes away a node that has nothing to do."""
GIVEN_UP_SECONDS = 5
"""In place of the program's minute after which a slot goes that was not needed."""
ASKED = {"avatar": "solo", "resolution": "720p"}


def wanted(told: dict[bytes, bytes], requests: float, policy: Wanted, now: float) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "_all_published", lambda: dict(told))
        patch.setattr(slots, "_forget", told.pop)
        patch.setattr("time.monotonic", lambda: now)
        return policy(SimpleNamespace(total_num_requests=requests))[0]


def test_there_are_as_many_slots_as_tasks() -> None:
    policy, told = Wanted(), dict[bytes, bytes]()
    assert wanted(told, 0, policy, 100) == 0
    told[b"one"] = b"1 3 0"
    assert wanted(told, 2, policy, 102) == 5
    told[b"two"] = b"1 4 0"
    assert wanted(told, 1.4, policy, 104) == 2 + 3 + 4
    told[b"one"], told[b"two"] = b"2 0 6", b"2 0 4"  # sessions that wait
    assert wanted(told, 0, policy, 106) == 6
    assert wanted(told, 9, policy, 108) == 9


def test_a_web_server_that_is_gone_wants_nothing() -> None:
    policy, told = Wanted(), {b"one": b"1 3 0", b"two": b"1 1 0"}
    assert wanted(told, 0, policy, 100) == 4
    told[b"two"] = b"2 1 0"
    assert wanted(told, 0, policy, 99 + FORGET_SECONDS) == 4
    told[b"two"] = b"3 1 0"
    assert wanted(told, 0, policy, 101 + FORGET_SECONDS) == 1
    assert set(told) == {b"two"}


# --- with Ray


def family_of(process: int) -> list[int]:
    """A process and all that it has started."""
    out = subprocess.run(["ps", "-eo", "pid,ppid"], check=True, capture_output=True, text=True).stdout
    parents = [tuple(map(int, line.split())) for line in out.splitlines()[1:]]
    family = [process]
    for one in family:
        family += [child for child, parent in parents if parent == one]
    return family


class Growing:
    """A head with an autoscaler that may bring two nodes of a slot each.

    Ray's ``AutoscalingCluster`` does the same, but ends all of Ray on the machine first, and lacks a file of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "token").write_text(secrets.token_hex(32))
        config = {
            "cluster_name": "growing",
            "max_workers": 2,
            "idle_timeout_minutes": IDLE_SECONDS / 60,
            "provider": {
                "type": "external",  # of its own name, Ray's wheel lacks a file
                "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
                "gcs_address": f"127.0.0.1:{self.port}",
                "head_node_id": HEAD,
                "launch_multiple": True,
                "disable_node_updaters": True,  # nothing is to be installed there
            },
            "auth": {"ssh_user": "nobody"},
            "available_node_types": {
                "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
                "renderer": {
                    "resources": {"CPU": 1, "avatar_slot": 1, "object_store_memory": 100_000_000},
                    "node_config": {},
                    "min_workers": 0,
                    "max_workers": 2,
                },
            },
            "head_node_type": "ray.head.default",
            "file_mounts": {},
            "cluster_synced_files": [],
            "file_mounts_sync_continuously": False,
            "rsync_exclude": [],
            "rsync_filter": [],
            "initialization_commands": [],
            "setup_commands": [],
            "head_setup_commands": [],
            "worker_setup_commands": [],
            "head_start_ray_commands": [],
            "worker_start_ray_commands": [],
        }
        (folder / "autoscaling.json").write_text(json.dumps(config))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "RAY_ADDRESS": f"127.0.0.1:{self.port}",
            "RAY_TMPDIR": str(self.folder),
            "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1",
            "PYTHONPATH": str(ROOT),
        }

    def start(self) -> None:
        """Start the head; on a busy machine Ray gives up after half a minute, so it is tried again."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(AssertionError):
                return self._start()
            self.close()
        return self._start()

    def _start(self) -> None:
        ray, log = Path(sys.executable).with_name("ray"), self.folder / "head.log"
        command = [str(ray), "start", "--block", "--head", "--node-ip-address=127.0.0.1", f"--port={self.port}"]
        command += ["--num-cpus=0", "--include-dashboard=false", "--include-log-monitor=false"]
        command += ["--object-store-memory=100000000", f"--autoscaling-config={self.folder / 'autoscaling.json'}"]
        environ = {**os.environ, **self.environ, "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
        environ |= {"RAY_enable_autoscaler_v2": "1"}  # as KubeRay does
        environ |= {"RAY_CLOUD_INSTANCE_ID": HEAD, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD}
        environ.pop("RAY_ADDRESS")
        with log.open("wb") as out:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out)

        def runs() -> bool:
            assert self._process is not None and self._process.poll() is None, log.read_text()
            return "Ray runtime started" in log.read_text()

        wait_for(runs, START_SECONDS)

    def close(self) -> None:
        if self._process is not None:
            for number in family_of(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            self._process.wait(30)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Growing]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-cluster.txt")
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a short path: Ray's sockets lie in it
    cluster = Growing(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def growing(cluster: Growing, fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = None
    try:
        environ = {**cluster.environ, "SLOTS_MAX": "2", "GIVEN_UP_SECONDS": str(GIVEN_UP_SECONDS)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(servers, "START_SECONDS", START_SECONDS)
            command = ["-m", "tests.fake_cluster", str(fake_packs)]
            server = Server(command, tmp_path_factory.mktemp("growing") / "realtime", environ)
        yield server
    finally:
        if server is not None:
            server.process.terminate()
            server.process.wait(60)


def nodes_of(server: Server) -> list[dict[str, Any]]:
    """Return the nodes that are there."""
    return [one for one in server.get("/api/v2/status").json()["nodes"] if one["slots"]]


def wait_for_nodes(server: Server, number: int) -> None:
    """Return when there are so many slots, each on a node of its own."""
    wait_for(lambda: sum(one["slots"] for one in nodes_of(server)) == number, START_SECONDS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nodes_come_with_the_load_and_go_without_it(growing: Server) -> None:
    wait_for_nodes(growing, 0)
    body = {"text": "brisk one two three four five six. " * 4, **ASKED}
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(growing.events, body) for _ in range(8)]
        wait_for_nodes(growing, 2)
        told = [one.result(timeout=600) for one in asked]
    assert [events[-1]["type"] for events in told] == ["done"] * 8, told
    places = [event["position"] for events in told for event in events if event.get("stage") == "queued"]
    assert max(places) >= 6  # they wait in the queue, and not in Ray
    wait_for_nodes(growing, 0)
    assert growing.events({"text": "two words", **ASKED})[-1]["type"] == "done"  # and once more from nothing


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_session_brings_a_node_and_holds_it_and_goes_on_when_it_is_drained(growing: Server, cluster: Growing) -> None:
    wait_for_nodes(growing, 0)
    opened = growing.post("/api/v2/sessions", {"avatar": "solo"}).json()
    path = f"/api/v2/sessions/{opened['session_id']}"
    with requests.get(growing.url + opened["video_url"], stream=True, timeout=START_SECONDS) as stream:
        pieces = stream.iter_content(None)
        assert next(pieces)  # of a node that came for it
        looked = re.compile(r"slots of the cluster: (\d+)")
        wait_for(lambda: looked.findall(growing.log)[-1] == "0", START_SECONDS)  # the slot goes, which nobody needs
        until = time.monotonic() + 2 * IDLE_SECONDS  # in which a node goes that has nothing to do
        while time.monotonic() < until:
            assert next(pieces)
        [node] = rays_names(cluster)
        drain(cluster, node)
        until = time.monotonic() + IDLE_SECONDS
        while time.monotonic() < until:
            assert next(pieces)  # of another node, which came for it
        assert node not in rays_names(cluster) and growing.get(path).json()["state"] == "open"
    assert growing.delete(path).status_code == 200
    wait_for_nodes(growing, 0)


NODES = """
import ray, sys
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
print(*(one["NodeID"] for one in ray.nodes() if one["Alive"] and one["Resources"].get("avatar_slot")))
"""


def rays_names(cluster: Growing) -> list[str]:
    """Return Ray's names of the nodes with a slot."""
    command = [sys.executable, "-c", NODES, cluster.environ["RAY_ADDRESS"]]
    environ = {**os.environ, **cluster.environ}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


def drain(cluster: Growing, node: str) -> None:
    """Run the command that lets a node finish; it returns once the node has ended."""
    command = [sys.executable, "-m", "pipeline.cluster.drain", "--seconds", "600"]
    command += ["--address", cluster.environ["RAY_ADDRESS"], "--node", node]
    environ = {**os.environ, **cluster.environ}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_node_that_is_drained_does_its_task_and_ends(growing: Server, cluster: Growing) -> None:
    body = {"text": "brisk one two three four five six. " * 8, **ASKED}
    both = threading.Event()

    def ask() -> list[str]:
        """Ask for one video after the other until two are made at a time: a node may come after the first is done."""
        last = [growing.events(body)[-1]["type"]]
        while not both.is_set():
            last.append(growing.events(body)[-1]["type"])
        return last

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask) for _ in range(2)]
        try:
            wait_for(lambda: len(list(growing.results.glob("*.mp4.part"))) == 2, START_SECONDS)
        finally:
            both.set()
        before = rays_names(cluster)
        drain(cluster, before[0])
        assert {kind for one in asked for kind in one.result(timeout=600)} == {"done"}
    assert before[0] not in rays_names(cluster)
    assert "lost its node" not in growing.log
