"""Still pictures of avatars: what the page shows before a clip is there, and what a shared link shows."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.avatars.store import AvatarStore
from pipeline.errors import AvatarNotFound

WIDTH = 480
"""Pixels of a first picture: a tenth of a second on a line of 1.6 Mbit/s."""
CARD = 1200, 630
"""Width and height of the picture of a shared link, as those who show it ask for (ogp.me, Open Graph)."""
QUALITY = 75


class Stills:
    """The first pictures of the avatars in STORE, as JPEG, with the packs that they are of; each is drawn once."""

    def __init__(self, store: AvatarStore) -> None:
        self._store = store
        self._first = lru_cache(maxsize=256)(self._drawn_first)
        self._card = lru_cache(maxsize=1)(self._drawn_card)

    def first(self, avatar: str, seen: AvatarStore) -> tuple[bytes, Path]:
        """Return the first picture of the clip of AVATAR, a name in what is SEEN. Raises NotFound, BadPack."""
        packs = [pack for pack in seen.list() if pack.name == avatar]
        if not packs:
            raise AvatarNotFound(f"아바타 '{avatar:.60}'이(가) 없습니다.", f"There is no avatar '{avatar:.60}'.")
        pack = seen.find(avatar, packs[-1].resolution)  # the smallest
        return self._first(pack, pack.stat().st_mtime_ns), pack

    def card(self, seen: AvatarStore) -> tuple[bytes, Path]:
        """Return the picture of a shared link: the first avatar of what is SEEN. Raises NotFound, BadPack."""
        packs = seen.list()
        if not packs:
            raise AvatarNotFound("아바타가 없습니다.", "There is no avatar.")
        shown = min(packs, key=lambda pack: (pack.name, -int(pack.resolution[:-1])))
        pack = seen.find(shown.name, shown.resolution)
        return self._card(pack, pack.stat().st_mtime_ns), pack

    def _drawn_first(self, pack: Path, _written: int) -> bytes:
        """Return the first picture of a PACK that was WRITTEN then; a newer one is drawn afresh."""
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
