"""A hub of weights that runs here."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.fake_supertonic import WEIGHTS

CONTENT = bytes(range(256)) * 4000


class Hub(ThreadingHTTPServer):
    """Lists and sends files. stops_at: bytes after which a file ends; sends: what it sends; waits: until it is set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.listed: Any = [
            {"type": "file", "path": name, "size": len(CONTENT), "lfs": {"oid": hashlib.sha256(CONTENT).hexdigest()}}
            for name in WEIGHTS
        ]
        self.sends = CONTENT
        self.stops_at: int | None = None
        self.waits = threading.Event()
        self.waits.set()
        self.reached = threading.Event()
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.waits.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        listing = self.path.startswith("/api/models/")
        body = json.dumps(self.server.listed).encode() if listing else self.server.sends
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        first = body[start : self.server.stops_at] if not listing else body
        self.wfile.write(first[: len(first) // 2])
        if not listing:
            self.server.reached.set()
            self.server.waits.wait(20)
        with suppress(ConnectionError):  # cancelled
            self.wfile.write(first[len(first) // 2 :])
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass
