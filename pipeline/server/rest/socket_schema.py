"""Describes the socket of live sessions as an AsyncAPI document, from shapes that the socket's messages have."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from pipeline.live.voice_input import RATES
from pipeline.server.rest.schema import (
    TITLE,
    VERSION,
    ChatBody,
    Code,
    InterruptBody,
    SayBody,
    Seconds,
    SessionEvents,
    _Shape,
)

ASYNCAPI = "3.0.0"
ADDRESS = "/api/v2/sessions/{session_id}/socket"
_Rate = Annotated[int, Field(ge=RATES[0], le=RATES[1])]


class Say(SayBody):
    """Speaks a text."""

    type: Literal["say"]


class Flush(_Shape):
    """Ends the turn."""

    type: Literal["flush"]


class Interrupt(InterruptBody):
    """Stops the avatar."""

    type: Literal["interrupt"]


class Listen(_Shape):
    """Shows that the avatar listens."""

    type: Literal["listen"]


class Idle(_Shape):
    """Shows that it does nothing in particular."""

    type: Literal["idle"]


class Audio(_Shape):
    """Sound that follows is the avatar's."""

    type: Literal["audio"]
    rate: _Rate = Field(16_000, description="Samples per second.")


class SoundWord(_Shape):
    """A word of sound."""

    text: str = Field(min_length=1, description="The word, with punctuation; a blank follows it.")
    start: Seconds = Field(description="Seconds from the beginning of the turn's sound.")
    end: Seconds = Field(description="When it ends.")


class AudioText(_Shape):
    """Words of the avatar's sound, best sent before their sound: the mouth follows them."""

    type: Literal["audio_text"]
    words: list[SoundWord] = Field(min_length=1, description="In order of time.")
    language: str | None = Field(None, description="Their language; detected if left out.")


class MicrophoneSound(_Shape):
    """Sound that follows is the visitor's."""

    type: Literal["microphone"]
    rate: _Rate = Field(16_000, description="Samples per second.")


class Chat(ChatBody):
    """Lets the language model answer."""

    type: Literal["chat"]


class VisitorSaidMessage(_Shape):
    """What the visitor said, if the client transcribes it."""

    type: Literal["visitor_said"]
    text: str = Field(min_length=1, description="The text.")
    question: int | None = Field(None, ge=1, description="The question that it answers, in an interview.")


class NextQuestion(_Shape):
    """Goes on to the next question of an interview."""

    type: Literal["next"]


class Close(_Shape):
    """Ends the session."""

    type: Literal["close"]


class MessageRefused(_Shape):
    """A message was wrong; the session goes on. It goes to its sender alone, and has no number."""

    type: Literal["error"]
    success: Literal[False]
    error: str
    code: Code


Commands = (
    Say
    | Flush
    | Interrupt
    | Listen
    | Idle
    | Audio
    | AudioText
    | MicrophoneSound
    | Chat
    | VisitorSaidMessage
    | NextQuestion
    | Close
)
"""The messages of JSON that the socket takes."""
_SOUND, _STREAM = "Sound", "Stream"


def described() -> dict[str, Any]:
    """Return the AsyncAPI description of the socket."""
    commands, events = get_args(Commands), (*get_args(SessionEvents), MessageRefused)
    schemas: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for shape in (*commands, *events):
        schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[shape.__name__] = schema
        messages[shape.__name__] = {
            "contentType": "application/json",
            "summary": schema["description"],
            "payload": {"$ref": f"#/components/schemas/{shape.__name__}"},
        }
    binary = {"type": "string", "format": "binary"}
    messages[_SOUND] = {
        "contentType": "application/octet-stream",
        "summary": "16-bit little-endian mono PCM, after audio the avatar's, after microphone the visitor's.",
        "payload": binary,
    }
    messages[_STREAM] = {
        "contentType": "video/mp4",
        "summary": "With ?video=1: the beginning of the mp4, then one fragment in each message.",
        "payload": binary,
    }
    taken = [*(shape.__name__ for shape in commands), _SOUND]
    sent = [*(shape.__name__ for shape in events), _STREAM]
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": f"{TITLE}: the socket of a live session", "version": VERSION},
        "channels": {
            "socket": {
                "address": ADDRESS,
                "parameters": {"session_id": {"description": "From POST /api/v2/sessions."}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"query": _QUERY}},
            }
        },
        "operations": {
            "take": {"action": "receive", "channel": {"$ref": "#/channels/socket"}, "messages": _of_channel(taken)},
            "emit": {"action": "send", "channel": {"$ref": "#/channels/socket"}, "messages": _of_channel(sent)},
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _of_channel(names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/socket/messages/{name}"} for name in names]


_QUERY = {
    "type": "object",
    "properties": {
        "video": {"type": "string", "enum": ["0", "1"], "description": "1 sends the stream as well."},
        "after": {"type": "string", "pattern": "^[0-9]{1,9}$", "description": "Begins after this event."},
        "token": {"type": "string", "description": "The session's own, where the server has keys."},
    },
}
