"""Sends a file that is public and of which browsers keep each version."""

from __future__ import annotations

import gzip
import hashlib
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response

from pipeline.server.rest.files import unless_known

_YEAR = 365 * 24 * 3600


class PublicFile:
    """A file that any web site may include.

    Args:
        body: Its bytes.
        media_type: Its type.
        written: When it was written, in seconds since 1970.
    """

    def __init__(self, body: bytes, media_type: str, written: float) -> None:
        self._bodies = body, gzip.compress(body, mtime=0)
        self._media_type = media_type
        self._written = formatdate(written, usegmt=True)
        self.version = hashlib.sha256(body).hexdigest()[:16]
        """What changes whenever the file does."""

    def response(self, request: Request) -> Response:
        """Send the file, compressed where the browser takes that.

        Browsers ask each time whether it has changed, and keep for good what they ask for by its version ("?v=...").
        """
        accepts = "gzip" in request.headers.get("accept-encoding", "")
        known = request.query_params.get("v") == self.version
        headers = {
            "ETag": f'"{self.version}{"-gzip" if accepts else ""}"',
            "Last-Modified": self._written,
            "Cache-Control": f"public, max-age={_YEAR}, immutable" if known else "public, no-cache",
            "Vary": "Accept-Encoding",
            **({"Content-Encoding": "gzip"} if accepts else {}),
        }
        body = self._bodies[accepts]
        response = unless_known(Response(body, media_type=self._media_type, headers=headers), request)
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response
