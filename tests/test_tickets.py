"""One queue of several web servers: the order of their tasks in a real Redis, and the slots that they share."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.notifier import Notifier
from pipeline.jobs.eta import Pace
from pipeline.shared import tickets
from pipeline.shared.link import Link
from pipeline.shared.servers import LEASE_SECONDS, WebServer
from pipeline.shared.tickets import SharedTickets
from tests.redis_server import NEEDED, Redis
from tests.servers import Server, running, wait_for

pytestmark = NEEDED
SITE = "http://web{}.of.a.test"


class Cluster:
    """The slots of a cluster, as a test sets them."""

    def __init__(self, slots: int) -> None:
        self.slots, self.changed = slots, Notifier()

    def set(self, slots: int) -> None:
        self.slots = slots
        self.changed.notify()


class Web:
    """What a web server has of the order."""

    def __init__(self, redis: Redis, cluster: Cluster, name: str, number: int) -> None:
        self.link = Link(redis.url)
        self.server = WebServer(SITE.format(number))
        self.live()
        self.tickets = SharedTickets(self.link, self.server, cluster, name)

    def live(self) -> None:
        """Say that the server is there, as its book of tasks does every two seconds."""
        self.link.now.set(self.server.key, self.server.to_text(), ex=600)

    def take(self, task: str, address: str = "") -> None:
        self.tickets.take(task, 1.0, address)
        asyncio.run(self.tickets.placed(task))

    @property
    def waiting(self) -> list[str]:
        return [ticket.id for ticket in self.tickets.waiting]

    @property
    def running(self) -> set[str]:
        return {ticket.id for ticket in self.tickets.running}


@contextmanager
def webs(redis: Redis, cluster: Cluster, *names: str) -> Iterator[list[Web]]:
    """Two web servers of one cluster, or one of each that is named."""
    names = names or (f"cluster-{time.monotonic_ns()}",) * 2
    made = [Web(redis, cluster, name, number) for number, name in enumerate(names)]
    try:
        yield made
    finally:
        for web in made:
            web.tickets.close()
            web.link.close()


def test_all_servers_see_one_order_and_begin_in_it(redis_server: Redis) -> None:
    cluster, begun = Cluster(2), list[str]()
    with webs(redis_server, cluster) as both:
        tasks = [f"{number:02}" for number in range(12)]
        homes = {task: random.choice(both) for task in tasks}
        for task in tasks:
            homes[task].take(task)
        while tasks:
            wait_for(lambda: all(web.running == set(tasks[:2]) for web in both))
            wait_for(lambda: all(web.waiting == tasks[2:] for web in both))
            assert all(homes[task].tickets.may_run(task) == (task in tasks[:2]) for task in tasks)
            done = tasks.pop(random.randrange(min(2, len(tasks))))
            homes[done].tickets.leave(done)
            begun.append(done)
        wait_for(lambda: not any(web.running or web.waiting for web in both))
    assert sorted(begun) == [f"{number:02}" for number in range(12)]


def test_servers_that_join_at_once_agree(redis_server: Redis) -> None:
    with webs(redis_server, Cluster(1)) as both, ThreadPoolExecutor(8) as pool:
        tasks = [f"{number:02}" for number in range(40)]
        list(pool.map(lambda task: random.choice(both).take(task), tasks))
        wait_for(lambda: all(len(web.waiting) == 39 for web in both))
        assert both[0].waiting == both[1].waiting
        assert both[0].running == both[1].running and len(both[0].running) == 1
        assert len({ticket.at for ticket in both[0].tickets.waiting}) == 39


def test_what_waits_and_leaves_makes_room(redis_server: Redis) -> None:
    with webs(redis_server, Cluster(1)) as (one, two):
        for web, task in ((one, "a"), (one, "b"), (two, "c"), (one, "d")):
            web.take(task)
        one.tickets.leave("b")
        wait_for(lambda: one.waiting == two.waiting == ["c", "d"])
        one.tickets.leave("a")
        wait_for(lambda: two.tickets.may_run("c") and one.waiting == ["d"])


def test_more_and_fewer_slots(redis_server: Redis) -> None:
    cluster = Cluster(0)
    with webs(redis_server, cluster) as (one, two):
        for number, web in enumerate((one, two, two, one, two)):
            web.take(str(number))
        wait_for(lambda: one.waiting == ["0", "1", "2", "3", "4"])
        assert not one.running  # until a node comes
        cluster.set(3)
        wait_for(lambda: one.running == two.running == {"0", "1", "2"})
        cluster.set(1)
        one.tickets.leave("0")
        two.tickets.leave("1")
        wait_for(lambda: one.running == two.running == {"2"})
        time.sleep(0.1)  # nothing else begins: what runs is not disturbed, and nothing comes on top
        assert one.waiting == two.waiting == ["3", "4"]
        two.tickets.leave("2")
        wait_for(lambda: one.tickets.may_run("3") and two.waiting == ["4"])


@pytest.mark.parametrize("how", ["gone", "another run"])
def test_nobody_waits_behind_a_server_that_is_gone(redis_server: Redis, how: str) -> None:
    with webs(redis_server, Cluster(1)) as (one, two):
        for web, task in ((one, "a"), (two, "b"), (one, "c"), (two, "d")):
            web.take(task)
        wait_for(lambda: two.waiting == ["b", "c", "d"])
        if how == "gone":  # as at the end of its lease
            one.link.now.delete(one.server.key)
        else:
            one.link.now.set(one.server.key, replace(one.server, run="another").to_text())
        wait_for(lambda: two.tickets.may_run("b") and two.waiting == ["d"])
        one.live()  # it was only paused
        wait_for(lambda: two.waiting == one.waiting == ["c", "d"] and one.running == {"a", "b"})


def test_nobody_waits_behind_a_server_that_has_lost_the_cluster(
    redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "PATIENCE_SECONDS", 1.0)
    lost, there = Cluster(0), Cluster(1)
    name = "lost by one"
    one, two = Web(redis_server, lost, name, 0), Web(redis_server, there, name, 1)
    one.take("a")
    two.take("b")
    wait_for(lambda: two.tickets.may_run("b"))
    assert two.waiting == ["a"]
    two.take("c")
    lost.set(1)
    wait_for(lambda: two.waiting == one.waiting == ["a", "c"])
    two.tickets.leave("b")
    wait_for(lambda: one.tickets.may_run("a"))
    for web in (one, two):
        web.tickets.close()


def test_each_goes_on_alone_without_redis_and_they_agree_again(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    redis.start()
    with webs(redis, Cluster(1)) as (one, two):
        for web, task in ((one, "a"), (two, "b"), (one, "c"), (two, "d")):
            web.take(task)
        wait_for(lambda: two.waiting == ["b", "c", "d"])
        redis.stop()
        wait_for(lambda: two.tickets.may_run("b") and one.waiting == ["c"] and two.waiting == ["d"])
        two.take("e")  # takes no time
        assert two.waiting == ["d", "e"]
        two.tickets.leave("b")
        assert two.tickets.may_run("d") and two.waiting == ["e"]
        redis.start()  # empty
        for web in (one, two):
            web.live()
        wait_for(lambda: one.waiting == two.waiting == ["c", "e"] and one.running == two.running == {"a", "d"})
        one.take("f")
        assert one.waiting == ["c", "e", "f"]
        one.tickets.leave("a")
        time.sleep(0.1)
        assert one.waiting[0] == "c"  # until one runs at a time again
        two.tickets.leave("d")
        wait_for(lambda: one.tickets.may_run("c") and two.waiting == ["e", "f"])
    redis.stop()


def test_estimates_come_from_the_tasks_of_all_servers(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    redis.start()
    with webs(redis, Cluster(1)) as (one, two):
        for seconds in (2.0, 4.0):
            one.take("a")
            one.tickets.timed(1.0, seconds)
            one.tickets.leave("a")
        wait_for(lambda: two.tickets.pace.seconds(2.0) == 6.0)
        redis.stop()
        redis.start()
        one.live()
        two.live()
        two.tickets.timed(1.0, 6.0)
        two.take("b")
        wait_for(lambda: one.tickets.pace.seconds(1.0) == two.tickets.pace.seconds(1.0) == 4.0)
    redis.stop()


def test_two_clusters_are_two_queues(redis_server: Redis) -> None:
    with webs(redis_server, Cluster(1), "this", "that") as (one, two):
        one.take("a")
        two.take("b")
        wait_for(lambda: one.tickets.may_run("a") and two.tickets.may_run("b"))
        assert one.running == {"a"} and two.running == {"b"}


def test_a_ticket_of_another_version_of_the_program_is_passed_over(redis_server: Redis) -> None:
    with webs(redis_server, Cluster(1), "versions") as (one,):
        one.link.now.hset("avatar:queue:versions", mapping={"x": "no json", "y": json.dumps({"id": "y"})})
        one.take("a")
        wait_for(lambda: one.tickets.may_run("a"))


def test_a_pace_keeps_the_latest_tasks() -> None:
    pace = Pace()
    pace.replace((1.0, float(number)) for number in range(100))
    assert len(pace.timed) == 20 and pace.seconds(2.0) == 2 * 89.5


# --- two web servers


TEXT = {"text": "brisk one two", "avatar": "solo"}
FROZEN = {"text": "frozen one", "avatar": "solo"}


class Queue:
    """Two web servers of one cluster, which is a folder; see ``tests.fake_slots``."""

    def __init__(self, folder: Path, packs: Path, redis: Redis, stack: ExitStack, **environ: str) -> None:
        self.folder = folder
        self.set(0)
        self.servers: list[Server] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            ours = {"TASKS_URL": redis.url, "MAX_QUEUE": "100", "FAKE_CARDS": "8", **environ}
            command = ["-m", "tests.fake_slots", str(packs), str(folder)]
            self.servers.append(stack.enter_context(running(command, folder / name, **ours)))
        self.stack = stack
        self.streams: dict[str, Iterator[dict[str, Any]]] = {}
        self.first: dict[str, dict[str, Any]] = {}

    def set(self, slots: int) -> None:
        (self.folder / "slots").write_text(str(slots))

    def ask(self, body: dict[str, Any], server: Server | None = None, **headers: str) -> str:
        """Request a video of any of the servers, and return its id."""
        stream = self.stack.enter_context((server or random.choice(self.servers)).stream(body, **headers))
        first = next(stream)
        assert first["stage"] == "queued"
        task = str(first["task_id"])
        self.streams[task], self.first[task] = stream, first
        return task

    def place(self, task: str, server: Server | None = None) -> int | None:
        """What a server tells of a task's position."""
        told = (server or random.choice(self.servers)).get(f"/api/v2/tasks/{task}").json()
        position: int | None = told["position"] if told.get("state") == "queued" else None
        return position

    def are_placed(self, tasks: list[str]) -> bool:
        """Whether both servers tell that just these wait, in this order."""
        places = list(range(1, len(tasks) + 1))
        lengths = [server.get("/api/queue_status").json()["queue_size"] for server in self.servers]
        return lengths == [len(tasks)] * 2 and all(
            [self.place(task, server) for task in tasks] == places for server in self.servers
        )

    def last(self, task: str) -> dict[str, Any]:
        return list(self.streams[task])[-1]

    @property
    def log(self) -> list[tuple[str, str]]:
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(what, task) for what, _, task in (line.partition(" ") for line in lines)]

    @property
    def begun(self) -> list[str]:
        return [task for what, task in self.log if what == "begins"]

    def began_in_order(self, tasks: list[str], slots: int) -> bool:
        """Whether tasks began in their order; the first steps of those that run together are in none."""
        places = [tasks.index(task) for task in self.begun]
        return sorted(places) == list(range(len(tasks))) and all(
            abs(number - place) < slots for number, place in enumerate(places)
        )

    @property
    def most(self) -> int:
        """The most tasks that ever ran at a time."""
        now = most = 0
        for what, _ in self.log:
            now += 1 if what == "begins" else -1
            most = max(most, now)
        return most


