"""Pictures that clients upload to be behind avatars."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from pipeline import messages
from pipeline.core.disk import temporary_folder
from pipeline.errors import BackgroundNotFound, BadRequest
from pipeline.jobs.backdrops import ADDRESS, FIELD, Backdrops
from pipeline.preparing.file_kinds import PICTURES
from pipeline.server.rest.forms import Form

PICTURE = "picture"
"""The field of the picture."""


@dataclass(frozen=True)
class BackgroundApi:
    """The endpoints of backgrounds.

    Attributes:
        backdrops: Keeps them.
        limit: Most MiB of a picture.
        clips: Folder of the files that were sent.
    """

    backdrops: Backdrops
    limit: int
    clips: Path

    async def keep(self, request: Request) -> dict[str, Any]:
        """Keep a picture, to be named in the field ``background`` of requests until a day after its last use."""
        form = await Form.of(request, PICTURE, self.limit)
        try:
            if form.file is None:
                raise BadRequest(messages.jobs.BACKGROUND_MISSING(field=PICTURE, kinds=", ".join(PICTURES)))
            with await run_in_threadpool(temporary_folder, self.clips) as folder:
                file = await run_in_threadpool(form.save, Path(folder))
                id = await run_in_threadpool(self.backdrops.keep, file)
        finally:
            await form.fields.close()
        return {"success": True, FIELD: id, "url": f"{ADDRESS}/{id}"}

    def remove(self, background: str) -> dict[str, Any]:
        """Remove a picture."""
        if not self.backdrops.remove(background):
            raise BackgroundNotFound(messages.jobs.BACKGROUND_GONE(id=f"{background:.40}", address=ADDRESS))
        return {"success": True, FIELD: background}
