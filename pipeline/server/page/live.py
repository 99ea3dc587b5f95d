"""The tab Live: an avatar that is there, says what visitors write, and can be interrupted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import gradio as gr

from pipeline.server.page.words import LIVE, shown

HTML, CSS, SCRIPT = (Path(__file__).with_name(f"live.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))


def make_stage(chat: bool) -> gr.HTML:
    """Lay out the avatar and everything to talk with it.

    The value holds the words in both languages, whether a language model answers, and what the script in the head adds:
    `wanted`, with the avatar, its resolutions that may be used, and the other options of a session as REST takes them.

    Args:
        chat: Whether a language model is set up.
    """
    return gr.HTML(
        {"words": {key: asdict(message) for key, message in LIVE.items()}, "chat": chat},
        label=shown("live_stage"),
        html_template=HTML,
        css_template=CSS,
        js_on_load=SCRIPT,
        apply_default_css=False,
        elem_id="live",
        padding=False,
    )
