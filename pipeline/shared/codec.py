"""Events as JSON and back, as they are published to other web servers."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pipeline import errors
from pipeline.errors import PipelineError
from pipeline.jobs.events import Composing, Done, Event, Failed, Lipsync, Made, Preparing, Queued, TtsDone, TtsStarted
from pipeline.jobs.history import Entry
from pipeline.messages import Message

_EVENTS: dict[str, Any] = {
    kind.__name__: kind for kind in (Queued, TtsStarted, Composing, TtsDone, Lipsync, Done, Failed, Preparing, Made)
}
_ERRORS = {kind.__name__: kind for kind in errors.KINDS}


def to_text(entry: Entry) -> str:
    """Return an entry as JSON, without its number."""
    fields = {field.name: _plain(getattr(entry.event, field.name)) for field in dataclasses.fields(entry.event)}
    return json.dumps({"at": entry.at, "kind": type(entry.event).__name__, "fields": fields}, ensure_ascii=False)


def from_text(number: int, text: str) -> Entry:
    """Return the entry of a JSON text.

    Raises:
        ValueError, KeyError, TypeError: It is none, as from another version of the program.
    """
    content = json.loads(text)
    kind = _EVENTS[content["kind"]]
    event: Event = kind(**{name: _rich(value) for name, value in content["fields"].items()})
    return Entry(number, float(content["at"]), event)


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return {"message": [value.ko, value.en]}
    if isinstance(value, PipelineError):
        more = {name: one for name, one in vars(value).items() if isinstance(one, int | float | str)}
        return {"error": type(value).__name__, "text": [value.message.ko, value.message.en], "more": more}
    if isinstance(value, tuple):
        return {"tuple": [_plain(one) for one in value]}
    return value


def _rich(value: Any) -> Any:
    match value:
        case {"message": [str(ko), str(en)]}:
            return Message(ko, en)
        case {"error": str(name), "text": [str(ko), str(en)], "more": dict(more)}:
            kind = _ERRORS.get(name, PipelineError)
            error = kind.__new__(kind, en)
            error.__dict__.update(more, message=Message(ko, en))
            return error
        case {"tuple": list(items)}:
            return tuple(_rich(one) for one in items)
        case _:
            return value
