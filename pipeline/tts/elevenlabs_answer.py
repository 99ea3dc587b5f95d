"""What ElevenLabs answers: sound in pieces, and the characters that are spoken in it with their times."""

from __future__ import annotations

import base64
import binascii
import logging
import math
from typing import Any

import numpy as np

from pipeline import messages
from pipeline.speech_types import Mark, Speech, joined, silence
from pipeline.text.language import plain, speakable
from pipeline.tts.elevenlabs_errors import unusable
from pipeline.tts.speech_engine import BREAK, with_stops

logger = logging.getLogger(__name__)

RATE = 24000
"""Hz; the highest rate of raw samples that every plan includes."""
SLACK = 0.5
"""Seconds by which the last character may end after the sound; if it is more, sound is missing."""
ENOUGH = 0.9
"""Share of the characters that must have a time."""

SETTLES, SETTLES_UNTIMED = 0.25, 1.0
"""Seconds without a message after which the sound of a sentence is all there: if its characters have their times, and
if they do not."""
CLOSES, QUIET = 0.2, 0.01
"""Seconds of silence after a sentence, in which the mouth closes; samples below this, -40 dBFS, are silence."""

Timed = tuple[str, float, float]
"""A character, when it begins, and how long it lasts (s)."""


class Answer:
    """The response of the service so far: 16-bit samples, and characters with their times.

    Args:
        language: Language of the text.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._text = ""
        self._sent = ""  # the same text, letter by letter, plus what is `added`
        self._added: set[int] = set()  # offsets in `sent` of what is not in the text
        self._place = 0  # offset in `sent` of the next character
        self._pcm = bytearray()
        self._marks: list[Mark] = []
        self._timed = True
        self._given = (0, 0)  # bytes (no longer in _pcm) and marks
        self._told = 0  # characters of the text that were given

    def expect(self, text: str) -> str:
        """Append a text that is to be spoken, and return it as the service gets it."""
        sent, added = with_stops(plain(text))
        self._append(text, sent, added)
        return sent

    def _append(self, text: str, sent: str, added: frozenset[int]) -> None:
        self._added |= {len(self._sent) + offset for offset in added}
        self._text += text
        self._sent += sent

    def add(self, audio: str | None, alignment: Any) -> None:
        """Take one chunk of the response.

        Raises:
            SpeechFailed: Its sound cannot be decoded.
        """
        before = self._received / 2 / RATE
        self._hear(audio)
        if alignment is None:
            self._timed = self._timed and not audio
            return
        try:
            starts = [float(s) for s in alignment.character_start_times_seconds]
            ends = [float(s) for s in alignment.character_end_times_seconds]
            chunk = [(str(c), s, e) for c, s, e in zip(alignment.characters, starts, ends, strict=True)]
        except (AttributeError, TypeError, ValueError):
            self._timed = False
            return
        if not all(math.isfinite(time) for _, *span in chunk for time in span):
            self._timed = False
            return
        # times count from the beginning of the stream; if they start over, they count from the chunk
        last = self._marks[-1].end if self._marks else 0.0
        offset = before if chunk and self._marks and chunk[0][1] < last - SLACK / 2 else 0.0
        for character, start, end in chunk:
            place, self._place = self._place, self._place + len(character)
            if not (place in self._added and character == "."):
                self._mark(character, start + offset, end + offset)

    def _hear(self, audio: str | None) -> None:
        try:
            self._pcm += base64.b64decode(audio or "", validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise unusable(messages.tts.ELEVENLABS_REPLY_NOT_DECODABLE()) from error

    def _mark(self, character: str, start: float, end: float) -> None:
        begin = max(start, self._marks[-1].end if self._marks else 0.0)
        self._marks.append(Mark("character", character, begin, max(end, begin)))

    @property
    def _received(self) -> int:
        """Bytes of sound received so far."""
        return self._given[0] + len(self._pcm)

    def sentence(self) -> Speech | None:
        """Return the next sentence as soon as the one after it has begun; the cut is in the middle of the pause."""
        before = None
        for index in range(self._given[1], len(self._marks) if self._timed else 0):
            mark = self._marks[index]
            if not speakable(mark.text):
                continue
            if before is not None and mark.start - self._marks[before].end >= self._break(before, index):
                until = 2 * round((self._marks[before].end + mark.start) / 2 * RATE)
                return self._take(until, index) if until <= self._received else None
            before = index
        return None

    def _break(self, before: int, after: int) -> float:
        """Return how long a pause between two letters (numbers of their marks) must be to be cut."""
        return BREAK

    def rest(self) -> Speech:
        """Return everything that was not returned yet; without marks if some are missing.

        Raises:
            SpeechFailed: Sound is missing.
        """
        if not self._received:
            raise unusable(messages.tts.ELEVENLABS_REPLY_EMPTY())
        if self._received % 2:
            raise unusable(messages.tts.ELEVENLABS_REPLY_CUT_OFF())
        if self._timed and self._marks:
            # the SDK skips lines that it cannot parse; then characters or sound are missing
            expected = sum(map(speakable, self._sent))
            timed = sum(speakable(mark.text) for mark in self._marks)
            if timed < ENOUGH * expected or self._marks[-1].end > self._received / 2 / RATE + SLACK:
                raise unusable(messages.tts.ELEVENLABS_REPLY_PARTLY_READABLE())
        else:
            logger.info("ElevenLabs gave no complete character times; the sound will be aligned instead")
        return self._take(self._received, len(self._marks))

    def _take(self, until: int, count: int) -> Speech:
        """Return what was not returned yet, up to a byte of sound and a number of marks."""
        since, first = self._given
        self._given = until, count
        pcm, self._pcm = self._pcm[: until - since], self._pcm[until - since :]
        samples = np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / 32768
        begin, duration = since / 2 / RATE, len(samples) / RATE
        marks = tuple(
            Mark("character", m.text, *(min(max(time - begin, 0.0), duration) for time in (m.start, m.end)))
            for m in self._marks[first:count]
        )
        # the marks are the characters of the text, one by one
        end = self._told + sum(len(mark.text) for mark in marks) if self._pcm else len(self._text)
        text, self._told = self._text[self._told : end], end
        return Speech(
            samples=samples,
            rate=RATE,
            text=text,
            language=self._language,
            marks=marks if self._timed else (),
        )


class LiveAnswer(Answer):
    """The response to sentences that are sent one by one, each of which is returned as soon as its sound is there."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self._ends = [0]  # offsets in `sent` at which sentences end
        self._begin = 0  # offset in `sent` of what was not returned yet
        self._generation = 0.0  # second at which the sound of the present sentence begins
        self._last: list[int] = []  # marks up to the end of each sentence that was spoken

    def expect(self, text: str) -> str:
        """Append a sentence, and return it as the service gets it: with a blank at its end."""
        sent, added = with_stops(plain(text))
        if not sent.endswith(" "):
            sent, added = f"{sent} ", added | {len(sent)}
        self._append(text, sent, added)
        self._ends.append(len(self._sent))
        return sent

    @property
    def waiting(self) -> int:
        """Sentences that were sent, and whose characters are not all there."""
        return sum(end > self._place for end in self._ends)

    @property
    def unsaid(self) -> bool:
        """Whether something was sent that was not returned yet."""
        return self._told < len(self._text)

    @property
    def complete(self) -> bool:
        """Whether the sound of everything that was sent is there, as far as the times of the characters show it."""
        enough = not self._marks or self._marks[-1].end <= self._received / 2 / RATE
        return self.unsaid and self._timed and enough and not any(map(speakable, self._sent[self._place :]))

    @property
    def patience(self) -> float | None:
        """Seconds of silence after which no more sound of what was sent will come; None if more must come."""
        if self.complete:
            return SETTLES
        unknown = not self._timed or self._place == self._begin or self._share >= ENOUGH
        return SETTLES_UNTIMED if self.unsaid and self._pcm and unknown else None

    @property
    def ends_in_silence(self) -> bool:
        """Whether the last sound is silence in which the mouth can close."""
        whole = len(self._pcm) // 2 * 2
        end = np.frombuffer(bytes(self._pcm[max(0, whole - 2 * round(CLOSES * RATE)) : whole]), "<i2")
        return _closes(end.astype(np.float32) / 32768)

    def sentence(self) -> Speech | None:
        """Return the next sentence as soon as the one after it has begun, with silence at its end."""
        sentence = super().sentence()
        return sentence and _with_silence(sentence)

    def _break(self, before: int, after: int) -> float:
        """Return how long a pause between two letters must be to be cut; any will do between two sentences."""
        return 0.0 if any(before < end <= after for end in self._last) else BREAK

    def add(self, audio: str | None, alignment: Any) -> None:
        """Take one message of the socket; some of them have no times.

        Raises:
            SpeechFailed: Its sound cannot be decoded.
        """
        before = self._received / 2 / RATE
        if self._place in self._ends:
            self._generation = before
        self._hear(audio)
        if not isinstance(alignment, dict):
            return
        starts, lengths = alignment.get("charStartTimesMs"), None
        for name in ("charDurationsMs", "charsDurationsMs"):  # as it is documented, and as it was
            lengths = alignment.get(name) if lengths is None else lengths
        chunk = _timed_characters(alignment.get("chars"), starts, lengths)
        if chunk is None or not self._follows(chunk, before):
            self._timed = False

    def _follows(self, chunk: list[Timed], before: float) -> bool:
        """Take characters; return False if they are not those that come next."""
        if not chunk:
            return True
        # whether times count from the message, the sentence or the stream is not documented: characters follow each
        # other without a gap, so the right one continues those before
        last = max(self._marks[-1].end if self._marks else 0.0, self._given[0] / 2 / RATE)
        base = min((before, self._generation, 0.0), key=lambda base: abs(base + chunk[0][1] - last))
        for character, start, length in chunk:
            if character != self._sent[self._place : self._place + len(character)]:
                if not character.strip():
                    continue  # the blank with which a connection begins
                while self._sent[self._place : self._place + 1].isspace():
                    self._advance(self._sent[self._place], base + start, base + start)
                if character != self._sent[self._place : self._place + len(character)]:
                    return False
            self._advance(character, base + start, base + start + length)
        return True

    def _advance(self, character: str, start: float, end: float) -> None:
        place, self._place = self._place, self._place + len(character)
        if place not in self._added:
            self._mark(character, start, end)
        if self._place in self._ends:
            self._last.append(len(self._marks))

    @property
    def _share(self) -> float:
        """Share of the letters that were not returned yet that have a time."""
        letters, timed = (sum(map(speakable, self._sent[self._begin : end])) for end in (len(self._sent), self._place))
        return timed / max(letters, 1)

    def rest(self) -> Speech:
        """Return everything that was not returned yet, with silence at its end; without marks if some are missing.

        Raises:
            SpeechFailed: Sound is missing.
        """
        if not self._pcm:
            raise unusable(messages.tts.ELEVENLABS_REPLY_EMPTY())
        if self._received % 2:
            raise unusable(messages.tts.ELEVENLABS_REPLY_CUT_OFF())
        if self._timed and self._place > self._begin:
            ends = self._marks[-1].end if self._marks else 0.0
            if self._share < ENOUGH or ends > self._received / 2 / RATE + SLACK:
                raise unusable(messages.tts.ELEVENLABS_REPLY_PARTLY_READABLE())
        speech = self._take(self._received, len(self._marks))
        self._begin = self._place = len(self._sent)
        self._timed = True
        return _with_silence(speech)


def _closes(samples: np.ndarray) -> bool:
    """Return whether a sound ends in silence in which the mouth can close."""
    end = samples[-round(CLOSES * RATE) :]
    return len(end) >= round(CLOSES * RATE) and bool(np.abs(end).max() < QUIET)


def _with_silence(speech: Speech) -> Speech:
    """Return speech that ends in silence."""
    return speech if _closes(speech.samples) else joined([speech, silence(CLOSES, speech)])


def _timed_characters(characters: Any, starts: Any, lengths: Any) -> list[Timed] | None:
    """Return the characters of an alignment of the socket, each with its start and length (s); None if it is broken."""
    try:
        chunk = [
            (str(character), float(start) / 1000, max(float(length), 0.0) / 1000)
            for character, start, length in zip(characters, starts, lengths, strict=True)
        ]
    except (TypeError, ValueError):
        return None
    return chunk if all(character and math.isfinite(start + length) for character, start, length in chunk) else None
