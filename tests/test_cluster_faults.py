"""A cluster whose Redis restarts, whose bucket refuses, and of which one node has a full disk.

Real nodes of Ray on this machine's loopback, a real Redis, and a bucket that moto plays. Skipped where one is missing.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.ray_nodes import ASKED, Nodes, clustered_server, two_nodes, wait_for_slots
from tests.recordings import record
from tests.redis_server import NEEDED, Redis
from tests.servers import Server, free_port, wait_for
from tests.watching import check_whole, events_while, frames_of

pytestmark = [pytest.mark.slow, *NEEDED]
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
REFUSES_SECONDS = 20
SMALL = "120m"
"""Size of the disk of one node."""


class Bucket:
    """A bucket that can refuse: nobody listens at its port. It keeps what it has."""

    def __init__(self) -> None:
        self._moto = pytest.importorskip("moto.server", reason="S3 is not played: pip install 'moto[s3,server]'")
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.answer()
        assert requests.put(f"{self.url}/bucket", timeout=10).status_code == 200

    def answer(self) -> None:
        self._server = self._moto.ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()

    def refuse(self) -> None:
        self._server.stop()

    def names(self) -> str:
        return requests.get(f"{self.url}/bucket", timeout=30).text


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    bucket = Bucket()
    yield bucket
    bucket.refuse()


@pytest.fixture(scope="module")
def nodes(bucket: Bucket) -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name, value in {**KEYS, "AWS_ENDPOINT": bucket.url}.items():
            patch.setenv(name, value)
        nodes = stack.enter_context(two_nodes(small=SMALL))
        yield nodes


@pytest.fixture(scope="module")
def clustered(
    nodes: Nodes, redis_server: Redis, fake_packs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder, shared = (
        tmp_path_factory.mktemp("clustered"),
        {"TASKS_URL": redis_server.url, "STORE_URL": "s3://bucket/avatars"},
    )
    with clustered_server(nodes, fake_packs, folder, **shared) as server:
        yield server


def test_redis_restarts_and_no_video_is_lost(clustered: Server, redis_server: Redis) -> None:
    wait_for_slots(clustered, 2)

    def restart() -> None:
        redis_server.stop()
        assert clustered.events({"text": "two words", **ASKED})[-1]["type"] == "done"
        redis_server.start()  # empty

    told = events_while(clustered, 4, restart)
    check_whole(clustered, told)
    key = {"Idempotency-Key": "after"}

    def again() -> requests.Response | None:
        reply = clustered.post("/api/v2/lipsync", {"text": "two words", **ASKED}, headers=key)
        return reply if reply.status_code == 200 else None

    first = wait_for(again).json()["task_id"]
    assert clustered.post("/api/v2/lipsync", {"text": "two words", **ASKED}, headers=key).json()["task_id"] == first


def test_the_bucket_refuses_and_what_needs_none_goes_on(clustered: Server, bucket: Bucket, tmp_path: Path) -> None:
    wait_for_slots(clustered, 2)
    record(tmp_path / "voice.wav", "one two three")
    form: list[tuple[str, Any]] = [("avatar", (None, "solo")), ("text", (None, "one two three"))]
    form.append(("audio", ("voice.wav", (tmp_path / "voice.wav").read_bytes())))
    recordings: list[requests.Response] = []

    def refuse() -> None:
        bucket.refuse()
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(clustered.post, "/api/v2/lipsync", files=form) for _ in range(2)]
            time.sleep(REFUSES_SECONDS)
            recordings.extend(one.result() for one in asked)
        bucket.answer()

    told = events_while(clustered, 4, refuse)  # whose packs the nodes have
    check_whole(clustered, told)
    for reply in recordings:
        assert reply.status_code == 503 and "STORE_URL" in reply.json()["error"], reply.text
    assert clustered.post("/api/v2/lipsync", files=form).json()["success"] is True
    ids = [events[0]["task_id"] for events in told]
    wait_for(lambda: all(f"results/{one}/" in bucket.names() for one in ids))
    wait_for(lambda: "/files/" not in bucket.names())


def test_a_node_with_a_full_disk_gives_its_work_to_another(clustered: Server, nodes: Nodes) -> None:
    wait_for_slots(clustered, 2)
    small = nodes.slots[1].temporary
    if not os.path.ismount(small):
        pytest.skip("no small disk can be mounted here: root is needed")
    filler = small / "filler"

    def fill() -> None:
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1M"], check=False, capture_output=True)

    check_whole(clustered, events_while(clustered, 6, fill))
    wait_for(lambda: clustered.events({"text": "two words", **ASKED})[-1]["type"] == "done")
    wait_for_slots(clustered, 1)
    filler.unlink()
    wait_for_slots(clustered, 2)
    told = events_while(clustered, 4, lambda: None)
    check_whole(clustered, told)
    assert frames_of(clustered.get(told[0][-1]["video_url"]).content) > 0
