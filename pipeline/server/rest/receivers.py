"""Reads the webhook address of a request."""

from __future__ import annotations

from fastapi import Request

from pipeline.errors import TokenWrongEndpoint
from pipeline.server.reply_language import language_of
from pipeline.server.tokens import grant_of
from pipeline.server.webhooks import Receiver, Webhooks


def receiver_of(webhooks: Webhooks, url: object, request: Request) -> Receiver | None:
    """Return the receiver of a request's end; None without one.

    Args:
        webhooks: The usual receiver.
        url: What the request names; None if it names none.
        request: The request.

    Raises:
        BadRequest: The address cannot be used.
        TokenWrongEndpoint: The request has a token only.
    """
    grant = grant_of(request)
    if url not in (None, "") and grant is not None:
        raise TokenWrongEndpoint(", ".join(grant.endpoints))
    language = language_of(request.headers.get("accept-language"))
    return webhooks.receiver(url, language, request.scope.get("root_path", ""))