@contextmanager
def queue(folder: Path, packs: Path, redis: Redis, **environ: str) -> Iterator[Queue]:
    with ExitStack() as stack:
        yield Queue(folder, packs, redis, stack, **environ)


@pytest.mark.slow
def test_twelve_tasks_of_two_servers_are_one_queue(fake_packs: Path, redis_server: Redis, tmp_path: Path) -> None:
    with queue(tmp_path, fake_packs, redis_server) as both:
        tasks = [both.ask(TEXT) for _ in range(12)]
        assert [both.first[task]["position"] for task in tasks] == list(range(1, 13))
        assert both.are_placed(tasks) and not both.log
        for gone in random.sample(tasks, 3):
            server = random.choice(both.servers)
            assert server.post(f"/api/cancel/{gone}").json()["state"] == "queued"
            assert both.last(gone)["cancelled"]
            tasks.remove(gone)
        wait_for(lambda: both.are_placed(tasks))
        both.set(2)
        told: dict[str, list[dict[str, Any]]] = {task: list(both.streams[task]) for task in tasks}
        assert [events[-1]["type"] for events in told.values()] == ["done"] * 9
        assert both.began_in_order(tasks, 2) and both.most == 2
        for events in told.values():  # nobody falls back
            places = [event["position"] for event in events if event.get("stage") == "queued"]
            assert places == sorted(places, reverse=True)
        # from now on it is known how long tasks take, at both
        both.set(0)
        waiting = [both.ask(TEXT) for _ in range(4)]
        both.set(1)
        later = [both.ask(TEXT) for _ in range(4)]
        wait_for(lambda: len(both.begun) > 9)
        etas = [server.get(f"/api/v2/tasks/{later[-1]}").json()["eta"] for server in both.servers]
        assert all(eta > 0 for eta in etas)
        assert [both.last(task)["type"] for task in (*waiting, *later)] == ["done"] * 8
        assert sorted(both.begun[9:]) == sorted(waiting + later) and both.most == 2


