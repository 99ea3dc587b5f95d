"""The folder of all uploads: emptied at the start, and by age; interrupted uploads are removed at once."""

from __future__ import annotations

import hashlib
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
"""Seconds for which an upload is kept: a visitor may use a recording again."""
GRADIO_FOLDER = "GRADIO_TEMP_DIR"
"""The variable that sets Gradio's folder for uploads, and for copies of the files that it shows."""


class UploadFolder:
    """The folder of uploads, which only this server uses.

    Attributes:
        gradio: For uploads through the page and gradio_client.
        clips: For uploads through REST.
    """

    def __init__(self, root: Path) -> None:
        self.gradio = root / "gradio"
        self.clips = root / "clips"

    def open(self) -> None:
        """Empty the folder and make Gradio use it; call this before you build a page."""
        for folder in (self.gradio, self.clips):
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # writing there later raises the right error
                folder.mkdir(parents=True)
        os.environ[GRADIO_FOLDER] = str(self.gradio.resolve())
        route_utils.GradioMultiPartParser = TidyParser  # type: ignore[misc]  # replaced by ours

    def forget(self, digest: str) -> None:
        """Remove the uploads with a SHA-256, though their visitor may want to use them again; "" is none."""
        for path in self.gradio.rglob("*") if digest else ():
            with suppress(OSError), path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                    path.unlink()

    def sweep(self) -> None:
        """Remove old uploads and empty folders."""
        oldest = time.time() - KEPT_SECONDS
        for folder in (self.gradio, self.clips):
            for path in sorted(folder.rglob("*"), reverse=True):  # the contents of a folder come before it
                try:
                    if path.stat().st_mtime < oldest:
                        path.rmdir() if path.is_dir() else path.unlink()
                except FileNotFoundError:
                    continue  # its user has removed it meanwhile
                except OSError as error:
                    if not path.is_dir():
                        logger.warning("could not remove %s: %s", path, error)


class TidyParser(route_utils.GradioMultiPartParser):
    """Gradio's parser of uploads, which also removes an upload that is interrupted."""

    async def parse(self) -> FormData:
        """Write the files of a form to the disk as they arrive.

        Raises:
            Unavailable: The disk is full.
        """
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
