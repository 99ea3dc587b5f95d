"""All errors of the program; each has an HTTP status, a code for programs, and whether another try may help.

    PipelineError                500  internal_error          an internal error
    ├── BadRequest               400  field_invalid           a field is missing, of the wrong type or out of range
    │   ├── BadBody              400  body_invalid            the body is too large, or not what the address accepts
    │   ├── AvatarCannot         400  avatar_cannot           this avatar cannot do what a field asks for
    │   ├── NoConsent            400  consent_required        the consent of the person shown is not confirmed
    │   ├── NothingToSay         400  nothing_to_say          the text contains nothing to speak
    │   └── BadPack              400  avatar_file_invalid     a pack is truncated, of another format, or contains code
    ├── BadClip                  400  clip_unusable           a clip or photo cannot become an avatar
    ├── NotAllowed               401  key_required            the server needs a key, and the request has none of them
    │   ├── TokenExpired         401  token_expired           the token's time is over
    │   └── TokenInvalid         401  token_invalid           the token is forged, broken, or its key was removed
    ├── Forbidden                403  avatar_protected        an avatar of the program cannot be deleted
    │   ├── StrangeSite          403  origin_not_allowed      the request comes from a web site that is not allowed
    │   ├── UnknownName          403  host_not_allowed        the host name is not one of the server's
    │   ├── TokenWrongOrigin     403  token_wrong_origin      the token is for another web site
    │   ├── TokenWrongEndpoint   403  token_wrong_endpoint    the token is for other addresses
    │   ├── TokenWrongAvatar     403  token_wrong_avatar      the token is for another avatar
    │   └── TokenSpent           403  token_spent             the token's seconds of speech are used up
    ├── NotFound                 404  address_not_found       there is no such address
    │   ├── AvatarNotFound       404  avatar_not_found        there is no such avatar
    │   ├── ResolutionNotFound   404  resolution_not_found    the avatar has no such resolution
    │   ├── TaskNotFound         404  task_not_found          there is no such task, or it has ended
    │   ├── ResultNotFound       404  result_not_found        there is no such file, or it has expired
    │   ├── BackgroundNotFound   404  background_not_found    there is no such background, or it has expired
    │   ├── SessionNotFound      404  session_not_found       there is no such session, or it has ended by itself
    │   └── InterviewNotFound    404  interview_not_found     the session holds no interview, or there is no such answer
    ├── WrongMethod              405  method_not_allowed      the address does not support this HTTP method
    ├── TooSlow                  408  body_too_slow           the body of a request does not arrive in time
    ├── Conflict                 409  avatar_name_taken       an avatar of that name exists
    │   ├── KeyReused            409  idempotency_key_reused  an Idempotency-Key was used for another request
    │   ├── SessionClosed        409  session_closed          the session was deleted
    │   └── InterviewRuns        409  interview_runs          a session that holds an interview cannot chat meanwhile
    ├── Unavailable              503  engine_unavailable      a speech or lipsync engine cannot work now
    │   ├── Unwritable           503  disk_unavailable        the disk is full, or cannot be written to
    │   ├── TasksUnavailable     503  tasks_unavailable       what web servers share (Redis) does not answer now
    │   ├── LanguageModelUnavailable  503  language_model_unavailable  no model is set up, or it does not answer
    │   ├── TranscriptionUnavailable  503  transcription_unavailable   what the visitor said cannot be transcribed
    │   └── QueueFull            503  queue_full              too many tasks wait already
    │       └── SessionsFull     503  sessions_full           there is no room for another session
    ├── LanguageModelFailed      500  language_model_failed   the answer of the language model broke off, or is empty
    ├── SpeechFailed             500  speech_failed           the result of the speech engine cannot be used
    ├── RenderFailed             500  render_failed           the video could not be made
    ├── SessionFailed            500  session_failed          the process of a session ended
    ├── TookTooLong              500  time_limit_exceeded     a task took longer than allowed
    └── Cancelled                503  cancelled               the task was cancelled

Each has a message in Korean and English, from ``pipeline.messages``.
"""

from __future__ import annotations

from collections.abc import Iterator
from copyreg import __newobj__  # type: ignore[attr-defined]  # what pickle itself calls
from typing import Any, Self

from pipeline import messages
from pipeline.messages import Language, Message