@pytest.mark.slow
def test_twelve_tasks_at_once_are_one_queue(fake_packs: Path, redis_server: Redis, tmp_path: Path) -> None:
    with queue(tmp_path, fake_packs, redis_server) as both:
        with ThreadPoolExecutor(12) as pool:
            tasks = list(pool.map(both.ask, [TEXT] * 12))
        wait_for(lambda: sorted(both.place(task) or 0 for task in tasks) == list(range(1, 13)))
        tasks.sort(key=lambda task: both.place(task) or 0)
        assert both.are_placed(tasks)
        both.set(3)
        assert [both.last(task)["type"] for task in tasks] == ["done"] * 12
        assert both.began_in_order(tasks, 3) and both.most == 3


@pytest.mark.slow
def test_tasks_of_a_server_that_is_killed_leave_the_queue(
    fake_packs: Path, redis_server: Redis, tmp_path: Path
) -> None:
    with queue(tmp_path, fake_packs, redis_server) as both:
        here, there = both.servers
        both.set(1)
        frozen = both.ask(FROZEN, there)
        tasks = [both.ask(TEXT, server) for server in (there, here, there, here)]
        wait_for(lambda: both.are_placed(tasks))
        there.process.kill()
        killed = time.monotonic()
        wait_for(lambda: both.place(tasks[3], here) != 4)
        left = time.monotonic() - killed
        assert both.last(tasks[1])["type"] == both.last(tasks[3])["type"] == "done"
        assert both.begun == [frozen, tasks[1], tasks[3]]
        assert left < 3 * LEASE_SECONDS  # on a machine that may be busy
        assert here.get("/api/queue_status").json()["queue_size"] == 0


