"""Verifies files with ``pipeline.tools.verify``, in a process of its own."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.core.child_process import run
from pipeline.errors import RenderFailed

SECONDS = 60.0
"""How long one file may take."""
AT_A_TIME = 2


class Verifier:
    """Verifies a few files at a time; a file that hangs or crashes its process does so alone."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_A_TIME)

    async def verdict(self, file: Path) -> dict[str, Any]:
        """Return what a file is, as the command prints it; cancelling stops it.

        Raises:
            BadRequest: The file cannot be verified.
            RenderFailed, TookTooLong: Its process died, or took too long.
        """
        async with self._places:
            arguments = [str(file.resolve()), "--json"]
            async with aclosing(run("pipeline.tools.verify", arguments, CancelToken(), SECONDS)) as lines:
                async for line in lines:
                    return line
        raise RenderFailed(messages.server.INTERNAL_SERVER_ERROR())
