"""Who may use the REST API: those with a key, where keys are set, and which web sites from a browser."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import NotAllowed

OURS = ("/api/", "/video/", "/assets/audio/", "/metrics")
"""Addresses that are not Gradio's."""
METHODS = ("GET", "HEAD", "POST", "DELETE")
HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range")
"""What a browser may send from another site, beside what it may always."""
ANSWERED = ("Retry-After", "Content-Range", "Accept-Ranges")
"""What a script of another site may read, beside what it may always."""


def check_key(authorization: str | None, keys: Sequence[str]) -> None:
    """Raise NotAllowed unless AUTHORIZATION is "Bearer" and one of KEYS, or there are none."""
    scheme, _, given = (authorization or "").partition(" ")
    sent = given.strip(" ").encode("latin-1")  # as it came: that is how headers are decoded
    # every key is compared, in a time that tells nothing of how much of it was right
    right = [hmac.compare_digest(sent, key.encode()) for key in keys]
    if keys and not (scheme.lower() == "bearer" and any(right)):
        raise NotAllowed


class Origins:
    """Lets web sites at ORIGINS read what REST answers, and no others; put around the whole APP.

    Gradio lets every site read every address of a server that is reached by another name than localhost. So that it
    does not for ours, it never sees where a request to one comes from.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._rest = CORSMiddleware(
            self._without_origin,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=HEADERS,
            expose_headers=ANSWERED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ours = scope["type"] == "http" and scope["path"].startswith(OURS)
        await (self._rest if ours else self._app)(scope, receive, send)

    async def _without_origin(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self._app({**scope, "headers": headers}, receive, send)
