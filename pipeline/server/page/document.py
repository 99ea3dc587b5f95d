"""The HTML document of Gradio's page: the preview of a shared link, and what is visible before Gradio has loaded."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from gradio import routes
from jinja2 import BaseLoader, Environment
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline import messages
from pipeline.server.access import path_of
from pipeline.server.gradio.styles import Styles
from pipeline.server.page.words import DESCRIPTION, TITLE
from pipeline.server.rest.component import SCRIPT, script_version
from pipeline.server.rest.public_file import PublicFile
from pipeline.server.rest.routes import CARD

PAGE = "frontend/index.html"
"""Gradio's template of the document."""
STYLE = "/assets/gradio.css"
"""Address of all of Gradio's styles; beside them, so that what they name is found."""
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#2563eb"/>'
    '<circle cx="16" cy="12" r="6" fill="#fff"/><path d="M5 29a11 9 0 0 1 22 0z" fill="#fff"/></svg>'
)
"""The picture of the window's tab, which needs no request."""
_SCRIPT, _STYLE = (Path(__file__).with_name(name).read_text("utf-8") for name in ("page.js", "page.css"))
_SENTENCES = (
    messages.server.SERVER_AWAY,
    messages.server.SERVER_BACK,
    messages.server.PAGE_RELOADED,
    messages.server.VIDEO_DROPPED,
)
"""What the script says itself while the server is away, in its order."""
_IN_FRAMES = "document.head.appendChild(script);"
"""How Gradio fetches a script that is of use in another site's frame alone."""
_FIRST_STYLE = re.compile(r'<link rel="stylesheet" crossorigin href="\./assets/index-[\w-]+\.css">')
_OTHERS = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')
"""Tags for shared links in Gradio's template; some are about Gradio."""


def dress(styles: Styles, avatar: str | None, gpu: bool = False) -> Route:
    """Add title, description and picture to the document of Gradio's page, and the picture of an avatar at once.

    All of Gradio's styles come with one request, and its code without waiting for each other.

    Gradio has no option for that: ``launch(head=...)`` comes only with the page itself, which crawlers never see, and
    which visitors on a slow connection see late.

    Args:
        styles: What the page needs of Gradio's files.
        avatar: The avatar that is shown first.
        gpu: Whether pictures are drawn on a graphics card.

    Returns:
        Where the styles are sent from.
    """
    environment: Environment = routes.templates.env
    loader = environment.loader
    assert loader is not None
    plain = loader.plain if isinstance(loader, _Dressed) else loader
    css = PublicFile(styles.css.encode(), "text/css", styles.written)

    def send(request: Request) -> Response:
        return css.response(request)

    environment.loader = _Dressed(plain, _head(avatar, gpu), _fetched(styles, css.version))
    return Route(STYLE, send)


class Compressed:
    """Compresses the document to a fifth; Gradio compresses only its other files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._gzip = GZipMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        document = scope["type"] == "http" and path_of(scope) == "/"
        await (self._gzip if document else self._app)(scope, receive, send)


class _Dressed(BaseLoader):
    """Loads Gradio's templates, `PAGE` with another head, and with `fetched` before the first of its styles."""

    def __init__(self, plain: BaseLoader, head: str, fetched: str) -> None:
        self.plain = plain
        self._head = head
        self._fetched = fetched

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return the source of a template, the path of its file, and whether that is up to date."""
        source, path, newest = self.plain.get_source(environment, template)
        if template == PAGE:
            source = _OTHERS.sub("", source)
            if source.count('<meta charset="utf-8" />') != 1:
                raise RuntimeError("Gradio's page has another head than was known")
            source = source.replace('<meta charset="utf-8" />', '<meta charset="utf-8" />' + self._head)
            source = _FIRST_STYLE.sub(self._fetched, source) if self._fetched else source
            source = source.replace(_IN_FRAMES, f"if (parent !== window) {_IN_FRAMES}")
        return source, path, newest


def _fetched(styles: Styles, version: str) -> str:
    """Return the links to Gradio's styles and code; "" where they are not known.

    A link that is disabled is not followed, and keeps Gradio from fetching the same by itself.
    """
    if not styles.names:
        return ""
    links = [f'<link rel="stylesheet" crossorigin href=".{STYLE}?v={version}">']
    links += [f'<link rel="stylesheet" disabled href="./assets/{name}">' for name in styles.names]
    links += [f'<link rel="modulepreload" crossorigin href="./assets/{name}">' for name in styles.scripts]
    return "\n".join(links)


def _head(avatar: str | None, gpu: bool) -> str:
    """Return the HTML of the head, in which ``config.root`` is the public address."""
    root = "{{ config.get('root', '') }}"
    title, description = html.escape(TITLE), html.escape(f"{DESCRIPTION.ko} {DESCRIPTION.en}")
    properties = {"title": title, "description": description, "image": root + CARD}
    tags = [f"<title>{title}</title>", f'<meta name="description" content="{description}" />']
    tags += [f'<meta property="og:{name}" content="{text}" />' for name, text in properties.items()]
    tags += [f'<meta property="og:url" content="{root}/" />', '<meta property="og:type" content="website" />']
    tags += ['<meta property="og:image:width" content="1200" />', '<meta property="og:image:height" content="630" />']
    tags += [f'<meta name="twitter:{name}" content="{text}" />' for name, text in properties.items()]
    tags += ['<meta name="twitter:card" content="summary_large_image" />']
    first = f'<meta name="avatar" content="{html.escape(avatar or "")}" data-root="{root}"'
    first += f' data-cores="{os.cpu_count() or 1}" data-gpu="{int(gpu)}" />'
    icon = f'<link rel="icon" href="data:image/svg+xml,{quote(ICON)}" />'
    sentences = json.dumps([asdict(sentence()) for sentence in _SENTENCES], ensure_ascii=False)
    scripts = f'<script type="application/json" id="sentences">{sentences}</script><script>{_SCRIPT}</script>'
    player = f'<script src="{root}{SCRIPT}?v={script_version()}" defer></script>'
    return "\n".join([*tags, icon, first, f"<style>{_STYLE}</style>", player, "{% raw %}" + scripts + "{% endraw %}"])
