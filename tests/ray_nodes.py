"""A real Ray cluster for the tests: a head without a slot on this machine, and nodes with processes of their own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.settings import ROOT
from tests import servers
from tests.servers import Server, free_port, wait_for

TRIES = 4
"""To start a node."""
START_SECONDS = 300
"""Ray is slow to start on a busy machine."""
ASKED = {"avatar": "solo", "resolution": "720p"}


class NodeError(Exception):
    """A node did not start: on a busy machine Ray gives up after half a minute."""


class Network(Protocol):
    """Where nodes are."""

    def join(self, number: int) -> tuple[str, Sequence[str]]:
        """Return the address of a node, from 1, and the command that runs another one there. The head is number 1."""


class Loopback:
    """Each node has an address of its own on this machine's loopback."""

    def join(self, number: int) -> tuple[str, Sequence[str]]:
        """See ``Network``."""
        return f"127.0.0.{number}", ()


class Namespaces:
    """Each node but the head has a network of its own, with a cable to a bridge of this machine."""

    def __init__(self) -> None:
        self._name = f"av{os.getpid()}"
        self._third = os.getpid() % 250 + 1
        self._joined: set[int] = set()
        self._bridge = f"{self._name}br"

    def __enter__(self) -> Namespaces:
        for command in (
            f"ip link add {self._bridge} type bridge",
            f"ip addr add 10.231.{self._third}.1/24 dev {self._bridge}",
            f"ip link set {self._bridge} up",
        ):
            _run(command)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._joined:
            _run(f"ip netns del {self._name}-{number}")
        _run(f"ip link del {self._bridge}")

    def join(self, number: int) -> tuple[str, Sequence[str]]:
        """See ``Network``."""
        address, name = f"10.231.{self._third}.{number}", f"{self._name}-{number}"
        if number == 1:
            return address, ()
        if number not in self._joined:
            self._joined.add(number)
            here = f"{self._name}v{number}"
            for command in (
                f"ip netns add {name}",
                f"ip -n {name} link set lo up",
                f"ip link add {here} type veth peer name eth0 netns {name}",
                f"ip link set {here} master {self._bridge} up",
                f"ip -n {name} addr add {address}/24 dev eth0",
                f"ip -n {name} link set eth0 up",
            ):
                _run(command)
        return address, ("ip", "netns", "exec", name)

    def cut(self, number: int) -> None:
        """Unplug the cable of a node."""
        _run(f"ip link set {self._name}v{number} down")

    def heal(self, number: int) -> None:
        """Plug it in again."""
        _run(f"ip link set {self._name}v{number} up")


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


@contextmanager
def namespaces() -> Iterator[Namespaces]:
    """Give networks that can be cut; skip the test where this user may not make them."""
    with ExitStack() as stack:
        try:
            networks = stack.enter_context(Namespaces())
            networks.join(2)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here (root and iproute2 are needed): {error}")
        yield networks


@dataclass(frozen=True)
class Node:
    """A node: its number in the network, the process of its ``ray start``, and its temporary folder."""

    number: int
    process: subprocess.Popen[bytes]
    temporary: Path


