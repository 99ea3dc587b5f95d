"""What both clients share: requests, retries, event streams and errors, without any input or output."""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeAlias
from urllib.parse import quote

import httpx

from realtime_avatar_client.errors import ServerError

File: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes]
"""A path, the contents, or an open file that can be read again."""
OnProgress: TypeAlias = Callable[[int, int], object]
"""Called with the bytes that were sent, and all."""
RETRIED = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may work."""
LONGEST_PAUSE = 30.0
PING_SECONDS = 60.0
"""Seconds without a byte after which an event stream is lost; the server sends a comment every 15 s."""
SESSION_SECONDS = 30.0
"""Seconds for which a session waits for a client that comes back."""


@dataclass(frozen=True)
class Options:
    """How a server is reached.

    Attributes:
        url: Its address, without a slash at the end.
        key: An API key or a token; "" without one.
        language: Of messages, "ko" or "en".
        timeout: Seconds without a byte after which a request fails.
        retries: How often a request is tried again, and a stream resumed without anything new.
    """

    url: str
    key: str = ""
    language: str = "en"
    timeout: float = 60.0
    retries: int = 4

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        return {"Accept-Language": self.language, **({"Authorization": f"Bearer {self.key}"} if self.key else {})}

    def socket(self, address: str, after: int, video: bool) -> str:
        """Return the address of a session's socket that begins after an event."""
        query = f"after={after}" + ("&video=1" if video else "")
        return self.url.replace("http", "ws", 1) + address + ("&" if "?" in address else "?") + query


def pause(number: int, error: Exception | None = None) -> float:
    """Return the seconds before a try: growing, or as the server says."""
    if isinstance(error, ServerError) and error.retry_after is not None:
        return min(LONGEST_PAUSE, error.retry_after)
    return float(min(LONGEST_PAUSE, 0.25 * 2**number) * (0.75 + 0.5 * random.random()))


def may_retry(error: Exception, repeatable: bool) -> bool:
    """Return whether a request may be sent again; a lost one only if it then does the same as once."""
    if isinstance(error, ServerError):
        return error.status in RETRIED and error.code != "cancelled" and (repeatable or error.status != 504)
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) or (
        repeatable and isinstance(error, httpx.TransportError)
    )


def error_of(status: int, body: bytes | bytearray, headers: Mapping[str, str]) -> ServerError:
    """Return the error in a reply."""
    try:
        content = json.loads(body)
        code, message = str(content["code"]), str(content["error"])
    except (ValueError, KeyError, TypeError):  # of a proxy in between
        code, message = "unknown", f"The server answered with status {status}."
    try:
        retry_after = float(headers["retry-after"])
    except (KeyError, ValueError):
        retry_after = None
    return ServerError(code, status, message, retry_after)


def fields_of(**fields: Any) -> dict[str, Any]:
    """Return the fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}


def new_key() -> str:
    """Return a new Idempotency-Key."""
    return uuid.uuid4().hex


def part(text: str) -> str:
    """Return a text as one part of a path."""
    return quote(text, safe="")


class Lines:
    """Reads server-sent events line by line; comments and unknown fields are passed over."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def feed(self, line: str) -> dict[str, Any] | None:
        """Take a line, without its end; return the event that it completes."""
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif not line and self._data:
            text, self._data = "\n".join(self._data), []
            content: dict[str, Any] = json.loads(text)
            return content
        return None


class Upload:
    """A form with a file, which can be sent again; reports how much of it was sent.

    Args:
        field: The field of the file.
        file: The file.
        fields: The other fields.
        on_progress: Called while the file is sent.
    """

    def __init__(self, field: str, file: File, fields: Mapping[str, Any], on_progress: OnProgress | None) -> None:
        self._field = field
        self._file = file
        self._fields = {name: _text(value) for name, value in fields.items()}
        self._on_progress = on_progress

    def request(self, stack: ExitStack) -> dict[str, Any]:
        """Return the arguments of a request; the file is closed with the stack."""
        file = self._file
        if isinstance(file, bytes):
            opened: IO[bytes] = BytesIO(file)
        elif isinstance(file, str | os.PathLike):
            opened = stack.enter_context(open(file, "rb"))  # noqa: SIM115 - closed with the stack
        else:
            file.seek(0)
            opened = file
        size = opened.seek(0, os.SEEK_END)
        opened.seek(0)
        name = Path(getattr(opened, "name", None) or "file").name if not isinstance(file, bytes) else "file"
        sent = opened if self._on_progress is None else _Reported(opened, size, self._on_progress)
        return {"files": {self._field: (name, sent)}, "data": self._fields}


class _Reported:
    """A file that reports how far it was read."""

    def __init__(self, file: IO[bytes], size: int, report: OnProgress) -> None:
        self._file = file
        self._size = size
        self._report = report

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        if data:
            self._report(self._file.tell(), self._size)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _text(value: Any) -> str:
    """Return a value as a field of a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
