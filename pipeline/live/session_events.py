"""Events of a session, with types; Python, the socket and server-sent events all read the same ones.

Times are seconds of the session's stream: an event is true when the player gets there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, get_args

from pipeline import messages
from pipeline.errors import PipelineError
from pipeline.messages import Language, Message


@dataclass(frozen=True)
class Composing:
    """The avatar is being put in front of another background for the first time; the stream begins after that.

    Attributes:
        progress: 0..1.
    """

    type: ClassVar[str] = "composing"
    progress: float


@dataclass(frozen=True)
class TurnStarted:
    """The avatar begins to speak.

    Attributes:
        turn: Number of the turn, from 1.
        stream: When its sound begins.
        tag: What `say` called it.
    """

    type: ClassVar[str] = "turn_started"
    turn: int
    stream: float
    tag: str | None = None


@dataclass(frozen=True)
class Word:
    """A word is spoken.

    Attributes:
        turn: Number of the turn.
        text: The word as it is written, with the blanks and punctuation after it.
        stream: When it begins.
        end: When it ends.
    """

    type: ClassVar[str] = "word"
    turn: int
    text: str
    stream: float
    end: float


@dataclass(frozen=True)
class TurnEnded:
    """The avatar has said everything of a turn.

    Attributes:
        turn: Number of the turn.
        stream: When its sound ends.
        said: Its text.
        tag: What `say` called it.
    """

    type: ClassVar[str] = "turn_ended"
    turn: int
    stream: float
    said: str
    tag: str | None = None


@dataclass(frozen=True)
class Interrupted:
    """The avatar was stopped; what it had not said is dropped.

    Attributes:
        turn: Number of the turn; None if the avatar was silent.
        stream: When its sound ends. What a player has of the stream after this time is silent.
        said: The part of the turn's text that was said.
        tag: What `say` called the turn.
    """

    type: ClassVar[str] = "interrupted"
    turn: int | None
    stream: float
    said: str
    tag: str | None = None


@dataclass(frozen=True)
class Listening:
    """The avatar shows that it listens, from a time on."""

    type: ClassVar[str] = "listening"
    stream: float


@dataclass(frozen=True)
class VisitorSpeaking:
    """The visitor begins to speak.

    Attributes:
        stream: When it began.
    """

    type: ClassVar[str] = "visitor_speaking"
    stream: float


@dataclass(frozen=True)
class VisitorStopped:
    """The visitor has finished.

    Attributes:
        stream: When the last word ended.
    """

    type: ClassVar[str] = "visitor_stopped"
    stream: float


@dataclass(frozen=True)
class VisitorSaid:
    """What the visitor said was transcribed.

    Attributes:
        text: The text.
        question: Number of the question that it answers, if it is known.
    """

    type: ClassVar[str] = "visitor_said"
    text: str
    question: int | None = None


@dataclass(frozen=True)
class QuestionAsked:
    """An interview goes on to a question, or asks it again.

    Attributes:
        number: Its number, from 1.
        text: The question.
        reminders: How often it was asked before.
    """

    type: ClassVar[str] = "question"
    number: int
    text: str
    reminders: int


@dataclass(frozen=True)
class AnswerEnded:
    """The answer to a question has ended.

    Attributes:
        number: Number of the question.
        begin, end: When the visitor spoke; None without an answer.
        reason: "silence", "next", "time_limit" or "no_answer".
    """

    type: ClassVar[str] = "answer"
    number: int
    begin: float | None
    end: float | None
    reason: str


@dataclass(frozen=True)
class InterviewEnded:
    """All questions were asked.

    Attributes:
        questions: How many there are.
        answered: How many of them were answered.
    """

    type: ClassVar[str] = "interview_ended"
    questions: int
    answered: int


@dataclass(frozen=True)
class Problem:
    """Something went wrong; the session goes on.

    Attributes:
        code: The kind of error, as everywhere else.
        ko, en: One sentence for people.
    """

    type: ClassVar[str] = "error"
    code: str
    ko: str
    en: str

    @classmethod
    def of(cls, error: PipelineError) -> Problem:
        """Return the event for an error."""
        return cls(error.code, error.message.ko, error.message.en)


@dataclass(frozen=True)
class Closed:
    """The session has ended; the last event.

    Attributes:
        reason: "deleted", "time_limit", "no_viewer", "failed" or "server_ends".
    """

    type: ClassVar[str] = "closed"
    reason: str


SessionEvent = (
    Composing
    | TurnStarted
    | Word
    | TurnEnded
    | Interrupted
    | Listening
    | VisitorSpeaking
    | VisitorStopped
    | VisitorSaid
    | QuestionAsked
    | AnswerEnded
    | InterviewEnded
    | Problem
    | Closed
)
KINDS: dict[str, type[SessionEvent]] = {kind.type: kind for kind in get_args(SessionEvent)}


def to_json(event: SessionEvent, language: Language) -> dict[str, Any]:
    """Return an event as clients get it, with messages in a language."""
    if isinstance(event, Problem):
        problem = Message(event.ko, event.en).in_language(language)
        return {"type": event.type, "success": False, "error": problem, "code": event.code}
    message = {"message": messages.jobs.COMPOSING().in_language(language)} if isinstance(event, Composing) else {}
    fields = {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(event).items()}
    return {"type": event.type, **message, **fields}


def packed(event: SessionEvent) -> dict[str, Any]:
    """Return an event as JSON that `unpacked` reads, for another process."""
    return {"type": event.type, **asdict(event)}


def unpacked(content: dict[str, Any]) -> SessionEvent:
    """Return the event that `packed` wrote."""
    fields = dict(content)
    return KINDS[fields.pop("type")](**fields)
