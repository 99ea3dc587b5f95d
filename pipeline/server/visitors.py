"""Owners of avatars: who sent a request, and which of the uploaded avatars they can see.

An avatar belongs to the API key that made it, or else to the browser: to a random number in a cookie. What is stored
beside the avatar reveals neither.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import lru_cache

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline import messages
from pipeline.avatars.store import AvatarStore
from pipeline.errors import BadRequest
from pipeline.jobs.uploads import Uploads
from pipeline.server.access import cookie, cookies_of, key_of, path_of
from pipeline.server.tokens import grant_of
from pipeline.settings import Settings, listed

COOKIE = "avatar_visitor"
COOKIE_SECONDS = 365 * 24 * 3600
NO_OWNER = ""
"""Owner of avatars that were made over REST without a key and a cookie, or before owners were stored."""
_NUMBER = re.compile("[0-9a-f]{32}")
_SCOPE = "avatar.visitor"


class VisitorCookie:
    """Gives a browser its number when it requests the page.

    If REST shows a client only its own avatars, a client gets a number when it makes its first one.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._begins = {("GET", "/")}
        if settings.rest_avatars == "own" and not listed(settings.api_keys):
            self._begins.add(("POST", "/api/avatars"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = cookies_of(Headers(scope=scope)).get(COOKIE, "")
        known = _NUMBER.fullmatch(number) is not None
        begins = (scope["method"], path_of(scope)) in self._begins
        if not known:
            number = secrets.token_hex(16) if begins else ""
        scope[_SCOPE] = number

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("Set-Cookie", cookie(COOKIE, number, COOKIE_SECONDS, scope))
            await send(message)

        await self._app(scope, receive, send_with_cookie if begins and number else send)


class Visitors:
    """Selects the avatars that the sender of a request can see, according to the settings."""

    def __init__(self, uploads: Uploads, settings: Settings) -> None:
        self._uploads = uploads
        self._keys = listed(settings.api_keys)
        self._open = not self._keys and settings.rest_avatars == "all"

    def owner(self, request: Request) -> str:
        """Return the owner of an avatar that a request makes; `NO_OWNER` without key and cookie."""
        key = self._key_of(request)
        if key is not None:
            return _of_key(key)
        number = request.scope.get(_SCOPE, "")
        return of_number(number) if number else NO_OWNER

    def _key_of(self, request: Request) -> str | None:
        """Return the key of a request, or the one that made its token."""
        grant = grant_of(request)
        return key_of(request.headers, self._keys) or (None if grant is None else grant.key)

    def owner_on_page(self, request: Request) -> str:
        """Return the same for the page, on which an avatar must have an owner.

        Raises:
            BadRequest: There is neither key nor cookie.
        """
        owner = self.owner(request)
        if owner == NO_OWNER:
            raise BadRequest(messages.server.COOKIES_REFUSED())
        return owner

    def on_page(self, request: Request) -> AvatarStore:
        """Return the store as the page shows it: the visitor's own avatars, and the bundled ones."""
        own = self.owner(request)
        return self._uploads.seen_by(lambda owner: owner == own != NO_OWNER)

    def for_page(self, request: Request) -> AvatarStore:
        """Return the store whose avatars a request of the page or of gradio_client may use by name."""
        own = self.owner(request)
        return self._uploads.seen_by(lambda owner: self._open if owner == NO_OWNER else owner == own)

    def for_rest(self, request: Request) -> AvatarStore:
        """Return the store as REST shows it to a request whose key has been checked."""
        if self._open:
            return self._uploads.seen_by(lambda owner: True)
        own = self.owner(request)
        with_key = self._key_of(request) is not None
        return self._uploads.seen_by(lambda owner: with_key if owner == NO_OWNER else owner == own)

    def shipped(self) -> AvatarStore:
        """Return the store without uploaded avatars."""
        return self._uploads.seen_by(lambda owner: False)


def of_number(number: str) -> str:
    """Return the stored form of the number in a browser's cookie."""
    return hashlib.sha256(f"visitor {number}".encode()).hexdigest()[:32]


@lru_cache(maxsize=256)
def _of_key(key: str) -> str:
    """Return the stored form of a key, from which the key is expensive to guess."""
    return hashlib.scrypt(key.encode(), salt=b"owner of an avatar", n=1 << 14, r=8, p=1, dklen=16).hex()
