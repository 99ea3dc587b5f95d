"""What a session was asked to say and has not said, so that another process can go on where one was lost."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.live.pipe_messages import Kind, Packed, of_json, of_sound, sound_in
from pipeline.live.session_events import Interrupted, SessionEvent, TurnEnded, TurnStarted, Word
from pipeline.live.voice_input import AHEAD_SECONDS
from pipeline.text.ssml import is_ssml

_TAG = re.compile(r"<(/?)(\w*)[^>]*?(/?)>")
_EDGES = re.compile(r"^\W+|\W+$")
REACH = 60
"""Letters after the last word that was said, within which the next one is looked for."""
SAME_MOMENT = 0.01
"""Seconds by which a word may end after the stream and was said all the same."""


@dataclass
class _Turn:
    """A turn that is not over.

    Attributes:
        number: Its number in the events of the session.
        tag: What the client calls it.
        text: What is to be said, as it was asked for.
        rate: Samples per second of its sound; 0 for a turn of text.
        complete: Whether no more will come.
        started: Whether its event `TurnStarted` was emitted.
        before: What a process said of it that was lost.
        words: What was said since.
        sound: Its latest sound.
        words_of_sound: Those that were pushed.
        seconds: Length of all of its sound.
    """

    number: int
    tag: str | None = None
    text: str = ""
    rate: int = 0
    complete: bool = False
    started: bool = False
    before: str = ""
    words: list[Word] = field(default_factory=list)
    sound: deque[bytes] = field(default_factory=deque)
    words_of_sound: list[tuple[str, float, float]] = field(default_factory=list)
    language: str | None = None
    seconds: float = 0.0

    def kept(self) -> float:
        """Return the seconds of sound that are still here."""
        return sum(map(len, self.sound)) / 2 / self.rate

    def push(self, data: bytes) -> None:
        self.sound.append(data)
        self.seconds += len(data) / 2 / self.rate
        while self.kept() - len(self.sound[0]) / 2 / self.rate > AHEAD_SECONDS:
            self.sound.popleft()

    def said_until(self, time: float) -> list[Word]:
        """Return the words that were said completely."""
        return [word for word in self.words if word.end <= time + SAME_MOMENT]


class Unsaid:
    """Follows what is asked of a session and what it emits; used from one thread."""

    def __init__(self) -> None:
        self._turns: deque[_Turn] = deque()
        self._created = 0
        self._interrupted: deque[_Turn | None] = deque()
        """The turn that was spoken at each interruption whose event has not come."""
        self._listening = False
        self._words_ahead: list[tuple[str, float, float]] = []
        self._language: str | None = None

    @property
    def turns(self) -> int:
        """Number of the last turn before those that are not over."""
        return self._turns[0].number - 1 if self._turns else self._created

    def note(self, message: Packed, time: float) -> list[SessionEvent]:
        """Take what is asked of the session; return events that its process does not emit any more.

        Args:
            message: What is sent to the process.
            time: Seconds of the stream so far.
        """
        if message.kind is Kind.SOUND:
            return self._push(*sound_in(message), time)
        asked = message.json()
        match asked.pop("do"):
            case "say":
                return self._say(**asked, time=time)
            case "flush":
                return self._flush(time)
            case "interrupt":
                self._interrupted.append(self._turns[0] if self._turns else None)
                self._turns.clear()
                self._words_ahead.clear()
            case "push_words":
                self._language = asked["language"]
                self._words_ahead += [(text, start, end) for text, start, end in asked["words"]]
                self._give_words()
            case "listen" | "idle" as shown:
                self._listening = shown == "listen"
        return []

    def _begin(self, turn: _Turn) -> _Turn:
        self._created += 1
        turn.number = self._created
        self._turns.append(turn)
        return turn

    def _say(self, text: str, tag: str | None, time: float) -> list[SessionEvent]:
        turn, ended = self._turns[-1] if self._turns else None, list[SessionEvent]()
        if turn is None or turn.complete or turn.rate or turn.tag != tag:
            ended = self._flush(time)
            turn = self._begin(_Turn(0, tag))
        turn.text += text
        return ended

    def _push(self, data: bytes, rate: int, time: float) -> list[SessionEvent]:
        turn, ended = self._turns[-1] if self._turns else None, list[SessionEvent]()
        if turn is None or turn.complete or turn.rate != rate:
            ended = self._flush(time)
            turn = self._begin(_Turn(0, rate=rate))
        turn.push(data)
        self._give_words()
        return ended

    def _give_words(self) -> None:
        turn = self._turns[-1] if self._turns else None
        if turn is not None and turn.rate and not turn.complete:
            turn.words_of_sound += self._words_ahead
            turn.language, self._words_ahead = self._language, []

    def _flush(self, time: float) -> list[SessionEvent]:
        if not self._turns or self._turns[-1].complete:
            return []
        turn = self._turns[-1]
        turn.complete = True
        return self._ended(turn, time)

    def _ended(self, turn: _Turn, time: float) -> list[SessionEvent]:
        """Return the end of a turn of which nothing is left that a new process could say."""
        if turn.rate or not turn.started or not turn.before or turn.words or _speakable(turn.text):
            return []
        self._turns.remove(turn)
        return [TurnEnded(turn.number, time, turn.before, turn.tag)]

    def take(self, event: SessionEvent) -> SessionEvent | None:
        """Take an event of the process; return it as clients receive it, or None if they have received it already."""
        turn = self._turns[0] if self._turns else None
        match event:
            case TurnStarted(number):
                if turn is None:
                    return event
                for one in self._turns:
                    one.number += number - turn.number
                self._created = self._turns[-1].number
                known, turn.started = turn.started, True
                return None if known else event
            case Word(number) if turn is not None and turn.number == number:
                turn.words.append(event)
            case TurnEnded(number):
                while self._turns and self._turns[0].number <= number:
                    turn = self._turns.popleft()
                if turn is not None and turn.number == number:
                    return replace(event, said=turn.before + event.said)
            case Interrupted(number):
                stopped = self._interrupted.popleft() if self._interrupted else None
                if stopped is not None and stopped.started:
                    return replace(event, turn=stopped.number, said=stopped.before + event.said, tag=stopped.tag)
        return event

    def lost(self, time: float, sound_ahead: float) -> list[SessionEvent]:
        """Forget what was said before the process was lost; return the events that it has not emitted.

        Args:
            time: Seconds of the stream so far.
            sound_ahead: Seconds of pushed sound that were not spoken.
        """
        events: list[SessionEvent] = []
        for turn in self._interrupted:
            started = turn is not None and turn.started
            said = turn.before + "".join(word.text for word in turn.words) if turn is not None and started else ""
            number, tag = (turn.number, turn.tag) if turn is not None and started else (None, None)
            events.append(Interrupted(number, time, said, tag))
        self._interrupted.clear()
        for turn in reversed(self._turns):
            if turn.rate:
                left = min(sound_ahead, turn.kept())
                sound_ahead -= left
                _keep_last(turn, left)
        for turn in list(self._turns):
            words = turn.said_until(time)
            turn.before += "".join(word.text for word in words)
            turn.text = rest_of(turn.text, [word.text for word in words])
            turn.words = []
            if turn.rate and turn.complete and not turn.sound:
                self._turns.remove(turn)
                events.append(TurnEnded(turn.number, time, turn.before, turn.tag))
            elif turn.complete:
                events += self._ended(turn, time)
        return events

    def commands(self, session: str) -> list[Packed]:
        """Return the messages that a new process needs."""
        asked: list[dict[str, Any] | bytes] = [{"do": "listen"}] if self._listening else []
        messages = [of_json(Kind.DO, session, one) for one in asked]
        for turn in self._turns:
            if turn.rate:
                if turn.words_of_sound:
                    words = {"do": "push_words", "words": turn.words_of_sound, "language": turn.language}
                    messages.append(of_json(Kind.DO, session, words))
                messages += [of_sound(session, data, turn.rate) for data in turn.sound]
            elif _speakable(turn.text):
                messages.append(of_json(Kind.DO, session, {"do": "say", "text": turn.text, "tag": turn.tag}))
            if turn.complete:
                messages.append(of_json(Kind.DO, session, {"do": "flush"}))
        if self._words_ahead:
            words = {"do": "push_words", "words": self._words_ahead, "language": self._language}
            messages.append(of_json(Kind.DO, session, words))
        return messages


def _keep_last(turn: _Turn, seconds: float) -> None:
    """Drop all sound of a turn but its last seconds."""
    gone = turn.seconds - seconds
    data = b"".join(turn.sound)
    data = data[len(data) - 2 * round(seconds * turn.rate) :]
    turn.sound = deque([data[i : i + turn.rate] for i in range(0, len(data), turn.rate // 2 * 2)])
    turn.seconds = seconds
    turn.words_of_sound = [(text, a - gone, b - gone) for text, a, b in turn.words_of_sound if a >= gone]


def rest_of(text: str, said: list[str]) -> str:
    """Return what follows the words of a text that were said; of SSML, with the elements that are still open.

    Args:
        text: The text, as it was asked for.
        said: Its first words, as they are written, with the blanks and punctuation around them.
    """
    document = is_ssml(text)
    plain = _TAG.sub(lambda tag: " " * len(tag[0]), text) if document else text
    at = 0
    for word in said:
        core = _EDGES.sub("", word)
        found = plain.find(core, at, at + len(core) + REACH) if core else -1
        at = found + len(core) if found >= 0 else at
    if not at:
        return text
    while document and (tag := re.match(r"\W*?</[^>]+>", text[at:])):
        at += len(tag[0])
    if not document:
        return re.sub(r"^[^\w\s\[(<\"'“‘]*\s*", "", text[at:])
    open_elements: list[str] = []
    for tag in _TAG.finditer(text[:at]):
        if tag[1]:
            del open_elements[-1:]
        elif not tag[3]:
            open_elements.append(tag[0])
    return "".join(open_elements) + text[at:]


def _speakable(text: str) -> bool:
    return any(letter.isalnum() for letter in _TAG.sub("", text))
