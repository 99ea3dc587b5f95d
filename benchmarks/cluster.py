"""What a cluster costs, and gains: videos of nodes beside those of this process, on real nodes of Ray.

    python -m benchmarks.cluster [--rounds 10] [--nodes 1 2] [--stops]

Starts a cluster of its own on this machine's loopback, one node a process family, and measures in turns, in one run:

- a video made here, and one made on a node that may use all cores: first fragment, total, and CPU time of all
  processes (those of Ray, too, which also work for themselves). Both give way to live sessions, as in a server;
- from cancelling a task to its last event, and until the one slot works on the next task;
- throughput with several nodes of one slot, each pinned to a core;
- a node that is killed while it makes a video: when that is noticed, and when its bytes go on;
- with --stops only this: a server with one slot whose clients give up while the next one waits, by POST /api/cancel, by
  closing their connection, and as the page's Stop does; until the task is over (a REST client asks for that as often as
  it can), until the next one begins, and what files are left.

Nothing is computed: where there are fewer cores than nodes, they share them. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gradio_client import Client

from benchmarks.machine import describe_machine, load
from pipeline.cluster.cluster import Cluster
from pipeline.core.priority import give_way
from pipeline.errors import Cancelled
from pipeline.jobs.events import Done, Event, TtsStarted
from pipeline.jobs.generate import generate
from pipeline.jobs.request import GenerateRequest, parse
from pipeline.jobs.studio import Studio, make_studio, warm_up
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.settings import Settings
from tests.ray_nodes import START_SECONDS, Node, Nodes, cluster_of, processes_of, wait_for_slots
from tests.servers import Server, running, wait_for

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다."
_Way = Callable[[Server, dict[str, str], Callable[[], str]], float]
"""How a client gives up: of the server, the body of a request and what waits for its picture, it returns the moment."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Made:
    """What a video took: seconds until its first fragment and in all, of CPU time, and how many it lasts."""

    first: float
    total: float
    cpu: float
    duration: float


class Bench:
    """A studio, and a cluster of nodes of which none runs yet."""

    def __init__(self, nodes: Nodes, folder: Path, body: dict[str, object]) -> None:
        os.environ.update(nodes.environ | {"VOICE_DOWNLOADS": "off"})
        self.nodes = nodes
        self._book = TaskBook(folder / "results", 0)
        settings = replace(Settings.from_environment(), results=folder / "results")
        self.studio: Studio = make_studio(settings)
        warm_up(self.studio)
        self.request: GenerateRequest = parse(body, self.studio)
        self.long: GenerateRequest = parse({**body, "text": " ".join([TEXT] * 8)}, self.studio)
        self.cluster = Cluster(self.studio, make_studio)

    def grow(self, number: int, cores: str = "") -> None:
        """Start another node, and wait until its slot is ready."""
        before = len(self.nodes.slots)
        self.nodes.slots.append(self.nodes.start_slot(number, cores))
        wait_for(lambda: self.cluster.slots == before + 1, START_SECONDS)

    def shrink(self) -> None:
        """End all nodes but the head."""
        for node in self.nodes.slots:
            self.nodes.kill(node)
        self.nodes.slots = []
        wait_for(lambda: self.cluster.slots == 0, START_SECONDS)

    def task(self) -> Task:
        """Return a new task."""
        return self._book.open(uuid.uuid4().hex)

    def here(self, request: GenerateRequest) -> Made:
        """Make a video in this process."""
        return self._made(generate(request, self.task(), self.studio), [])

    def there(self, request: GenerateRequest, families: Sequence[Node] = ()) -> Made:
        """Make a video on a node; count the CPU time of the processes of some nodes, too."""
        return self._made(self.cluster.generate(request, self.task(), self.studio), families)

    def _made(self, events: Iterator[Event], families: Sequence[Node]) -> Made:
        processes = [process for node in families for process in processes_of(node)]
        used, started = _cpu_of(processes) + time.process_time(), time.perf_counter()
        with ThreadPoolExecutor(1, initializer=give_way) as as_a_server:
            told = as_a_server.submit(list, events).result()
        total = time.perf_counter() - started
        [done] = [event for event in told if isinstance(event, Done)]
        cpu = _cpu_of(processes) + time.process_time() - used
        return Made(done.first_byte, total, cpu, done.audio_duration)


