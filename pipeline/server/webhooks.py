"""Webhooks: notifies a receiver that a task or session has ended, signed as standardwebhooks.com describes.

A delivery never holds up what it reports. It is tried again with growing pauses for an hour, and then dropped. What
waits lies in a file each, so that the next start of the server goes on with it. A receiver is reached at an address
that was checked: none in a private network, unless the settings allow that, and no redirects.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import random
import secrets
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from pipeline import messages
from pipeline.errors import BadRequest
from pipeline.jobs.events import Done, Ended, Made, to_json
from pipeline.jobs.tasks import Job
from pipeline.live.session_events import Closed, SessionEvent
from pipeline.live.workers import RemoteSession
from pipeline.messages import Language
from pipeline.settings import Settings

logger = logging.getLogger(__name__)

PAUSES: tuple[float, ...] = (5.0, 15.0, 60.0, 180.0, 420.0, 900.0, 1800.0)
"""Seconds between two tries: eight in an hour."""
WAITING_SECONDS = 3600.0
"""Seconds after which a delivery is dropped, also if the server was away meanwhile."""
FOLDER = ".webhooks"
"""Where deliveries wait, within the folder of results."""
JITTER = 0.1
"""Share by which pauses differ, so that deliveries do not come back all at once."""
CONNECTION_SECONDS = 10.0
"""Seconds that a try may take, from the look-up of the name to the status."""
CONNECTIONS = 16
"""Tries at a time."""
MOST_WAITING = 1000
"""Deliveries that may wait; further ones are dropped."""
LONGEST_URL = 2000
"""Characters."""
SECRET_PREFIX = "whsec_"
SECRET_BYTES = (24, 64)
"""Length of a secret, as Standard Webhooks limits it."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/32")
"""Addresses that a gateway translates to IPv4, perhaps private."""


@dataclass(frozen=True)
class Receiver:
    """Where to send, and how.

    Attributes:
        url: Its address.
        language: Of the sentences.
        root: The public path of the server, with which addresses begin.
    """

    url: str
    language: Language
    root: str = ""


