"""Runs a module of the program as a child process.

A child process can be stopped at any moment, whatever it is doing. It runs at a lower priority than the server, and a
file that crashes a decoder does not crash the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
import uuid
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import anyio

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.core.disk import restore_temporary, writing
from pipeline.errors import BadClip, BadRequest, PipelineError, RenderFailed, TookTooLong, Unavailable, Unwritable
from pipeline.messages import Message
from pipeline.settings import ROOT

logger = logging.getLogger(__name__)

NICENESS = 10
"""Priority of the child process; see nice(1)."""
_KINDS: dict[str, type[PipelineError]] = {kind.code: kind for kind in (BadClip, BadRequest, Unavailable, Unwritable)}
"""Error classes by the code that the child emits; any other code is RenderFailed."""
_MAX_LINE = 1 << 20
"""Most bytes of a line that the child emits."""
_LAST_WORDS = 8192
"""Bytes at the end of its standard error stream that are logged when the child fails."""


class Run(Protocol):
    """Runs a module of the program in a process of its own, here or on another machine."""

    def __call__(
        self,
        module: str,
        arguments: Sequence[str],
        cancel: CancelToken,
        seconds: float,
        *,
        reads: Sequence[Path] = (),
        writes: Sequence[Path] = (),
    ) -> AsyncGenerator[dict[str, Any]]:
        """See ``run``."""


async def run(
    module: str,
    arguments: Sequence[str],
    cancel: CancelToken,
    seconds: float,
    *,
    reads: Sequence[Path] = (),
    writes: Sequence[Path] = (),
) -> AsyncGenerator[dict[str, Any]]:
    """Run ``python -m module arguments`` and yield the JSON objects that it prints, one a line.

    The process ends with this generator, also when the generator is closed early.

    Args:
        module: Name of the module.
        arguments: Its command-line arguments.
        cancel: The task's token.
        seconds: How long the process may run; 0 sets no limit.
        reads: The files that the arguments name; another machine has to know them.
        writes: The files and folders that they name and that the process writes.

    Raises:
        BadClip, BadRequest, Unavailable, Unwritable, RenderFailed: The process printed an object with "error" (a
            sentence in "ko" and "en") and "code".
        RenderFailed: The process died; the message has a number under which the log keeps its last output.
        TookTooLong: The process ran longer than `seconds`.
        PipelineError: The reason with which `cancel` was set.
    """
    with writing():
        restore_temporary()
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  # closed below; errors there are not the disk's
    with complaints, cancel.child() as stop:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module, *arguments),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            limit=_MAX_LINE,
        )
        assert process.stdout is not None
        loop = asyncio.get_running_loop()
        limit = loop.call_later(seconds, stop.cancel, TookTooLong(seconds)) if seconds else None

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

        def kill_soon() -> None:  # from any thread
            loop.call_soon_threadsafe(kill)

        try:
            if hasattr(os, "setpriority"):  # not on Windows
                with contextlib.suppress(ProcessLookupError):  # it may have ended already
                    os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            with stop.calling(kill_soon):  # which ends its output
                while line := await process.stdout.readline():
                    stop.check()
                    report = json.loads(line)
                    if "error" in report:
                        raise _KINDS.get(report["code"], RenderFailed)(Message(**report["error"]))
                    yield report
                status = await process.wait()
                stop.check()
            if status:
                raise _died(module, status, complaints)
        finally:
            if limit is not None:
                limit.cancel()
            kill()
            with anyio.CancelScope(shield=True):  # a server cancels again and again
                await process.wait()


def _died(module: str, status: int | None, complaints: BinaryIO) -> RenderFailed:
    """Log the last output of a process that died, and return the error for it.

    Args:
        module: Name of the module that ran.
        status: Exit status; negative for a signal.
        complaints: Its standard error stream, open for reading.
    """
    number = uuid.uuid4().hex[:8]
    size = complaints.seek(0, os.SEEK_END)
    complaints.seek(max(0, size - _LAST_WORDS))
    output = complaints.read().decode("utf-8", "replace")
    logger.error("failure %s: %s ended with status %s\n%s", number, module, status, output)
    return RenderFailed(messages.core.CHILD_DIED(number=number))
