"""Whether a server keeps anything of its clients: memory, threads and open files over time, under mixed clients.

    python -m benchmarks.soak [--minutes 10] [--clients 6] [--resolution 360p] [--every 60]

Starts the server, and then clients that ask for videos and stay to the end; leave at any moment; cancel; call through
gradio_client, and cancel there; begin to watch a growing video and leave; break off uploads of recordings, clips and
avatars; load the page and go. Prints how many of each there were, what the server held every so many seconds, and what
is left in its folders at the end. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from gradio_client import Client

from benchmarks.machine import describe_machine, load
from benchmarks.serving import PORT, URL, serving

TEXTS = (
    "네, 좋습니다.",
    "안녕하세요, 면접에 오신 것을 환영합니다. 먼저 간단한 자기소개를 부탁드립니다.",
    "What was the most difficult problem you have solved, and how did you solve it? Take your time.",
)
BOUNDARY = "soak"
UPLOADED = 200_000
"""Bytes of an upload that are sent before it breaks off."""


class Clients:
    """What clients do; each method is one visit. Nothing is asserted: how they fare is other tests' matter."""

    def __init__(self, resolution: str) -> None:
        self.did: Counter[str] = Counter()
        self._resolution = resolution
        self._kinds: dict[Callable[[random.Random], object], int] = {
            self.stays: 4,
            self.leaves: 6,
            self.cancels: 3,
            self.watches: 2,
            self.waits_in_vain: 1,
            self.gradio_cancels: 1,
            self.uploads: 3,
            self.makes_avatar: 1,
            self.asks_for_faces: 1,
            self.loads_page: 3,
        }

    def visit(self, until: float, seed: int) -> None:
        """Visit again and again UNTIL then (monotonic), in an order that SEED decides."""
        chances = random.Random(seed)
        while time.monotonic() < until:
            kind = chances.choices(list(self._kinds), list(self._kinds.values()))[0]
            with contextlib.suppress(requests.RequestException, OSError, ValueError):
                kind(chances)
            self.did[kind.__name__] += 1

    def stays(self, chances: random.Random) -> None:
        """Read a stream to its end, and the video."""
        for event in self._events(chances):
            if event["type"] == "done":
                requests.get(URL + event["video_url"], timeout=60)

    def leaves(self, chances: random.Random) -> None:
        """Leave after any event, or between two."""
        last = chances.randrange(6)
        for number, _ in enumerate(self._events(chances)):
            if number == last:
                time.sleep(chances.choice((0, 0, 0.1)))
                return

    def cancels(self, chances: random.Random) -> None:
        """Cancel after any event, and read on."""
        last = chances.randrange(5)
        for number, event in enumerate(self._events(chances)):
            if number == last:
                requests.post(f"{URL}/api/cancel/{event['task_id']}", timeout=60)

    def watches(self, chances: random.Random) -> None:
        """Fetch the growing video, and leave in the middle of it."""
        for event in self._events(chances):
            if "video_url" in event:
                with requests.get(URL + event["video_url"], stream=True, timeout=60) as video:
                    next(video.iter_content(20_000), None)
                return

    def waits_in_vain(self, chances: random.Random) -> None:
        """Call the synchronous interface, and hang up."""
        requests.post(URL + "/api/v2/lipsync", json=self._body(chances), timeout=chances.uniform(0.1, 1))

    def gradio_cancels(self, chances: random.Random) -> None:
        """Call through gradio_client, and cancel."""
        client = Client(URL, verbose=False)
        try:
            job = client.submit(**self._body(chances), api_name="/generate")
            time.sleep(chances.uniform(0, 1))
            job.cancel()
        finally:
            client.close()

    def uploads(self, chances: random.Random) -> None:
        """Break off the upload of a recording to the page."""
        self._break_off("/gradio_api/upload", "files", chances)

    def makes_avatar(self, chances: random.Random) -> None:
        """Break off the upload of a clip."""
        self._break_off("/api/avatars", "file", chances)

    def asks_for_faces(self, chances: random.Random) -> None:
        """Break off the upload of a clip whose faces are asked for."""
        self._break_off("/api/avatars/faces", "file", chances)

    def loads_page(self, chances: random.Random) -> None:
        """Load the page and what it asks for first, open its heartbeat, and go."""
        session = requests.Session()
        for path in ("/", "/config", "/gradio_api/info", "/theme.css"):
            session.get(URL + path, timeout=60)
        with session.get(f"{URL}/gradio_api/heartbeat/{chances.getrandbits(64):x}", stream=True, timeout=60):
            pass

    def _body(self, chances: random.Random) -> dict[str, Any]:
        text = chances.choice(TEXTS)
        return {"text": text, "avatar": "talk_long", "resolution": self._resolution, "tts_engine": "espeak"}

    def _events(self, chances: random.Random) -> Iterator[dict[str, Any]]:
        with requests.post(
            URL + "/api/v2/lipsync/stream", json=self._body(chances), stream=True, timeout=120
        ) as response:
            for line in response.iter_lines():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def _break_off(self, path: str, field: str, chances: random.Random) -> None:
        part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="clip.mp4"\r\n\r\n'
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nContent-Length: {10 * UPLOADED}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n{part}"
        )
        with socket.create_connection(("127.0.0.1", PORT), 60) as line:
            line.sendall(head.encode() + chances.randbytes(UPLOADED))
            time.sleep(chances.uniform(0, 0.2))


