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
_PLAYER = """  <talking-avatar server="{root}/" avatar="" controls="full" style="--ratio: {ratio:.4f}"></talking-avatar>
"""
_START = """<script type="module">
  const event = {event};
  const avatar = document.querySelector('talking-avatar');
  await customElements.whenDefined('talking-avatar');
  avatar.putBack(event);
</script>
"""


def result_page(task: Task, request: Request) -> HTMLResponse:
    """Return the page of a task whose video is finished."""
    words = _words(request)
    root = _root(request)
    captions = f"{root}/video/{task.id}.vtt" if task.captions.exists() else None
    text = text_of(task.captions.read_text("utf-8")) if captions else ""
    event = {"type": "done", "task_id": task.id, "video_url": f"{root}/video/{task.id}.mp4", "captions_url": captions}
    downloads = _download(f"{root}/video/{task.id}.mp4?download=1", f"{task.id}.mp4", words["video"])
    said = ""
    if captions:
        said = f'  <section><h2>{words["text"]}</h2><p id="text">{html.escape(text)}</p></section>\n'
        downloads += _download(captions, f"{task.id}.vtt", words["captions"])
    page = _PAGE.substitute(
        words,
        about=words["made"],
        note=f'  <p class="note">{words["made"]}</p>\n',
        root=html.escape(root),
        script=f'<script src="{html.escape(root)}{SCRIPT}?v={script_version()}" defer></script>\n',
        player=_PLAYER.format(root=html.escape(root), ratio=_ratio(task.video)),
        said=said,
        downloads=downloads,
        start=_START.format(event=json.dumps({**event, "text": text}).replace("<", "\\u003c")),  # it lies in a script
    )
    return HTMLResponse(page, headers={"Cache-Control": "no-cache"})


def gone_page(request: Request) -> HTMLResponse:
    """Return the page of a shared address without a video, with the status 404."""
    words = _words(request)
    of_video = dict.fromkeys(("script", "player", "downloads", "note", "start"), "")
    page = _PAGE.substitute(
        words | of_video,
        title=words["gone"],
        about=words["gone_why"],
        said=f"  <p>{words['gone_why']}</p>\n",
        root=html.escape(_root(request)),
    )
    return HTMLResponse(page, status_code=404, headers={"Cache-Control": "no-cache"})


def _words(request: Request) -> dict[str, str]:
    """Return what the pages say, as HTML, in the language of the browser."""
    language = language_of(request.headers.get("accept-language"), "en")
    labels = {
        "title": messages.server.RESULT_TITLE(),
        "text": messages.server.RESULT_TEXT(),
        "video": messages.server.RESULT_VIDEO(),
        "captions": messages.server.RESULT_CAPTIONS(),
        "own": messages.server.RESULT_OWN(),
        "made": messages.server.RESULT_MADE(),
        "gone": messages.server.RESULT_GONE(),
        "gone_why": messages.server.RESULT_GONE_WHY(),
    }
    words = {name: html.escape(message.in_language(language)) for name, message in labels.items()}
    return words | {"language": language}


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _download(address: str, name: str, words: str) -> str:
    return f'    <a href="{html.escape(address)}" download="{name}">{words}</a>\n'


def _ratio(video: Path) -> float:
    """Return width by height of a video, that of most where it cannot be read: room is kept for it."""
    with suppress(OSError, av.FFmpegError), av.open(str(video)) as film:
        picture = film.streams.video[0]
        return picture.width / picture.height
    return 16 / 9
