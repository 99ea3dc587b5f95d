"""A server on stand-ins, and on one of a cluster: ``python -m tests.fake_slots PRECOMPUTED FOLDER``.

FOLDER stands for the cluster, which several servers may have: its file ``slots`` has their number, and every task is
noted in ``log`` when it begins and when it ends.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline.cluster.nodes import Nodes
from pipeline.core import child_process
from pipeline.core.notifier import Notifier
from pipeline.jobs.events import Event
from pipeline.jobs.generate import generate
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.jobs.tasks import Task
from pipeline.live.processes import Machines, ThisMachine
from pipeline.server.serve import serve
from pipeline.settings import Settings
from tests.fakes import make_fake_studio


class FolderCluster:
    """A cluster of which nothing is real but the number of its slots."""

    name = "of a folder"

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.slots = 0
        self.changed = Notifier()
        self.nodes = Nodes()
        self.waiting: list[Callable[[], int]] = []
        self.run = child_process.run
        self.sessions: Machines = ThisMachine(settings)
        self._folder = folder
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            with suppress(ValueError, OSError):  # it is being written
                slots = int((self._folder / "slots").read_text())
                if slots != self.slots:
                    self.slots = slots
                    self.changed.notify()
            time.sleep(0.05)

    def generate(self, request: GenerateRequest, task: Task, studio: Studio) -> Iterator[Event]:
        self._note("begins", task)
        try:
            yield from generate(request, task, studio)
        finally:
            self._note("ends", task)

    def _note(self, what: str, task: Task) -> None:
        log = os.open(self._folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{what} {task.id}\n".encode())  # a line at a time, whichever server it is
        os.close(log)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = replace(Settings.from_environment(), precomputed=Path(sys.argv[1]))
    cluster = FolderCluster(Path(sys.argv[2]), settings)
    serve(make_fake_studio(settings), cluster.generate, "tests.fake_worker", cluster)


if __name__ == "__main__":
    main()
