"""Sends avatars that are silent: their clips, their first pictures, and how videos crop them."""

from __future__ import annotations

import asyncio
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from pipeline import messages
from pipeline.avatars.background import Background
from pipeline.avatars.portrait import Stills
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.errors import QueueFull
from pipeline.jobs.backdrops import Backdrops
from pipeline.server.connections import while_there
from pipeline.server.rest.files import bytes_response
from pipeline.server.tokens import Tokens
from pipeline.server.visitors import Visitors

WAITING = 8
"""Most clips that wait to be composed: any client may request them."""
RETRY_SECONDS = 10
KEPT_PICTURES = 256


class IdleApi:
    """The endpoints of avatars that are silent, in front of any background.

    Args:
        store: All avatars.
        stills: Their first pictures as they were filmed.
        backdrops: What may be behind them.
        visitors: Which avatars a client may see.
        tokens: Tokens of clients.
    """

    def __init__(
        self, store: AvatarStore, stills: Stills, backdrops: Backdrops, visitors: Visitors, tokens: Tokens
    ) -> None:
        self._store = store
        self._stills = stills
        self._backdrops = backdrops
        self._visitors = visitors
        self._tokens = tokens
        self._one = asyncio.Lock()
        self._waiting = 0
        self._drawn = lru_cache(maxsize=KEPT_PICTURES)(self._draw)

    async def clip(self, avatar: str, request: Request, background: str | None = None) -> Response:
        """Send the clip of an avatar ("talk_long_720p"), silent and with its mouth closed, to be shown between videos.

        A video shows it from its first picture on, round and round; where one ends, the clip can go on. `background` is
        that of the videos; the first time, it takes seconds to compose.
        """
        self._tokens.granted(request)
        name, _, resolution = avatar.rpartition("_")
        pack = await run_in_threadpool(self._visitors.for_rest(request).find, name, resolution)
        behind = await run_in_threadpool(self._behind, pack, background)
        if not behind:
            video = (await run_in_threadpool(self._store.load, pack)).video
        else:
            video = await while_there(request, self._composed(pack, behind))
        return await run_in_threadpool(bytes_response, video, "video/mp4", request, pack)

    def first_picture(self, avatar: str, request: Request, background: str | None = None) -> Response:
        """Send the first picture of an avatar's clip ("talk_long"), small, to be shown before the clip is there.

        `background` is that of the videos; where nothing is behind the person, the picture is a transparent WebP.
        """
        self._tokens.granted(request)
        picture, pack = self._stills.first(avatar, self._visitors.for_rest(request))
        behind, kind = self._behind(pack, background), "image/jpeg"
        if behind:
            picture, kind = self._drawn(pack, pack.stat().st_mtime_ns, behind)
        return bytes_response(picture, kind, request, pack)

    def crops(self, avatar: str, request: Request) -> dict[str, Any]:
        """Return which part of an avatar's clip ("talk_long") its videos show in each aspect, in shares of the clip."""
        self._tokens.granted(request)
        return {"crops": self._stills.crops(avatar, self._visitors.for_rest(request))}

    def forget(self, *_: object) -> None:
        """Drop all pictures, since one of them is of an avatar that was deleted."""
        self._drawn.cache_clear()

    def _behind(self, pack: Path, background: str | None) -> Background:
        return self._backdrops.parse(background or None, self._store.load(pack))

    def _draw(self, pack: Path, _written: int, background: Background) -> tuple[bytes, str]:
        return self._backdrops.first_picture(self._store.load(pack), background)

    async def _composed(self, pack: Path, background: Background) -> bytes:
        """Return a clip in front of a background; only one is composed at a time.

        Raises:
            QueueFull: Too many wait.
        """
        avatar, cancel = await run_in_threadpool(self._store.load, pack), CancelToken()
        compose = partial(self._backdrops.composed, avatar, background, cancel)
        if await run_in_threadpool(self._backdrops.has, avatar, background):
            return (await run_in_threadpool(compose)).video
        if self._waiting >= WAITING:
            raise QueueFull(messages.server.TOO_MANY_BACKGROUNDS(), RETRY_SECONDS)
        self._waiting += 1
        try:
            async with self._one:
                return (await asyncio.to_thread(compose)).video
        finally:
            self._waiting -= 1
            cancel.cancel()
