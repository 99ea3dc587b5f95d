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
"""Seconds between two tries to tell Redis."""


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
                account.tell()
            except self._link.errors as error:
                self._link.failed(error)
                time.sleep(AGAIN_SECONDS)
                self._wake(account)
            except Exception:  # this thread must go on
                logger.exception("the account of a token is not told to other servers")

    def restore(self) -> None:
        """Tell Redis all accounts once more, which it has forgotten."""
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
        wake: Called with it when Redis is to be told of it.
    """

    def __init__(self, expires: float, key: str, link: Link, wake: Callable[[SharedAccount], object]) -> None:
        super().__init__(expires)
        self._used, self._tasks, self._sessions = (f"{key}:{what}" for what in ("used", "tasks", "sessions"))
        self._link = link
        self._wake = wake
        self._untold = 0.0
        self._forgotten = False
        self._telling = threading.Lock()

    def add(self, seconds: float) -> None:
        """See ``Account``."""
        with self._lock:
            self.used += seconds
            self._untold += seconds
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
        """Tell all of it once more, since Redis has forgotten it."""
        self._forgotten = True

    def settle(self) -> None:
        """See ``Account``; what Redis does not answer to is told later."""
        try:
            self.tell()
        except self._link.errors as error:
            self._link.failed(error)
            self._wake(self)

    def tell(self) -> None:
        """Make Redis and this copy agree; raises errors of Redis."""
        with self._telling:
            with self._lock:
                untold, self._untold = self._untold, 0.0
                before, tasks, sessions = self.used - untold, {*self.tasks}, {*self.sessions}
            try:
                with self._link.now.pipeline() as pipe:
                    if self._forgotten:
                        pipe.set(self._used, before, nx=True)
                    pipe.incrbyfloat(self._used, untold)
                    for key, ids in ((self._tasks, tasks), (self._sessions, sessions)):
                        if ids:
                            pipe.sadd(key, *ids)
                    pipe.smembers(self._tasks).smembers(self._sessions)
                    for key in (self._used, self._tasks, self._sessions):
                        pipe.expireat(key, math.ceil(self.expires))
                    *told, tasks, sessions, _, _, _ = pipe.execute()
            except BaseException:
                with self._lock:
                    self._untold += untold
                raise
            total = float(told[int(self._forgotten)])
            self._forgotten = False
            with self._lock:
                self.used = total + self._untold
                self.tasks |= tasks
                self.sessions |= sessions
