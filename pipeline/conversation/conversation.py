"""A session's conversation with its visitor: turns are taken by voice, and answered by a language model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline import messages
from pipeline.conversation.dialogue import PROMPT, Dialogue
from pipeline.conversation.interview import Answered, Interview, InterviewPlan, State
from pipeline.conversation.language_model import LanguageModel
from pipeline.conversation.microphone import Microphone
from pipeline.conversation.transcription import Transcriber, wav
from pipeline.conversation.voice_activity import VoiceChange
from pipeline.core.growing_file import part_of, saving
from pipeline.errors import BadRequest, InterviewNotFound, InterviewRuns, PipelineError, SessionClosed
from pipeline.live.session_events import (
    Closed,
    Interrupted,
    Problem,
    SessionEvent,
    TurnEnded,
    TurnStarted,
    VisitorSaid,
    VisitorSpeaking,
    VisitorStopped,
)

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.25
"""Seconds of a long message of sound after which other work of the server has its turn."""
AHEAD_SECONDS = 0.3
"""Seconds by which a microphone may be ahead of the time; what is faster is taken in as fast as it is spoken."""
DELAYED_SECONDS = 5.0
"""Seconds for which a network may hold sound back that then comes at once."""
LONGEST_SPEECH = 120.0
"""Seconds after which what a visitor says is taken as complete, outside of interviews."""
PENDING_TRANSCRIPTS = 8
"""Sounds that may wait to be transcribed."""
VIEWER_SECONDS = 0.2
"""Seconds between two looks whether an interview has a viewer."""
_SOON = 0.02


@dataclass(frozen=True, kw_only=True)
class ConversationPlan:
    """How a session converses.

    Attributes:
        prompt: The language model's system prompt.
        silence: Seconds without speech after which the visitor has finished.
        barge_in: Whether the avatar stops when the visitor speaks.
        transcribe: Whether what the visitor says is transcribed, where the server can.
        interview: The interview to be held; None for a free conversation.
        language: Language of the visitor (ISO 639-1); None detects it.
        record: Whether the sound of the visitor's answers is kept.
    """

    prompt: str = PROMPT
    silence: float = 0.8
    barge_in: bool = True
    transcribe: bool = True
    interview: InterviewPlan | None = None
    language: str | None = None
    record: bool = False


class ConversedSession(Protocol):
    """What a conversation needs of a session; ``pipeline.live.workers.RemoteSession`` is one."""

    id: str

    @property
    def clock(self) -> float:
        """The present moment of the stream in seconds."""
        ...

    @property
    def watched(self) -> bool:
        """Whether a client gets the stream."""
        ...

    def say(self, text: str, tag: str | None = None) -> None:
        """Speak a piece of text."""
        ...

    def flush(self) -> None:
        """End the turn."""
        ...

    def interrupt_soon(self, at: float | None = None) -> None:
        """Stop speaking; an event `Interrupted` follows."""
        ...

    def listen(self) -> None:
        """Show that the avatar listens."""
        ...

    def emit(self, event: SessionEvent) -> None:
        """Emit an event."""
        ...


class Conversation:
    """The conversation of one session; use it from the event loop.

    Args:
        session: The session. Its events are passed to `handle`.
        plan: How it converses.
        model: What answers.
        transcriber: What transcribes; None leaves it to the client.
        folder: Where sounds of answers are kept.
    """

    def __init__(
        self,
        session: ConversedSession,
        plan: ConversationPlan,
        model: LanguageModel,
        transcriber: Transcriber | None,
        folder: Path,
    ) -> None:
        self._session = session
        self._plan = plan
        self._model = model
        self._transcriber = transcriber if plan.transcribe else None
        self._folder = folder
        self.dialogue = Dialogue(plan.prompt)
        self.interview = Interview(plan.interview, self) if plan.interview else None
        self._keeps_answers = plan.record and self.interview is not None
        silence = plan.interview.silence if plan.interview else plan.silence
        self._microphone = Microphone(silence, records=self._keeps_answers or self._transcriber is not None)
        self._received_until: float | None = None
        """When the sound that has come would have been spoken, by the event loop's clock."""
        self._speaking = False
        """Whether the avatar speaks."""
        self._interrupts = 0
        """How often it was stopped from here, without an event about it yet."""
        self._stopped = asyncio.Event()
        self._reply: asyncio.Task[None] | None = None
        self._replies = 0
        self._replying: set[str] = set()
        """Tags of the model's turns of which the end is not known."""
        self._transcribing = asyncio.Lock()
        self._pending = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._arm()

    # --- what clients do

    def chat(self, text: str) -> None:
        """Let the language model answer the visitor. What it says now is interrupted.

        Raises:
            LanguageModelUnavailable: No model is set up.
            InterviewRuns: There is an interview.
        """
        if self.interview is not None and self.interview.state is not State.DONE:
            raise InterviewRuns
        self._model.check()
        self._stop_reply()
        self._replies += 1
        self._reply = self._start(self._answer(text, f"reply {self._replies}"))

    def visitor_said(self, text: str, question: int | None = None) -> None:
        """Take what the visitor said, as transcribed.

        Args:
            text: The text.
            question: Number of the question that it answers, in an interview; None is the last one.

        Raises:
            BadRequest: There is no such question.
        """
        if question is not None and (self.interview is None or not 1 <= question <= len(self.interview.answers)):
            raise BadRequest(messages.conversation.NO_SUCH_QUESTION(number=question))
        self._session.emit(VisitorSaid(text, question))
        if self.interview is not None and self.interview.state is not State.WAITING:
            self.interview.visitor_said(text, question)
        elif self._model.configured and self.interview is None:
            self.chat(text)

    def next(self) -> None:
        """Go on to the next question.

        Raises:
            InterviewNotFound: There is no interview.
        """
        if self.interview is None:
            raise InterviewNotFound(messages.conversation.NO_INTERVIEW())
        self.interview.next(self._session.clock)
        self._arm()

    async def take_sound(self, data: bytes, rate: int) -> None:
        """Take sound of the visitor's microphone: 16-bit little-endian mono PCM. Returns as fast as it is spoken.

        Raises:
            BadRequest: It is not such sound.
        """
        step = max(2, round(SLICE_SECONDS * rate) * 2)
        if len(data) % 2:
            step = len(data)  # refused as a whole
        if self.interview is not None:
            self.interview.microphone_sounds()
        for begin in range(0, len(data), step):
            await self._in_time(min(step, len(data) - begin) / 2 / rate)
            for change in self._microphone.push(data[begin : begin + step], rate, self._session.clock):
                self._changed(change)
            if self.interview is None and self._microphone.spoken_seconds > LONGEST_SPEECH:
                self._changed(VoiceChange(False, self._session.clock))
        self._tick()  # a timer would be put off by each message

    async def _in_time(self, seconds: float) -> None:
        """Wait until there can be some more seconds of sound."""
        now = asyncio.get_running_loop().time()
        before = now if self._received_until is None else max(self._received_until, now - DELAYED_SECONDS)
        self._received_until = before + seconds
        await asyncio.sleep(max(0.0, self._received_until - now - AHEAD_SECONDS))

    # --- what happens

    def handle(self, event: SessionEvent) -> None:
        """Follow the session's events."""
        if isinstance(event, TurnStarted | TurnEnded | Interrupted):
            self._follow(event)
            self._arm()
        if isinstance(event, Closed):
            self._close()

    def _follow(self, event: TurnStarted | TurnEnded | Interrupted) -> None:
        self._speaking = isinstance(event, TurnStarted)
        if isinstance(event, TurnEnded | Interrupted) and event.tag in self._replying:
            self._replying.discard(event.tag)
            self.dialogue.add("assistant", " ".join(event.said.split()))
        ours = True
        if isinstance(event, Interrupted):
            self._replying.clear()
            ours = self._interrupts > 0
            self._interrupts = max(0, self._interrupts - 1)
            self._stopped.set()
            if not ours and self._reply is not None:
                self._reply.cancel()
        if self.interview is None:
            return
        if isinstance(event, TurnStarted):
            self.interview.turn_started(event.tag, event.stream)
        else:
            self.interview.turn_ended(event.tag, event.stream)
        if not ours:
            self.interview.stopped(event.stream)

    def _changed(self, change: VoiceChange) -> None:
        """Follow the visitor's voice."""
        if change.speaking:
            self._session.emit(VisitorSpeaking(change.time))
            if self.interview is not None:
                self.interview.visitor_speaks(change.time)
            if self._plan.barge_in and (self.interview is None or self._replying):
                self._stop_reply()
            return
        self._session.emit(VisitorStopped(change.time))
        if self.interview is not None and self.interview.running:
            if not self.interview.visitor_stopped(change.time, self._session.clock):
                self._microphone.take()  # no part of the answer that follows
        else:
            self._transcribe(self._microphone.take(), None)

    def _tick(self) -> None:
        self._timer = None
        if self._closed:
            return
        now = self._session.clock
        lost = self._microphone.lost(now)
        try:
            if lost is not None:
                self._changed(lost)
            if self.interview is not None:
                if self.interview.state is State.WAITING and self._session.watched:
                    self.interview.begin(now)
                self.interview.tick(now)
        except SessionClosed:
            return
        self._arm()

    def _arm(self) -> None:
        """Set the timer for what is due next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._session.clock
        due = [self._microphone.deadline]
        if self.interview is not None:
            due.append(now + VIEWER_SECONDS if self.interview.state is State.WAITING else self.interview.deadline)
        moments = [moment for moment in due if moment is not None]
        if moments and not self._closed:
            wait = max(_SOON, min(moments) - now)
            self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    # --- the avatar, also for the interview

    def say(self, text: str, tag: str) -> None:
        """Let the avatar say a text."""
        self._session.say(text, tag)
        self._session.flush()

    def interrupt(self) -> None:
        """Let the avatar stop."""
        self._interrupts += 1
        self._stopped.clear()
        self._session.interrupt_soon()

    def listen(self) -> None:
        """Let the avatar show that it listens."""
        self._session.listen()

    def emit(self, event: SessionEvent) -> None:
        """Emit an event."""
        self._session.emit(event)

    def answered(self, answer: Answered) -> None:
        """Keep the sound of an answer."""
        if self._microphone.speaking and not self._closed:
            self._session.emit(VisitorStopped(self._session.clock))
        sound = self._microphone.take()
        if answer.begin is None or not len(sound):
            return
        if self._keeps_answers:
            answer.sound = sound_name(self._session.id, answer.number)
            self._start(self._keep(answer, sound))
        self._transcribe(sound, answer.number)

    # --- the language model

    async def _answer(self, text: str, tag: str) -> None:
        if self._interrupts:
            await self._stopped.wait()  # so that the dialogue has first what was said until then
        self.dialogue.add("user", text)
        said = False
        try:
            async with aclosing(self._model.answer(self.dialogue)) as pieces:
                async for piece in pieces:
                    self._replying.add(tag)
                    self._session.say(piece, tag)
                    said = True
        except PipelineError as error:
            if isinstance(error, SessionClosed):
                return
            self._session.emit(Problem.of(error))
            if not said:
                self.dialogue.withdraw(text)
        if said:
            self._session.flush()

    def _stop_reply(self) -> None:
        """Let the model and the avatar stop."""
        replies = self._reply is not None and not self._reply.done()
        if self._reply is not None:
            self._reply.cancel()
            self._reply = None
        if self._speaking or replies or self._replying:
            self.interrupt()

    # --- the visitor's sound

    def _transcribe(self, sound: np.ndarray, question: int | None) -> None:
        if self._transcriber is None or not len(sound):
            return
        if self._pending >= PENDING_TRANSCRIPTS:
            logger.warning("session %s: too much waits to be transcribed", self._session.id[:8])
            return
        self._pending += 1
        self._start(self._write_down(self._transcriber, sound, question))

    async def _write_down(self, transcriber: Transcriber, sound: np.ndarray, question: int | None) -> None:
        try:
            async with self._transcribing:  # in the order in which it was said
                text = await transcriber.transcribe(sound, self._plan.language)
            if text and (self.interview is not None or not self._closed):
                self.visitor_said(text, question)
        except SessionClosed:
            return
        except PipelineError as error:
            self._session.emit(Problem.of(error))
        finally:
            self._pending -= 1

    async def _keep(self, answer: Answered, sound: np.ndarray) -> None:
        path = self._folder / sound_name(self._session.id, answer.number)
        try:
            await asyncio.to_thread(_write, path, wav(sound))
        except PipelineError as error:
            answer.sound = None
            self._session.emit(Problem.of(error))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _close(self) -> None:
        """Stop all that goes on, but the writing of what was recorded."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._stopped.set()
        if self._reply is not None:
            self._reply.cancel()
        if self.interview is not None:
            self.interview.close(self._session.clock)


def sound_name(session_id: str, number: int) -> str:
    """Return the name of the file with the sound of an answer."""
    return f"{session_id}.answer-{number}.wav"


def _write(path: Path, data: bytes) -> None:
    """Write a file at once.

    Raises:
        RenderFailed: The disk is full, or cannot be written to.
    """
    part = part_of(path)
    with saving(messages.conversation.ANSWERS_SOUND()):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
