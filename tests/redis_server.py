"""A real Redis for tests; skipped where it is not installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port, wait_for

REDIS = shutil.which("redis-server")
NEEDED = [
    pytest.mark.skipif(REDIS is None, reason="Redis is not installed: apt-get install redis-server"),
    pytest.mark.skipif(importlib.util.find_spec("redis") is None, reason="pip install -r requirements-cluster.txt"),
]


class Redis:
    """A Redis of its own, which keeps nothing when it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import redis

        assert REDIS is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self.process = subprocess.Popen([REDIS, *options], stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:

            def answers() -> bool:
                with suppress(redis.RedisError):
                    return bool(client.ping())
                return False

            wait_for(answers)

    def names(self) -> list[str]:
        """All names that it has."""
        with self._client() as client:
            return sorted(client.keys())

    def seconds_left(self, name: str) -> int:
        """Seconds for which it keeps a name; -1 for ever, -2 if it has it no more."""
        with self._client() as client:
            return int(client.ttl(name))

    def _client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url, decode_responses=True)

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)
