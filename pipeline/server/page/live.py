"""The tab Live: an avatar that is there, says what visitors write, and can be interrupted."""

from __future__ import annotations

import gradio as gr

from pipeline.server.page.parts import make_part
from pipeline.server.page.words import LIVE, shown


def make_stage(chat: bool) -> gr.HTML:
    """Lay out the avatar and everything to talk with it.

    The value holds whether a language model answers, and what the script in the head adds: `wanted`, with the avatar,
    its resolutions that may be used, and the other options of a session as REST takes them.

    Args:
        chat: Whether a language model is set up.
    """
    return make_part("live", LIVE, {"chat": chat}, label=shown("live_stage"), elem_id="live")