@dataclass(frozen=True)
class _Delivery:
    """What is sent, in every try the same.

    Attributes:
        id: By which a receiver recognises a repetition.
        type: The event.
        url: The receiver.
        body: JSON.
        begun: When it was to be sent first, seconds since 1970.
    """

    id: str
    type: str
    url: str
    body: bytes
    begun: float

    def to_json(self) -> bytes:
        """Return what the file of a delivery holds."""
        return json.dumps({**asdict(self), "body": self.body.decode()}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> _Delivery:
        """Return the delivery in a file.

        Raises:
            ValueError: It holds none.
        """
        held = json.loads(text)
        names = {"id": str, "type": str, "url": str, "body": str, "begun": float}
        if not isinstance(held, dict) or any(not isinstance(held.get(name), kind) for name, kind in names.items()):
            raise ValueError("not a delivery")
        return cls(held["id"], held["type"], held["url"], held["body"].encode(), held["begun"])


class Refused(Exception):
    """A try failed; the text states why, for the log."""


def secret_of(text: str) -> bytes:
    """Return the secret in a setting: base64, with or without "whsec_".

    Raises:
        ValueError: It is none.
    """
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not SECRET_BYTES[0] <= len(secret) <= SECRET_BYTES[1]:
        low, high = SECRET_BYTES
        raise ValueError(f"WEBHOOK_SECRET: expected {SECRET_PREFIX} and {low} to {high} bytes in base64")
    return secret


def signature(secret: bytes, delivery: str, moment: int, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``."""
    signed = hmac.new(secret, f"{delivery}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


class Webhooks:
    """Sends what has ended to its receivers.

    Args:
        settings: The receiver of all, the secret, whether receivers may be in a private network, and the folder of
            results.

    Raises:
        ValueError: A setting cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._private = bool(settings.webhook_private)
        self._secret = secret_of(settings.webhook_secret) if settings.webhook_secret else None
        if settings.webhook_url and self._secret is None:
            raise ValueError("WEBHOOK_URL needs WEBHOOK_SECRET, with which its messages are signed")
        self._usual = Receiver(self.checked(settings.webhook_url), "ko") if settings.webhook_url else None
        self.folder = settings.results / FOLDER
        self._receivers: dict[str, Receiver] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._loop: asyncio.AbstractEventLoop | None = None
        # each try has a connection of its own, to the address that it has checked
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=None, limits=limits)

    # --- what is asked for

    def checked(self, url: object) -> str:
        """Return the address of a receiver that a request or setting names.

        Raises:
            BadRequest: It is no address of http or https, or one in a private network.
        """
        if self._secret is None:
            raise BadRequest(messages.server.WEBHOOK_NOT_SET_UP())
        if not isinstance(url, str) or len(url) > LONGEST_URL or not url.isprintable() or " " in url:
            raise BadRequest(messages.server.WEBHOOK_URL_INVALID())
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
            host.encode("idna")
            httpx.URL(url)
        except (ValueError, httpx.InvalidURL):  # of a port or a name that is none
            raise BadRequest(messages.server.WEBHOOK_URL_INVALID()) from None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise BadRequest(messages.server.WEBHOOK_URL_INVALID())
        literal = _literal(host)
        local = host == "localhost" or host.endswith(".localhost") or (literal is not None and not is_public(literal))
        if local and not self._private:
            raise BadRequest(messages.server.WEBHOOK_URL_PRIVATE())
        return url

    def receiver(self, url: object, language: Language, root: str) -> Receiver | None:
        """Return the receiver of a request: the one that it names, or the usual one, if there is one.

        Raises:
            BadRequest: The address cannot be used.
        """
        if url is None or url == "":
            return self._usual and Receiver(self._usual.url, language, root)
        return Receiver(self.checked(url), language, root)

    def follow(self, job: Job, receiver: Receiver | None) -> None:
        """Notify a receiver of a job's end; call it before anything else is awaited."""
        if receiver is not None:
            self._receivers[job.id] = receiver

    def follow_session(self, session: RemoteSession, receiver: Receiver | None) -> None:
        """Notify a receiver of a session's end."""
        if receiver is None:
            return
        task_id = session.id if session.request.record else None

        def handle(event: SessionEvent) -> None:
            if isinstance(event, Closed):
                data = {"session_id": session.id, "reason": event.reason, "stream": round(session.time, 3)}
                self._send("session.ended", {**data, "task_id": task_id}, receiver)

        session.listeners.append(handle)

    # --- what has ended

    def ended(self, job: Job, last: Ended) -> None:
        """Notify the receiver of a job's end; from any thread."""
        receiver = self._receivers.pop(job.id, self._usual)
        if receiver is None:
            return
        kind = "avatar.done" if isinstance(last, Made) else "task.done" if isinstance(last, Done) else "task.failed"
        event = to_json(last, job.id, receiver.language, receiver.root)
        data = {key: value for key, value in event.items() if key != "type"}
        self._send(kind, {**data, "kind": job.kind}, receiver)

    def open(self) -> None:
        """Begin, with what an earlier run of the server left; call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        for path in sorted(self.folder.glob("msg_*.json")) if self._secret is not None else ():
            try:
                delivery = _Delivery.from_json(path.read_bytes())
                self.checked(delivery.url)
                if time.time() > delivery.begun + WAITING_SECONDS:
                    raise ValueError("its hour is over")
            except (OSError, ValueError, BadRequest) as error:  # damaged, or no longer allowed
                logger.error("webhook in %s is dropped: %s", path.name, error)
                path.unlink(missing_ok=True)
                continue
            self._begin(delivery)

    async def close(self) -> None:
        """Stop; what waits is sent after the next start."""
        self._loop = None
        for task in self._sending:
            task.cancel()
        await self._client.aclose()
        if self._sending:
            logger.warning("webhooks: %d deliveries wait for the next start of the server", len(self._sending))

    def _send(self, kind: str, data: dict[str, Any], receiver: Receiver) -> None:
        """Queue a delivery; from any thread."""
        content = {"type": kind, "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"), "data": data}
        body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        delivery = _Delivery(f"msg_{secrets.token_hex(16)}", kind, receiver.url, body, time.time())
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin, delivery)

    def _begin(self, delivery: _Delivery) -> None:
        if len(self._sending) >= MOST_WAITING:
            logger.error("webhook %s to %s is dropped: %d wait", delivery.type, _shown(delivery.url), MOST_WAITING)
            return
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, delivery: _Delivery) -> None:
        """Try until a receiver accepts, or an hour is over."""
        await asyncio.to_thread(self._keep, delivery)
        await self._try(delivery)
        await asyncio.to_thread(self._path(delivery).unlink, missing_ok=True)

    def _path(self, delivery: _Delivery) -> Path:
        return self.folder / f"{delivery.id}.json"

    def _keep(self, delivery: _Delivery) -> None:
        """Write a delivery to its file, if it has none; only the server's own account may read it."""
        path = self._path(delivery)
        if path.exists():
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(delivery.to_json())
            part.replace(path)
        except OSError as error:  # it is sent all the same
            logger.warning("webhook %s would be lost if the server ended: %s", delivery.type, error)

    async def _try(self, delivery: _Delivery) -> None:
        for number, pause in enumerate((*PAUSES, None), 1):
            try:
                async with self._slots, asyncio.timeout(CONNECTION_SECONDS):
                    status = await self._post(delivery)
            # TimeoutError is an OSError
            except (Refused, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                why = str(error) or type(error).__name__
            else:
                if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
                    logger.info("webhook %s to %s is delivered", delivery.type, _shown(delivery.url))
                    return
                why = f"status {status}"
                if status == HTTPStatus.GONE:
                    pause = None
            if pause is not None and time.time() + pause > delivery.begun + WAITING_SECONDS:
                pause = None
            where = _shown(delivery.url)
            if pause is None:
                logger.error("webhook %s to %s is dropped after %d tries: %s", delivery.type, where, number, why)
                return
            logger.warning("webhook %s to %s failed (%s), try %d", delivery.type, where, why, number)
            await asyncio.sleep(pause * (1 + JITTER * (2 * random.random() - 1)))

    async def _post(self, delivery: _Delivery) -> int:
        """Send once; return the status. Nothing of the reply's body is read."""
        assert self._secret is not None, "no receiver without one"
        parts = urlsplit(delivery.url)
        address, port = await self._address(parts)
        host = address if ":" not in address else f"[{address}]"
        named = parts.hostname or ""
        name = named.encode("idna").decode() if _literal(named) is None else ""
        moment = int(time.time())
        headers = {
            "Host": (name or (f"[{named}]" if ":" in named else named)) + (f":{parts.port}" if parts.port else ""),
            "Content-Type": "application/json",
            "User-Agent": "realtime-interview-avatar",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(self._secret, delivery.id, moment, delivery.body),
        }
        target = httpx.URL(delivery.url).copy_with(host=host, port=port)
        # the connection goes to the address that was checked; the certificate is that of the name
        extensions = {"sni_hostname": name} if name and parts.scheme == "https" else {}
        asked = self._client.stream("POST", target, content=delivery.body, headers=headers, extensions=extensions)
        async with asked as response:
            return response.status_code

    async def _address(self, parts: SplitResult) -> tuple[str, int]:
        """Return the address and port of a receiver.

        Raises:
            Refused: One of the name's addresses is in a private network.
        """
        port = parts.port or (443 if parts.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        addresses = [str(one[4][0]).partition("%")[0] for one in found]
        if not addresses:
            raise Refused("no address")
        if not self._private and not all(is_public(ipaddress.ip_address(one)) for one in addresses):
            raise Refused("its address is in a private network")
        return addresses[0], port


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address is one of the open internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return is_public(inner)
        if address in _TRANSLATED:
            return False
    return address.is_global and not address.is_multicast


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001: forms that the system's look-up takes for addresses
        return ipaddress.ip_address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _shown(url: str) -> str:
    """Return an address for the log: without path and query, which may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"