@pytest.mark.slow
def test_the_queue_goes_on_while_redis_is_away(fake_packs: Path, tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    redis.start()
    with queue(tmp_path, fake_packs, redis) as both:
        both.set(1)
        frozen = both.ask(FROZEN, both.servers[0])
        homes = [random.choice(both.servers) for _ in range(10)]
        tasks = [both.ask(TEXT, server) for server in homes]
        wait_for(lambda: both.are_placed(tasks))
        both.set(0)
        redis.stop()
        for server in both.servers:  # each tells what is true of its own
            mine = [task for task, home in zip(tasks, homes, strict=True) if home is server]
            wait_for(lambda: [both.place(task, server) for task in mine] == list(range(1, len(mine) + 1)))  # noqa: B023
        redis.start()  # empty
        wait_for(lambda: both.are_placed(tasks))
        tasks.append(both.ask(TEXT))
        assert both.first[tasks[-1]]["position"] == 11
        redis.stop()
        both.set(1)
        both.servers[0].post(f"/api/cancel/{frozen}")
        assert [both.last(task)["type"] for task in tasks] == ["done"] * 11
        for server, other in (both.servers, both.servers[::-1]):
            mine = [task for task in tasks if re.search(f"task {task} starts", server.log)]
            assert [task for task in both.begun if task in mine] == mine
            assert not [task for task in mine if f"task {task} starts" in other.log]


@pytest.mark.slow
def test_a_visitor_gets_a_share_of_the_queue_of_all_servers(
    fake_packs: Path, redis_server: Redis, tmp_path: Path
) -> None:
    limits = {"MAX_QUEUE": "6", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    one, two = ({"X-Forwarded-For": address} for address in ("203.0.113.5", "203.0.113.6"))
    with queue(tmp_path, fake_packs, redis_server, **limits) as both:
        tasks = [both.ask(TEXT, server, **one) for server in (*both.servers, both.servers[0])]
        for server in both.servers:
            refused = server.post("/api/v2/lipsync", TEXT, headers=one)
            assert refused.status_code == 503 and refused.json()["code"] == "queue_full", refused.text
            assert "203.0.113.5" in refused.text
        tasks += [both.ask(TEXT, server, **two) for server in (*both.servers, both.servers[1])]
        assert both.are_placed(tasks)
        for server in both.servers:
            refused = server.post("/api/v2/lipsync", TEXT, headers={"X-Forwarded-For": "203.0.113.7"})
            assert refused.status_code == 503 and "203.0.113" not in refused.text
        both.set(1)
        assert [both.last(task)["type"] for task in tasks] == ["done"] * 6
        assert both.begun == tasks
