"""Captions of a video: WebVTT with the time of every word, written while the speech is made.

https://www.w3.org/TR/webvtt1/
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline import messages
from pipeline.core.growing_file import GrowingText
from pipeline.errors import RenderFailed
from pipeline.speech_types import Mark
from pipeline.text.language import LINE_BREAK, LINE_BREAKS

MAX_WIDTH = 42
"""Columns of a cue, the usual length of a line of subtitles; Hangul, kana and Han take two each."""
PAUSE = 0.3
"""Seconds of silence that always end a cue."""
LINGER = 0.5
"""Seconds that a cue stays after its last sound if no other cue follows."""
_SENTENCE_END = ".!?…。！？"
_CLAUSE_END = ",;:、，；："
_CLOSING = "\"'”’)]」』）》"
"""What may stand between the end of a sentence or clause and the blank."""


@dataclass(frozen=True)
class Cue:
    """A caption on the screen from `start` to `end` (seconds): words with their times, in order."""

    start: float
    end: float
    words: tuple[Mark, ...]

    @property
    def text(self) -> str:
        """Its words, as they are shown."""
        return " ".join("".join(word.text for word in self.words).split())

    def to_vtt(self) -> str:
        """Return the cue as WebVTT; every word but the first carries its own time."""
        now, end = _timestamp(self.start), _timestamp(self.end)
        text = ""
        for word in self.words:
            time = _timestamp(word.start)
            if now < time < end:  # a time lies inside the cue, after the one before
                text += f"<{time}>"
                now = time
            text += _escaped(word.text)
        return f"{_timestamp(self.start)} --> {end}\n{' '.join(text.split())}\n\n"


def srt_of(vtt: str) -> str:
    """Return captions as SubRip, without the times of single words.

    Args:
        vtt: What a `CaptionWriter` has written.
    """
    found = []
    for number, (times, text) in enumerate(_plain_cues(vtt), 1):
        start, _, end = (f"00:{time}"[-12:].replace(".", ",") for time in times.split(" "))
        found.append(f"{number}\n{start} --> {end}\n{text}\n")
    return "\n".join(found)


def text_of(vtt: str) -> str:
    """Return the text of captions that a `CaptionWriter` has written, in one line."""
    return " ".join(text for _, text in _plain_cues(vtt))


def cues_of(words: Iterable[Mark], until: float) -> list[Cue]:
    """Return words as cues of one clause or more.

    A cue ends with a sentence, with a line and in a pause. It ends with a clause if the next one does not fit into
    `MAX_WIDTH`. A clause that is wider is cut into parts of about the same width.

    Args:
        words: Marks in order; their texts include the blanks between words.
        until: Time at which the last cue ends at the latest, in seconds.
    """
    groups = list(_groups([line for word in words for line in _lines_of(word)]))
    starts = [*(group[0].start for group in groups[1:]), until][: len(groups)]
    return [
        Cue(group[0].start, max(min(group[-1].end + LINGER, start), group[0].start + 0.001), tuple(group))
        for group, start in zip(groups, starts, strict=True)
    ]


class CaptionWriter(GrowingText):
    """A WebVTT file that grows sentence by sentence; use it as a context manager.

    Raises:
        RenderFailed: The disk is full.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, messages.video.CAPTIONS_FILE())

    def __enter__(self) -> CaptionWriter:
        super().__enter__()
        try:
            self.write("WEBVTT\n\n")
        except RenderFailed as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def add(self, words: Iterable[Mark], begin: float, until: float) -> list[Cue]:
        """Append words, and return them as cues.

        Args:
            words: Marks whose times count from `begin`.
            begin: Where in the video they begin, in seconds.
            until: Time at which the last cue ends at the latest, in seconds.
        """
        cues = cues_of([word.later(begin) for word in words], until)
        self.write("".join(cue.to_vtt() for cue in cues))
        return cues


def _plain_cues(vtt: str) -> Iterator[tuple[str, str]]:
    """Yield times and text of each cue, without the times of single words."""
    for block in vtt.split("\n\n")[1:]:
        times, line, text = block.partition("\n")
        if line:
            yield times, html.unescape(re.sub("<[^>]*>", "", text)).strip()


def _groups(words: list[Mark]) -> Iterator[list[Mark]]:
    """Yield the words of each cue."""
    group: list[Mark] = []
    for clause, before in _clauses(words):
        if group and (before or _width([*group, *clause]) > MAX_WIDTH):
            yield group
            group = []
        *parts, last = _in_parts(clause)
        yield from parts
        group += last
    if group:
        yield group


def _lines_of(word: Mark) -> list[Mark]:
    """Split a mark that spans several lines; each line gets the share of the time that its letters have."""
    lines = re.findall(rf".+?(?:{LINE_BREAK.pattern}|\Z)", word.text, re.DOTALL) or [word.text]
    ends = [sum(map(len, lines[:number])) / max(1, len(word.text)) for number in range(1, len(lines))]
    times = [word.start, *(word.start + end * (word.end - word.start) for end in ends), word.end]
    return [Mark(word.kind, line, *span) for line, span in zip(lines, pairwise(times), strict=True)]


def _ends_line(text: str) -> bool:
    return any(letter in LINE_BREAKS for letter in text[len(text.rstrip()) :])


def _clauses(words: list[Mark]) -> Iterator[tuple[list[Mark], bool]]:
    """Yield the words of each clause, and whether it begins a sentence or follows a pause."""
    clause: list[Mark] = []
    first = True
    for word, after in pairwise([*words, None]):
        assert word is not None
        clause.append(word)
        end = word.text.rstrip().rstrip(_CLOSING)[-1:] or " "  # a word of blanks and quotes ends nothing
        ends_sentence = (
            after is None or end in _SENTENCE_END or after.start - word.end >= PAUSE or _ends_line(word.text)
        )
        if ends_sentence or end in _CLAUSE_END:
            yield clause, first
            clause, first = [], ends_sentence


def _in_parts(clause: list[Mark]) -> list[list[Mark]]:
    """Split a clause into as few parts as fit, of about the same width."""
    whole = max(1, _width(clause))  # 0 for marks of width 0
    for count in range(math.ceil(whole / MAX_WIDTH), len(clause)):
        parts: list[list[Mark]] = [[] for _ in range(count)]
        for number, word in enumerate(clause):
            middle = _width(clause[:number]) + _width([word]) / 2
            parts[min(int(middle * count / whole), count - 1)].append(word)
        parts = [part for part in parts if part]
        if max(map(_width, parts)) <= MAX_WIDTH:
            return parts
    parts = [[]]
    for word in clause:  # one of them is too wide
        if parts[-1] and _width([*parts[-1], word]) > MAX_WIDTH:
            parts.append([])
        parts[-1].append(word)
    return parts


def _width(words: list[Mark]) -> int:
    """Return how many columns the words take."""
    text = "".join(word.text for word in words).strip()
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _timestamp(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
