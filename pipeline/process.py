"""Runs a module of the program as a process of its own.

It can be stopped at any moment, whatever it is doing; it steps back where a video is being rendered; and a file from
outside that brings a decoder down brings down no server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from pipeline.cancel import CancelToken
from pipeline.errors import BadClip, RenderFailed, TookTooLong
from pipeline.settings import ROOT

NICENESS = 10
"""How far it steps back; see nice(1)."""
LOOK_SECONDS = 0.1
"""How often it is looked whether it was told to stop."""
_MAX_LINE = 1 << 20
"""Bytes of a line in which it tells something."""


async def run(
    module: str, arguments: Sequence[str], cancel: CancelToken, seconds: float
) -> AsyncGenerator[dict[str, Any]]:
    """Run ``python -m MODULE ARGUMENTS``, which tells what it does in lines of JSON, and yield those.

    A line with "error" (a sentence in "ko" and "en") and "status" is raised, as BadClip or RenderFailed; so is
    RenderFailed where it dies, TookTooLong after SECONDS (0: never), and what CANCEL is set with. The process ends with
    this, also where it is closed early.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
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
                line = await asyncio.wait_for(process.stdout.readline(), LOOK_SECONDS)
                if not line:
                    break
                told = json.loads(line)
                if "error" in told:
                    kind = BadClip if told["status"] == BadClip.status else RenderFailed
                    raise kind(**told["error"])
                yield told
        if await process.wait():
            raise RenderFailed(
                "파일을 처리하던 프로그램이 죽었습니다. mp4나 JPEG로 다시 저장해 보세요.",
                "The program died of this file. Try saving it again as mp4 or JPEG.",
            )
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
