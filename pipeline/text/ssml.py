"""A safe part of SSML (W3C Speech Synthesis Markup Language 1.1): what a text beginning with ``<speak>`` may hold.

Expat, of the standard library, reads it: a document type is refused when it begins, so that there are no entities but
the five of XML, nothing to expand and nothing to fetch, and no dependency is needed for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from xml.parsers import expat

from pipeline import messages
from pipeline.errors import BadRequest

TAGS = ("speak", "break", "say-as", "sub", "phoneme", "emphasis", "prosody")
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "break": ("time", "strength"),
    "say-as": ("interpret-as", "format", "detail"),
    "sub": ("alias",),
    "phoneme": ("alphabet", "ph"),
    "emphasis": ("level",),
    "prosody": ("rate",),
}
SAY_AS = ("characters", "spell-out", "digits", "telephone", "cardinal", "ordinal", "date", "time")
FORMATS = ("ymd", "mdy", "dmy")
STRENGTHS = {"none": 0.0, "x-weak": 0.15, "weak": 0.25, "medium": 0.5, "strong": 0.75, "x-strong": 1.2}
"""Seconds of the pauses that have a name."""
LONGEST_BREAK = 10.0
"""Seconds of a pause."""
MOST_SILENCE = 120.0
"""Seconds of all pauses of a document."""
RATES = {"x-slow": 0.7, "slow": 0.85, "medium": 1.0, "default": 1.0, "fast": 1.15, "x-fast": 1.3}
LEAST_RATE, MOST_RATE = 0.5, 2.0
LEVELS = {"reduced": (1.06, -3.0), "none": (1.0, 0.0), "moderate": (0.95, 2.0), "strong": (0.88, 4.0)}
"""What emphasis does: how fast its words are, and by how many dB they are louder."""
_BEGIN = re.compile(r"[\s\ufeff]*(?:<\?xml[^>]{0,200}\?>\s*)?<speak[\s/>]")
_TIME = re.compile(r"\+?(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})(ms|s)")
_PERCENT = re.compile(r"([+-]?)(\d{1,4}(?:\.\d{1,4})?)%")


@dataclass(frozen=True)
class Run:
    """Words of a document.

    Attributes:
        text: As they are written, with single blanks.
        kind: What says how they are spoken: nothing, the name in a ``<say-as>``, "sub" or "phoneme".
        as_: What is spoken in their place ("sub"), phonemes ("phoneme"), or the order of a date.
        rate: How fast, 1 is usual.
        gain: By how many dB they are louder.
    """

    text: str
    kind: Literal["", "sub", "phoneme"] | str = ""
    as_: str = ""
    rate: float = 1.0
    gain: float = 0.0


@dataclass(frozen=True)
class Break:
    """A pause, in seconds."""

    seconds: float


def is_ssml(text: str) -> bool:
    """Return whether a text begins as SSML does; any other is a plain text, whatever stands in it."""
    return _BEGIN.match(text) is not None


def parse(text: str) -> list[Run | Break]:
    """Return what a document says, in order.

    Raises:
        BadRequest: It is not well formed, or has tags, attributes or values that cannot be used; the message names
            them.
    """
    _check_tags(text)
    reader = _Reader()
    _read(text, reader.start, reader.end, reader.say)
    silent = sum(part.seconds for part in reader.found if isinstance(part, Break))
    if silent > MOST_SILENCE:
        raise BadRequest(messages.text.SSML_SILENT(seconds=silent, limit=MOST_SILENCE))
    return reader.found


def _check_tags(text: str) -> None:
    """Refuse all unsupported tags in one error, so that you need not find them one by one."""
    unknown: dict[str, None] = {}

    def start(tag: str, _: dict[str, str]) -> None:
        if tag not in TAGS:
            unknown[f"<{tag}>"] = None

    _read(text, start, lambda _: None, lambda _: None)
    if unknown:
        choices = ", ".join(f"<{tag}>" for tag in TAGS)
        raise BadRequest(messages.text.SSML_TAGS_UNKNOWN(tags=", ".join([*unknown][:10])[:200], choices=choices))


def _read(text: str, start: object, end: object, say: object) -> None:
    text = text.lstrip("\ufeff \t\r\n").rstrip()  # a mark of byte order is no text
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start  # type: ignore[assignment]  # as typeshed has it, any callable
    parser.EndElementHandler = end  # type: ignore[assignment]
    parser.CharacterDataHandler = say  # type: ignore[assignment]
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(re.sub(r"\A<\?xml[^>]*\?>", "", text).encode(), True)
    except expat.ExpatError as error:
        reason = expat.errors.messages.get(error.code, "syntax error")
        raise BadRequest(
            messages.text.SSML_BROKEN(line=error.lineno, column=error.offset + 1, reason=reason)
        ) from error


def _refuse_doctype(*_: object) -> None:
    raise BadRequest(messages.text.SSML_DOCTYPE())


@dataclass
class _Reader:
    """Collects what a document says."""

    found: list[Run | Break] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _voices: list[tuple[float, float]] = field(default_factory=lambda: [(1.0, 0.0)])
    """Rate and gain of the elements that are open."""
    _kind: str = ""
    _as: str = ""
    _text: str = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        outer = self._open[-1] if self._open else ""
        if outer in ("break", "say-as", "sub", "phoneme") or (tag == "speak" and outer):
            raise BadRequest(messages.text.SSML_NESTED(inner=tag, outer=outer))
        self._emit()
        self._open.append(tag)
        if tag != "speak":
            _check_attributes(tag, attributes)
        rate, gain = self._voices[-1]
        match tag:
            case "break":
                self.found.append(Break(_pause(attributes)))
            case "say-as":
                self._kind = _one_of(tag, "interpret-as", attributes.get("interpret-as", ""), SAY_AS)
                self._as = attributes.get("format", "")
                if self._kind == "date" and self._as:
                    _one_of(tag, "format", self._as, FORMATS)
            case "sub":
                self._kind, self._as = "sub", attributes.get("alias", "")
                if not any(map(str.isalnum, self._as)):
                    raise _refused(tag, "alias", self._as, "alias=...")
            case "phoneme":
                _one_of(tag, "alphabet", attributes.get("alphabet", "ipa"), ("ipa",))
                self._kind, self._as = "phoneme", attributes.get("ph", "")
                if not any(map(str.isalpha, self._as)):
                    raise _refused(tag, "ph", self._as, 'ph="ˈsiːkwəl"')
            case "emphasis":
                level = _one_of(tag, "level", attributes.get("level", "moderate"), LEVELS)
                rate, gain = rate * LEVELS[level][0], gain + LEVELS[level][1]
            case "prosody":
                rate *= _rate(attributes.get("rate", "medium"))
        self._voices.append((rate, gain))

    def end(self, _: str) -> None:
        """Take the end of an element."""
        self._emit()
        self._open.pop()
        self._voices.pop()
        self._kind = self._as = ""

    def say(self, text: str) -> None:
        """Take a text within an element."""
        if self._open[-1] == "break":
            if text.strip():
                raise BadRequest(messages.text.SSML_NESTED(inner=text.strip()[:20], outer="break"))
            return
        self._text += text

    def _emit(self) -> None:
        text, self._text = re.sub(r"\s+", " ", self._text), ""
        if text:
            self.found.append(Run(text, self._kind, self._as, *self._voices[-1]))


def _check_attributes(tag: str, attributes: dict[str, str]) -> None:
    unknown = [name for name in attributes if name not in _ATTRIBUTES[tag]]
    if unknown:
        attributes_listed, choices = ", ".join(unknown)[:200], ", ".join(_ATTRIBUTES[tag])
        raise BadRequest(messages.text.SSML_ATTRIBUTES_UNKNOWN(tag=tag, attributes=attributes_listed, choices=choices))


def _one_of(tag: str, attribute: str, value: str, choices: Mapping[str, object] | tuple[str, ...]) -> str:
    if value not in choices:
        raise _refused(tag, attribute, value, ", ".join(choices))
    return value


def _refused(tag: str, attribute: str, value: str, choices: str) -> BadRequest:
    shown = f'"{value[:40]}"'
    return BadRequest(messages.text.SSML_ATTRIBUTE(tag=tag, attribute=attribute, value=shown, choices=choices))


def _pause(attributes: dict[str, str]) -> float:
    time = attributes.get("time")
    if time is None:
        return STRENGTHS[_one_of("break", "strength", attributes.get("strength", "medium"), STRENGTHS)]
    match = _TIME.fullmatch(time.strip())
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else LONGEST_BREAK + 1
    if seconds > LONGEST_BREAK:
        raise _refused("break", "time", time, f"0ms-{LONGEST_BREAK:g}s")
    return seconds


def _rate(value: str) -> float:
    """Return a rate: a name, "80%" of the usual one, "+20%" more than it, or "1.2" times as fast."""
    value = value.strip()
    percent = _PERCENT.fullmatch(value)
    if value in RATES:
        return RATES[value]
    if percent:
        share = float(percent[2]) / 100
        rate = {"": share, "+": 1 + share, "-": 1 - share}[percent[1]]
    else:
        rate = float(value) if re.fullmatch(r"\d{1,2}(?:\.\d{1,4})?", value) else 0.0
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise _refused("prosody", "rate", value, f"{', '.join(RATES)}, {LEAST_RATE:.0%}-{MOST_RATE:.0%}")
    return rate
