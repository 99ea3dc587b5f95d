"""Runs a module of the program as a process of its own.

It can be stopped at any moment, whatever it is doing; it steps back where a video is being rendered; and a file from
outside that brings a decoder down brings down no server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from typing import Any, BinaryIO

import anyio

from pipeline.core.cancel import CancelToken
from pipeline.core.disk import restore_temporary, writing
from pipeline.errors import BadClip, PipelineError, RenderFailed, TookTooLong, Unavailable
from pipeline.settings import ROOT

logger = logging.getLogger(__name__)

NICENESS = 10
"""How far it steps back; see nice(1)."""
LOOK_SECONDS = 0.1
"""How often it is looked whether it was told to stop."""
_KINDS: dict[int, type[PipelineError]] = {kind.status: kind for kind in (BadClip, Unavailable)}
"""What the status of an error that it tells stands for; any other is RenderFailed."""
_MAX_LINE = 1 << 20
"""Bytes of a line in which it tells something."""
_LAST_WORDS = 8192
"""Bytes of what it wrote to its standard error stream that are logged where it dies."""


async def run(
    module: str, arguments: Sequence[str], cancel: CancelToken, seconds: float
) -> AsyncGenerator[dict[str, Any]]:
    """Run ``python -m MODULE ARGUMENTS``, which tells what it does in lines of JSON, and yield those.

    A line with "error" (a sentence in "ko" and "en") and "status" is raised, as BadClip, Unavailable or RenderFailed;
    so is RenderFailed where it dies, with a number under which the log has its last words; TookTooLong after SECONDS
    (0: never); and what CANCEL is set with. The process ends with this, also where it is closed early.
    """
    with writing():
        restore_temporary()
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  # closed below; what happens there is not the disk's fault
    with complaints:
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
        started = time.monotonic()
        try:
            if hasattr(os, "setpriority"):  # not on Windows
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            while True:
                cancel.check()
                if seconds and time.monotonic() - started > seconds:
                    raise TookTooLong(seconds)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):  # wait_for may pass over that it is cancelled
                        line = await process.stdout.readline()
                    if not line:
                        break
                    told = json.loads(line)
                    if "error" in told:
                        raise _KINDS.get(told["status"], RenderFailed)(**told["error"])
                    yield told
            if await process.wait():
                raise _died(module, process.returncode, complaints)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with anyio.CancelScope(shield=True):  # a server cancels again and again
                await process.wait()


def _died(module: str, status: int | None, complaints: BinaryIO) -> RenderFailed:
    """Log what MODULE said last, before it ended with STATUS (negative: a signal's), and return the error for that."""
    number = uuid.uuid4().hex[:8]
    size = complaints.seek(0, os.SEEK_END)
    complaints.seek(max(0, size - _LAST_WORDS))
    said = complaints.read().decode("utf-8", "replace")
    logger.error("failure %s: %s ended with status %s\n%s", number, module, status, said)
    return RenderFailed(
        f"서버에서 뜻하지 않은 오류가 났습니다. 파일 탓이 아닙니다. 서버 로그에서 {number}을(를) 찾아보세요.",
        f"Something went wrong on the server; it is not your file's fault. Look for {number} in the server's log.",
    )
