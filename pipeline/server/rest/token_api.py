"""Makes tokens for browsers: what a client with an API key hands out in place of the key."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request

from pipeline import messages
from pipeline.errors import AvatarNotFound, BadBody, BadRequest
from pipeline.jobs.request import number_of, string_of
from pipeline.live.workers import Workers
from pipeline.server.access import is_same, key_of
from pipeline.server.rest.bodies import json_body
from pipeline.server.tokens import ENDPOINTS, Grant, Tokens
from pipeline.server.visitors import Visitors
from pipeline.settings import Settings, listed

LIFETIMES = (1.0, 86_400.0)
USUAL_LIFETIME = 600.0
"""Seconds for which a token is valid."""
SPEECH = (0.0, 86_400.0)
USUAL_SPEECH = 300.0
"""Seconds of speech that a token pays for."""


@dataclass(frozen=True)
class TokenApi:
    """The endpoint that makes tokens."""

    tokens: Tokens
    visitors: Visitors
    workers: Workers
    settings: Settings

    async def make(self, request: Request) -> dict[str, Any]:
        """Make a token for one web site, for some addresses, one avatar or session, and some seconds of speech."""
        body = await json_body(request)
        if not isinstance(body, dict):
            raise BadBody(messages.live.MESSAGE_NOT_JSON())
        session = string_of(body, "session_id") or ""
        if session:
            self.workers.find(session)
        lifetime = number_of(body, "expires_in", LIFETIMES, USUAL_LIFETIME)
        grant = Grant(
            id=secrets.token_hex(16),
            key=key_of(request.headers, listed(self.settings.api_keys)) or "",
            endpoints=_endpoints(body, ("sessions",) if session else ENDPOINTS),
            origin=self._origin(body, request),
            avatar=self._avatar(body, request),
            session=session,
            seconds=number_of(body, "seconds", SPEECH, USUAL_SPEECH),
            expires=time.time() + lifetime,
        )
        return {
            "success": True,
            "token": self.tokens.make(grant),
            "expires": datetime.fromtimestamp(grant.expires, UTC).isoformat(timespec="seconds"),
            "seconds": grant.seconds,
            "endpoints": list(grant.endpoints),
            "origin": grant.origin or None,
            "avatar": grant.avatar or None,
            "session_id": grant.session or None,
        }

    def _origin(self, body: dict[str, Any], request: Request) -> str:
        """Return the web site that a token is for; "" for any client.

        Raises:
            BadRequest: The server allows no such site.
        """
        origin = (string_of(body, "origin") or "").lower().rstrip("/")
        if origin and origin not in listed(self.settings.allowed_origins) and not is_same(origin, request.scope):
            raise BadRequest(messages.server.ORIGIN_UNKNOWN(value=origin[:120]))
        return origin

    def _avatar(self, body: dict[str, Any], request: Request) -> str:
        """Return the name of the avatar that a token is for; "" for any.

        Raises:
            AvatarNotFound: There is none of that name.
        """
        given = string_of(body, "avatar")
        if given is None:
            return ""
        names = {name: pack.name for pack in self.visitors.for_rest(request).list() for name in (pack.name, pack.id)}
        if given not in names:
            choices = ", ".join(sorted(set(names.values()))) or "-"
            raise AvatarNotFound(messages.avatars.AVATAR_UNKNOWN(name=given, choices=choices))
        return names[given]


def _endpoints(body: dict[str, Any], usual: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a token is for.

    Raises:
        BadRequest: It is no list of endpoints.
    """
    given = body.get("endpoints")
    if given is None:
        return usual
    if not isinstance(given, list) or not given or not all(one in ENDPOINTS for one in given):
        raise BadRequest(messages.server.ENDPOINTS_INVALID(choices=", ".join(ENDPOINTS)))
    return tuple(dict.fromkeys(given))
