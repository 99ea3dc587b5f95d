"""Several graphics cards: as many tasks run at a time, and the next one waits."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server, running, wait_for

BODY = {"text": "slow " * 6, "avatar": "solo"}


@pytest.mark.slow
def test_each_card_has_its_own_task(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, FAKE_CARDS="2") as server:
        replies: list[dict[str, Any]] = []
        clients = [threading.Thread(target=lambda: replies.append(_made(server))) for _ in range(3)]
        for client in clients:
            client.start()
        wait_for(lambda: _count(server, "starts") == 2 and _waiting(server) == 1)
        assert _count(server, "ends") == 0
        for client in clients:
            client.join()
        assert [reply["success"] for reply in replies] == [True] * 3
        assert _count(server, "starts") == 3
        server.wait_idle()


def _made(server: Server) -> dict[str, Any]:
    reply: dict[str, Any] = server.post("/api/v2/lipsync", BODY).json()
    return reply


def _count(server: Server, what: str) -> int:
    return len(re.findall(rf"^task \w+ {what}", server.log, re.MULTILINE))


def _waiting(server: Server) -> int:
    return int(server.get("/api/queue_status").json()["queue_size"])
