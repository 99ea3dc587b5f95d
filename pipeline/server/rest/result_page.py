"""The page of one result, to be shared: the video with its text, its captions and downloads."""

from __future__ import annotations

import html
import json
from contextlib import suppress
from pathlib import Path
from string import Template

import av
from fastapi import Request
from starlette.responses import HTMLResponse

from pipeline import messages
from pipeline.jobs.tasks import Task
from pipeline.server.reply_language import language_of
from pipeline.server.rest.component import SCRIPT, script_version
from pipeline.video.captions import text_of

_PAGE = Template(Path(__file__).with_name("result.html").read_text("utf-8"))


def result_page(task: Task, request: Request) -> HTMLResponse:
    """Return the page of a task whose video is finished."""
    language = language_of(request.headers.get("accept-language"), "en")
    root: str = request.scope.get("root_path", "")
    captions = f"{root}/video/{task.id}.vtt" if task.captions.exists() else None
    text = text_of(task.captions.read_text("utf-8")) if captions else ""
    event = {"type": "done", "task_id": task.id, "video_url": f"{root}/video/{task.id}.mp4", "captions_url": captions}
    labels = {
        "title": messages.server.RESULT_TITLE(),
        "text": messages.server.RESULT_TEXT(),
        "video": messages.server.RESULT_VIDEO(),
        "captions": messages.server.RESULT_CAPTIONS(),
        "own": messages.server.RESULT_OWN(),
        "made": messages.server.RESULT_MADE(),
    }
    words = {name: html.escape(message.in_language(language)) for name, message in labels.items()}
    said, link = "", ""
    if captions:
        said = f'  <section><h2>{words["text"]}</h2><p id="text">{html.escape(text)}</p></section>\n'
        link = f'    <a id="captions" href="{html.escape(captions)}" download="{task.id}.vtt">{words["captions"]}</a>\n'
    page = _PAGE.substitute(
        words | {"said": said, "captions": link},
        language=language,
        root=html.escape(root),
        script=f"{root}{SCRIPT}?v={script_version()}",
        task=task.id,
        ratio=f"{_ratio(task.video):.4f}",
        event=json.dumps({**event, "text": text}).replace("<", "\\u003c"),  # it lies in a script
    )
    return HTMLResponse(page, headers={"Cache-Control": "no-cache"})


def _ratio(video: Path) -> float:
    """Return width by height of a video, that of most where it cannot be read: room is kept for it."""
    with suppress(OSError, av.FFmpegError), av.open(str(video)) as film:
        picture = film.streams.video[0]
        return picture.width / picture.height
    return 16 / 9
