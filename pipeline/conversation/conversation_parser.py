"""Checks what a client asks of a conversation."""

from __future__ import annotations

from typing import Any

from pipeline import messages
from pipeline.conversation.conversation import ConversationPlan
from pipeline.conversation.dialogue import PROMPT
from pipeline.conversation.interview import InterviewPlan
from pipeline.errors import BadRequest
from pipeline.jobs.request import flag_of
from pipeline.text.language import speakable
from pipeline.text.markup import spoken_text

MAX_QUESTIONS = 50
LONGEST_QUESTION = 1000
"""Characters of a question, a greeting or a farewell."""
LONGEST_PROMPT = 8000
"""Characters of a system prompt."""
SILENCES = (0.3, 10.0)
"""Seconds without speech that may end what is said."""
PATIENCES = (2.0, 600.0)
"""Seconds that a question may wait for its answer."""
REMINDERS = (0, 5)
LONGEST_ANSWERS = (5.0, 600.0)
"""Seconds that an answer may last."""


def parse_conversation(fields: dict[str, Any], language: str | None, max_text: int, record: bool) -> ConversationPlan:
    """Return how a session shall converse.

    Args:
        fields: The request for the session: `conversation` and `interview` are read.
        language: Language of the session, as eSpeak NG calls it.
        max_text: Most characters that may be spoken at once.
        record: Whether the session is recorded.

    Raises:
        BadRequest: A field is invalid; the message names it.
    """
    usual = ConversationPlan()
    asked = _Asked(fields, "conversation")
    return ConversationPlan(
        prompt=asked.text("prompt", PROMPT, LONGEST_PROMPT),
        silence=asked.number("silence", SILENCES, usual.silence),
        barge_in=asked.flag("barge_in", usual.barge_in),
        transcribe=asked.flag("transcribe", usual.transcribe),
        interview=_interview(fields, max_text, asked.flag("barge_in", usual.barge_in)),
        language=language.partition("-")[0] if language else None,
        record=record,
    )


def question_of(fields: dict[str, Any]) -> int | None:
    """Return the number of a question in a message; None if it is missing.

    Raises:
        BadRequest: It is no number.
    """
    value = fields.get("question")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise BadRequest(messages.conversation.NO_SUCH_QUESTION(number=repr(value)[:40]))


def _interview(fields: dict[str, Any], max_text: int, barge_in: bool) -> InterviewPlan | None:
    if fields.get("interview") is None:
        return None
    usual = InterviewPlan(questions=())
    asked = _Asked(fields, "interview")
    longest = min(LONGEST_QUESTION, max_text // 2)
    return InterviewPlan(
        questions=asked.questions("questions", longest),
        greeting=asked.spoken("greeting", longest),
        farewell=asked.spoken("farewell", longest),
        silence=asked.number("silence", SILENCES, usual.silence),
        patience=asked.number("patience", PATIENCES, usual.patience),
        reminders=asked.count("reminders", REMINDERS, usual.reminders),
        longest=asked.number("longest", LONGEST_ANSWERS, usual.longest),
        barge_in=barge_in,
    )


class _Asked:
    """An object in a request, whose fields are checked."""

    def __init__(self, fields: dict[str, Any], name: str) -> None:
        value = fields.get(name)
        if value is not None and not isinstance(value, dict):
            raise BadRequest(messages.conversation.NOT_AN_OBJECT(field=name))
        self._fields: dict[str, Any] = value or {}
        self._name = name

    def flag(self, field: str, default: bool) -> bool:
        if self._fields.get(field) is None:
            return default
        return flag_of({self._named(field): self._fields[field]}, self._named(field))

    def number(self, field: str, limits: tuple[float, float], default: float) -> float:
        value = self._fields.get(field)
        if value is None:
            return default
        lowest, highest = limits
        if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
            raise BadRequest(
                messages.conversation.NOT_IN_RANGE(field=self._named(field), lowest=lowest, highest=highest)
            )
        return float(value)

    def count(self, field: str, limits: tuple[int, int], default: int) -> int:
        value = self.number(field, limits, default)
        if value != int(value):
            raise BadRequest(
                messages.conversation.NOT_IN_RANGE(field=self._named(field), lowest=limits[0], highest=limits[1])
            )
        return int(value)

    def text(self, field: str, default: str, longest: int) -> str:
        value = self._fields.get(field)
        return default if value in (None, "") else _text(value, self._named(field), longest)

    def spoken(self, field: str, longest: int) -> str:
        value = self.text(field, "", longest)
        return _spoken(value, self._named(field)) if value else ""

    def questions(self, field: str, longest: int) -> tuple[str, ...]:
        value, name = self._fields.get(field), self._named(field)
        if not isinstance(value, list) or not value:
            raise BadRequest(messages.conversation.QUESTIONS_MISSING(field=name))
        if len(value) > MAX_QUESTIONS:
            raise BadRequest(
                messages.conversation.TOO_MANY_QUESTIONS(field=name, limit=MAX_QUESTIONS, count=len(value))
            )
        named = [(one, f"{name}[{index}]") for index, one in enumerate(value)]
        return tuple(_spoken(_text(one, called, longest), called) for one, called in named)

    def _named(self, field: str) -> str:
        return f"{self._name}.{field}"


def _text(value: object, field: str, longest: int) -> str:
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadRequest(messages.conversation.FIELD_NOT_TEXT(field=field))
    if len(value) > longest:
        raise BadRequest(messages.conversation.FIELD_TOO_LONG(field=field, limit=longest, length=len(value)))
    return value


def _spoken(text: str, field: str) -> str:
    if not speakable(spoken_text(text)):
        raise BadRequest(messages.conversation.NOTHING_SPEAKABLE(field=field))
    return text.strip()
