"""The web servers: which ones there are, and at which addresses the others reach them."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field

from pipeline.settings import Settings
from pipeline.shared.link import PREFIX, Link

LEASE_SECONDS = 10
"""Seconds without a heartbeat after which a server is gone."""
BEAT_SECONDS = 2.0
"""Seconds between two of them."""
MARK_LENGTH = 8
"""Hex digits with which the ids of a server's live sessions end."""


@dataclass(frozen=True)
class WebServer:
    """A web server, from its start to its end.

    Attributes:
        url: Where the others reach it, without a slash at its end; the same after a restart.
        run: What distinguishes this run of it from others.
        secret: What the others show when they pass on a request.
    """

    url: str
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    @property
    def key(self) -> str:
        """Its name in Redis, as long as it lives."""
        return key_of(self.url)

    @property
    def mark(self) -> str:
        """What the ids of its live sessions end with, so that every other server knows whose they are."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:MARK_LENGTH]

    @property
    def mark_key(self) -> str:
        """Its name in Redis by its mark."""
        return mark_key(self.mark)

    def to_text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))


def key_of(url: str) -> str:
    """Return the name in Redis of the server at an address."""
    return f"{PREFIX}server:{url}"


def mark_key(mark: str) -> str:
    """Return the name in Redis of the server with a mark."""
    return f"{PREFIX}mark:{mark}"


def server_of(text: str | None) -> WebServer | None:
    """Return the server of a JSON text; None for none."""
    return None if text is None else WebServer(**json.loads(text))


def own_url(settings: Settings, link: Link) -> str:
    """Return where other servers reach this one: SERVER_URL, or this machine's address towards Redis and its port."""
    if settings.server_url:
        return settings.server_url.rstrip("/")
    host = settings.host.strip("[]")
    if host in ("", "0.0.0.0", "::"):
        host = link.local_address() or "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
