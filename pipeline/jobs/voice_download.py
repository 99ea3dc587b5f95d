"""Fetches the weights of Supertonic in the background, on request."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.core.hub import WeightFile, download, hub_address
from pipeline.core.notifier import Notifier
from pipeline.errors import Cancelled, PipelineError, Unavailable
from pipeline.jobs.supervisor import internal_error
from pipeline.messages import Message
from pipeline.settings import Settings
from pipeline.tts.supertonic import has_weights, model_dir, weight_files

logger = logging.getLogger(__name__)

LICENCE = "OpenRAIL-M"
"""The licence of the weights; their package is under the MIT licence."""
LICENCE_URL = "https://huggingface.co/Supertone/supertonic-3/blob/main/LICENSE"
State = Literal["unavailable", "absent", "running", "ready", "failed"]


@dataclass(frozen=True)
class Progress:
    """Where the download stands.

    Attributes:
        state: "unavailable" if it is forbidden or the package is missing, "absent" if it can be started, or what became
            of it.
        done, total: Bytes; 0 before they are known.
        message: Why it is unavailable or has failed.
    """

    state: State
    done: int = 0
    total: int = 0
    message: Message | None = None


class VoiceDownload:
    """The download, at most one at a time.

    Args:
        settings: Whether it is allowed.
        weights: Folder of the weights; Supertonic's own by default.
        files: Lists the files; asks the hub by default.

    Attributes:
        moved: Notifies of progress.
    """

    def __init__(
        self,
        settings: Settings,
        weights: Path | None = None,
        files: Callable[[str], list[WeightFile]] = weight_files,
    ) -> None:
        self.moved = Notifier()
        self._settings = settings
        self._weights = weights or model_dir()
        self._files = files
        self._lock = threading.Lock()
        self._cancel: CancelToken | None = None
        self._progress = Progress("absent")

    def progress(self) -> Progress:
        """Return where it stands."""
        with self._lock:
            if self._cancel is not None:
                return self._progress
            if has_weights(self._weights):
                return Progress("ready")
            refusal = self._refusal()
            if refusal is not None:
                return Progress("unavailable", message=refusal.message)
            return Progress("absent") if self._progress.state == "ready" else self._progress  # it was deleted

    def start(self) -> Progress:
        """Start it, unless it runs or everything is there.

        Raises:
            Unavailable: The settings forbid it, or the package is not installed.
        """
        with self._lock:
            if self._cancel is None and not has_weights(self._weights):
                refusal = self._refusal()
                if refusal is not None:
                    raise refusal
                self._cancel, self._progress = CancelToken(), Progress("running")
                threading.Thread(target=self._run, args=(self._cancel,), name="voices", daemon=True).start()
        return self.progress()

    def cancel(self) -> Progress:
        """Stop it; what came is kept, and another start goes on from there."""
        with self._lock:
            if self._cancel is not None:
                self._cancel.cancel()
        return self.progress()

    def _refusal(self) -> Unavailable | None:
        if self._settings.voice_downloads == "off" or os.environ.get("HF_HUB_OFFLINE", "0").lower() not in ("", "0"):
            return Unavailable(messages.jobs.DOWNLOAD_FORBIDDEN())
        if importlib.util.find_spec("supertonic") is None:
            return Unavailable(messages.jobs.SUPERTONIC_NOT_INSTALLED())
        return None

    def _run(self, cancel: CancelToken) -> None:
        hub = hub_address()
        try:
            files = self._files(hub)
            total = sum(file.size for file in files)

            def note(done: int) -> None:
                if 100 * done // total > 100 * self._progress.done // total or not self._progress.total:
                    self._note(Progress("running", done, total))

            download(self._weights, files, hub, note, cancel)
            ended = Progress("ready", total, total)
        except Cancelled:
            ended = Progress("absent")
        except PipelineError as error:
            ended = Progress("failed", message=error.message)
        except Exception:
            logger.exception("the download of voices")
            ended = Progress("failed", message=internal_error().message)
        with self._lock:
            self._cancel = None
        self._note(ended)

    def _note(self, progress: Progress) -> None:
        self._progress = progress
        self.moved.notify()
