"""Draws the pictures of finished tasks with ``pipeline.tools.inspect``, on request."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.core.child_process import Run, run
from pipeline.core.growing_file import part_of
from pipeline.errors import TaskNotFound
from pipeline.jobs.tasks import TaskBook, is_task_id


class Inspector:
    """Draws one picture at a time.

    Args:
        book: The tasks.
        seconds: How long one may take; 0 sets no limit.
        run: Runs the process that draws.
    """

    def __init__(self, book: TaskBook, seconds: float, run: Run = run) -> None:
        self._book = book
        self._seconds = seconds
        self._run = run
        self._drawing = asyncio.Lock()

    async def picture_of(self, task_id: str) -> Path:
        """Return the PNG of a finished task; cancelling stops the drawing.

        Raises:
            NotFound: There is no such finished task.
            BadClip, RenderFailed, TookTooLong: The picture cannot be drawn.
        """
        if not is_task_id(task_id) or not self._book.files_of(task_id).video.is_file():
            raise TaskNotFound(messages.server.TASK_NOT_FINISHED(task_id=task_id))
        task = self._book.files_of(task_id)
        async with self._drawing:
            if not task.inspection.is_file():
                video, picture = task.video.resolve(), task.inspection.resolve()
                arguments = [str(video), f"--out={picture}", "--json"]
                lines = self._run(
                    *("pipeline.tools.inspect", arguments, CancelToken(), self._seconds),
                    reads=(video,),
                    writes=(picture,),
                )
                try:
                    async with aclosing(lines):
                        async for _ in lines:
                            pass
                finally:
                    part_of(task.inspection).unlink(missing_ok=True)
        return task.inspection
