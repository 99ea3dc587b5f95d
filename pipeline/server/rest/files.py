"""Sends results: finished ones with Range and conditions; growing ones from their start to their end."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import stat
import time
from collections.abc import AsyncIterator
from email.utils import formatdate, parsedate
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pipeline import messages
from pipeline.avatars.background import TRANSPARENT
from pipeline.core.growing_file import part_of
from pipeline.core.notifier import until, woken_by
from pipeline.errors import ResultNotFound
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Task
from pipeline.server.connections import Stream, while_there
from pipeline.speech.record import read_record
from pipeline.video.captions import srt_of
from pipeline.video.credentials import Signer
from pipeline.video.remux import whole_copy
from pipeline.video.webm import transparent_copy

logger = logging.getLogger(__name__)

CHUNK = 1 << 16
"""Bytes."""
_RANGE = re.compile("bytes=[ ]*(?=[0-9-]*[0-9])(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})[ ]*")
_TAG = re.compile('"[^"]*"')
_STARTED = time.time()
_KEPT = ("etag", "last-modified", "cache-control", "accept-ranges")
"""Headers that a 304 has, too."""


class BrokenOff(Exception):
    """The task whose result is being sent failed.

    The connection is closed, so that the client sees it is incomplete.
    """


class BrokenOffFilter(logging.Filter):
    """Drops the server's report of a BrokenOff: raising it is the only way to close a connection, and no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is about anything else."""
        return not (record.exc_info and isinstance(record.exc_info[1], BrokenOff))


async def growing_response(
    path: Path, media_type: str, task: Task, supervisor: Supervisor, request: Request
) -> Response:
    """Respond with a file of a task, finished or growing.

    A growing file has no length yet, so that its response is chunked and supports no ranges. Its bytes are those of the
    finished file. The response waits for its first byte. A client that takes it counts as one that listens to the task.

    Args:
        path: Path of the finished file.
        media_type: Its type.
        task: Its task.
        supervisor: Where the tasks are.
        request: The request.

    Raises:
        NotFound: There is no such file.
        ClientDisconnect: The client disconnected.
    """
    growing = await while_there(request, _begun(path, task, supervisor))
    if growing is None:
        return file_response(path, media_type, request)
    headers = {"Accept-Ranges": "none", "Cache-Control": "no-store"}
    if request.method == "HEAD":
        growing.close()
        return Response(media_type=media_type, headers=headers)
    return Stream(_follow(growing, path, task, supervisor), media_type=media_type, headers=headers)


async def whole_response(
    task: Task, supervisor: Supervisor, signer: Signer | None, must: bool, request: Request
) -> Response:
    """Respond with the unfragmented video of a task as a download, once it is finished.

    Args:
        task: The task.
        supervisor: Where the tasks are.
        signer: Signs the copy; None leaves it as it is.
        must: Whether an unsigned copy will not do where it cannot be signed.
        request: The request.

    Raises:
        NotFound: There is no such video.
        Unavailable: It cannot be signed, and must be.
        ClientDisconnect: The client disconnected.
    """
    await while_there(request, _finished(task, supervisor, task.video))
    path = task.video
    if path.exists():
        path = await asyncio.to_thread(whole_copy, task.video, task.whole)
        if signer is not None:
            path = await asyncio.to_thread(_signed, task, path, signer, must)
    response = file_response(path, "video/mp4", request)
    response.headers["Content-Disposition"] = "attachment"  # without a name: the page sets one
    return response


async def transparent_response(task: Task, supervisor: Supervisor, request: Request) -> Response:
    """Respond with the transparent copy of a video that was asked for so, once that is finished.

    Raises:
        NotFound: There is no such video, or it is not transparent.
        RenderFailed: The copy cannot be made.
        ClientDisconnect: The client disconnected.
    """
    await while_there(request, _finished(task, supervisor, task.video))
    record = await asyncio.to_thread(read_record, task.record)
    if record is None or record.made.get("background") != TRANSPARENT or not task.video.exists():
        raise ResultNotFound(messages.server.NOT_TRANSPARENT(task_id=task.id))
    path = await asyncio.to_thread(transparent_copy, task.video, task.transparent)
    return file_response(path, "video/webm", request)


def _signed(task: Task, whole: Path, signer: Signer, must: bool) -> Path:
    """Return the signed copy of a finished video, or `whole` if it cannot be signed and need not be."""
    try:
        record = read_record(task.record)
        return signer.signed_copy(whole, task.signed, dict(record.made) if record else {})
    except Exception as error:
        if must:
            raise
        logger.warning("the download of %s is not signed: %s", task.id, error)
        return whole


