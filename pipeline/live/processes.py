"""Where processes of sessions run: on this machine, or wherever a cluster has room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Hashable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.live.pipe_messages import NO_SESSION, Kind, Packed, of_json, receive
from pipeline.settings import ROOT, Settings

if TYPE_CHECKING:  # which loads much; a node does without
    from pipeline.live.session_request import SessionRequest

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""A process of sessions has a core to itself."""


@dataclass(frozen=True)
class Files:
    """The files of a session, where its process runs.

    Attributes:
        pack: The pack of its avatar.
        decoded: Where the decoded clip is kept.
        picture: What is behind the person; "" without one.
    """

    pack: str
    decoded: str
    picture: str = ""


class Link(Protocol):
    """The way to a process of sessions."""

    @property
    def pid(self) -> int:
        """What tells it from others."""

    async def files(self, request: SessionRequest, while_open: AsyncExitStack) -> Files:
        """Return where the process finds what a session needs.

        Args:
            request: What was asked for.
            while_open: Closed when the session has ended.

        Raises:
            PipelineError: It cannot be brought there.
        """

    def send(self, message: Packed) -> None:
        """Send a message; no effect if the process is gone."""

    async def receive(self) -> Packed | None:
        """Return its next message; None once it has ended, or is lost."""

    async def wait(self) -> object:
        """Wait until it has ended, and return how."""

    def end(self) -> None:
        """Let it end by itself."""

    def kill(self) -> None:
        """End it."""


class Machines(Protocol):
    """Where processes of sessions can run.

    Attributes:
        go_on: Whether sessions go on elsewhere if their process is lost.
        waiting: Tells them how many sessions wait for a place.
    """

    go_on: bool
    waiting: Callable[[], int]

    @property
    def coming_seconds(self) -> float:
        """Seconds in which another machine may come, if there is no place; 0 if none will."""

    def leaves(self, place: Hashable) -> bool:
        """Return whether a place is to be left: its machine ends as soon as nothing runs there."""

    def places(self, request: SessionRequest) -> Sequence[Hashable]:
        """Return the places for processes that can run a session: one each, best ones first; equal ones are alike."""

    def machine_of(self, place: Hashable) -> Hashable:
        """Return the machine of a place."""

    async def start(self, place: Hashable, module: str) -> Link:
        """Start a process at a place; it runs a module. It need not be ready yet."""

    def forget(self, ids: Sequence[str]) -> None:
        """Delete the decoded clips of avatars that were deleted."""

    def clean(self) -> None:
        """Delete all decoded clips: no process needs them any more."""


class ThisMachine:
    """The cores and devices of this machine.

    Args:
        settings: Those of the processes.
        cores: Most processes that draw by themselves.
    """

    go_on = False
    coming_seconds = 0.0

    def __init__(self, settings: Settings, cores: int | None = None) -> None:
        self.waiting: Callable[[], int] = lambda: 0
        self._settings = settings
        self._cores = cores or _cores()

    def places(self, request: SessionRequest) -> list[tuple[str, int] | None]:
        """Return engine and number of each device that can draw; None for each core if the processes do so."""
        devices = [(request.engine, number) for number in range(request.devices)]
        return [*devices] if devices else [None] * self._cores

    def machine_of(self, place: Hashable) -> Hashable:
        """See ``Machines``."""
        return None

    def leaves(self, place: Hashable) -> bool:
        """See ``Machines``."""
        return False

    async def start(self, place: Hashable, module: str) -> Link:
        """See ``Machines``."""
        environ = {**os.environ, **ONE_THREAD}
        if isinstance(place, tuple):
            _, number = place
            visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
            environ["CUDA_VISIBLE_DEVICES"] = (visible or list(map(str, range(number + 1))))[number]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module),
            cwd=ROOT,
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        link = _Pipes(process, self._settings.live_cache)
        link.send(of_json(Kind.SETTINGS, NO_SESSION, self._settings.to_json()))
        return link

    def forget(self, ids: Sequence[str]) -> None:
        """See ``Machines``."""
        for path in self._settings.live_cache.glob("*.yuv"):
            if any(re.fullmatch(rf"{re.escape(one)}-[0-9a-f]+-[0-9a-f]+(-\w+)?\.yuv", path.name) for one in ids):
                path.unlink(missing_ok=True)

    def clean(self) -> None:
        """See ``Machines``; those of 720p take 35 MB a second."""
        shutil.rmtree(self._settings.live_cache, ignore_errors=True)


class _Pipes:
    """The pipes to a process of this machine."""

    def __init__(self, process: asyncio.subprocess.Process, cache: Path) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._cache = cache

    @property
    def pid(self) -> int:
        """Its id in the system."""
        return self._process.pid

    async def files(self, request: SessionRequest, while_open: AsyncExitStack) -> Files:
        """See ``Link``."""
        stamp, behind = request.pack.stat(), request.background
        other = f"-{uuid.uuid5(uuid.NAMESPACE_OID, repr(behind)).hex}" if behind else ""
        decoded = self._cache / f"{request.avatar.id}-{stamp.st_mtime_ns:x}-{stamp.st_size:x}{other}.yuv"
        return Files(str(request.pack), str(decoded), str(behind.picture or ""))

    def send(self, message: Packed) -> None:
        """See ``Link``."""
        if not self._stdin.is_closing():
            self._stdin.write(message.to_bytes())

    async def receive(self) -> Packed | None:
        """See ``Link``."""
        return await receive(self._stdout)

    async def wait(self) -> object:
        """See ``Link``."""
        return await self._process.wait()

    def end(self) -> None:
        """See ``Link``."""
        self._stdin.close()

    def kill(self) -> None:
        """See ``Link``."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
