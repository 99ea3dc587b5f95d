"""The interface of speech engines, from text to sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.messages import Message
from pipeline.speech_types import Speech, Voice, joined
from pipeline.text.language import language_of, speakable
from pipeline.tts.refusals import not_available, nothing_to_say, unspoken_language

BREAK = 0.26
"""Seconds of a pause in which speech may be cut in two.

Between sentences, rarely at a comma. Both halves leave the mouth time to close and to open again.
"""
_STOPS = ".!?…。！？,;:、，；："
_CLOSING = "\"'”’)]」』）》"
"""Characters that may stand between the last letter of a line and its end."""
SPEEDS, PITCHES = (0.7, 1.3), (-4.0, 4.0)
"""Slowest and fastest speech, 1 is usual; lowest and highest pitch, in semitones from the usual."""
CUSTOM_VOICE = "Custom"
"""The voice of a request that names none: the engine chooses (by language, or from its own settings)."""


def with_stops(text: str) -> tuple[str, frozenset[int]]:
    """Add a full stop to each line that ends without one.

    Headings and list entries are sentences, too, and a voice pauses after them only if it sees a stop.

    Args:
        text: A text as ``plain`` returns it.

    Returns:
        The new text, and the offsets in it of the added stops.
    """
    stopped, added = "", set()
    for line in text.splitlines(keepends=True):
        words = line.rstrip()
        stopped += words
        if line.endswith("\n") and any(map(str.isalnum, words)) and words.rstrip(_CLOSING)[-1:] not in _STOPS:
            added.add(len(stopped))
            stopped += "."
        stopped += line[len(words) :]
    return stopped, frozenset(added)


def sounding(pieces: Iterable[Speech]) -> Iterator[Speech]:
    """Yield the pieces of a text, which have marks.

    Raises:
        NothingToSay: None of them has a sound.
    """
    sounded = False
    for piece in pieces:
        sounded = sounded or any(mark.text for mark in piece.marks)
        yield piece
    if not sounded:
        raise nothing_to_say()


class TTSEngine(Protocol):
    """A speech engine."""

    name: str

    optional: bool = False
    """Whether it speaks only where you set it up; without it another engine speaks, and no note says so."""

    remote: bool = False
    """Whether a service speaks, which costs."""
    least_pace: float = 0.0
    """Seconds of speech per second from which it keeps up; 0 if every machine is fast enough, so that none measures."""
    pace: float | None = None
    """Seconds of speech per second on this machine; None before ``warm_up`` has measured it."""
    speeds: tuple[float, float] = SPEEDS
    """Slowest and fastest speed at which it speaks."""

    def available(self) -> bool:
        """Return whether it can speak now: its key is set, its library and voices are there. Cheap."""
        ...

    def set_up(self) -> bool:
        """Return whether everything that you set up is there, though it may turn out to be damaged. Cheap."""
        return self.available()

    def check(self) -> None:
        """Check that it can speak now; loads what it needs, once.

        Raises:
            Unavailable: It cannot; the message says what to do.
        """
        if not self.available():
            raise not_available(self.name)

    def warm_up(self) -> None:
        """Load what the first request would wait for, and measure `pace`, if it did not keep up yet.

        Raises what ``check`` does.
        """
        self.check()

    def slowness(self) -> Message | None:
        """Return why its speech would falter on this machine, or may since it was not measured; None if it keeps up."""
        if not self.least_pace:
            return None
        if self.pace is None:
            return messages.tts.VOICE_NOT_MEASURED(engine=self.name)
        return messages.tts.VOICE_TOO_SLOW(engine=self.name, pace=self.pace) if self.pace < self.least_pace else None

    def voices(self) -> list[Voice]:
        """Return the voices that a request may name besides ``Custom``; may call a remote service."""
        ...

    def voice_for(self, gender: str) -> str:
        """Return the voice for a person ("female", "male", "" if unknown); ``Custom`` where none is known to fit."""
        if not gender or self.remote:
            return CUSTOM_VOICE
        return next((voice.id for voice in self.voices() if voice.gender == gender), CUSTOM_VOICE)

    def check_voice(self, voice: str) -> None:
        """Check that this engine has a voice.

        Raises:
            BadRequest: It has not; the message lists the voices.
        """
        ...

    def loudness(self, voice: str, language: str) -> float | None:
        """Return how loud a voice is by itself (LUFS); None if that is not known before it speaks."""
        return None

    def speaks(self, language: str) -> bool:
        """Return whether a voice of this engine speaks a language (an espeak-ng voice name)."""
        return True

    def check_language(self, language: str) -> None:
        """Check that a voice of this engine speaks a language (an espeak-ng voice name).

        Raises:
            BadRequest: None does.
        """
        if not self.speaks(language):
            raise unspoken_language(self.name, language)

    def language_for(self, text: str, voice: str, language: str | None) -> str:
        """Return the language in which a voice is to speak a text; a voice that is named speaks any.

        Raises:
            NothingToSay: The text has no letter or digit.
            BadRequest: There is no such voice, or none is named and the engine does not speak the language.
        """
        if not speakable(text):
            raise nothing_to_say()
        self.check_voice(voice)
        language = language or language_of(text)
        if voice == CUSTOM_VOICE:
            self.check_language(language)
        return language

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak a text and yield it in pieces, cut in the pauses between sentences where there are any.

        The texts of the pieces, joined, are the text.

        Args:
            text: What to speak.
            voice: One of ``voices``, or ``CUSTOM_VOICE``.
            cancel: The task's token.
            language: Language of the text (an espeak-ng voice name); None detects it.
            speed: How fast, 1 is the voice's usual (0.7-1.3).

        Raises:
            NothingToSay: The text has no letter or digit.
            Unavailable: No key, quota, busy, unreachable.
            SpeechFailed: The engine fails.
            Cancelled: `cancel` is set.
        """
        ...

    @property
    def takes_sentences(self) -> bool:
        """Whether ``stream_sentences`` is better than ``stream`` for each sentence of a text that still arrives."""
        return False

    def stream_sentences(
        self, sentences: Iterator[str], voice: str, cancel: CancelToken, language: str, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak sentences while more of them arrive; the texts of the pieces, joined, are the sentences.

        Every piece ends in silence, so that it can be shown before the next sentence is there.

        Args:
            sentences: Something to say each, with the blanks between them; it may block, and is called in a thread of
                the engine, until this generator ends.
            voice: As in ``stream``.
            cancel: The task's token.
            language: Language of all sentences.
            speed: As in ``stream``.

        Raises:
            PipelineError: What ``stream`` raises.
        """
        for sentence in sentences:
            yield from self.stream(sentence, voice, cancel, language, speed)

    def synthesize(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Speech:
        """Speak a text and return all of it; takes and raises what ``stream`` does."""
        return joined(self.stream(text, voice, cancel, language, speed))
