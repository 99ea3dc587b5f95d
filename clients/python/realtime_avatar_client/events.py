"""The events of tasks and of live sessions, as typed objects; times are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has.

    Attributes:
        id: Its number, from 1; 0 if it has none.
        raw: The whole event as it came, with fields that this version does not know.
    """

    id: int = 0
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Other(Event):
    """An event that this version does not know.

    Attributes:
        type: Its type.
    """

    type: str


# --- tasks


@dataclass(frozen=True, kw_only=True)
class Status(Event):
    """How far a task is.

    Attributes:
        task_id: The task.
        stage: ``queued``, ``tts``, ``background``, ``tts_done``, ``lipsync``; of an avatar ``reading`` and so on.
        message: A sentence for people.
        progress: 0..1, where it is known.
        position: In the queue, 1 is next.
        eta: Seconds until it is done.
        video_url: Where the video grows.
    """

    task_id: str
    stage: str
    message: str
    progress: float | None = None
    position: int | None = None
    eta: float | None = None
    video_url: str | None = None
    captions_url: str | None = None
    audio_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class VideoDone(Event):
    """A video is finished; the addresses begin with "/"."""

    task_id: str
    text: str
    video_url: str
    audio_url: str
    captions_url: str | None = None
    audio_duration: float
    elapsed: Mapping[str, float]
    audio_lost: float = 0.0
    note: str | None = None
    background: str | None = None


@dataclass(frozen=True, kw_only=True)
class AvatarMade(Event):
    """An avatar is ready.

    Attributes:
        avatar: Its name.
        ids: One for each resolution.
        report: What its clip is like, in sentences.
    """

    task_id: str
    avatar: str
    ids: tuple[str, ...]
    report: tuple[str, ...]
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """A task has failed, or was cancelled."""

    task_id: str
    code: str
    status: int
    message: str
    retryable: bool = False
    cancelled: bool = False


# --- live sessions; ``stream`` is a time in the session's video


@dataclass(frozen=True, kw_only=True)
class TurnStarted(Event):
    """The avatar begins to speak."""

    turn: int
    stream: float
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Word(Event):
    """A word is spoken from ``stream`` to ``end``."""

    turn: int
    text: str
    stream: float
    end: float


@dataclass(frozen=True, kw_only=True)
class TurnEnded(Event):
    """Everything of a turn was said."""

    turn: int
    stream: float
    said: str
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Interrupted(Event):
    """The avatar was stopped; ``said`` is what it had said, ``turn`` is None if it was silent."""

    turn: int | None
    stream: float
    said: str
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Composing(Event):
    """The session's background is prepared, before its stream begins; ``progress`` is 0..1."""

    message: str
    progress: float


@dataclass(frozen=True, kw_only=True)
class Listening(Event):
    """The avatar shows that it listens."""

    stream: float


@dataclass(frozen=True, kw_only=True)
class VisitorSpeaking(Event):
    """The visitor has begun to speak."""

    stream: float


@dataclass(frozen=True, kw_only=True)
class VisitorStopped(Event):
    """The visitor has finished."""

    stream: float


@dataclass(frozen=True, kw_only=True)
class VisitorSaid(Event):
    """What the visitor said."""

    text: str
    question: int | None = None


@dataclass(frozen=True, kw_only=True)
class Question(Event):
    """An interview goes on to a question, or asks it again."""

    number: int
    text: str
    reminders: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer(Event):
    """An answer has ended."""

    number: int
    begin: float | None
    end: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class InterviewEnded(Event):
    """All questions were asked."""

    questions: int
    answered: int


@dataclass(frozen=True, kw_only=True)
class Problem(Event):
    """Something went wrong; the session goes on."""

    code: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Closed(Event):
    """The session has ended."""

    reason: str


_TASK: dict[str, type[Event]] = {"status": Status, "error": Failed}
_SESSION: dict[str, type[Event]] = {
    "composing": Composing,
    "turn_started": TurnStarted,
    "word": Word,
    "turn_ended": TurnEnded,
    "interrupted": Interrupted,
    "listening": Listening,
    "visitor_speaking": VisitorSpeaking,
    "visitor_stopped": VisitorStopped,
    "visitor_said": VisitorSaid,
    "question": Question,
    "answer": Answer,
    "interview_ended": InterviewEnded,
    "error": Problem,
    "closed": Closed,
}


def task_event(data: Mapping[str, Any]) -> Event:
    """Return an event of a task."""
    if data.get("type") == "done":
        return _as(AvatarMade if "avatar" in data else VideoDone, data)
    return _as(_TASK.get(str(data.get("type")), Other), data)


def session_event(data: Mapping[str, Any]) -> Event:
    """Return an event of a live session."""
    return _as(_SESSION.get(str(data.get("type")), Other), data)


def _as(kind: type[Event], data: Mapping[str, Any]) -> Event:
    """Return an event of a kind; one that lacks something of it is of an unknown kind."""
    known = {one.name for one in fields(kind)} - {"raw"}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items() if name in known
    }
    try:
        return kind(**given, raw=data)
    except TypeError:
        return Other(id=int(data.get("id", 0)), type=str(data.get("type")), raw=data)
