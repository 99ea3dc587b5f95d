"""What the web server and the nodes share: packs and files of requests, by the digest of their content."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from pipeline import messages
from pipeline.core.best_effort import best_effort
from pipeline.errors import Unavailable
from pipeline.settings import Settings

KINDS = ("packs", "files")
"""What names begin with."""
HERE = "store"
"""Folder in the results folder where no STORE_URL is set."""

LIMITS = {"connect_timeout": "5s", "timeout": "60s"}
RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
"""How long a bucket may take, in obstore's words; its own are three minutes."""


class Store(Protocol):
    """Files by name; what has a name never changes."""

    def put(self, name: str, path: Path) -> None:
        """Keep the content of a file, unless the name is there.

        Raises:
            Unavailable: The store cannot be used.
        """

    def get(self, name: str, path: Path) -> None:
        """Write the content of a name to a file.

        Raises:
            Unavailable: The store cannot be used, or has no such name.
        """

    def delete(self, name: str) -> None:
        """Forget a name; no effect if it is unknown.

        Raises:
            Unavailable: The store cannot be used.
        """

    def list(self, prefix: str) -> dict[str, float]:
        """Return the names below a prefix ("results"), and for how many seconds they have been there.

        Raises:
            Unavailable: The store cannot be used.
        """

    def sign(self, name: str, seconds: float) -> str | None:
        """Return an address from which any client can read a name for some time; None where there is none.

        Raises:
            Unavailable: The store cannot be used.
        """

    def clear(self) -> None:
        """Forget all packs and files of requests, and nothing else.

        Raises:
            Unavailable: The store cannot be used.
        """


class FolderStore:
    """A folder on a disk that all machines see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, path: Path) -> None:
        """See ``Store``."""
        if not (self._folder / name).exists():
            _copy(path, self._folder / name)

    def get(self, name: str, path: Path) -> None:
        """See ``Store``."""
        _copy(self._folder / name, path)

    def delete(self, name: str) -> None:
        """See ``Store``."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error) from error

    def list(self, prefix: str) -> dict[str, float]:
        """See ``Store``."""
        found, now = {}, time.time()
        try:
            for path in (self._folder / prefix).rglob("*"):
                if not path.name.startswith("."):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        if path.is_file():
                            found[path.relative_to(self._folder).as_posix()] = now - path.stat().st_mtime
        except OSError as error:
            raise _failed(error) from error
        return found

    def sign(self, name: str, seconds: float) -> str | None:
        """See ``Store``: files on a disk have no address."""
        return None

    def clear(self) -> None:
        """See ``Store``."""
        for kind in KINDS:
            for path in (self._folder / kind).glob("*"):
                self.delete(f"{kind}/{path.name}")


class ObjectStore:
    """A bucket; credentials come from the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT``, ...)."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
        except ImportError as error:
            raise ValueError(messages.cluster.NO_RAY(setting="STORE_URL")) from error
        self._calls: Any = obstore
        self._errors = obstore.exceptions.BaseError
        # with options of its own, obstore does not read this one from the environment
        options = {**LIMITS, "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")}
        self._store = obstore.store.from_url(url, client_options=options, retry_config=RETRIES)

    def put(self, name: str, path: Path) -> None:
        """See ``Store``."""
        try:
            self._calls.put(self._store, name, path, mode="create")
        except self._calls.exceptions.AlreadyExistsError:
            pass
        except self._errors as error:
            raise _failed(error) from error

    def get(self, name: str, path: Path) -> None:
        """See ``Store``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with part.open("wb") as file:
                for piece in self._calls.get(self._store, name):
                    file.write(piece)
            part.replace(path)
        except (OSError, self._errors) as error:
            raise _failed(error) from error
        finally:
            part.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """See ``Store``."""
        try:
            self._calls.delete(self._store, name)
        except FileNotFoundError:
            pass
        except self._errors as error:
            raise _failed(error) from error

    def list(self, prefix: str) -> dict[str, float]:
        """See ``Store``."""
        now = datetime.now(UTC)
        try:
            parts = self._calls.list(self._store, f"{prefix}/")
            return {one["path"]: (now - one["last_modified"]).total_seconds() for part in parts for one in part}
        except self._errors as error:
            raise _failed(error) from error

    def sign(self, name: str, seconds: float) -> str | None:
        """See ``Store``."""
        try:
            return str(self._calls.sign(self._store, "GET", name, timedelta(seconds=seconds)))
        except self._errors as error:
            raise _failed(error) from error

    def clear(self) -> None:
        """See ``Store``."""
        try:
            for kind in KINDS:
                for some in self._calls.list(self._store, f"{kind}/"):
                    self._calls.delete(self._store, [one["path"] for one in some])
        except self._errors as error:
            raise _failed(error) from error


def store_url(settings: Settings) -> str:
    """Return STORE_URL; without one, the address of a folder in the results."""
    return settings.store_url or (settings.results.absolute() / HERE).as_uri()


def open_store(address: str) -> Store:
    """Return the store at an address.

    Raises:
        ValueError: It is none of a store.
    """
    url = urlsplit(address)
    if url.scheme == "file" and not url.netloc and url.path.startswith("/"):
        return FolderStore(Path(unquote(url.path)))
    if url.scheme == "s3" and url.netloc:
        return ObjectStore(address)
    raise ValueError(messages.cluster.STORE_UNKNOWN(url=address))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(store: Store, name: str, path: Path) -> None:
    """Write a file of the store to this machine's disk.

    Args:
        store: The store.
        name: Ends with a digest and perhaps a suffix: ``packs/<digest>.pkl``, ``files/<task>-<digest>.wav``.
        path: Where it goes.

    Raises:
        Unavailable: It cannot be fetched, or does not match the digest in its name.
    """
    fresh = path.with_name(f".{uuid.uuid4().hex}")
    try:
        store.get(name, fresh)
        if digest_of(fresh) != Path(name).stem.rpartition("-")[2]:
            raise Unavailable(messages.cluster.STORE_FAILED(reason="digest"))
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def lent(store: Store, path: Path, owner: str = "") -> Iterator[str]:
    """Keep a file in a store while the block lasts; give its name there.

    Args:
        store: The store.
        path: The file.
        owner: The task that needs it; a new name by default.
    """
    name = f"files/{owner or uuid.uuid4().hex}-{digest_of(path)}{path.suffix}"
    try:
        store.put(name, path)
        yield name
    finally:
        with best_effort("deletion of a file in the store"):
            store.delete(name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, completely or not at all."""
    part = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        os.replace(part, target)
    except OSError as error:
        raise _failed(error) from error
    finally:
        part.unlink(missing_ok=True)


def _failed(error: Exception) -> Unavailable:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return Unavailable(messages.cluster.STORE_FAILED(reason=reason))
