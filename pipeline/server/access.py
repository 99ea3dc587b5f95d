"""Who may use the REST API: those with a key, where keys are set, and which web sites from a browser."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from http import HTTPStatus

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import Message, NotAllowed
from pipeline.server.language import language_of

OURS = ("/api/", "/video/", "/assets/audio/", "/metrics")
"""Addresses that are not Gradio's."""
METHODS = ("GET", "HEAD", "POST", "DELETE")
HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range")
"""What a browser may send from another site, beside what it may always."""
ANSWERED = ("Retry-After", "Content-Range", "Accept-Ranges")
"""What a script of another site may read, beside what it may always."""

STRANGE_SITE = Message(
    "다른 웹사이트에서 온 요청입니다. 서버의 ALLOWED_ORIGINS에 그 사이트를 적으면 쓸 수 있습니다.",
    "The request comes from another web site. Name the site in ALLOWED_ORIGINS on the server to let it.",
)


def check_key(authorization: str | None, keys: Sequence[str]) -> None:
    """Raise NotAllowed unless AUTHORIZATION is "Bearer" and one of KEYS, or there are none."""
    scheme, _, given = (authorization or "").partition(" ")
    sent = given.strip(" ").encode("latin-1")  # as it came: that is how headers are decoded
    # every key is compared, in a time that tells nothing of how much of it was right
    right = [hmac.compare_digest(sent, key.encode()) for key in keys]
    if keys and not (scheme.lower() == "bearer" and any(right)):
        raise NotAllowed


class Origins:
    """Lets web sites at ORIGINS use REST, and no others; put around the whole APP.

    A browser keeps what REST answers from the scripts of other sites. What those ask for blindly, to have something
    made or deleted, is refused: browsers say where such requests come from (w3.org/TR/fetch-metadata).

    Gradio lets every site read every address of a server that is reached by another name than localhost. So that it
    does not for ours, it never sees where a request to one comes from.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = {origin.encode() for origin in origins}
        self._rest = CORSMiddleware(
            self._without_origin,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=HEADERS,
            expose_headers=ANSWERED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(OURS):
            await self._app(scope, receive, send)
        elif self._comes_blindly(scope):
            headers = dict(scope["headers"])
            language = language_of(headers.get(b"accept-language", b"").decode("latin-1"))
            body = {"success": False, "error": STRANGE_SITE.in_language(language)}
            await JSONResponse(body, HTTPStatus.FORBIDDEN)(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    def _comes_blindly(self, scope: Scope) -> bool:
        """Whether another site, not one of those that are allowed, has a browser ask for a change."""
        headers = dict(scope["headers"])
        strange = headers.get(b"sec-fetch-site") == b"cross-site" and headers.get(b"origin") not in self._origins
        return strange and scope["method"] not in ("GET", "HEAD", "OPTIONS")

    async def _without_origin(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self._app({**scope, "headers": headers}, receive, send)
