"""The page that other web sites show in a frame: the tag <talking-avatar>, and nothing else."""

from __future__ import annotations

import re
from html import escape

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from pipeline.server.reply_language import language_of
from pipeline.settings import listed

ATTRIBUTES = (
    *("voice", "language", "token", "captions", "mode", "format", "background"),
    *("resolution", "controls", "muted", "autostart", "badge"),
)
"""Attributes of the tag that the address may set."""
_POLICY = (
    "default-src 'none'; script-src 'self' blob:; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; media-src 'self' blob:; connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors {sites}"
)
"""A blob is the component's own code that takes the microphone's sound."""
_HOST = re.compile(r"[\w.:\[\]-]+", re.ASCII)
_PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{avatar}</title>
<style>
html, body, main {{ height: 100%; margin: 0; background: transparent; font-family: system-ui, sans-serif; }}
talking-avatar {{ display: block; width: 100%; height: 100%; }}
h1 {{ position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }}
</style>
<main>
<h1>{avatar}</h1>
<talking-avatar server="{server}" avatar="{avatar}"{attributes}>{text}</talking-avatar>
</main>
<script src="{server}/embed/v1.js" async></script>
</html>
"""


def embed_page(avatar: str, request: Request, origins: str) -> Response:
    """Return the page of an avatar; only the server itself and allowed web sites may frame it.

    Args:
        avatar: Its name.
        request: The request; its query sets attributes of the tag, and its text.
        origins: The allowed web sites, as in the settings.
    """
    given = {name: request.query_params[name] for name in ATTRIBUTES if name in request.query_params}
    host = request.headers.get("host", "")
    sockets = f"ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    sites = " ".join(("'self'", *(origin for origin in listed(origins) if origin != "null")))
    html = _PAGE.format(
        language=escape(given.get("language") or language_of(request.headers.get("accept-language"))),
        server=escape(str(request.base_url).rstrip("/")),
        avatar=escape(avatar),
        text=escape(request.query_params.get("text", "")),
        attributes="".join(f' {name}="{escape(value)}"' for name, value in given.items()),
    )
    headers = {
        "Content-Security-Policy": _POLICY.format(sockets=sockets, sites=sites),
        "Cache-Control": "no-store",  # the address may hold a token
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(html, headers=headers)
