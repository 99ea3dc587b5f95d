"""Messages between the server and its worker processes, over pipes: a kind, a session, a content."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, BinaryIO

_HEAD = struct.Struct(">IB32s")
_TIMES = struct.Struct(">ddd")
NO_SESSION = "0" * 32
"""In place of a session's id, where a message is about the whole process."""


class Kind(IntEnum):
    """What a message is."""

    SETTINGS = 1
    OPEN = 2
    DO = 3
    SOUND = 4
    HEADER = 5
    FRAGMENT = 6
    EVENT = 7
    LOAD = 8


@dataclass(frozen=True)
class Packed:
    """A message.

    Attributes:
        kind: What it is.
        session: The id of a session.
        content: JSON or bytes, by the kind.
    """

    kind: Kind
    session: str
    content: bytes

    def to_bytes(self) -> bytes:
        """Return the message as it is sent."""
        return _HEAD.pack(len(self.content), self.kind, self.session.encode()) + self.content

    def json(self) -> Any:
        """Return the content of a message of JSON."""
        return json.loads(self.content)


def of_json(kind: Kind, session: str, content: object) -> Packed:
    """Return a message whose content is JSON."""
    return Packed(kind, session, json.dumps(content).encode())


def of_sound(session: str, data: bytes, rate: int) -> Packed:
    """Return a message with sound."""
    return Packed(Kind.SOUND, session, struct.pack(">I", rate) + data)


def sound_in(message: Packed) -> tuple[bytes, int]:
    """Return the sound of a message, and its rate."""
    return message.content[4:], int(struct.unpack_from(">I", message.content)[0])


def of_fragment(session: str, data: bytes, start: float, duration: float, sound_ahead: float) -> Packed:
    """Return a message with a fragment: its time and length, and how many seconds of pushed sound wait after it."""
    return Packed(Kind.FRAGMENT, session, _TIMES.pack(start, duration, sound_ahead) + data)


def fragment_in(message: Packed) -> tuple[bytes, float, float, float]:
    """Return what `of_fragment` was given."""
    start, duration, sound_ahead = _TIMES.unpack_from(message.content)
    return message.content[_TIMES.size :], start, duration, sound_ahead


def read(file: BinaryIO) -> Packed | None:
    """Return the next message of a file; None at its end."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, kind, session = _HEAD.unpack(head)
    return Packed(Kind(kind), session.decode(), file.read(length))


async def receive(stream: asyncio.StreamReader) -> Packed | None:
    """Return the next message of a stream; None at its end."""
    try:
        length, kind, session = _HEAD.unpack(await stream.readexactly(_HEAD.size))
        return Packed(Kind(kind), session.decode(), await stream.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
