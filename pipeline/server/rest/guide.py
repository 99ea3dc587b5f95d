"""Tells the page where the face is in a picture of the webcam, so that it can guide who is filming."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from pipeline import messages
from pipeline.errors import BadBody
from pipeline.face.finder import FaceFinder, choose

ADDRESS = "/page/face"
SIDE = 192
"""Width and height of the picture in pixels; it comes as plain RGB, so that nothing of a stranger is decoded here."""
_SIZE = SIDE * SIDE * 3


class FaceGuide:
    """Looks for the face in one picture at a time; pictures that come meanwhile are left out. Nothing is kept."""

    def __init__(self) -> None:
        self._finder: FaceFinder | None = None
        self._looking = threading.Lock()

    async def look(self, request: Request) -> dict[str, Any]:
        """Return the face nearest the middle of a picture: left, top, width and height in shares of its side.

        `face` is null where there is none; `busy` says that another picture is being looked at.

        Raises:
            BadBody: The body is no such picture.
        """
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _SIZE:
                break
        if len(body) != _SIZE:
            raise BadBody(messages.server.NO_WEBCAM_PICTURE(size=_SIZE))
        picture = np.frombuffer(bytes(body), np.uint8).reshape(SIDE, SIDE, 3)
        return await run_in_threadpool(self._found, picture)

    def _found(self, picture: np.ndarray) -> dict[str, Any]:
        if not self._looking.acquire(blocking=False):
            return {"face": None, "busy": True}
        try:
            if self._finder is None:
                self._finder = FaceFinder().__enter__()
            boxes = self._finder.boxes(picture)
        finally:
            self._looking.release()
        if not boxes:
            return {"face": None, "busy": False}
        box = choose(boxes, SIDE, SIDE, "center")
        sides = (box.x, box.y, box.width, box.height)
        return {"face": [round(side / SIDE, 3) for side in sides], "busy": False}
