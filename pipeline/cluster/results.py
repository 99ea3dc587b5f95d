"""Finished videos in the store: they outlive the web server that made them."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from contextlib import suppress
from pathlib import Path

from pipeline.cluster.content_store import Store
from pipeline.core.best_effort import best_effort
from pipeline.core.disk import writing
from pipeline.errors import Unavailable
from pipeline.jobs.events import Done, Ended
from pipeline.jobs.tasks import Job, Task, TaskBook

logger = logging.getLogger(__name__)

FOLDER = "results"
"""What the names of results begin with; then come the id of the task, and the name of the file."""
AGAIN_SECONDS = 2.0
"""Seconds after which the store is asked again that has refused."""
SWEEP_SECONDS = 300.0
"""Seconds between two looks for expired results in the store."""
GOODBYE_SECONDS = 10.0
"""Seconds in which a server that ends puts its last results there."""


class StoredResults:
    """The results of finished tasks in a store; safe to use from any thread.

    A thread puts them there when a task has ended. As long as the store refuses or hangs, they wait here, and are
    served from this disk as always.

    Args:
        store: The store.
        book: The tasks.
        links: Seconds for which signed addresses are valid; 0 gives none.
    """

    def __init__(self, store: Store, book: TaskBook, links: float) -> None:
        self._store = store
        self._book = book
        self._links = links
        self._ended: queue.SimpleQueue[tuple[float, Task] | None] = queue.SimpleQueue()
        self._stored: dict[str, float] = {}
        """When the video of each task was stored, by the monotonic clock."""
        self._fetching = threading.Lock()
        self._closed = threading.Event()
        self._putting = threading.Thread(target=self._put_all, name="results", daemon=True)
        self._putting.start()
        threading.Thread(target=self._sweep_all, name="results-sweep", daemon=True).start()

    def ended(self, job: Job, last: Ended) -> None:
        """Keep the results of a task that has ended."""
        if isinstance(job, Task) and isinstance(last, Done):
            self._ended.put((time.monotonic(), job))

    def close(self) -> None:
        """Put what has ended into the store, but not for long; give up what it refuses."""
        self._closed.set()
        self._ended.put(None)
        self._putting.join(GOODBYE_SECONDS)

    def _put_all(self) -> None:
        while (ended := self._ended.get()) is not None:
            since, task = ended
            while True:
                try:
                    self._put(task)
                    break
                except Unavailable as error:
                    logger.warning("result %s waits for the store: %s", task.id, error)
                except Exception:
                    logger.exception("result %s is not stored", task.id)
                    break
                if self._is_expired(time.monotonic() - since) or self._closed.wait(AGAIN_SECONDS):
                    break

    def _put(self, task: Task) -> None:
        """Put the files of a task into the store, the video last: where that is, all are."""
        for path in (task.audio, task.captions, task.mouth, task.record, task.video):
            if path.exists():
                self._store.put(f"{FOLDER}/{task.id}/{path.name}", path)
        self._stored[task.id] = time.monotonic()

    def fetch(self, task_id: str) -> bool:
        """Write the results of a task of another server into the results folder; return whether they are there.

        Raises:
            Unavailable: The store cannot be used.
        """
        task = self._book.files_of(task_id)
        with self._fetching:
            if task.video.exists():
                return True
            ages = {Path(name).name: age for name, age in self._store.list(f"{FOLDER}/{task_id}").items()}
            if task.video.name not in ages or self._is_expired(ages[task.video.name]):
                return False
            made = time.time() - ages[task.video.name]
            for path in (task.audio, task.captions, task.mouth, task.record, task.video):
                if path.name in ages:
                    part = path.with_name(f".{path.name}")  # not one of a growing file
                    try:
                        with writing():
                            self._store.get(f"{FOLDER}/{task_id}/{path.name}", part)
                            os.utime(part, (made, made))  # so that it expires with the one in the store
                            part.replace(path)
                    finally:
                        with suppress(OSError):
                            part.unlink(missing_ok=True)
        return True

    def link(self, task_id: str) -> str | None:
        """Return a signed address of a finished video that is in the store; None where it is to be sent from here."""
        stored = self._stored.get(task_id)
        if not self._links or stored is None or self._is_expired(time.monotonic() - stored):
            return None
        video = self._book.files_of(task_id).video
        return self._store.sign(f"{FOLDER}/{task_id}/{video.name}", self._links)

    def _is_expired(self, age: float) -> bool:
        return bool(self._book.ttl) and age > self._book.ttl

    def _sweep_all(self) -> None:
        while not self._closed.wait(min(SWEEP_SECONDS, max(1.0, self._book.ttl or SWEEP_SECONDS))):
            with best_effort("removal of expired results from the store"):
                self.sweep()

    def sweep(self) -> None:
        """Remove expired results from the store, whichever server has put them there.

        Raises:
            Unavailable: The store cannot be used.
        """
        for name, age in self._store.list(FOLDER).items() if self._book.ttl else ():
            if self._is_expired(age):
                self._store.delete(name)
        now = time.monotonic()
        for task_id, since in [*self._stored.items()]:
            if self._is_expired(now - since):
                self._stored.pop(task_id, None)
