"""Still pictures of avatars, which the page shows before a clip has loaded, and which shared links show."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline import messages
from pipeline.avatars.framing import ASPECTS, box_of
from pipeline.avatars.store import AvatarStore
from pipeline.errors import AvatarNotFound, BadRequest
from pipeline.video.crop import Box

WIDTH = 480
"""Pixels of a first picture: a tenth of a second on a connection of 1.6 Mbit/s."""
CARD = 1200, 630
"""Width and height of the picture of a shared link, as Open Graph (ogp.me) recommends."""
QUALITY = 75


class Stills:
    """JPEG pictures of the avatars in a store, with the packs that they show; each is drawn once."""

    def __init__(self, store: AvatarStore) -> None:
        self._store = store
        self._first = lru_cache(maxsize=256)(self._drawn_first)
        self._card = lru_cache(maxsize=1)(self._drawn_card)

    def first(self, avatar: str, seen: AvatarStore) -> tuple[bytes, Path]:
        """Return the first picture of an avatar's clip, and its pack.

        Args:
            avatar: Its name.
            seen: The avatars that the client may see.

        Raises:
            NotFound: There is no such avatar.
            BadPack: Its pack is broken.
        """
        pack = self._smallest(avatar, seen)
        return self._first(pack, pack.stat().st_mtime_ns), pack

    def forget(self, *_: object) -> None:
        """Drop all pictures, since one of them is of an avatar that was deleted."""
        self._first.cache_clear()

    def crops(self, avatar: str, seen: AvatarStore) -> dict[str, dict[str, float]]:
        """Return the part of an avatar's pictures in each aspect that it can have, in shares of the whole.

        Args:
            avatar: Its name.
            seen: The avatars that the client may see.

        Raises:
            NotFound: There is no such avatar.
            BadPack: Its pack is broken.
        """
        found = {}
        person = self._store.load(self._smallest(avatar, seen))
        for aspect in ASPECTS:
            with suppress(BadRequest):  # its head does not fit
                box = box_of(person, aspect) or Box(0, 0, person.width, person.height)
                found[aspect] = {
                    "left": round(box.left / person.width, 4),
                    "top": round(box.top / person.height, 4),
                    "width": round(box.width / person.width, 4),
                    "height": round(box.height / person.height, 4),
                }
        return found

    def card(self, seen: AvatarStore) -> tuple[bytes, Path]:
        """Return the picture of a shared link, of the first avatar in `seen`, and its pack.

        Raises:
            NotFound: There is no avatar.
            BadPack: Its pack is broken.
        """
        packs = seen.list()
        if not packs:
            raise AvatarNotFound(messages.avatars.NO_AVATAR())
        shown = min(packs, key=lambda pack: (pack.name, -int(pack.resolution[:-1])))
        pack = seen.find(shown.name, shown.resolution)
        return self._card(pack, pack.stat().st_mtime_ns), pack

    @staticmethod
    def _smallest(avatar: str, seen: AvatarStore) -> Path:
        packs = [pack for pack in seen.list() if pack.name == avatar]
        if not packs:
            raise AvatarNotFound(messages.avatars.NO_SUCH_AVATAR(name=avatar))
        return seen.find(avatar, packs[-1].resolution)

    def _drawn_first(self, pack: Path, _written: int) -> bytes:
        """Return the first picture of a pack; a pack that was written again is drawn again."""
        picture = self._picture(pack)
        height, width = picture.shape[:2]
        if width > WIDTH:
            picture = cv2.resize(picture, (WIDTH, round(height * WIDTH / width)), interpolation=cv2.INTER_AREA)
        return _jpeg(picture)

    def _drawn_card(self, pack: Path, _written: int) -> bytes:
        picture = self._picture(pack)
        height, width = picture.shape[:2]
        scale = max(CARD[0] / width, CARD[1] / height)
        size = max(CARD[0], round(width * scale)), max(CARD[1], round(height * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        left, top = (size[0] - CARD[0]) // 2, (size[1] - CARD[1]) // 4  # heads are rather above the middle
        return _jpeg(picture[top : top + CARD[1], left : left + CARD[0]])

    def _picture(self, pack: Path) -> npt.NDArray[np.uint8]:
        """Return the first frame of the clip (height, width, BGR)."""
        frame = next(iter(self._store.load(pack).clip.once()))
        return np.asarray(cv2.cvtColor(frame.planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    return cv2.imencode(".jpg", picture, options)[1].tobytes()
