"""Sends the script of the web component <talking-avatar>, which `embed/` builds into `server/embed/v1.js`."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pipeline.server.rest.files import unless_known

SCRIPT = "/embed/v1.js"
"""Its address; a version that would break pages gets another one."""
_FILE = Path(__file__).parent.with_name("embed") / "v1.js"
_DAY, _YEAR = 24 * 3600, 365 * 24 * 3600


@cache
def script_version() -> str:
    """Return what changes whenever the script does."""
    return hashlib.sha256(_FILE.read_bytes()).hexdigest()[:16]


@cache
def _bodies() -> tuple[bytes, bytes]:
    """Return the script as it is, and compressed."""
    plain = _FILE.read_bytes()
    return plain, gzip.compress(plain, mtime=0)


def script_response(request: Request) -> Response:
    """Send the script to any web site: it is public, and what it asks for is not.

    Browsers keep it for a day, and one that is asked for by its version ("?v=...") for good.
    """
    accepts = "gzip" in request.headers.get("accept-encoding", "")
    body = _bodies()[accepts]
    known = request.query_params.get("v") == script_version()
    headers = {
        "ETag": f'"{script_version()}{"-gzip" if accepts else ""}"',
        "Last-Modified": FileResponse(_FILE, stat_result=_FILE.stat()).headers["last-modified"],
        "Cache-Control": f"public, max-age={_YEAR}, immutable" if known else f"public, max-age={_DAY}",
        "Vary": "Accept-Encoding",
        **({"Content-Encoding": "gzip"} if accepts else {}),
    }
    response = unless_known(Response(body, media_type="text/javascript", headers=headers), request)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
