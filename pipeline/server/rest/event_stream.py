"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

PING = ": ping\n\n"
"""A comment, which keeps a connection open that has nothing to tell."""
_BREAKING = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What may end a line for some client (JSON escapes what lies below U+0020 itself), or is no text at all."""


def event_text(event: Mapping[str, object], number: int | None = None) -> str:
    """Return EVENT as it is sent, with its NUMBER if it has one; its data are one line for every client."""
    data = _BREAKING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(event, ensure_ascii=False))
    return f"data: {data}\n\n" if number is None else f"id: {number}\ndata: {data}\n\n"
