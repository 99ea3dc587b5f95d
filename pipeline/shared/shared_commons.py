"""What the web servers of a site have in common, in Redis."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from pipeline.jobs.commons import Commons
from pipeline.settings import Settings
from pipeline.shared.link import PREFIX, CannotShare, Link
from pipeline.shared.servers import WebServer, own_url
from pipeline.shared.shared_accounts import SharedAccounts
from pipeline.shared.shared_claims import SharedClaims
from pipeline.shared.task_book import SharedTaskBook

logger = logging.getLogger(__name__)

SECRET = f"{PREFIX}secret"
"""Name of what signs tokens where the settings have no secret."""


@dataclass(frozen=True, kw_only=True)
class SharedCommons(Commons):
    """What several web servers have in common.

    Attributes:
        book: The tasks of all of them.
        link: Redis.
    """

    book: SharedTaskBook
    link: Link


def shared(settings: Settings) -> SharedCommons:
    """Join the other web servers.

    Raises:
        CannotShare: Redis cannot be used.
    """
    link = Link(settings.tasks_url)
    try:
        own = secrets.token_hex(32)
        secret = own if link.now.set(SECRET, own, nx=True) else str(link.now.get(SECRET))
        accounts = SharedAccounts(link)

        def publish_again() -> None:
            link.now.set(SECRET, secret, nx=True)
            accounts.restore()

        server = WebServer(own_url(settings, link))
        logger.info("other web servers reach this one at %s", server.url)
        book = SharedTaskBook(settings.results, settings.result_ttl, link, server, publish_again)
    except link.errors as error:
        raise CannotShare.of(settings.tasks_url, error) from error
    return SharedCommons(book=book, claims=SharedClaims(link, book), accounts=accounts, secret=secret, link=link)