def main() -> None:
    """Run the benchmark and print its tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--avatar", default="talk_long")
    options.add_argument("--resolution", default="720p")
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--nodes", type=int, nargs="+", default=[1, 2])
    options.add_argument("--videos", type=int, default=4, help="of each slot, for the throughput")
    options.add_argument("--stops", action="store_true", help="only measure clients that give up, at a server")
    given = options.parse_args()
    if given.stops:
        with TemporaryDirectory() as name, cluster_of(slots=1) as nodes:
            stops(nodes, Path(name), given.avatar, given.resolution, given.rounds)
        return
    body = {"text": TEXT, "avatar": given.avatar, "resolution": given.resolution, "tts_engine": "espeak"}
    with TemporaryDirectory() as name, cluster_of() as nodes:
        bench = Bench(nodes, Path(name), body)
        print(f"machine: {describe_machine()}; load {load():.1f}")
        bench.grow(2)
        beside(bench, given.rounds)
        cancelled(bench, given.rounds)
        bench.shrink()
        throughput(bench, sorted(given.nodes), given.videos)
        if len(nodes.slots) > 1:
            killed(bench)


def beside(bench: Bench, rounds: int) -> None:
    """Print what a video takes here and on a node."""
    families = [*bench.nodes.started]
    for _ in range(2):  # which warms up
        bench.here(bench.request)
        bench.there(bench.request)
    pairs = [(bench.here(bench.request), bench.there(bench.request, families)) for _ in range(rounds)]
    here, there = [one for one, _ in pairs], [one for _, one in pairs]
    print(f"\n{here[0].duration:.2f} s of speech by eSpeak NG, {rounds} rounds in turns; load {load():.1f}\n")
    print("| | first fragment, median (best) s | total, median (best) s | CPU time, median s |\n|---|---|---|---|")
    for where, made in (("this process", here), ("a node", there)):
        cells = [_cell([one.first for one in made]), _cell([one.total for one in made])]
        print(f"| {where} | {cells[0]} | {cells[1]} | {statistics.median(one.cpu for one in made):.2f} |")
    first = statistics.median(one.first for one in there) - statistics.median(one.first for one in here)
    total = statistics.median(one.total for one in there) / statistics.median(one.total for one in here) - 1
    cpu = statistics.median(one.cpu for one in there) - statistics.median(one.cpu for one in here)
    print(f"| difference | {first:+.3f} s | {total:+.0%} | {cpu:+.2f} s |")


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f})"


def cancelled(bench: Bench, rounds: int) -> None:
    """Print how soon a cancelled task ends, and the next one begins in its slot."""
    ends, begins = [], []
    for _ in range(rounds):
        task = bench.task()
        begun, over = threading.Event(), threading.Event()

        def first(task: Task = task, begun: threading.Event = begun, over: threading.Event = over) -> None:
            try:
                for _ in bench.cluster.generate(bench.long, task, bench.studio):
                    if task.video.with_name(f"{task.video.name}.part").exists():
                        begun.set()
            except Cancelled:
                ends.append(time.perf_counter())
            over.set()

        threading.Thread(target=first).start()
        begun.wait()
        at = time.perf_counter()
        task.cancel.cancel()
        events = bench.cluster.generate(bench.request, bench.task(), bench.studio)
        while not isinstance(next(events), TtsStarted):
            pass
        begins.append(time.perf_counter() - at)
        over.wait()
        ends[-1] -= at
        for _ in events:
            pass
    print("\n| after cancelling a task on a node | median s | worst s |\n|---|---|---|")
    for what, seconds in (("its last event", ends), ("the next task begins in its slot", begins)):
        print(f"| {what} | {statistics.median(seconds):.3f} | {max(seconds):.3f} |")


def throughput(bench: Bench, counts: Sequence[int], videos: int) -> None:
    """Print how many seconds of video some nodes make in a second, each on one core."""
    cores = sorted(os.sched_getaffinity(0))
    print("\n| nodes, each pinned to one core | s of video a second | beside one node |\n|---|---|---|")
    alone = 0.0
    for count in counts:
        while len(bench.nodes.slots) < count:
            number = len(bench.nodes.slots)
            bench.grow(number + 2, str(cores[number % len(cores)]))
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(bench.there, [bench.request] * count * 2))  # which warms up
            started = time.perf_counter()
            made = list(pool.map(bench.there, [bench.request] * count * videos))
            seconds = time.perf_counter() - started
        rate = sum(one.duration for one in made) / seconds
        alone = alone or rate
        shared = f" on {len(cores)} cores" if count > len(cores) else ""
        print(f"| {count}{shared} | {rate:.2f} | {rate / alone:.2f}x |")


def killed(bench: Bench) -> None:
    """Kill the node that makes a video, and print when its bytes go on."""
    task, ended = bench.task(), threading.Event()
    part = task.video.with_name(f"{task.video.name}.part")

    def make() -> None:
        for _ in bench.cluster.generate(bench.long, task, bench.studio):
            pass
        ended.set()

    def size() -> int:
        return part.stat().st_size if part.exists() else 0

    with noticed() as at:
        threading.Thread(target=make).start()
        wait_for(lambda: size() > 200_000)
        [busy] = [node for node in bench.cluster.nodes.all({}) if node.running]
        number = int(busy.address.rpartition(".")[2])
        [node] = [one for one in bench.nodes.slots if one.number == number]
        bench.nodes.kill(node)
        killed_at, before = time.perf_counter(), size()
        while size() <= before and not ended.is_set():
            time.sleep(0.01)
        on = time.perf_counter() - killed_at
        ended.wait()
    print("\n| after a node was killed that makes a video | s |\n|---|---|")
    print(
        f"| it is noticed | {at[0] - killed_at:.1f} |\n| {before / 1e6:.1f} MB made again, its bytes go on | {on:.1f} |"
    )


@dataclass(frozen=True)
class _Next:
    """A request that waits, and the moment in which its task begins."""

    server: Server
    body: dict[str, str]
    waits: threading.Event
    begun: list[float]

    def run(self) -> None:
        """Send it, and take all its events."""
        with self.server.stream(self.body) as events:
            for event in events:
                self.waits.set()
                if event.get("stage") == "tts":
                    self.begun.append(time.perf_counter())


def stops(nodes: Nodes, folder: Path, avatar: str, resolution: str, rounds: int) -> None:
    """Print how soon a task is over whose client gives it up, when the next one begins, and what is left."""
    common = {"avatar": avatar, "resolution": resolution, "tts_engine": "espeak"}
    long, short = {**common, "text": " ".join([TEXT] * 40)}, {**common, "text": TEXT}
    ways = {"POST /api/cancel": _by_cancel, "the connection is closed": _by_leaving, "the page's Stop": _by_stop}
    with running(["app.py"], folder, **nodes.environ) as server:
        wait_for_slots(server, 1)
        server.events(short)
        print(f"machine: {describe_machine()}; load {load():.1f}\n")
        print("| the client gives up | the task is over, median (worst) s | the next begins, median (worst) s |")
        print("|---|---|---|")
        for name, way in ways.items():
            times = [_given_up(server, way, long, short) for _ in range(rounds)]
            cells = [f"{statistics.median(one):.3f} ({max(one):.3f})" for one in zip(*times, strict=True)]
            print(f"| {name} | {cells[0]} | {cells[1]} |")
        made = {path.stem for path in server.results.glob("*.mp4")}
        server.wait_idle()
        left = [path.name for path in server.results.iterdir() if path.is_file() and path.name[:32] not in made]
        files = [path for node in nodes.slots for path in node.temporary.rglob("*")]
        there = [path for path in files if re.search("[.](mp4|part|wav)", path.name)]
        print(f"\nfiles left of them: {len(left)} at the server, {len(there)} on the node; load {load():.1f}")


def _given_up(server: Server, way: _Way, long: dict[str, str], short: dict[str, str]) -> tuple[float, float]:
    """Return the seconds until a task that is given up is over, and until the next one begins."""
    following = _Next(server, short, threading.Event(), [])
    waiting = threading.Thread(target=following.run)
    task_id = ""

    def made() -> str:
        """Wait until the task has a picture and the next one waits; return its id."""
        nonlocal task_id
        part: Path = wait_for(
            lambda: next((one for one in server.results.glob("*.mp4.part") if one.stat().st_size), None)
        )
        waiting.start()
        following.waits.wait()
        task_id = part.name[:32]
        return task_id

    at = way(server, long, made)
    while server.get(f"/api/v2/tasks/{task_id}").json()["state"] == "running":
        continue
    over = time.perf_counter() - at
    waiting.join()
    return over, following.begun[0] - at


def _by_cancel(server: Server, body: dict[str, str], made: Callable[[], str]) -> float:
    with server.stream(body):
        task_id, at = made(), time.perf_counter()
        assert server.post(f"/api/cancel/{task_id}").status_code == 200
    return at


def _by_leaving(server: Server, body: dict[str, str], made: Callable[[], str]) -> float:
    with server.stream(body):
        made()
        at = time.perf_counter()
    return at


def _by_stop(server: Server, body: dict[str, str], made: Callable[[], str]) -> float:
    client = Client(server.url, verbose=False, download_files=False)
    job = client.submit(**body, api_name="/generate")
    made()
    at = time.perf_counter()
    job.cancel()
    return at


@contextmanager
def noticed() -> Iterator[list[float]]:
    """Give the moments at which the loss of a node is noticed while the block lasts."""
    moments: list[float] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if re.search("lost its node", record.getMessage()):
                moments.append(time.perf_counter())

    handler = Handler()
    logging.getLogger("pipeline.cluster.cluster").addHandler(handler)
    try:
        yield moments
    finally:
        logging.getLogger("pipeline.cluster.cluster").removeHandler(handler)


def _cpu_of(processes: Sequence[int]) -> float:
    """Return the seconds of CPU time that some processes have used."""
    used = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICKS


if __name__ == "__main__":
    main()