class Held:
    """What a server with process id PID holds."""

    def __init__(self, pid: int) -> None:
        self._process = Path("/proc") / str(pid)

    def row(self) -> tuple[int, int, int]:
        """Return its memory (MiB), threads and open files."""
        status = (self._process / "status").read_text()
        memory = re.search(r"VmRSS:\s+(\d+) kB", status)
        threads = re.search(r"Threads:\s+(\d+)", status)
        assert memory is not None and threads is not None
        return int(memory[1]) // 1024, int(threads[1]), len(list((self._process / "fd").iterdir()))


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--clients", type=int, default=6, help="how many there are at a time")
    options.add_argument("--resolution", default="360p")
    options.add_argument("--every", type=float, default=60, help="seconds between two looks")
    given = options.parse_args()
    with serving() as server:
        held, clients = Held(server.pid), Clients(given.resolution)
        print(f"machine: {describe_machine()}; load {load():.1f}\n{given.clients} clients at a time\n")
        print("| minutes | MiB | threads | files | visits |\n|---|---|---|---|---|")
        started = time.monotonic()
        until = started + 60 * given.minutes
        visitors = [
            threading.Thread(target=clients.visit, args=(until, seed), daemon=True) for seed in range(given.clients)
        ]
        for visitor in visitors:
            visitor.start()

        def look() -> None:
            memory, threads, files = held.row()
            minutes = (time.monotonic() - started) / 60
            print(f"| {minutes:.1f} | {memory} | {threads} | {files} | {clients.did.total()} |", flush=True)

        look()
        while time.monotonic() < until:
            time.sleep(min(given.every, max(0.1, until - time.monotonic())))
            look()
        for visitor in visitors:
            visitor.join(60)
        _settle()
        look()
        print("\n" + ", ".join(f"{name} {count}" for name, count in clients.did.most_common()))
        left = [path for path in (server.folder / "tmp").rglob("*") if path.is_file()]
        print(f"left in the temp folder: {len(left)} files, {sum(path.stat().st_size for path in left) >> 10} KiB")
        log = server.log
        print(f"log: {len(log) >> 10} KiB, {log.count('Traceback')} tracebacks")


def _settle() -> None:
    """Return once nothing waits or runs."""
    while any(
        requests.get(URL + "/api/queue_status", timeout=60).json()[key] for key in ("queue_size", "is_processing")
    ):
        time.sleep(0.2)
    time.sleep(5)


if __name__ == "__main__":
    main()
