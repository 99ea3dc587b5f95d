"""What is said of a text, phrase by phrase: SSML and pronunciations in words that every voice can read.

The phrases keep the text as it is written, which captions show, beside what is spoken for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline import messages
from pipeline.errors import BadRequest
from pipeline.speech_types import Mark
from pipeline.text import ssml
from pipeline.text.cues import Cue, found, letters_of, marked, without_cues
from pipeline.text.ipa import UnknownSound, spelled
from pipeline.text.korean_numbers import native, sino
from pipeline.text.korean_numbers import spelled as digit_by_digit
from pipeline.text.korean_words import LETTERS
from pipeline.text.language import language_of, speakable
from pipeline.text.markup import spoken_with_cues
from pipeline.text.piece import Piece
from pipeline.text.pronunciations import Pronunciations

_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]


@dataclass(frozen=True)
class Phrase:
    """A part of a text that is said in one manner.

    Attributes:
        pieces: The part, without gaps: what is written, and what is spoken for it.
        rate: How fast, 1 is the usual speed of the request.
        gain: By how many dB it is louder.
        pause: Seconds of silence after it.
    """

    pieces: tuple[tuple[str, str], ...]
    rate: float = 1.0
    gain: float = 0.0
    pause: float = 0.0

    @property
    def written(self) -> str:
        """The part as captions show it."""
        return "".join(written for written, _ in self.pieces)

    @property
    def spoken(self) -> str:
        """What a voice speaks for it."""
        return "".join(spoken for _, spoken in self.pieces)


def plain_phrase(text: str) -> Phrase:
    """Return a text that is spoken as it is written."""
    return Phrase(((text, text),))


def is_plain(phrases: Sequence[Phrase]) -> bool:
    """Return whether phrases are one, which is said in the usual manner."""
    return len(phrases) == 1 and phrases[0].rate == 1 and not phrases[0].gain and not phrases[0].pause


@dataclass(frozen=True)
class Script:
    """What is said of a text.

    Attributes:
        phrases: In order; their texts joined are the text.
        cues: The stage directions in it, in letters of what is spoken.
        language: Of the text, as eSpeak NG calls it; "" if it has no words.
    """

    phrases: tuple[Phrase, ...]
    cues: tuple[Cue, ...]
    language: str

    @property
    def written(self) -> str:
        """The text as captions show it."""
        return "".join(phrase.written for phrase in self.phrases)

    @property
    def spoken(self) -> str:
        """The text as it is spoken."""
        return "".join(phrase.spoken for phrase in self.phrases)


def script_of(
    text: str,
    asked: str | None = None,
    pronunciations: Pronunciations | None = None,
    document: bool | None = None,
) -> Script:
    """Return what is said of a text.

    Args:
        text: SSML, or a text, whose Markdown and emoji are left out.
        asked: The language that the request names, as eSpeak NG calls it.
        pronunciations: What is spoken for some of its words.
        document: Whether it is SSML; by default it is if it begins with ``<speak>``.

    Raises:
        BadRequest: Its SSML is not well formed, or has what cannot be used.
    """
    runs: list[ssml.Run | ssml.Break]
    if ssml.is_ssml(text) if document is None else document:
        runs, cues = _runs(ssml.parse(text))
    else:
        written, cues = spoken_with_cues(text)
        runs = [ssml.Run(written)]
    words = "".join(run.text for run in runs if isinstance(run, ssml.Run))
    language = language_of(words, asked) if speakable(words) else ""
    phrases = tuple(_phrases(runs, language, pronunciations or Pronunciations()))
    if any(written != spoken for phrase in phrases for written, spoken in phrase.pieces):
        pieces = [piece for phrase in phrases for piece in phrase.pieces]
        starts, ends = (_letters(pieces, [getattr(cue, end) for cue in cues]) for end in ("start", "end"))
        cues = tuple(replace(cue, start=start, end=end) for cue, start, end in zip(cues, starts, ends, strict=True))
    return Script(phrases, cues, language)


def _runs(parts: Sequence[ssml.Run | ssml.Break]) -> tuple[list[ssml.Run | ssml.Break], tuple[Cue, ...]]:
    """Return the parts of a document without blanks at its ends and without cues, and its cues."""
    texts = [part.text for part in parts if isinstance(part, ssml.Run)]
    whole = "".join(texts)
    lead, tail = len(whole) - len(whole.lstrip()), len(whole.rstrip())
    cues = found(marked(whole.strip()), without_cues(whole.strip()))
    runs: list[ssml.Run | ssml.Break] = []
    at, blank = 0, True
    for part in parts:
        if isinstance(part, ssml.Break):
            runs.append(part)
            continue
        start, end = max(lead - at, 0), max(tail - at, 0)
        at += len(part.text)
        text = re.sub(" {2,}", " ", without_cues(part.text[start:end]))
        text = text.lstrip() if blank else text  # a blank before an element, and one at its beginning, are one
        blank = text[-1:].isspace() if text else blank
        if text:
            runs.append(replace(part, text=text))
    return runs, cues


def _letters(pieces: Iterable[tuple[str, str]], letters: Sequence[int]) -> list[int]:
    """Return letters of what is written as letters of what is spoken."""
    bounds = [(0, 0)]
    for written, spoken in pieces:
        before = bounds[-1]
        bounds.append((before[0] + letters_of(written), before[1] + letters_of(spoken)))
        if written == spoken:
            continue
    places = []
    for letter in letters:
        number = max(index for index, (start, _) in enumerate(bounds) if start <= letter)
        start, spoken_start = bounds[number]
        room = (bounds[number + 1][1] - spoken_start) if number + 1 < len(bounds) else 0
        places.append(spoken_start + min(letter - start, room))
    return places


def _phrases(runs: Iterable[ssml.Run | ssml.Break], language: str, pronunciations: Pronunciations) -> Iterator[Phrase]:
    """Yield the phrases of runs; what has no letter belongs to the phrase before it."""
    open_: Phrase | None = None
    for run in runs:
        if isinstance(run, ssml.Break):
            open_ = open_ or Phrase(())
            open_ = replace(open_, pause=open_.pause + run.seconds)
            continue
        if open_ is not None and open_.pieces and not open_.pause and not run.kind:
            goes_on = re.match(r"\S+\s*", run.text) if not open_.written[-1:].isspace() else None
            if goes_on:  # the end of a word, such as a particle, is said with its beginning
                head = tuple(_pieces(replace(run, text=goes_on[0]), language, pronunciations))
                open_ = replace(open_, pieces=(*open_.pieces, *head))
                run = replace(run, text=run.text[goes_on.end() :])
        if not run.text:
            continue
        pieces = tuple(_pieces(run, language, pronunciations))
        alike = open_ is not None and open_.rate == run.rate and open_.gain == run.gain and not open_.pause
        wordless = not speakable("".join(spoken for _, spoken in pieces))
        if open_ is not None and (alike or (wordless and open_.pieces)):
            open_ = replace(open_, pieces=(*open_.pieces, *pieces))
        elif open_ is not None and not speakable(open_.spoken) and not open_.pause:
            open_ = Phrase((*open_.pieces, *pieces), run.rate, run.gain)
        else:
            if open_ is not None:
                yield open_
            open_ = Phrase(pieces, run.rate, run.gain)
    if open_ is not None:
        yield open_


def _pieces(run: ssml.Run, language: str, pronunciations: Pronunciations) -> Iterator[tuple[str, str]]:
    """Yield the text of a run in pieces: what is written, and what is spoken."""
    if run.kind:
        yield run.text, _spoken(run, language)
        return
    at = 0
    for piece in pronunciations.in_text(run.text, language):
        if piece.start > at:
            yield run.text[at : piece.start], run.text[at : piece.start]
        yield run.text[piece.start : piece.end], piece.spoken
        at = piece.end
    if at < len(run.text):
        yield run.text[at:], run.text[at:]


def _spoken(run: ssml.Run, language: str) -> str:
    """Return what is spoken for the words of an element."""
    words = run.text.strip()
    match run.kind:
        case "sub":
            spoken = run.as_
        case "phoneme":
            try:
                spoken = spelled(run.as_, language)
            except UnknownSound as error:
                raise BadRequest(messages.text.SSML_SOUND_UNKNOWN(sound=error.letter)) from error
        case "characters" | "spell-out":
            spoken = _characters(words, language)
        case "digits":
            spoken = _digits(words, language)
        case "telephone":
            spoken = ", ".join(_digits(group, language) for group in re.findall(r"\d+", words)) or words
        case "cardinal":
            spoken = _cardinal(words, language)
        case "ordinal":
            spoken = _ordinal(words, language)
        case "date":
            spoken = _date(words, language, run.as_)
        case _:
            spoken = words  # times are read by themselves
    blank = run.text[len(run.text.rstrip()) :]
    return (spoken.strip() or words) + blank


def _digits(words: str, language: str) -> str:
    """Return digits one by one; anything between them stays."""

    def named(found: re.Match[str]) -> str:
        return digit_by_digit(found[0]) if language == "ko" else " ".join(found[0])

    return re.sub(r"[0-9]+", named, words)


def _characters(words: str, language: str) -> str:
    def named(letter: str) -> str:
        if language != "ko":
            return letter.upper() if len(letter.upper()) == 1 else letter
        return LETTERS.get(letter.upper(), digit_by_digit(letter) if letter.isascii() and letter.isdigit() else letter)

    return " ".join(named(letter) for letter in words if letter.isalnum())


def _cardinal(words: str, language: str) -> str:
    number = re.fullmatch(r"([-−+]?)(\d[\d,]*(?:\.\d+)?)", words)
    if number is None or language != "ko":
        return words
    return ("마이너스 " if number[1] in ("-", "−") else "") + sino(number[2].lstrip("0") or "0")


def _ordinal(words: str, language: str) -> str:
    number = re.match(r"\d{1,12}", words)
    if number is None:
        return words
    count = int(number[0])
    if language == "ko":
        counted = "첫" if count == 1 else native(count) if 1 < count < 100 else sino(str(count))
        return f"{counted} 번째"
    if language.startswith("en"):
        ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
        return f"{count}{ending}"
    return f"{count}."


def _date(words: str, language: str, order: str) -> str:
    """Return a date of digits as it is read; the year comes first if it has four digits."""
    parts = re.findall(r"\d+", words)
    if len(parts) != 3:
        return words
    order = order or ("ymd" if len(parts[0]) == 4 else "mdy" if language == "en-us" else "dmy")
    named = {part: int(number) for part, number in zip(order, parts, strict=True)}
    year, month, day = named["y"], named["m"], named["d"]
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return words
    if language == "ko":
        return f"{year}년 {month}월 {day}일"
    return f"{_MONTHS[month - 1]} {day}, {year}" if language.startswith("en") else words


@dataclass(frozen=True)
class WrittenPart:
    """A stretch of a text as it is written.

    Attributes:
        text: Its characters.
        words: Returns the words that are spoken in it as they are written: words that are spoken for one written word
            become that word, from the first to the last of them.
    """

    text: str
    words: Callable[[Sequence[Mark]], tuple[Mark, ...]]


class Written:
    """Gives a text back as it is written while it is spoken. Without phrases, all is as it is spoken.

    Args:
        phrases: What is spoken; more may be added.
    """

    def __init__(self, phrases: Iterable[Phrase] = ()) -> None:
        self._pieces: list[Piece] = []  # of the texts: where a written piece stands, and what is spoken for it
        self._text = self._whole = ""
        self._spoken = 0
        self._differs = False
        for phrase in phrases:
            self.add(phrase)

    def add(self, phrase: Phrase) -> None:
        """Append what will be spoken next."""
        for written, spoken in phrase.pieces:
            self._pieces.append(Piece(len(self._text), len(self._text) + len(written), spoken))
            self._text += written
            self._whole += spoken
            self._differs |= written != spoken

    def next(self, spoken: str) -> WrittenPart:
        """Return the next characters of what is spoken as they are written, and go on behind them.

        A voice may leave out the blanks between its sentences.
        """
        start = self._spoken
        if not spoken[:1].isspace():
            start += len(self._whole[start:]) - len(self._whole[start:].lstrip())
        self._spoken = start + len(spoken)
        if not self._differs:
            return WrittenPart(spoken, tuple)
        text = self._text[self._place(start)[0] : self._place(self._spoken)[0]]
        return WrittenPart(text, lambda words: self._words(words, start))

    def _words(self, words: Sequence[Mark], at: int) -> tuple[Mark, ...]:
        found: list[Mark] = []
        for word in words:
            start, within = self._place(at)
            at += len(word.text)
            text = self._text[start : self._place(at)[0]]
            if (within or not text.strip()) and found:
                found[-1] = replace(found[-1], text=found[-1].text + text, end=max(found[-1].end, word.end))
            else:
                found.append(replace(word, text=text))
        return tuple(found)

    def _place(self, spoken: int) -> tuple[int, bool]:
        """Return where in what is written a character of what is spoken stands, and whether it is within a piece.

        A piece that is spoken differently stands for its first character; the others stand behind it.
        """
        for piece in self._pieces:
            if spoken < len(piece.spoken):
                if self._text[piece.start : piece.end] == piece.spoken:
                    return piece.start + spoken, False
                return (piece.end, True) if spoken else (piece.start, False)
            spoken -= len(piece.spoken)
        return len(self._text), False
