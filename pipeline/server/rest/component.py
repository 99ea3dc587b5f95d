"""Sends the script of the web component <talking-avatar>, which `embed/` builds into `server/embed/v1.js`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from pipeline.server.rest.public_file import PublicFile

SCRIPT = "/embed/v1.js"
"""Its address; a version that would break pages gets another one."""
_FILE = Path(__file__).parent.with_name("embed") / "v1.js"


@cache
def _script() -> PublicFile:
    return PublicFile(_FILE.read_bytes(), "text/javascript", _FILE.stat().st_mtime)


def script_version() -> str:
    """Return what changes whenever the script does."""
    return _script().version


def script_response(request: Request) -> Response:
    """Send the script to any web site: it is public, and what it asks for is not."""
    return _script().response(request)