class PipelineError(Exception):
    """An internal error; the base class of all errors that this project raises on purpose."""

    status = 500
    code = "internal_error"
    """The kind of error for programs; it never changes."""
    retryable = False

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(message.en)

    def to_json(self, language: Language) -> dict[str, Any]:
        """Return the fields of every reply and event of an error, with the sentence in a language."""
        return {"success": False, "error": self.message.in_language(language), "code": self.code}

    def to_line(self) -> dict[str, Any]:
        """Return the fields of the line with which a command tells a program of an error, in both languages."""
        sentences = {"ko": self.message.ko, "en": self.message.en}
        return {"error": sentences, "status": self.status, "code": self.code}

    def afresh(self) -> Self:
        """Return a copy that was never raised, to be kept or raised again.

        An error that was raised refers to all frames that it passed, with the encoders, decoders and pictures in them.
        """
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as it is: constructors of the classes below do not take the arguments that exceptions keep."""
        return __newobj__, (type(self), *self.args), self.__dict__


class BadRequest(PipelineError):
    """A field of the request is missing, of the wrong type or out of range; the message names the field."""

    code = "field_invalid"
    status = 400


class BadBody(BadRequest):
    """The body of a request is too large, or not what the address accepts."""

    code = "body_invalid"


class AvatarCannot(BadRequest):
    """What a field asks for is possible, but not with this avatar; the message begins with the field's name."""

    code = "avatar_cannot"


class NoConsent(BadRequest):
    """The request does not confirm that the person shown agreed to be made to speak."""

    code = "consent_required"


class NothingToSay(BadRequest):
    """The text contains nothing to speak ("...", emoji only)."""

    code = "nothing_to_say"


class BadPack(BadRequest):
    """An avatar pack is truncated, of another format, or contains code; no code of it was run."""

    code = "avatar_file_invalid"


class BadClip(PipelineError):
    """A clip or photo cannot become an avatar: unreadable, too short or long, or without a face."""

    code = "clip_unusable"
    status = 400


class NotAllowed(PipelineError):
    """The server needs a key, and the request has none of its keys."""

    code = "key_required"
    status = 401

    def __init__(self, message: Message | None = None) -> None:
        super().__init__(message or messages.server.KEY_NEEDED())


class TokenExpired(NotAllowed):
    """The token's time is over."""

    code = "token_expired"

    def __init__(self) -> None:
        super().__init__(messages.server.TOKEN_EXPIRED())


class TokenInvalid(NotAllowed):
    """The token is forged or broken, or the key that made it was removed."""

    code = "token_invalid"

    def __init__(self) -> None:
        super().__init__(messages.server.TOKEN_INVALID())


class Forbidden(PipelineError):
    """An avatar that is part of the program, or of its owner's folder, cannot be deleted."""

    code = "avatar_protected"
    status = 403


class StrangeSite(Forbidden):
    """The request comes from another web site that is not allowed."""

    code = "origin_not_allowed"

    def __init__(self) -> None:
        super().__init__(messages.server.SITE_NOT_ALLOWED())


class UnknownName(Forbidden):
    """The host name of the request is not one of the server's."""

    code = "host_not_allowed"

    def __init__(self, name: str) -> None:
        super().__init__(messages.server.HOST_NOT_ALLOWED(name=name))


class TokenWrongOrigin(Forbidden):
    """The token is for another web site."""

    code = "token_wrong_origin"

    def __init__(self) -> None:
        super().__init__(messages.server.TOKEN_WRONG_ORIGIN())


class TokenWrongEndpoint(Forbidden):
    """The token is for other addresses."""

    code = "token_wrong_endpoint"

    def __init__(self, allowed: str) -> None:
        super().__init__(messages.server.TOKEN_WRONG_ENDPOINT(allowed=allowed))


class TokenWrongAvatar(Forbidden):
    """The token is for another avatar."""

    code = "token_wrong_avatar"

    def __init__(self, avatar: str) -> None:
        super().__init__(messages.server.TOKEN_WRONG_AVATAR(avatar=avatar))


class TokenSpent(Forbidden):
    """The token's seconds of speech are used up."""

    code = "token_spent"

    def __init__(self, seconds: float) -> None:
        super().__init__(messages.server.TOKEN_SPENT(seconds=seconds))


class TooSlow(PipelineError):
    """The body of a request does not arrive in time."""

    code = "body_too_slow"
    status = 408
    retryable = True

    def __init__(self) -> None:
        super().__init__(messages.server.BODY_TOO_SLOW())


class Conflict(PipelineError):
    """An avatar of that name exists."""

    code = "avatar_name_taken"
    status = 409


