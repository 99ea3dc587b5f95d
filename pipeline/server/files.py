"""Sends results: finished ones with Range, growing ones from their start until they are done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from starlette.responses import FileResponse, Response, StreamingResponse

from pipeline.errors import NotFound
from pipeline.parts import part_of
from pipeline.tasks import Task, TaskBook

LOOK_SECONDS = 0.02
"""How often a growing file is looked at for more."""
CHUNK = 1 << 16
"""Bytes."""


class BrokenOff(Exception):
    """The task whose result was being sent died; the connection is closed so that nobody takes it for whole."""


class BrokenOffFilter(logging.Filter):
    """Drops the server's report of a BrokenOff: raising it is the only way to close a connection, and no fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether RECORD is about anything else."""
        return not (record.exc_info and isinstance(record.exc_info[1], BrokenOff))


async def growing_response(path: Path, media_type: str, task: Task, book: TaskBook, head: bool) -> Response:
    """Answer with PATH, a file of TASK, finished or growing; HEAD asks for the headers alone. Raises NotFound.

    A growing file has no length yet, so its answer is chunked and serves no ranges; its bytes are those that the
    finished file will have. Where not even its first byte is there, the answer waits for it.
    """
    while (growing := _open(part_of(path))) is None:
        if path.exists() or book.get(task.id) is None:
            return file_response(path, media_type)
        await asyncio.sleep(LOOK_SECONDS)
    headers = {"Accept-Ranges": "none", "Cache-Control": "no-store"}
    if head:
        growing.close()
        return Response(media_type=media_type, headers=headers)
    return StreamingResponse(_follow(growing, path), media_type=media_type, headers=headers)


def file_response(path: Path, media_type: str) -> Response:
    """Answer with a finished file, whole or the ranges asked for. Raises NotFound."""
    if not path.is_file():
        raise NotFound(
            f"파일이 없습니다: {path.name}. 결과는 정해진 시간 동안만 보관됩니다. 다시 생성하세요.",
            f"There is no such file: {path.name}. Results are kept for a limited time; make it again.",
        )
    return FileResponse(path, media_type=media_type)


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


async def _follow(growing: BinaryIO, path: Path) -> AsyncIterator[bytes]:
    """Yield the bytes of the growing file that will be PATH as they come; raise BrokenOff when it is given up."""
    with growing:
        while True:
            done = not part_of(path).exists()  # asked before reading: what is read after that is the rest
            while chunk := growing.read(CHUNK):
                yield chunk
            if done:
                break
            await asyncio.sleep(LOOK_SECONDS)
    if not path.exists():
        raise BrokenOff(path.name)
