"""Parts of the page for which Gradio has no component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.messages import Message
from pipeline.server.page.words import all_in_browser


def make_part(name: str, words: Mapping[str, Message], value: Any = " ", **placed: Any) -> gr.HTML:
    """Lay out a part that is written in three files beside this one.

    Args:
        name: Name of the files: ``.html``, ``.css`` and ``.js``, the body of a function that Gradio calls once.
        words: What it says. ``WORDS`` in the script becomes an object of them, in the browser's language.
        value: What the script finds in ``props.value``.
        placed: Further options of the component.
    """
    files = (Path(__file__).with_name(f"{name}.{kind}") for kind in ("html", "css", "js"))
    html, css, script = (file.read_text("utf-8") for file in files)
    return gr.HTML(
        value,
        html_template=html,
        css_template=css,
        js_on_load=script.replace("WORDS", all_in_browser(words)),
        apply_default_css=False,
        padding=False,
        **placed,
    )
