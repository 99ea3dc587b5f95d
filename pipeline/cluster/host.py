"""A node's side of live sessions: it runs a process of them, and passes on what that receives and sends.

An actor of Ray, so that it is imported on the node; it loads no more than it needs, since a session waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from pipeline.cluster.content_store import fetch, open_store
from pipeline.cluster.node_disk import decoded_of, folder_of
from pipeline.live.pipe_messages import NO_SESSION, Kind, of_json
from pipeline.live.processes import ONE_THREAD, Files
from pipeline.settings import ROOT, Settings

PIECE = 90_000
"""Most bytes of a reply: Ray carries what is below 100 kB in the reply itself."""
BEAT_SECONDS = 0.5
"""Seconds without a message after which it reports that it is alive."""


class Host:
    """Runs a process of sessions.

    Args:
        module: What the process runs.
        store: Address of the store of the web server.
        run: Which run of the web server this is, as a folder name.
    """

    def __init__(self, module: str, store: str, run: str) -> None:
        self._module = module
        self._store = open_store(store)
        self._folder = folder_of(run)
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[int, bytes] = {}
        self._next = 0

    async def messages(self) -> AsyncIterator[bytes]:
        """Start the process; yield what it sends in pieces, and b"" at least every `BEAT_SECONDS`, to its end."""
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", self._module),
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        settings = replace(Settings.from_environment(), results=self._folder / "results")
        self._write(of_json(Kind.SETTINGS, NO_SESSION, settings.to_json()).to_bytes())
        self._write_all()
        assert process.stdout is not None
        reading = asyncio.ensure_future(process.stdout.read(PIECE))
        try:
            while True:
                done, _ = await asyncio.wait([reading], timeout=BEAT_SECONDS)
                if not done:
                    yield b""
                    continue
                piece = reading.result()
                if not piece:
                    return
                reading = asyncio.ensure_future(process.stdout.read(PIECE))
                yield piece
        finally:
            reading.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def write(self, number: int, piece: bytes) -> None:
        """Write to the process; the pieces are numbered from 0, and may arrive in any order."""
        self._waiting[number] = piece
        self._write_all()

    async def files(self, pack: str, picture: str | None, variant: str) -> Files:
        """Fetch what a session needs.

        Args:
            pack: The pack of its avatar, by its name in the store.
            picture: What is behind the person, by its name in the store; None without one.
            variant: Distinguishes what is decoded of the same pack.

        Raises:
            Unavailable: The store cannot be used.
        """
        here = self._folder / Path(pack).name
        if not here.exists():
            await asyncio.to_thread(fetch, self._store, pack, here)
        behind = ""
        if picture is not None:
            path = decoded_of(here) / Path(picture).name
            path.parent.mkdir(exist_ok=True)
            await asyncio.to_thread(fetch, self._store, picture, path)
            behind = str(path)
        name = uuid.uuid5(uuid.NAMESPACE_OID, variant).hex
        return Files(str(here), str(decoded_of(here) / f"{name}.yuv"), behind)

    async def end(self) -> None:
        """Let the process end by itself."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def kill(self) -> None:
        """End it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _write_all(self) -> None:
        while self._process is not None and self._next in self._waiting:
            self._write(self._waiting.pop(self._next))
            self._next += 1

    def _write(self, data: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(data)
