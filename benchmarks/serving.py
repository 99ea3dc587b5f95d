"""A server of our own that a benchmark asks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
with socket.socket() as _probe:
    _probe.bind(("127.0.0.1", 0))
    PORT = _probe.getsockname()[1]
    """One that is free, so that several benchmarks may run."""
URL = f"http://127.0.0.1:{PORT}"
START_SECONDS = 300.0
END_SECONDS = 30.0


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        pid: Its process.
        folder: Where all lies that it writes: the file ``log`` and the folders ``results`` and ``tmp``.
    """

    pid: int
    folder: Path

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder / "log").read_text("utf-8", "replace")


@contextmanager
def serving(folder: Path | None = None, **settings: str) -> Iterator[Running]:
    """Run the program at `URL`, warmed up, while the block lasts.

    Args:
        folder: Where it writes; None takes one that is deleted in the end.
        settings: Environment variables.

    Raises:
        RuntimeError: It does not start; the text is its log.
    """
    with ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "tmp").mkdir()
        paths = {"RESULTS": str(folder / "results"), "TMPDIR": str(folder / "tmp")}
        environ = {**os.environ, "GRADIO_SERVER_PORT": str(PORT), **paths, **settings}
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environ, stdout=log, stderr=log)
        running = Running(process.pid, folder)
        try:
            until = time.monotonic() + START_SECONDS
            while "warm after" not in running.log:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(running.log)
                time.sleep(0.1)
            yield running
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
