"""Live sessions of a server, as a client has them."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from websockets.sync.client import ClientConnection, connect

from tests.servers import Server, events_of, wait_for

SESSIONS = "/api/v2/sessions"


class Opened:
    """A session of a server."""

    def __init__(self, server: Server, **body: object) -> None:
        self.server = server
        reply = server.post(SESSIONS, {"avatar": "solo", **body})
        assert reply.status_code == 201, reply.text
        self.opened = reply.json()
        self.path = f"{SESSIONS}/{self.opened['session_id']}"

    def post(self, what: str, body: Any = None) -> requests.Response:
        return self.server.post(f"{self.path}/{what}", body)

    def say(self, text: str, **more: object) -> None:
        assert self.post("say", {"text": text, **more}).json()["success"] is True

    def close(self) -> None:
        self.server.delete(self.path)

    @contextmanager
    def events(self, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
        url = self.server.url + self.path + "/events"
        with requests.get(url, stream=True, timeout=60, headers=headers) as response:
            assert response.status_code == 200
            yield events_of(response)

    @contextmanager
    def socket(self, query: str = "") -> Iterator[ClientConnection]:
        with connect(self.server.url.replace("http", "ws") + self.path + "/socket" + query, max_size=None) as socket:
            yield socket

    def record(self) -> tuple[io.BytesIO, threading.Thread]:
        """Read the stream until the session's end, in the background."""
        stream = io.BytesIO()

        def read() -> None:
            with requests.get(self.server.url + self.opened["video_url"], stream=True, timeout=60) as response:
                for chunk in response.iter_content(None):
                    stream.write(chunk)

        thread = threading.Thread(target=read)
        thread.start()
        wait_for(stream.tell)
        return stream, thread


def until(events: Iterator[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(event for event in events if event["type"] == kind)


def messages(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    while True:
        message = socket.recv(30)
        if isinstance(message, str):
            yield json.loads(message)
