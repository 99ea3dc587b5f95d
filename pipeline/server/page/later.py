"""Parts of the page that come when they are first opened.

Gradio fetches the code of every component at the start, also of those that lie in a closed tab or drawer; only
invisible ones wait.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import gradio as gr
from gradio.blocks import Block, BlockContext

_COMES = {"__type__": "update", "visible": True}
_SCRIPT = "() => {{ window.page.comes({holder}, {named}); return Array({count}).fill({comes}); }}"
"""The first is a function of page.js."""


def comes_when_opened(holder: gr.Tab | gr.Accordion) -> None:
    """Leave out all that lies in a tab or drawer until it is opened; what is hidden there stays so.

    Handlers may read and set the components before.
    """
    parts = [part for part in _parts(holder) if part.visible is True]
    named = [part.elem_id for part in _parts(holder, later=False) if part in parts and part.elem_id]
    for part in parts:
        part.visible = False
    opened = holder.select if isinstance(holder, gr.Tab) else holder.expand
    names = {"holder": json.dumps(holder.elem_id), "named": json.dumps(named)}
    script = _SCRIPT.format(**names, count=len(parts), comes=json.dumps(_COMES))
    opened(None, None, parts, js=script, api_visibility="private")


def _parts(holder: BlockContext, later: bool = True) -> Iterator[Block]:
    """Yield all that lies in a tab or drawer; without `later` only what comes when that is opened.

    What lies in a drawer of it that is closed, or in a column that is hidden, comes later.
    """
    for part in holder.children:
        yield part
        comes = part.visible is not False and (not isinstance(part, gr.Accordion) or part.open)
        if isinstance(part, BlockContext) and (later or comes):
            yield from _parts(part, later)
