"""What the web servers of a site have in common; one that is alone has it in memory."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pipeline.jobs.accounts import Accounts, MemoryAccounts
from pipeline.jobs.claims import Claims, MemoryClaims
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Commons:
    """What the web servers of a site have in common; ``pipeline.shared.shared_commons`` has it in Redis.

    Attributes:
        book: The tasks.
        claims: The jobs of requests that may be repeated.
        accounts: What was done with tokens.
        secret: Signs tokens where the settings have no secret.
    """

    book: TaskBook
    claims: Claims
    accounts: Accounts
    secret: str


def alone(settings: Settings) -> Commons:
    """Return what a web server has that is alone."""
    book = TaskBook(settings.results, settings.result_ttl)
    return Commons(book=book, claims=MemoryClaims(book), accounts=MemoryAccounts(), secret=secrets.token_hex(32))
