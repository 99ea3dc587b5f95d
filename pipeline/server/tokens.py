"""Tokens: what a server with a key hands to a browser, so that it may do one thing for a while.

A token is a JWT (RFC 7519), signed with a secret of the server and the API key that made it, so that it becomes
invalid with that key. What it may do is in its claims; how much of its speech is used is in its account.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import jwt
from starlette.requests import HTTPConnection

from pipeline.core.notifier import until
from pipeline.errors import (
    NotAllowed,
    PipelineError,
    TokenExpired,
    TokenInvalid,
    TokenSpent,
    TokenWrongAvatar,
    TokenWrongEndpoint,
    TokenWrongOrigin,
)
from pipeline.jobs.accounts import Account, Accounts
from pipeline.jobs.events import TtsDone
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Job
from pipeline.live.session_events import Closed, Interrupted, Problem, SessionEvent, TurnEnded, TurnStarted
from pipeline.live.workers import RemoteSession
from pipeline.server.access import ORIGIN, is_same, key_of
from pipeline.settings import Settings, listed

ALGORITHM = "HS256"
ISSUER = "realtime-interview-avatar"
ENDPOINTS = ("lipsync", "sessions")
"""What a token may be for."""
LETTERS_PER_SECOND = 30.0
"""No voice speaks faster: a text surely takes at least its letters divided by this."""
GRANT = "avatar.grant"
"""Where the scope of a request keeps what its token grants."""
_REQUIRED = ("exp", "iat", "iss", "jti", "ends")


@dataclass(frozen=True)
class Grant:
    """What a token allows.

    Attributes:
        id: The token's own number.
        key: The API key that made it.
        endpoints: Some of `ENDPOINTS`.
        origin: The only web site that may use it; "" for any.
        avatar: The name of the only avatar; "" for any.
        session: The id of the only session; "" for those that it opens.
        seconds: Seconds of speech.
        expires: When it becomes invalid, in seconds since 1970.
    """

    id: str
    key: str
    endpoints: tuple[str, ...]
    origin: str
    avatar: str
    session: str
    seconds: float
    expires: float


def grant_of(connection: HTTPConnection) -> Grant | None:
    """Return what the token of a request grants, once it was checked; None if it has a key, or needs none."""
    grant: Grant | None = connection.scope.get(GRANT)
    return grant


class Tokens:
    """Makes tokens, checks them, and counts the speech that they pay for; use it from the event loop.

    Args:
        settings: The keys, and the secret with which tokens are signed; without one, it is random.
        supervisor: Runs what counts.
        accounts: What was done with tokens.
        secret: Signs tokens where the settings have no secret.
    """

    def __init__(self, settings: Settings, supervisor: Supervisor, accounts: Accounts, secret: str) -> None:
        self._keys = listed(settings.api_keys)
        self._secret = settings.token_secret or secret
        self._supervisor = supervisor
        self._accounts = accounts
        self._meters: dict[str, dict[str, _Meter]] = {}
        """Those of each session, by token."""

    def make(self, grant: Grant) -> str:
        """Return the token of a grant."""
        claims = {"iss": ISSUER, "jti": grant.id, "iat": int(time.time()), "exp": int(grant.expires)}
        claims |= {"ends": list(grant.endpoints), "site": grant.origin, "avatar": grant.avatar}
        claims |= {"session": grant.session, "seconds": grant.seconds}
        return jwt.encode(claims, self._signer(grant.key), ALGORITHM)

    def allowed(self, connection: HTTPConnection, endpoint: str = "") -> Grant | None:
        """Check that the sender of a request may use an endpoint.

        Args:
            connection: The request.
            endpoint: One of `ENDPOINTS`; "" is what every token may do: list avatars and voices.

        Returns:
            What its token grants; None if the request has a key, or needs none.

        Raises:
            NotAllowed: It has neither key nor token, or the token is invalid or expired.
            Forbidden: The token is for something else, or for another site.
        """
        if not self._keys or key_of(connection.headers, self._keys) is not None:
            return None
        grant = self.granted(connection)
        if grant is None:
            raise NotAllowed
        if grant.origin and not _comes_from(grant.origin, connection):
            raise TokenWrongOrigin
        if endpoint and endpoint not in grant.endpoints:
            raise TokenWrongEndpoint(", ".join(grant.endpoints))
        return grant

    def refused(self, connection: HTTPConnection) -> PipelineError:
        """Return why a request may not use an address that is for keys alone."""
        try:
            grant = self.allowed(connection)
        except PipelineError as error:
            return error
        return NotAllowed() if grant is None else TokenWrongEndpoint(", ".join(grant.endpoints))

    def granted(self, connection: HTTPConnection) -> Grant | None:
        """Return what the token of a request grants, in its header or address; None without a token.

        Raises:
            TokenExpired, TokenInvalid: It is no valid one.
        """
        if not self._keys:
            return None
        if (checked := grant_of(connection)) is not None:
            return checked
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else connection.query_params.get("token", "")
        if token.count(".") != 2:
            return None
        grant = self._read(token)
        connection.scope[GRANT] = grant
        return grant

    def _read(self, token: str) -> Grant:
        for key in self._keys:
            try:
                claims = jwt.decode(
                    token,
                    self._signer(key),
                    [ALGORITHM],
                    issuer=ISSUER,
                    options={"require": list(_REQUIRED)},
                )
            except jwt.ExpiredSignatureError:
                raise TokenExpired from None
            except jwt.PyJWTError:
                continue
            return Grant(
                id=claims["jti"],
                key=key,
                endpoints=tuple(claims["ends"]),
                origin=claims["site"],
                avatar=claims["avatar"],
                session=claims["session"],
                seconds=float(claims["seconds"]),
                expires=float(claims["exp"]),
            )
        raise TokenInvalid

    def _signer(self, key: str) -> bytes:
        return hashlib.sha256(f"{len(key)} {key} {self._secret}".encode()).digest()

    # --- what belongs to a token

    def owns_task(self, grant: Grant | None, task_id: str) -> bool:
        """Return whether a request may see a task: with a token, only those that it made."""
        return grant is None or task_id in self._account(grant).tasks

    def owns_session(self, grant: Grant | None, session_id: str) -> bool:
        """Return whether a request may use a session: with a token, its own, or those that it opened."""
        if grant is None:
            return True
        return session_id == grant.session if grant.session else session_id in self._account(grant).sessions

    # --- seconds of speech

    def check(self, grant: Grant | None, text: str = "") -> None:
        """Check that a token has speech left: enough for a text, at the highest speed.

        Raises:
            TokenSpent: It has not.
        """
        if grant is not None and self._account(grant).used + max(1e-9, _least(text)) > grant.seconds:
            raise TokenSpent(grant.seconds)

    def check_avatar(self, grant: Grant | None, name: str) -> None:
        """Check that a token is for an avatar.

        Raises:
            TokenWrongAvatar: It is for another one.
        """
        if grant is not None and grant.avatar and grant.avatar != name:
            raise TokenWrongAvatar(grant.avatar)

    def count_task(self, grant: Grant | None, job: Job, text: str) -> None:
        """Count the speech of a new task, and stop the task if there is more of it than the token has left."""
        if grant is None:
            return
        account = self._account(grant)
        account.add_task(job.id)
        expected = _least(text)
        account.add(expected)
        self._supervisor.do(self._count(account, grant, job, expected))

    async def _count(self, account: Account, grant: Grant, job: Job, expected: float) -> None:
        history, spoken = job.history, threading.Event()

        def take() -> None:  # in the thread of the task, so that it cannot end meanwhile
            last = history.last
            if last is not None and isinstance(last.event, TtsDone) and not spoken.is_set():
                spoken.set()
                account.add(last.event.duration - expected)
                account.settle()
                if account.used > grant.seconds:
                    job.cancel.cancel(TokenSpent(grant.seconds))

        with history.changes.calling(take):
            await until(lambda: history.ended, history.changes)
        if not spoken.is_set():
            account.add(-expected)

    def count_session(self, grant: Grant | None, session: RemoteSession) -> None:
        """Count what a session says from now on, and interrupt it where the token has no speech left."""
        if grant is None:
            return
        account = self._account(grant)
        account.add_session(session.id)
        if session.id not in self._meters:
            self._meters = {id: one for id, one in self._meters.items() if any(meter.open for meter in one.values())}
        meters = self._meters.setdefault(session.id, {})
        if grant.id not in meters:
            meters[grant.id] = _Meter(account, grant.seconds, session)
            session.listeners.append(meters[grant.id].handle)

    def check_session(self, session: RemoteSession) -> None:
        """Check that all tokens with which a session was opened and used have speech left.

        Raises:
            TokenSpent: One has not.
        """
        for meter in self._meters.get(session.id, {}).values():
            meter.check()

    def settle(self, grant: Grant | None) -> None:
        """Learn what other web servers have counted for a token; may take a moment."""
        if grant is not None:
            self._account(grant).settle()

    def _account(self, grant: Grant) -> Account:
        return self._accounts.of(grant.id, grant.expires)


class _Meter:
    """Counts what a session says for an account."""

    def __init__(self, account: Account, seconds: float, session: RemoteSession) -> None:
        self._account = account
        self._seconds = seconds
        self._session = session
        self._started: float | None = None
        self._end: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether the session goes on."""
        return self._session.closed is None

    def check(self) -> None:
        """Raise TokenSpent if there is nothing left."""
        if self._account.used >= self._seconds:
            raise TokenSpent(self._seconds)

    def handle(self, event: SessionEvent) -> None:
        """Take an event of the session."""
        if isinstance(event, TurnStarted):
            self._started = event.stream
            left = max(0.0, self._seconds - self._account.used)
            self._end = asyncio.get_running_loop().call_later(left, self._stop)
        elif isinstance(event, TurnEnded | Interrupted | Closed) and self._started is not None:
            moment = self._session.time if isinstance(event, Closed) else event.stream
            self._account.add(max(0.0, moment - self._started))
            self._started = None
            if self._end is not None:
                self._end.cancel()

    def _stop(self) -> None:
        if self.open:
            self._session.emit(Problem.of(TokenSpent(self._seconds)))
            self._session.interrupt_soon()


def _comes_from(origin: str, connection: HTTPConnection) -> bool:
    """Return whether a request comes from a web site, or from this server's own page, such as a frame in that site."""
    if connection.headers.get("sec-fetch-site") == "same-origin":
        return True
    sent = connection.scope.get(ORIGIN) or _origin_of(connection.headers.get("referer", ""))
    return sent == origin or is_same(sent, connection.scope)


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _least(text: str) -> float:
    """Return the seconds that a text surely takes."""
    return sum(map(str.isalnum, text)) / LETTERS_PER_SECOND
