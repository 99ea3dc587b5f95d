"""What was done with tokens, at whichever web server."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from pipeline.jobs.accounts import Account, MemoryAccounts
from pipeline.shared.link import PREFIX, Link

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""Seconds between two tries to publish an account."""


class SharedAccounts(MemoryAccounts):
    """The accounts of all web servers.

    Each server has a copy in memory, which is checked at once. ``settle`` makes copy and Redis agree, and a thread does
    what Redis did not answer to.
    """

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._open: set[SharedAccount] = set()
        self._woken = threading.Condition()
        threading.Thread(target=self._settle, name="tokens", daemon=True).start()

    def _new(self, token_id: str, expires: float) -> Account:
        return SharedAccount(expires, f"{PREFIX}token:{token_id}", self._link, self._wake)

    def _wake(self, account: SharedAccount) -> None:
        with self._woken:
            self._open.add(account)
            self._woken.notify_all()

    def _settle(self) -> None:
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._open)
                account = self._open.pop()
            try:
                account.publish()
            except self._link.errors as error:
                self._link.failed(error)
                time.sleep(AGAIN_SECONDS)
                self._wake(account)
            except Exception:  # this thread must go on
                logger.exception("the account of a token is not published to other servers")

    def restore(self) -> None:
        """Publish all accounts once more, which Redis has forgotten."""
        with self._lock:
            accounts = [*self._accounts.values()]
        for account in accounts:
            assert isinstance(account, SharedAccount)
            account.restore()
            self._wake(account)


class SharedAccount(Account):
    """A copy of an account.

    Args:
        expires: When the token does, in seconds since 1970.
        key: What its names in Redis begin with.
        link: Redis.
        wake: Called with it when it is to be published.
    """

    def __init__(self, expires: float, key: str, link: Link, wake: Callable[[SharedAccount], object]) -> None:
        super().__init__(expires)
        self._used, self._tasks, self._sessions = (f"{key}:{what}" for what in ("used", "tasks", "sessions"))
        self._link = link
        self._wake = wake
        self._unpublished = 0.0
        self._forgotten = False
        self._publishing = threading.Lock()

    def add(self, seconds: float) -> None:
        """See ``Account``."""
        with self._lock:
            self.used += seconds
            self._unpublished += seconds
        self._wake(self)

    def add_task(self, task_id: str) -> None:
        """See ``Account``."""
        super().add_task(task_id)
        self._wake(self)

    def add_session(self, session_id: str) -> None:
        """See ``Account``."""
        super().add_session(session_id)
        self._wake(self)

    def restore(self) -> None:
        """Publish all of it once more, since Redis has forgotten it."""
        self._forgotten = True

    def settle(self) -> None:
        """See ``Account``; what Redis does not answer to is published later."""
        try:
            self.publish()
        except self._link.errors as error:
            self._link.failed(error)
            self._wake(self)

    def publish(self) -> None:
        """Make Redis and this copy agree; raises errors of Redis."""
        with self._publishing:
            with self._lock:
                unpublished, self._unpublished = self._unpublished, 0.0
                before, tasks, sessions = self.used - unpublished, {*self.tasks}, {*self.sessions}
            try:
                with self._link.now.pipeline() as pipe:
                    if self._forgotten:
                        pipe.set(self._used, before, nx=True)
                    pipe.incrbyfloat(self._used, unpublished)
                    for key, ids in ((self._tasks, tasks), (self._sessions, sessions)):
                        if ids:
                            pipe.sadd(key, *ids)
                    pipe.smembers(self._tasks).smembers(self._sessions)
                    for key in (self._used, self._tasks, self._sessions):
                        pipe.expireat(key, math.ceil(self.expires))
                    *totals, tasks, sessions, _, _, _ = pipe.execute()
            except BaseException:
                with self._lock:
                    self._unpublished += unpublished
                raise
            total = float(totals[int(self._forgotten)])
            self._forgotten = False
            with self._lock:
                self.used = total + self._unpublished
                self.tasks |= tasks
                self.sessions |= sessions
