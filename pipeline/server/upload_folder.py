"""The one folder for all that visitors send: emptied at the start, and by age; what breaks off is gone at once."""

from __future__ import annotations

import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from gradio import route_utils
from starlette.datastructures import FormData

from pipeline.core.disk import unwritable

logger = logging.getLogger(__name__)

KEPT_SECONDS = 3600.0
"""How long something is kept: a visitor may use a recording again."""
GRADIO_FOLDER = "GRADIO_TEMP_DIR"
"""The variable by which Gradio is told where to put what visitors send, and copies of what it shows them."""


class UploadFolder:
    """The folder ROOT, of this server alone.

    gradio: for what comes through the page and gradio_client; clips: for what comes through REST.
    """

    def __init__(self, root: Path) -> None:
        self.gradio = root / "gradio"
        self.clips = root / "clips"

    def open(self) -> None:
        """Empty it of what an earlier run has left, and have Gradio use it; must come before a page is built."""
        for folder in (self.gradio, self.clips):
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # whoever wants to write there will be told
                folder.mkdir(parents=True)
        os.environ[GRADIO_FOLDER] = str(self.gradio.resolve())
        route_utils.GradioMultiPartParser = TidyParser  # type: ignore[misc]  # ours stands for it

    def sweep(self) -> None:
        """Remove what has been kept long enough, and folders with nothing in them."""
        oldest = time.time() - KEPT_SECONDS
        for folder in (self.gradio, self.clips):
            for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
                try:
                    if path.stat().st_mtime < oldest:
                        path.rmdir() if path.is_dir() else path.unlink()
                except FileNotFoundError:
                    continue  # whoever used it removed it meanwhile
                except OSError as error:
                    if not path.is_dir():
                        logger.warning("could not remove %s: %s", path, error)


class TidyParser(route_utils.GradioMultiPartParser):
    """Gradio's parser of uploads. Where one breaks off, for whatever reason, nothing of it stays on the disk."""

    async def parse(self) -> FormData:
        """Write the files of a form to the disk as they come. Raises Unavailable where that is full."""
        try:
            return await super().parse()
        except BaseException as error:
            for file in self._files_to_close_on_error:
                with suppress(OSError):
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise unwritable(error) from error
            raise
