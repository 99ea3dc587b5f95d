"""Uploaded avatars of all web servers: each has the packs of all of them, and deletes them when any server does.

The truth is in the store: ``avatars/lists/`` has a list for each avatar, ``avatars/gone/`` the names of lists whose
avatars were deleted, and ``avatars/packs/`` the packs by digest. When a counter in Redis changes, servers look there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.avatars.store import RESOLUTIONS, SUFFIX, AvatarStore, check_name
from pipeline.cluster.content_store import Store, digest_of, fetch
from pipeline.errors import BadRequest, Unavailable
from pipeline.jobs.uploads import Uploads
from pipeline.shared.link import PREFIX, Link
from pipeline.shared.servers import WebServer, key_of

logger = logging.getLogger(__name__)

VERSION = f"{PREFIX}avatars"
"""Name in Redis of the counter of all changes."""
LISTS, GONE, PACKS = "avatars/lists", "avatars/gone", "avatars/packs"
LOOK_SECONDS = 0.5
"""Seconds between two looks at the counter."""
FULL_LOOK_SECONDS = 60.0
"""Seconds after which the store is looked at though the counter is the same."""
AGAIN_SECONDS = 2.0
"""Seconds after which the store is asked again that has refused."""
OTHERS_SECONDS = 5.0
"""Seconds for which a change waits for the other servers."""
SEEN_SECONDS = 600
"""Seconds for which Redis keeps what a server has seen."""


class SharedAvatars:
    """The uploaded avatars of all web servers.

    Args:
        link: Redis.
        server: This web server.
        store: The store.
        avatars: The avatars of this server.
        uploads: Those that were uploaded.
    """

    def __init__(self, link: Link, server: WebServer, store: Store, avatars: AvatarStore, uploads: Uploads) -> None:
        self._link = link
        self._server = server
        self._store = store
        self._root = avatars.root
        self._uploads = uploads
        self._todo: list[Callable[[], object]] = []
        """What the store has refused."""
        self._seen: str | None = None
        self._lock = threading.RLock()
        self._closed = threading.Event()
        uploads.on_made.append(self.made)
        uploads.on_order.append(self.deleted)
        threading.Thread(target=self._watch, name="avatars", daemon=True).start()

    # --- changes here

    def made(self, name: str) -> None:
        """Share an avatar that was made here; return when the other servers have it, or soon."""
        self._do(lambda: self._share(name))

    def deleted(self, name: str, shared_as: str) -> None:
        """Have the other servers delete what was deleted here; return when they have, or soon."""
        self._do(lambda: self._withdraw(name, shared_as))

    def _do(self, change: Callable[[], object]) -> None:
        try:
            with self._lock:
                change()
        except Unavailable as error:
            logger.warning("the store does not take a change of avatars, which is tried again: %s", error)
            self._todo.append(change)
            return
        try:
            self._wait_for_others(int(self._link.now.incr(VERSION)))
        except self._link.errors as error:
            self._link.failed(error)

    def _share(self, name: str) -> None:
        """Put an avatar into the store.

        Raises:
            Unavailable: The store cannot be used.
        """
        note = self._uploads.note_of(name)
        packs = {one: path for one in RESOLUTIONS if (path := self._home(name, one)).is_file()}
        if not note or not packs:
            return
        note.pop("shared", None)
        digests = {resolution: digest_of(path) for resolution, path in packs.items()}
        content = {"name": name, "note": note, "packs": digests, "once": secrets.token_hex(8)}
        text = json.dumps(content, ensure_ascii=False)
        shared_as = hashlib.sha256(text.encode()).hexdigest()
        for resolution, path in packs.items():
            self._store.put(f"{PACKS}/{digests[resolution]}.pkl", path)
        self._put(f"{LISTS}/{shared_as}.json", text)
        self._uploads.keep_note(name, {**note, "shared": shared_as})

    def _withdraw(self, name: str, shared_as: str) -> None:
        """Remove an avatar from the store, or share what is left of it."""
        if not shared_as:
            return
        self._put(f"{GONE}/{shared_as}.json", "{}")
        listed = self._read(shared_as)
        self._share(name)  # other resolutions may be left
        self._store.delete(f"{LISTS}/{shared_as}.json")
        left = {path.stem for path in map(Path, self._store.list(LISTS))}
        used = {digest for one in left for digest in self._read(one).get("packs", {}).values()}
        for digest in {*listed.get("packs", {}).values()} - used:
            self._store.delete(f"{PACKS}/{digest}.pkl")

    def _wait_for_others(self, version: int) -> None:
        """Wait until the other servers have seen a change, but not for long."""
        until = time.monotonic() + OTHERS_SECONDS
        redis, beginning = self._link.now, key_of("")
        others = {key for key in redis.scan_iter(f"{beginning}*") if key != self._server.key}
        while others and time.monotonic() < until:
            others = {
                key
                for key in others
                if redis.exists(key) and int(redis.get(f"{VERSION}:{key.removeprefix(beginning)}") or 0) < version
            }
            if others:
                time.sleep(0.05)
        if others:
            logger.warning("%d web servers have not followed a change of avatars yet", len(others))

    # --- changes elsewhere

    def _watch(self) -> None:
        """Follow the changes of the other servers."""
        looked = float("-inf")
        while not self._closed.wait(LOOK_SECONDS):
            try:
                version = self._link.now.get(VERSION) or "0"
                if self._todo or version != self._seen or time.monotonic() - looked > FULL_LOOK_SECONDS:
                    self._again()
                    self.follow()
                    self._seen, looked = version, time.monotonic()
                    self._link.now.set(f"{VERSION}:{self._server.url}", version, ex=SEEN_SECONDS)
            except self._link.errors as error:
                self._link.failed(error)
            except Unavailable as error:
                logger.warning("the avatars of other servers cannot be looked at: %s", error)
                self._closed.wait(AGAIN_SECONDS)
            except Exception:  # this thread must go on
                logger.exception("the avatars of other servers cannot be followed")
                self._closed.wait(AGAIN_SECONDS)

    def close(self) -> None:
        """Follow the other servers no more."""
        self._closed.set()

    def _again(self) -> None:
        """Do what the store has refused."""
        while self._todo:
            with self._lock:
                self._todo[0]()
            del self._todo[0]
            self._link.now.incr(VERSION)

    def follow(self) -> None:
        """Fetch what is new in the store, and remove what is gone.

        Raises:
            Unavailable: The store cannot be used.
        """
        with self._lock:
            gone = {Path(name).stem for name in self._store.list(GONE)}
            listed = {Path(name).stem for name in self._store.list(LISTS)} - gone
            here = {name: self._uploads.shared_as(name) for name in self._uploads.names()}
            known = set(here.values())
            lists = {shared_as: self._read(shared_as) for shared_as in listed - known}
            by_name = {content["name"]: shared_as for shared_as, content in lists.items() if content}
            for name, shared_as in here.items():
                if shared_as in gone:
                    left = lists.get(by_name.get(name, ""), {}).get("packs", {})
                    self._uploads.remove(name, [one for one in RESOLUTIONS if one not in left])
                    logger.info("avatar %s was deleted at another web server", name)
                elif not shared_as:
                    self._share(name)
                    self._link.now.incr(VERSION)
            for name, shared_as in by_name.items():
                if here.get(name, "") in ("", *gone):
                    self._fetch(name, shared_as, lists[shared_as])

    def _fetch(self, name: str, shared_as: str, content: dict[str, Any]) -> None:
        """Fetch an avatar."""
        try:
            check_name(name)
        except BadRequest:
            return
        for resolution, digest in content["packs"].items():
            home = self._home(name, resolution)
            if resolution in RESOLUTIONS and not home.is_file():
                home.parent.mkdir(parents=True, exist_ok=True)
                part = home.with_name(f".{home.name}")
                # ``fetch`` compares the digest with the file's name in the store
                fetch(self._store, f"{PACKS}/{digest}.pkl", part)
                part.replace(home)
        self._uploads.keep_note(name, {**content["note"], "shared": shared_as})
        logger.info("avatar %s was made at another web server", name)

    def _home(self, name: str, resolution: str) -> Path:
        return self._root / resolution / f"{name}_{resolution}{SUFFIX}"

    def _put(self, name: str, text: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "text"
            file.write_text(text, "utf-8")
            self._store.put(name, file)

    def _read(self, shared_as: str) -> dict[str, Any]:
        """Return a list of the store; empty if it is not valid, or gone meanwhile."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "text"
            try:
                fetch(self._store, f"{LISTS}/{shared_as}.json", file)
                content = json.loads(file.read_text("utf-8"))
            except (Unavailable, ValueError):
                return {}
        valid = isinstance(content, dict) and {"name", "note", "packs"} <= content.keys()
        return content if valid else {}
