"""What was done with tokens: one interface, here in memory.

``pipeline.shared.shared_accounts`` has it for several web servers.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Account:
    """What was done with a token; safe to use from any thread.

    Args:
        expires: When the token does, in seconds since 1970.

    Attributes:
        used: Seconds of speech that were spoken, or are surely going to be.
        tasks: The ids of its tasks.
        sessions: The ids of its sessions.
    """

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.used = 0.0
        self.tasks: set[str] = set()
        self.sessions: set[str] = set()
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Count seconds of speech."""
        with self._lock:
            self.used += seconds

    def add_task(self, task_id: str) -> None:
        """Note a task."""
        with self._lock:
            self.tasks.add(task_id)

    def add_session(self, session_id: str) -> None:
        """Note a session."""
        with self._lock:
            self.sessions.add(session_id)

    def settle(self) -> None:
        """Learn what other web servers have counted, and send them this; may take a moment."""


class Accounts(Protocol):
    """The accounts of tokens that are valid."""

    def of(self, token_id: str, expires: float) -> Account:
        """Return the account of a token."""


class MemoryAccounts:
    """The accounts of one web server."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()

    def of(self, token_id: str, expires: float) -> Account:
        """See ``Accounts``."""
        with self._lock:
            if token_id not in self._accounts:
                now = time.time()
                self._accounts = {name: one for name, one in self._accounts.items() if one.expires > now}
                self._accounts[token_id] = self._new(token_id, expires)
            return self._accounts[token_id]

    def _new(self, token_id: str, expires: float) -> Account:
        return Account(expires)