class KeyReused(Conflict):
    """An Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"


class SessionClosed(Conflict):
    """The session was deleted."""

    code = "session_closed"

    def __init__(self) -> None:
        super().__init__(messages.live.SESSION_CLOSED())


class InterviewRuns(Conflict):
    """A session that holds an interview cannot chat meanwhile."""

    code = "interview_runs"

    def __init__(self) -> None:
        super().__init__(messages.conversation.INTERVIEW_RUNS())


class NotFound(PipelineError):
    """There is no such address; or, in subclasses, no such avatar, resolution, task or file."""

    code = "address_not_found"
    status = 404


class AvatarNotFound(NotFound):
    """There is no avatar with that name or path."""

    code = "avatar_not_found"


class ResolutionNotFound(NotFound):
    """The avatar exists, but only in other resolutions."""

    code = "resolution_not_found"


class TaskNotFound(NotFound):
    """There is no such task, or it has ended."""

    code = "task_not_found"


class ResultNotFound(NotFound):
    """There is no such file of a task, or it has expired."""

    code = "result_not_found"


class BackgroundNotFound(NotFound):
    """There is no such picture for backgrounds, or it has expired."""

    code = "background_not_found"


class SessionNotFound(NotFound):
    """There is no such session, or it has ended by itself."""

    code = "session_not_found"

    def __init__(self, session_id: str) -> None:
        super().__init__(messages.live.SESSION_NOT_FOUND(session_id=session_id))


class InterviewNotFound(NotFound):
    """The session holds no interview, or there is no such answer."""

    code = "interview_not_found"


class WrongMethod(PipelineError):
    """The address does not support this HTTP method."""

    code = "method_not_allowed"
    status = 405

    def __init__(self) -> None:
        super().__init__(messages.server.METHOD_NOT_ALLOWED())


class Unavailable(PipelineError):
    """A speech or lipsync engine cannot work now: no key, no weights, no quota, or too busy."""

    code = "engine_unavailable"
    status = 503
    retryable = True


class Unwritable(Unavailable):
    """The disk is full, or the server may not write to its folders."""

    code = "disk_unavailable"


class TasksUnavailable(Unavailable):
    """What web servers share (Redis) does not answer now, or the server that has the task."""

    code = "tasks_unavailable"

    def __init__(self) -> None:
        super().__init__(messages.cluster.TASKS_UNAVAILABLE())


class LanguageModelUnavailable(Unavailable):
    """No language model is set up, or it refuses, or it does not begin to answer."""

    code = "language_model_unavailable"


class TranscriptionUnavailable(Unavailable):
    """What the visitor said cannot be transcribed."""

    code = "transcription_unavailable"


class QueueFull(Unavailable):
    """Too many tasks wait already.

    Attributes:
        retry_after: Seconds after which to try again.
    """

    code = "queue_full"

    def __init__(self, message: Message, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SessionsFull(QueueFull):
    """There is no room for another session."""

    code = "sessions_full"

    def __init__(self, retry_after: int) -> None:
        super().__init__(messages.live.SESSIONS_FULL(), retry_after)


class LanguageModelFailed(PipelineError):
    """The answer of the language model broke off, stalled, had no end or is empty."""

    code = "language_model_failed"
    retryable = True


class SpeechFailed(PipelineError):
    """The result of the speech engine cannot be used, or broke off."""

    code = "speech_failed"
    retryable = True


class RenderFailed(PipelineError):
    """The video could not be made: the disk is full, the encoder failed, the pack's video is broken."""

    code = "render_failed"


class SessionFailed(PipelineError):
    """The process of a session ended."""

    code = "session_failed"
    retryable = True

    def __init__(self) -> None:
        super().__init__(messages.live.SESSION_FAILED())


class TookTooLong(PipelineError):
    """A task took longer than the allowed number of seconds and was stopped."""

    code = "time_limit_exceeded"

    def __init__(self, seconds: float) -> None:
        super().__init__(messages.core.TOOK_TOO_LONG(seconds=seconds))


class Cancelled(PipelineError):
    """The task was cancelled."""

    code = "cancelled"
    status = 503

    def __init__(self) -> None:
        super().__init__(messages.core.CANCELLED())


def _kinds(kind: type[PipelineError]) -> Iterator[type[PipelineError]]:
    yield kind
    for more in kind.__subclasses__():
        yield from _kinds(more)


KINDS = tuple(_kinds(PipelineError))
"""Every class above."""
CODES = tuple(kind.code for kind in KINDS)
"""The codes of these classes."""