@dataclass
class Nodes:
    """Nodes with a slot each, and the one of the web server, which has none."""

    folder: Path
    network: Network = field(default_factory=Loopback)
    port: int = field(default_factory=free_port)
    slots: list[Node] = field(default_factory=list)
    started: list[Node] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """What nodes and the web server need in their environment."""
        token = self.folder / "token"
        if not token.exists():
            token.write_text(secrets.token_hex(32))
        health = {
            "RAY_health_check_initial_delay_ms": "2000",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "5000",  # of a machine that may be busy
            "RAY_health_check_failure_threshold": "5",
        }
        head, _ = self.network.join(1)
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # of a machine that does other things, too
            "RAY_ADDRESS": f"{head}:{self.port}",
            "RAY_TMPDIR": str(self.folder),
            "PYTHONPATH": str(ROOT),
            **health,
        }

    def temporary(self, number: int) -> Path:
        """The temporary folder of a node."""
        return self.folder / f"tmp-{number}"

    def start(self, number: int, *arguments: str, cores: str = "") -> Node:
        """Start a node, on all cores or on some ("0", "0,1")."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(NodeError):
                return self._start(number, *arguments, cores=cores)
        return self._start(number, *arguments, cores=cores)

    def _start(self, number: int, *arguments: str, cores: str) -> Node:
        ray, log = Path(sys.executable).with_name("ray"), self.folder / f"node-{len(self.started) + 1}.log"
        address, there = self.network.join(number)
        pinned = ("taskset", "-c", cores) if cores else ()
        command = [*there, *pinned, str(ray), "start", "--block", f"--node-ip-address={address}"]
        command += ["--disable-usage-stats", "--include-log-monitor=false", "--object-store-memory=100000000"]
        temporary = self.temporary(number)
        temporary.mkdir(exist_ok=True)
        environ = {**os.environ, **self.environ, "TMPDIR": str(temporary)}
        environ.pop("RAY_ADDRESS")
        with log.open("wb") as out:
            process = subprocess.Popen([*command, *arguments], cwd=ROOT, env=environ, stdout=out, stderr=out)
        node = Node(number, process, temporary)
        self.started.append(node)

        def runs() -> bool:
            if process.poll() is not None:
                raise NodeError(log.read_text())
            return "Ray runtime started" in log.read_text()

        wait_for(runs, START_SECONDS)
        return node

    def start_head(self) -> None:
        """Start the node of the web server."""
        self.start(1, "--head", f"--port={self.port}", "--num-cpus=0", "--include-dashboard=false")

    def start_slot(self, number: int, cores: str = "") -> Node:
        """Start a node with a slot."""
        head, _ = self.network.join(1)
        slot = ("--num-cpus=1", '--resources={"avatar_slot": 1}')
        return self.start(number, f"--address={head}:{self.port}", *slot, cores=cores)

    def kill(self, node: Node) -> None:
        """Kill all processes of a node, as a machine that loses its power does."""
        while family := processes_of(node):
            for number in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        node.process.wait(30)  # it may have ended by itself

    def close(self) -> None:
        """Kill all nodes."""
        for node in self.started:
            self.kill(node)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Have a disk of its own at a folder, where this user may mount one."""
    folder.mkdir()
    mounted = False
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        _run(f"mount -t tmpfs -o size={size} tmpfs {folder}")
        mounted = True
    try:
        yield
    finally:
        if mounted:
            _run(f"umount -l {folder}")


@contextmanager
def cluster_of(network: Network | None = None, small: str = "", slots: int = 0) -> Iterator[Nodes]:
    """Give a head, and some nodes with a slot each.

    Args:
        network: Where they are.
        small: Size of the disk of the third node ("120m"); by default it shares this machine's.
        slots: How many nodes are started.
    """
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a short path: Ray's sockets lie in it
    nodes = Nodes(folder, network or Loopback())
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if small:
            stack.enter_context(small_disk(nodes.temporary(3), small))
        stack.callback(nodes.close)
        nodes.start_head()
        nodes.slots += [nodes.start_slot(number + 2) for number in range(slots)]
        yield nodes


@contextmanager
def two_nodes(network: Network | None = None, small: str = "") -> Iterator[Nodes]:
    """See ``cluster_of``; skip the test where Ray is not installed."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-cluster.txt")
    with cluster_of(network, small, 2) as nodes:
        yield nodes


@contextmanager
def clustered_server(nodes: Nodes, packs: Path, folder: Path, **environ: str) -> Iterator[Server]:
    """Give a warm web server on stand-ins whose videos are made on nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "START_SECONDS", START_SECONDS)
        command = ["-m", "tests.fake_cluster", str(packs)]
        server = servers.Server(command, folder / "realtime", {**nodes.environ, **environ})
    try:
        wait_for_slots(server, 2)
        assert server.events({"text": "warm up", **ASKED})[-1]["type"] == "done"
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


def wait_for_slots(server: Server, number: int) -> None:
    """Return when the server knows of a number of slots."""
    last = "slots of the cluster: "
    wait_for(lambda: server.log.rpartition(last)[2].splitlines()[0] == str(number), START_SECONDS)


def tasks_done_at(server: Server, nodes: Nodes, node: Node) -> int:
    """How many videos a node has made."""
    address, _ = nodes.network.join(node.number)
    start = f'avatar_node_tasks_total{{kind="video",node="{address}",state="done"}} '
    lines = server.get("/metrics").text.splitlines()
    return sum(int(float(line.removeprefix(start))) for line in lines if line.startswith(start))


def processes_of(node: Node) -> list[int]:
    """All processes of a node: those with its temporary folder, and what they have started, which Ray may rename."""
    mark, family = f"TMPDIR={node.temporary}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if mark in path.read_bytes().split(b"\0"):
                family.append(int(path.parent.name))
    out = subprocess.run(["ps", "-eo", "pid,ppid"], check=True, capture_output=True, text=True).stdout
    parents = [tuple(map(int, line.split())) for line in out.splitlines()[1:]]
    for one in family:
        family += [child for child, parent in parents if parent == one and child not in family]
    return family


def title_of(process: int) -> str:
    """The command line of a process."""
    return Path(f"/proc/{process}/cmdline").read_text()
