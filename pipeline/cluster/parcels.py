"""What a node sends to the web server while it makes a video."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from pipeline.jobs.events import Event
from pipeline.jobs.request import GenerateRequest
from pipeline.speech_types import Speech

PIECE = 90_000
"""Most bytes of a parcel, and of those that go together: Ray carries what is below 100 kB in the reply itself."""
LABEL = 500
"""Bytes that a parcel takes besides those that it carries, about."""
BEAT_SECONDS = 0.5
"""Seconds without a parcel after which a node reports that it is alive."""
SUFFIXES = (".mp4", ".wav", ".vtt", ".mouth.ndjson", ".json")
"""The files of a task that grow."""
WAV_HEADER = 44
"""First bytes of a wav, which are written once more at its end."""


@dataclass(frozen=True)
class Order:
    """A request on its way to a node: its avatar and its files are in the store, under these names.

    Attributes:
        request: The request, without avatar, recording and picture behind the person.
        avatar: The pack of the avatar, as it was filmed.
        fps: Frames per second of the avatar of the request.
        eye_contact: Whether it looks at the camera.
        recording: None without one.
        picture: What is behind the person; None without one.
        task_id: The task.
    """

    request: GenerateRequest
    avatar: str
    fps: Fraction
    eye_contact: bool
    recording: str | None
    picture: str | None
    task_id: str


@dataclass(frozen=True)
class Bytes:
    """Bytes of the file with a suffix, from an offset on."""

    suffix: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Complete:
    """The file with a suffix is complete, and has that many bytes."""

    suffix: str
    size: int


@dataclass(frozen=True)
class Sound:
    """Samples of the piece of speech that comes next, float32."""

    samples: bytes


@dataclass(frozen=True)
class Said:
    """A piece of speech; its samples came before. None: it was the last one."""

    piece: Speech | None


@dataclass(frozen=True)
class Found:
    """What was found out about a piece of speech (see ``pipeline.jobs.recall``)."""

    what: str
    piece: int
    value: Any


@dataclass(frozen=True)
class Alive:
    """Nothing has happened for a while.

    Attributes:
        node: Ray's name of the node, in its first parcel.
    """

    node: str = ""


@dataclass(frozen=True)
class Broken:
    """The task has failed."""

    error: Exception


Parcel = Bytes | Complete | Sound | Said | Found | Alive | Broken | Event


def together(queued: deque[Any]) -> list[Any]:
    """Take the parcels from the left that fit into one reply of Ray, at least one; none before None."""
    parcels, size = list[Any](), 0
    while queued and queued[0] is not None:
        size += LABEL + sum(len(value) for value in vars(queued[0]).values() if isinstance(value, bytes))
        if parcels and size > PIECE:
            break
        parcels.append(queued.popleft())
    return parcels


class Memory:
    """The speech and the findings so far: another node goes on from there with the same bytes."""

    def __init__(self) -> None:
        self.pieces: list[Speech] = []
        self.complete = False
        self.found: dict[tuple[str, int], Any] = {}
        self._sound: list[bytes] = []

    def note(self, parcel: Sound | Said | Found) -> None:
        """Remember a parcel."""
        match parcel:
            case Sound(samples):
                self._sound.append(samples)
            case Said(None):
                self.complete = True
            case Said(piece):
                assert piece is not None
                sound = np.frombuffer(b"".join(self._sound), np.float32)
                self.pieces.append(replace(piece, samples=sound))
                self._sound = []
            case Found(what, number, value):
                self.found[what, number] = value