async def subrip_response(task: Task, supervisor: Supervisor, request: Request) -> Response:
    """Respond with the captions of a task as SubRip, once they are complete.

    Raises:
        NotFound: There are none.
        ClientDisconnect: The client disconnected.
    """
    await while_there(request, _finished(task, supervisor, task.captions))
    try:
        captions = await asyncio.to_thread(task.captions.read_text, "utf-8")
    except OSError as error:
        raise ResultNotFound(messages.server.NO_SUCH_FILE(file=f"{task.id}.srt")) from error
    return bytes_response(srt_of(captions).encode(), "application/x-subrip", request, task.captions)


def file_response(path: Path, media_type: str, request: Request) -> Response:
    """Respond with a finished file: all of it, the requested ranges, or 304.

    Raises:
        NotFound: There is no such file.
    """
    try:
        found = path.stat()
    except OSError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise ResultNotFound(messages.server.NO_SUCH_FILE(file=path.name))
    return unless_known(FileResponse(path, media_type=media_type, stat_result=found), request)


def bytes_response(content: bytes, media_type: str, request: Request, source: Path | None = None) -> Response:
    """Respond with bytes that the program makes, as ``file_response`` does with a file.

    Another version of the program may make others of the same source, so browsers ask each time, and know them by what
    they are, or by when the program was started. For several ranges at once the response is the whole, as RFC 9110,
    14.2 allows.

    Args:
        content: The bytes.
        media_type: Their type.
        request: The request.
        source: A file that they are made of.
    """
    written = max(_STARTED, source.stat().st_mtime if source else 0)
    headers = {
        "etag": f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"',
        "last-modified": formatdate(written, usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": "no-cache",
    }
    known = unless_known(Response(content, media_type=media_type, headers=headers), request)
    condition = request.headers.get("if-range")
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if known.status_code != 200 or asked is None or (condition is not None and condition not in headers.values()):
        return known
    first, last = asked["first"], asked["last"]
    start = int(first) if first else max(0, len(content) - int(last or 0))
    end = min(int(last) + 1 if first and last else len(content), len(content))
    if start >= end:
        wrong = first and last and int(first) > int(last)  # invalid, so ignored
        nothing = {**headers, "content-range": f"bytes */{len(content)}"}
        return known if wrong else Response(status_code=416, headers=nothing)
    headers["content-range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Response(content[start:end], 206, media_type=media_type, headers=headers)


def unless_known(response: Response, request: Request) -> Response:
    """Return a response, or 304 if the client has it already (If-None-Match, If-Modified-Since).

    The response must have the headers ETag and Last-Modified.
    """
    named = request.headers.getlist("if-none-match")
    since = parsedate(request.headers.get("if-modified-since", ""))
    if named:
        known = "*" in named or response.headers["etag"] in _TAG.findall(",".join(named))
    else:
        changed = parsedate(response.headers["last-modified"])
        known = since is not None and changed is not None and since >= changed
    if not known:
        return response
    kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
    return Response(status_code=304, headers=kept)


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


async def _finished(task: Task, supervisor: Supervisor, path: Path) -> None:
    """Return as soon as a file of a task exists, or the task has ended."""
    with supervisor.watching(task):
        await until(lambda: path.exists() or supervisor.book.get(task.id) is None, task.grown)


async def _begun(path: Path, task: Task, supervisor: Supervisor) -> BinaryIO | None:
    """Open the growing file of `path` as soon as it exists; return None if it does not grow any more."""
    book = supervisor.book
    with supervisor.watching(task), woken_by(task.grown) as woken:
        while (growing := _open(part_of(path))) is None and not path.exists() and book.get(task.id) is not None:
            await woken.wait()
            woken.clear()
    return growing


async def _follow(growing: BinaryIO, path: Path, task: Task, supervisor: Supervisor) -> AsyncIterator[bytes]:
    """Yield the bytes of a growing file.

    Raises:
        BrokenOff: Its task failed.
    """
    with growing, supervisor.watching(task), woken_by(task.grown) as woken:
        while True:
            woken.clear()
            done = not part_of(path).exists()  # checked before reading: what follows is the rest
            while chunk := growing.read(CHUNK):
                yield chunk
            if done:
                break
            await woken.wait()
    if not path.exists():
        raise BrokenOff(path.name)
