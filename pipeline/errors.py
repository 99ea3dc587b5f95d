"""One tree of errors; each knows its HTTP status and whether trying again may help.

    PipelineError                500  something inside went wrong
    ├── BadRequest               400  a field of the request is missing, of the wrong type or out of range
    │   ├── NothingToSay         400  the text holds nothing that can be spoken
    │   └── BadPack              400  an avatar pack is cut short, not ours, or carries code
    ├── BadClip                  400  a clip or photo cannot become an avatar
    ├── NotAllowed               401  the server asks for a key, and none of its keys came with the request
    ├── Forbidden                403  an avatar that belongs to the program is not deleted by anybody
    ├── NotFound                 404  no such avatar, resolution, task or file
    ├── TooSlow                  408  the body of a request does not come in time
    ├── Conflict                 409  an Idempotency-Key came before, with another request; an avatar's name is taken
    ├── Unavailable              503  a speech or lipsync engine cannot work now (no key, no weights, busy)
    │   └── QueueFull            503  too many tasks wait already
    ├── SpeechFailed             500  the speech engine answered with something that cannot be used
    ├── RenderFailed             500  the video could not be made
    ├── TookTooLong              500  a task was stopped since it took longer than is allowed
    └── Cancelled                503  the task was cancelled by its owner

Messages come in Korean and English, since the people who read them do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self
from unicodedata import bidirectional, category

_NOT_SHOWN = ("Cc", "Cs", "Zl", "Zp")
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
Language = Literal["ko", "en"]


@dataclass(frozen=True)
class Message:
    """One sentence for people, in Korean and English."""

    ko: str
    en: str

    def in_language(self, language: Language) -> str:
        """Return the sentence in LANGUAGE."""
        return self.en if language == "en" else self.ko


def printable(text: str) -> str:
    """Return TEXT, which may hold a file's name or what a client sent, with escapes for what cannot be shown or sent.

    These are control characters, line ends of Unicode's own, lone surrogates, and what turns the direction of writing.
    """
    return "".join(
        f"\\u{ord(one):04x}" if category(one) in _NOT_SHOWN or bidirectional(one) in _TURNING else one for one in text
    )


class PipelineError(Exception):
    """Something inside went wrong; the base of all errors that this project raises on purpose."""

    status = 500
    retryable = False

    def __init__(self, ko: str, en: str) -> None:
        self.message = Message(printable(ko), printable(en))
        super().__init__(self.message.en)

    def afresh(self) -> Self:
        """Return the same error as if nobody had raised it yet: to be kept, or raised again.

        One that was raised holds all frames that it passed, with the encoders, decoders and pictures in them.
        """
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


class BadRequest(PipelineError):
    """A field of the request is missing, of the wrong type or out of range; the message names the field."""

    status = 400


class NothingToSay(BadRequest):
    """The text holds nothing that can be spoken ("...", emoji only)."""


class BadPack(BadRequest):
    """An avatar pack is cut short, not ours, or carries code; nothing of it was run."""


class BadClip(PipelineError):
    """A clip or photo cannot become an avatar: unreadable, too short or long, or without a face."""

    status = 400


class NotAllowed(PipelineError):
    """The server asks for a key, and none of its keys came with the request."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "API 키가 필요합니다. 요청에 Authorization: Bearer <키> 헤더를 넣으세요.",
            "An API key is needed. Send it in the header Authorization: Bearer <key>.",
        )


class Forbidden(PipelineError):
    """An avatar that came with the program, or that its owner put there, is not deleted by anybody."""

    status = 403


class TooSlow(PipelineError):
    """The body of a request does not come in time."""

    status = 408
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "요청 본문이 너무 느리게 오거나 끊겼습니다. 연결을 확인하고 다시 보내세요.",
            "The body of the request comes too slowly, or has stopped. Check the connection, and send it again.",
        )


class Conflict(PipelineError):
    """An Idempotency-Key came before, with another request; or there is an avatar of that name already."""

    status = 409


class NotFound(PipelineError):
    """There is no such avatar, resolution, task or file."""

    status = 404


class Unavailable(PipelineError):
    """A speech or lipsync engine cannot work now: no key, no weights, no quota, or too busy."""

    status = 503
    retryable = True


class QueueFull(Unavailable):
    """Too many tasks wait already; RETRY_AFTER (s) is when to come back."""

    def __init__(self, ko: str, en: str, retry_after: int) -> None:
        super().__init__(ko, en)
        self.retry_after = retry_after


class SpeechFailed(PipelineError):
    """The speech engine answered with something that cannot be used, or broke off."""

    retryable = True


class RenderFailed(PipelineError):
    """The video could not be made: the disk is full, the encoder failed, the pack's video is broken."""


class TookTooLong(PipelineError):
    """A task was stopped since it took longer than SECONDS, which is all that one may take."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"작업이 제한 시간 {seconds:g}초를 넘어 중단되었습니다. 글이나 영상을 나누어 요청하거나 서버의 "
            "MAX_SECONDS를 늘리세요.",
            f"The task took longer than {seconds:g} s and was stopped. Split the text or clip up, or raise MAX_SECONDS "
            "on the server.",
        )


class Cancelled(PipelineError):
    """The task was cancelled by its owner."""

    status = 503

    def __init__(self) -> None:
        super().__init__("작업이 취소되었습니다.", "The task was cancelled.")
