"""Reads the bodies of requests."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from pipeline import messages
from pipeline.errors import BadBody

MAX_BODY = 1 << 20
"""Bytes of a request's body, or of a message of a socket."""


async def json_body(request: Request) -> Any:
    """Return the decoded body of a request.

    Raises:
        BadBody: The body is too large, or no JSON.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadBody(messages.server.BODY_TOO_LARGE(limit=MAX_BODY >> 10))
    try:
        return json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise BadBody(messages.server.BODY_NOT_JSON()) from None
