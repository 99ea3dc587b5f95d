"""An interview: questions one after the other, each with the visitor's answer, as a machine of states.

All times are seconds of the session's stream. The caller reports what happens through its methods, and calls
`tick` when `deadline` has come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pipeline.live.session_events import AnswerEnded, InterviewEnded, QuestionAsked, SessionEvent

ASKING_SECONDS = 120.0
"""Seconds after which a question counts as asked, even if its speech has not ended."""
TAIL_SECONDS = 0.5
"""Seconds after a question within which what was begun before may end without being an answer."""
_TAG = "question "
FAREWELL = "farewell"


@dataclass(frozen=True, kw_only=True)
class InterviewPlan:
    """What to ask, and how long to wait.

    Attributes:
        questions: The questions.
        greeting: Said before the first one; may be empty.
        farewell: Said after the last answer; may be empty.
        silence: Seconds of silence after speech that end an answer.
        patience: Seconds without an answer after which the question is asked again, or passed over.
        reminders: How often it is asked again.
        longest: Seconds after which an answer is ended.
        barge_in: Whether a visitor may begin to answer before the question was asked completely.
    """

    questions: tuple[str, ...]
    greeting: str = ""
    farewell: str = ""
    silence: float = 1.5
    patience: float = 10.0
    reminders: int = 1
    longest: float = 180.0
    barge_in: bool = True


class Reason(StrEnum):
    """Why an answer ended."""

    SILENCE = "silence"
    NEXT = "next"
    TIME_LIMIT = "time_limit"
    NO_ANSWER = "no_answer"


class State(StrEnum):
    """What happens now."""

    WAITING = "waiting"
    ASKING = "asking"
    LISTENING = "listening"
    DONE = "done"


@dataclass
class Answered:
    """A question, and what came of it.

    Attributes:
        number: Its number, from 1.
        question: Its text.
        asked: When it was first asked; None if it was not.
        asked_until: When it had been asked, the last time.
        reminders: How often it was asked again.
        begin, end: When the answer began and ended; None without one.
        reason: Why it ended; None until then.
        transcript: What the visitor said; None if it is unknown.
        sound: Name of the file with the answer's sound; None without one.
    """

    number: int
    question: str
    asked: float | None = None
    asked_until: float | None = None
    reminders: int = 0
    begin: float | None = None
    end: float | None = None
    reason: Reason | None = None
    transcript: str | None = None
    sound: str | None = None


class Room(Protocol):
    """What an interview can do."""

    def say(self, text: str, tag: str) -> None:
        """Let the avatar say a text."""
        ...

    def interrupt(self) -> None:
        """Let it stop."""
        ...

    def listen(self) -> None:
        """Let it show that it listens."""
        ...

    def emit(self, event: SessionEvent) -> None:
        """Emit an event."""
        ...

    def answered(self, answer: Answered) -> None:
        """Keep the sound of an answer that has ended; speech that goes on is not taken in until a pause."""
        ...


class Interview:
    """One interview.

    Args:
        plan: What to ask.
        room: What can be done.

    Attributes:
        state: What happens now.
        answers: One for each question.
    """

    def __init__(self, plan: InterviewPlan, room: Room) -> None:
        self.state = State.WAITING
        self.answers = [Answered(number, text) for number, text in enumerate(plan.questions, 1)]
        self._plan = plan
        self._room = room
        self._index = -1
        self._microphone = False
        self._speaks_since: float | None = None
        """When the visitor began to speak; None while they are silent."""
        self.deadline: float | None = None

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in (State.ASKING, State.LISTENING)

    def begin(self, now: float) -> None:
        """Ask the first question; no effect if that was done."""
        if self.state is State.WAITING:
            self._ask_next(now, self._plan.greeting)

    def next(self, now: float) -> None:
        """End the answer and go on: with the first question if none was asked, or else the next one."""
        if self.state is State.WAITING:
            self.begin(now)
        elif self.running:
            if self.state is State.ASKING:
                self._room.interrupt()
            self._finish(Reason.NEXT, now, now)

    def turn_started(self, tag: str | None, at: float) -> None:
        """Take note that the avatar begins to speak."""
        answer = self._asked_in(tag)
        if answer is not None and answer.asked is None:
            answer.asked = at

    def turn_ended(self, tag: str | None, at: float) -> None:
        """Take note that the avatar has spoken, or was interrupted; then it listens."""
        answer = self._asked_in(tag)
        if answer is not None:
            answer.asked_until = at
            if self.state is State.ASKING:
                self._listen(at)

    def stopped(self, at: float) -> None:
        """Note that the avatar was stopped before the question was heard: it counts as asked."""
        if self.state is State.ASKING and self._answer.asked is None:
            self._listen(at)

    def microphone_sounds(self) -> None:
        """Note that there is a microphone: without one, no answer can be awaited."""
        if not self._microphone:
            self._microphone = True
            if self.state is State.LISTENING and self._answer.begin is None:
                self._wait(self._answer.asked_until or 0.0)

    def visitor_speaks(self, at: float) -> None:
        """Take note that the visitor begins to speak."""
        self._speaks_since = at
        if not self.running or (self.state is State.ASKING and not (self._plan.barge_in and self._heard)):
            return
        if self.state is State.ASKING:
            self._room.interrupt()
            self._answer.asked_until = at
            self._listen(at)
        elif self._answer.begin is None:
            self._begin_answer(at)

    def visitor_stopped(self, at: float, now: float) -> bool:
        """Take note that the visitor has been silent for `InterviewPlan.silence` seconds.

        Returns:
            Whether what they said was an answer.
        """
        since, self._speaks_since = self._speaks_since, None
        answer = self._answer
        if self.state is not State.LISTENING or answer.begin is None:
            return False
        if since is not None and since < answer.begin and at < answer.begin + TAIL_SECONDS:
            answer.begin = None  # it was said to something else, and ended with the question
            self._wait(at)
            return False
        self._finish(Reason.SILENCE, at, now)
        return True

    def visitor_said(self, text: str, number: int | None = None) -> None:
        """Add what the visitor said to an answer; what was said before the first question is none.

        Args:
            text: A text.
            number: Of the question; None is the last one that the visitor has begun to answer.
        """
        begun = [one for one in self.answers if one.begin is not None]
        if number is None and not begun and self._index <= 0 and not self._heard:
            return
        latest = begun[-1] if begun else self._answer
        answer = latest if number is None else self.answers[number - 1]
        answer.transcript = f"{answer.transcript} {text}" if answer.transcript else text

    def close(self, now: float) -> None:
        """Keep what was answered until the session ended."""
        if self.state is State.LISTENING and self._answer.begin is not None:
            self._answer.end = max(now, self._answer.begin)
            self._room.answered(self._answer)
        self.deadline = None

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self.deadline is None or now < self.deadline:
            return
        if self.state is State.ASKING:
            self._listen(now)
        elif self._answer.begin is not None:
            self._finish(Reason.TIME_LIMIT, now, now)
        elif self._microphone and self._answer.reminders < self._plan.reminders:
            self._answer.reminders += 1
            self._ask(now)
        else:
            self._finish(Reason.NO_ANSWER, now, now)

    @property
    def _answer(self) -> Answered:
        return self.answers[self._index]

    @property
    def _heard(self) -> bool:
        """Whether the visitor can know the present question: at least some of it was said, or should have been."""
        return self.state is not State.ASKING or self._answer.asked is not None

    def _asked_in(self, tag: str | None) -> Answered | None:
        """Return the question that a turn asks, if it is the present one."""
        return self._answer if self.running and tag == f"{_TAG}{self._answer.number}" else None

    def _ask_next(self, now: float, before: str = "") -> None:
        self._index += 1
        self._ask(now, before)

    def _ask(self, now: float, before: str = "") -> None:
        answer = self._answer
        self.state = State.ASKING
        self.deadline = now + ASKING_SECONDS
        self._room.emit(QuestionAsked(answer.number, answer.question, answer.reminders))
        self._room.say(f"{before} {answer.question}".strip(), f"{_TAG}{answer.number}")

    def _listen(self, at: float) -> None:
        self.state = State.LISTENING
        self._room.listen()
        if self._speaks_since is not None:
            self._begin_answer(at)
        else:
            self._wait(at)

    def _begin_answer(self, at: float) -> None:
        self._answer.begin = at
        self.deadline = at + self._plan.longest

    def _wait(self, since: float) -> None:
        self.deadline = since + (self._plan.patience if self._microphone else self._plan.longest)

    def _finish(self, reason: Reason, end: float, now: float) -> None:
        answer = self._answer
        answer.reason = reason
        self._speaks_since = None  # speech that goes on begins anew after a pause
        if answer.begin is not None:
            answer.end = max(end, answer.begin)
        self._room.answered(answer)
        self._room.emit(AnswerEnded(answer.number, answer.begin, answer.end, reason.value))
        if self._index + 1 < len(self.answers):
            self._ask_next(now)
            return
        self.state, self.deadline = State.DONE, None
        if self._plan.farewell:
            self._room.say(self._plan.farewell, FAREWELL)
        answered = sum(one.begin is not None or bool(one.transcript) for one in self.answers)
        self._room.emit(InterviewEnded(len(self.answers), answered))
