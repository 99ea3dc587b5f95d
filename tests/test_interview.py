"""Interviews, with a clock of their own: who is asked what, when it goes on, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.conversation.interview import ASKING_SECONDS, Answered, Interview, InterviewPlan, Reason
from pipeline.live.session_events import AnswerEnded, InterviewEnded, QuestionAsked, SessionEvent

PLAN = InterviewPlan(questions=("one?", "two?", "three?"), patience=10, reminders=1, longest=60)


class Stage:
    """A room whose avatar needs two seconds for each question, and a clock."""

    def __init__(self, plan: InterviewPlan = PLAN, microphone: bool = True) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.events: list[SessionEvent] = []
        self.interrupts = 0
        self.listens = 0
        self.kept: list[int] = []
        self.tag = ""
        self.interview = Interview(plan, self)
        if microphone:
            self.interview.microphone_sounds()

    def say(self, text: str, tag: str) -> None:
        self.asked.append(text)
        self.tag = tag

    def interrupt(self) -> None:
        self.interrupts += 1

    def listen(self) -> None:
        self.listens += 1

    def emit(self, event: SessionEvent) -> None:
        self.events.append(event)

    def answered(self, answer: Answered) -> None:
        self.kept.append(answer.number)

    def ask(self) -> None:
        """Let the avatar ask what it was told to."""
        self.interview.turn_started(self.tag, self.now)
        self.now += 2
        self.interview.turn_ended(self.tag, self.now)

    def answer(self, seconds: float = 5.0) -> None:
        """Let the visitor answer, and be silent."""
        self.interview.visitor_speaks(self.now)
        self.now += seconds
        self.interview.visitor_stopped(self.now, self.now + 1.5)
        self.now += 1.5

    def wait(self, seconds: float) -> None:
        """Let time pass, as whoever runs the interview does."""
        until = self.now + seconds
        while self.interview.deadline is not None and self.interview.deadline <= until:
            self.now = self.interview.deadline
            self.interview.tick(self.now)
        self.now = until

    @property
    def state(self) -> str:
        return self.interview.state.value

    @property
    def reasons(self) -> list[Reason | None]:
        return [one.reason for one in self.interview.answers]


def test_every_question_is_asked_after_the_answer_before_it() -> None:
    stage = Stage(replace(PLAN, greeting="Welcome.", farewell="Goodbye."))
    assert stage.state == "waiting" and not stage.asked
    stage.interview.begin(0.0)
    for number in range(3):
        assert stage.state == "asking"
        stage.ask()
        assert stage.state == "listening" and stage.listens == number + 1
        stage.now += 1
        stage.answer()
    assert stage.asked == ["Welcome. one?", "two?", "three?", "Goodbye."]
    assert stage.state == "done" and stage.interview.deadline is None
    assert stage.reasons == [Reason.SILENCE] * 3 and stage.kept == [1, 2, 3]
    first = stage.interview.answers[0]
    assert (first.asked, first.asked_until, first.begin, first.end) == (0.0, 2.0, 3.0, 8.0)
    assert stage.events[-1] == InterviewEnded(3, 3)
    assert [one for one in stage.events if isinstance(one, QuestionAsked)] == [
        QuestionAsked(number, text, 0) for number, text in enumerate(PLAN.questions, 1)
    ]
    stage.interview.begin(99.0)
    stage.interview.next(99.0)
    assert len(stage.asked) == 4, "it is over"


def test_who_does_not_answer_is_asked_again_and_then_passed_over() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.ask()
    stage.wait(9.9)
    assert stage.asked == ["one?"]
    stage.wait(0.2)
    assert stage.asked == ["one?", "one?"] and stage.events[-1] == QuestionAsked(1, "one?", 1)
    stage.ask()
    stage.wait(10)
    assert stage.asked == ["one?", "one?", "two?"]
    assert AnswerEnded(1, None, None, "no_answer") in stage.events
    assert stage.interview.answers[0].reminders == 1 and stage.interview.answers[0].begin is None
    assert stage.interview.answers[0].asked == 0.0, "the first time counts"


def test_an_answer_without_an_end_is_ended() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.ask()
    stage.interview.visitor_speaks(3.0)
    stage.wait(60.9)
    assert stage.reasons[0] is None
    stage.wait(0.2)
    assert stage.reasons[0] is Reason.TIME_LIMIT and stage.interview.answers[0].end == pytest.approx(63.0)


def test_a_visitor_may_answer_before_the_question_has_ended() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.interview.turn_started(stage.tag, 0.0)
    stage.interview.visitor_speaks(1.0)
    assert stage.interrupts == 1 and stage.state == "listening"
    stage.interview.turn_ended(stage.tag, 1.2)  # as an interrupted turn does
    stage.interview.visitor_stopped(4.0, 5.5)
    first = stage.interview.answers[0]
    assert (first.begin, first.end, first.asked_until) == (1.0, 4.0, 1.2) and stage.asked[-1] == "two?"


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_said_before_a_question_is_no_answer_to_it(number: int) -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    for _ in range(number - 1):
        stage.ask()
        stage.answer()
    stage.interview.visitor_speaks(stage.now)
    stage.interview.visitor_stopped(stage.now + 1, stage.now + 2)
    assert stage.state == "asking" and not stage.interrupts
    stage.now += 3
    stage.ask()
    assert stage.interview.answers[number - 1].begin is None, "it waits for one"
    stage.answer()
    assert stage.reasons[number - 1] is Reason.SILENCE


@pytest.mark.parametrize(("end", "answers"), [(2.0, False), (2.4, False), (2.6, True), (9.0, True)])
def test_what_ends_with_the_question_is_no_answer(end: float, answers: bool) -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.interview.visitor_speaks(0.0)  # before a word of the question was heard
    stage.ask()
    assert stage.state == "listening" and not stage.interrupts
    assert stage.interview.visitor_stopped(end, end + 1.5) is answers
    assert stage.reasons[0] is (Reason.SILENCE if answers else None)
    if not answers:
        assert stage.interview.deadline == end + PLAN.patience, "it waits for one"
        stage.answer()
        assert stage.reasons[0] is Reason.SILENCE


def test_a_short_answer_into_the_question_counts() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.interview.turn_started(stage.tag, 0.0)
    stage.interview.visitor_speaks(1.0)
    assert stage.interview.visitor_stopped(1.2, 2.7) and stage.reasons[0] is Reason.SILENCE


def test_a_written_answer_counts() -> None:
    stage = Stage(replace(PLAN, questions=("one?", "two?")), microphone=False)
    stage.interview.begin(0.0)
    stage.ask()
    stage.interview.visitor_said("written")
    stage.interview.next(stage.now)
    stage.ask()
    stage.interview.next(stage.now)
    assert stage.events[-1] == InterviewEnded(2, 1)


def test_without_barge_in_the_question_is_asked_to_its_end() -> None:
    stage = Stage(replace(PLAN, barge_in=False))
    stage.interview.begin(0.0)
    stage.interview.turn_started(stage.tag, 0.0)
    stage.interview.visitor_speaks(1.0)
    assert not stage.interrupts and stage.state == "asking"
    stage.interview.turn_ended(stage.tag, 2.0)
    assert stage.interview.answers[0].begin == 2.0, "who still speaks then, answers"
    stage.interview.visitor_stopped(3.0, 4.5)
    stage.interview.visitor_speaks(4.6)
    stage.interview.visitor_stopped(4.9, 6.4)
    stage.ask()
    assert stage.interview.answers[1].begin is None, "what ended before is no answer"


@pytest.mark.parametrize("moment", ["asking", "listening", "answering"])
def test_next_goes_on_at_any_time(moment: str) -> None:
    stage = Stage()
    stage.interview.next(0.0)
    assert stage.asked == ["one?"], "the first next begins"
    if moment != "asking":
        stage.ask()
    if moment == "answering":
        stage.interview.visitor_speaks(stage.now)
    stage.interview.next(stage.now + 1)
    assert stage.asked == ["one?", "two?"] and stage.reasons[0] is Reason.NEXT
    assert stage.interrupts == (moment == "asking")
    assert (stage.interview.answers[0].end is not None) == (moment == "answering")
    if moment == "asking":  # what comes of the interruption is no end of the next question
        stage.interview.turn_ended("question 1", 1.1)
        assert stage.state == "asking"


def test_without_a_microphone_it_waits_for_next() -> None:
    stage = Stage(microphone=False)
    stage.interview.begin(0.0)
    stage.ask()
    stage.wait(59)
    assert stage.asked == ["one?"] and stage.state == "listening"
    stage.wait(2)
    assert stage.asked == ["one?", "two?"] and stage.reasons[0] is Reason.NO_ANSWER
    stage.ask()
    stage.interview.microphone_sounds()
    stage.wait(11)
    assert stage.asked[-1] == "two?" and len(stage.asked) == 3, "with one, it asks again"


def test_a_question_that_is_never_spoken_does_not_hold_the_interview() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.wait(ASKING_SECONDS)
    assert stage.state == "listening"
    stage.answer()
    assert stage.asked[-1] == "two?"


def test_a_question_that_somebody_stops_counts_as_asked() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.interview.stopped(0.5)
    assert stage.state == "listening"
    stage.interview.next(1.0)
    stage.interview.turn_started(stage.tag, 1.0)
    stage.interview.stopped(1.5)  # the turn itself ends with an event of its own
    assert stage.state == "asking"


def test_transcripts_belong_to_the_answer_that_was_given() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.interview.visitor_said("before the first question")
    stage.ask()
    stage.interview.visitor_said("before an answer")
    stage.answer()
    stage.interview.visitor_said("late")  # while the next question is asked
    stage.ask()
    stage.answer()
    stage.interview.visitor_said("second", 2)
    stage.interview.visitor_said("and more", 2)
    stage.interview.visitor_said("newest")
    assert [one.transcript for one in stage.interview.answers] == [
        "before an answer late",
        "second and more newest",
        None,
    ]


def test_an_answer_that_the_end_of_the_session_cuts_off_is_kept() -> None:
    stage = Stage()
    stage.interview.begin(0.0)
    stage.ask()
    stage.interview.visitor_speaks(3.0)
    stage.interview.close(7.0)
    first = stage.interview.answers[0]
    assert (first.begin, first.end, first.reason) == (3.0, 7.0, None) and stage.kept == [1]
    assert stage.interview.deadline is None and stage.asked == ["one?"]
