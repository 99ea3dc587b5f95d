"""Packs on their way to the nodes: each is in the store as long as its avatar is on the web server."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from weakref import ReferenceType, ref

import numpy as np

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.framing import played_at
from pipeline.avatars.pack import save
from pipeline.cluster.content_store import Store, digest_of
from pipeline.core.best_effort import best_effort

logger = logging.getLogger(__name__)

_SAME = Fraction(1, 100)
"""Difference of rates that packs allow."""


class Packs:
    """The packs in the store; safe to use from any thread.

    Args:
        store: What the web server and the nodes share.
        forget: Has all nodes remove what they have of an avatar; takes the name of its pack and its id.
    """

    def __init__(self, store: Store, forget: Callable[[str, str], object]) -> None:
        self._store = store
        self._forget = forget
        self._names: dict[int, tuple[ReferenceType[np.ndarray], str]] = {}
        """By the points of an avatar, which it shares with those that only play or look differently."""
        self._ids: dict[str, str] = {}
        """Id of the avatar of each name in the store."""
        self._users: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, avatar: Avatar) -> Iterator[str]:
        """Give the store's name of an avatar while the block lasts: as it is here, whatever has become of its pack.

        Raises:
            Unavailable: The store cannot be used.
        """
        points = avatar.landmarks
        with self._lock:
            known, name = self._names.get(id(points), (None, ""))
            if known is None or known() is not points:
                name = self._put(avatar)
                self._names[id(points)] = ref(points), name
            self._users[name] += 1
        try:
            yield name
        finally:
            with self._lock:
                self._users[name] -= 1

    def _put(self, avatar: Avatar) -> str:
        with tempfile.TemporaryDirectory() as folder:
            pack = Path(folder) / "pack.pkl"
            own = avatar.clip.fps
            save(avatar if abs(avatar.fps - own) <= _SAME else played_at(avatar, own), pack)
            name = f"packs/{digest_of(pack)}.pkl"
            self._store.put(name, pack)
        self._ids[name] = avatar.id
        return name

    def keep_only(self, ids: Collection[str]) -> None:
        """Remove all packs but those of some avatars, and those that are lent, from the store and the nodes."""
        with self._lock:
            gone = {name: id for name, id in self._ids.items() if id not in ids and not self._users[name]}
            for name in gone:
                del self._ids[name]
            for points, (known, name) in [*self._names.items()]:
                if known() is None or name in gone:
                    del self._names[points]
        for name, id in gone.items():
            logger.info("the nodes forget avatar %s", id)
            with best_effort("deletion of a pack on the nodes"):
                self._store.delete(name)
                self._forget(name, id)
