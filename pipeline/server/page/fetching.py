"""The offer to fetch Supertonic's voices, with its licence, a button and a bar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipeline import messages
from pipeline.core.notifier import woken_by
from pipeline.errors import PipelineError
from pipeline.jobs.voice_download import Progress, VoiceDownload
from pipeline.messages import Language
from pipeline.server.page import bar
from pipeline.server.page.words import FETCH_HELP, said, shown, visitors_language


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The components; `box` holds the others, and is only visible where voices can be fetched."""

    box: gr.Column
    status: gr.HTML
    fetch: gr.Button
    leave: gr.Button


def lay_out() -> Offer:
    """Lay out the offer, which is hidden at first."""
    with gr.Column(visible=False, elem_id="voices-offer") as box:
        said({"p": FETCH_HELP})
        fetch = gr.Button(shown("fetch_voices"), size="sm", elem_id="fetch-voices")
        leave = gr.Button(shown("leave_voices"), size="sm", visible=False, elem_id="leave-voices")
        status = bar.make_bar("voices-status", visible=False)
    return Offer(box=box, status=status, fetch=fetch, leave=leave)


class Fetcher:
    """Handlers of the offer."""

    def __init__(self, download: VoiceDownload) -> None:
        self._download = download

    def on_load(self, request: gr.Request) -> tuple[Any, Any, Any, Any]:
        """Show the offer where voices can be fetched."""
        return _shown(self._download.progress(), visitors_language(request))

    async def fetch(self, request: gr.Request) -> AsyncIterator[tuple[Any, Any, Any, Any]]:
        """Fetch the voices, and show how far that is until it ends; it goes on if the visitor leaves."""
        language = visitors_language(request)
        try:
            self._download.start()
        except PipelineError as error:
            raise gr.Error(error.message.in_language(language), print_exception=False) from None
        with woken_by(self._download.moved) as woken:
            while True:
                woken.clear()
                progress = self._download.progress()
                yield _shown(progress, language, asked=True)
                if progress.state != "running":
                    return
                await woken.wait()

    def leave(self) -> None:
        """Stop fetching; what came is kept."""
        self._download.cancel()


def _shown(progress: Progress, language: Language, asked: bool = False) -> tuple[Any, Any, Any, Any]:
    """Return what box, bar and buttons show."""
    running = progress.state == "running"
    visible = progress.state in ("absent", "running", "failed") or (asked and progress.state == "ready")
    share, state = progress.done / progress.total if progress.total else 0.0, "running"
    message = messages.server.VOICES_FETCHED(done=progress.done / 1e6, total=progress.total / 1e6)
    if progress.state == "ready":
        share, state, message = 1.0, "done", messages.server.VOICES_READY()
    elif progress.state == "failed" and progress.message is not None:
        share, state, message = 1.0, "failed", progress.message
    elif progress.state == "absent":
        message = messages.server.VOICES_LEFT()
    status = gr.update(value=bar.at(message.in_language(language), share, state), visible=asked or running)
    fetch = gr.update(visible=not running and progress.state != "ready")
    return gr.update(visible=visible), status, fetch, gr.update(visible=running)
