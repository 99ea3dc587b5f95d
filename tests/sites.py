"""Several web servers that share their tasks, behind nginx, which sends every request to any of them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.nginx import nginx
from tests.redis_server import Redis
from tests.servers import Server, events_of, free_port, running

TIMES = 50
BALANCED = """
map $http_upgrade $connection_upgrade {{ default upgrade; "" close; }}
upstream servers {{ random; {servers} }}
server {{
  listen 127.0.0.1:{port};
  location / {{
    proxy_pass http://servers; proxy_buffering off; proxy_read_timeout 1h; proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
  }}
}}
"""


@dataclass(frozen=True)
class Program:
    """What the web servers run.

    Attributes:
        command: Arguments of Python; ``{packs}`` is the folder of avatars, of which each server has a copy.
        packs: The avatars at the start.
        body: What a short video is asked for with.
        long: Text of one that takes many seconds.
        environ: Settings.
    """

    command: tuple[str, ...]
    packs: Path
    body: Mapping[str, str]
    long: str
    environ: Mapping[str, str] = field(default_factory=dict)


class Site:
    """Web servers, and the address of all of them."""

    def __init__(self, servers: list[Server], url: str) -> None:
        self.servers = servers
        self.url = url

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        more |= {} if body is None else {"json": body}
        return requests.post(self.url + path, timeout=60, **more)

    def delete(self, path: str) -> requests.Response:
        return requests.delete(self.url + path, timeout=60)

    def started(self, body: Any, **headers: str) -> str:
        """Ask for a video, and return its id once there is one; it goes on without a client for a while."""
        headers = {"Idempotency-Key": uuid.uuid4().hex, **headers}
        with requests.post(
            self.url + "/api/v2/lipsync/stream", json=body, headers=headers, stream=True, timeout=60
        ) as answer:
            assert answer.status_code == 200, answer.text
            return str(next(events_of(answer))["task_id"])

    def wait_idle(self) -> None:
        for server in self.servers:
            server.wait_idle()


@contextmanager
def site(folder: Path, program: Program, redis: Redis, **environ: str) -> Iterator[Site]:
    """Run two web servers behind nginx while the block lasts."""
    with ExitStack() as stack:
        servers = []
        for name in ("one", "two"):
            packs = folder / name / "precomputed"
            shutil.copytree(program.packs, packs)
            command = [part.format(packs=packs) for part in program.command]
            own = {"PRECOMPUTED": str(packs), "TASKS_URL": redis.url, "MAX_SHARING": "8", **program.environ, **environ}
            servers.append(stack.enter_context(running(command, folder / name, **own)))
        port = free_port()
        upstream = " ".join(f"server 127.0.0.1:{server.port};" for server in servers)
        two = Site(servers, f"http://127.0.0.1:{port}")
        stack.enter_context(nginx(folder, BALANCED.format(port=port, servers=upstream), lambda: answers(two)))
        yield two


def answers(two: Site) -> bool:
    try:
        return two.get("/api/openapi.json").status_code in (200, 401)
    except requests.ConnectionError:
        return False


def many(one: Callable[[int], Any]) -> list[Any]:
    """Call a function `TIMES` times, five at a time."""
    with ThreadPoolExecutor(5) as pool:
        return list(pool.map(one, range(TIMES)))
