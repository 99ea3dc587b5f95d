"""Real servers for the tests: the program itself, and one that runs on stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90
BROWSER_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
QUEUE_LIMIT = 12
SETTINGS_OF_OURS = (
    "ELEVENLABS_API_KEY",
    "ELEVENLABS_VOICE_ID",
    "ELEVENLABS_BASE_URL",
    "RESULTS",
    "RESULT_TTL",
    "API_KEYS",
)


class Server:
    """A running server. URL has no slash at its end; RESULTS is its folder of videos; LOG its output so far."""

    def __init__(self, command: list[str], results: Path, environ: dict[str, str]) -> None:
        self.results = results
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = results.parent / f"server-{self.port}.log"
        inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS_OF_OURS}
        # one video after the other, but where a test is about sharing
        ours = {"MAX_SHARING": "1", "ELEVENLABS_API_KEY": ""}
        ours |= {"GRADIO_SERVER_PORT": str(self.port), "RESULTS": str(results)}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**inherited, **ours, **environ},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + START_SECONDS
        while "ready: " not in self.log:
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise RuntimeError(f"the server did not start:\n{self.log}")
            time.sleep(0.1)

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **more)

    def post(self, path: str, body: object = None, **more: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=120, **({"json": body} if body is not None else {}), **more)

    def delete(self, path: str) -> requests.Response:
        return requests.delete(self.url + path, timeout=60)

    @contextmanager
    def stream(self, body: object, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Ask for a video; gives its events as they come. Leaving the ``with`` block is a client that leaves."""
        url = self.url + "/api/v2/lipsync/stream"
        with requests.post(url, json=body, headers=headers, stream=True, timeout=120) as response:
            assert response.status_code == 200, response.text
            yield events_of(response)

    def events(self, body: object, **headers: str) -> list[dict[str, Any]]:
        """Ask for a video and return all that was told of it."""
        with self.stream(body, **headers) as events:
            return list(events)

    def wait_idle(self) -> None:
        """Return when nothing waits or runs."""
        wait_for(
            lambda: not any((q := self.get("/api/queue_status").json())[k] for k in ("queue_size", "is_processing"))
        )

    def half_made(self) -> list[str]:
        return [path.name for path in self.results.glob("*.part")]

    def stop(self) -> int:
        """End the server as a service manager does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def events_of(response: requests.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of an open server-sent stream."""
    for line in response.iter_lines():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what CONDITION gives as soon as it is true."""
    until = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < until, "this did not happen in time"
        time.sleep(0.05)
    return result


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs in a browser, and give it a second chance: on a shared machine it may once come too late."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Has torch use one thread: the order of sums, and with it their last digits, depends on how many there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def fake_packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two tiny avatars: "solo" in 720p and 480p, "duet" in 720p only."""
    from tests.fakes import make_pack

    root = tmp_path_factory.mktemp("store") / "precomputed"
    for name, resolution in (("solo", "720p"), ("solo", "480p"), ("duet", "720p")):
        make_pack(root, name, resolution)
    return root


@contextmanager
def running(command: list[str], folder: Path, **environ: str) -> Iterator[Server]:
    """Run a server while the block lasts."""
    server = Server(command, folder / "realtime", environ)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(30)


@pytest.fixture(scope="session")
def fake_server(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on stand-ins that fail when the text says so."""
    with running(
        ["-m", "tests.fakes", str(fake_packs)], tmp_path_factory.mktemp("fake"), MAX_QUEUE=str(QUEUE_LIMIT)
    ) as s:
        wait_for(lambda: "warm after" in s.log)  # what it does to warm up must not be taken for what a test asked for
        yield s


@pytest.fixture(scope="session")
def short_grace(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on stand-ins, with little patience."""
    folder = tmp_path_factory.mktemp("impatient")
    with running(["-m", "tests.fakes", str(fake_packs)], folder, RESUME_SECONDS="1", MAX_SECONDS="2.5") as s:
        yield s


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program itself, as ``python app.py`` starts it, without an ElevenLabs key."""
    with running(["app.py"], tmp_path_factory.mktemp("real")) as s:
        yield s


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            browser = p.chromium.launch(executable_path=installed, args=BROWSER_ARGUMENTS.split())
        except playwright.Error as error:
            pytest.skip(f"no browser: {str(error).splitlines()[0]}")
        yield browser
        browser.close()
