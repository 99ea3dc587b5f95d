"""Reads cues of WebVTT."""

from __future__ import annotations

import re


def text_of(cue: str) -> str:
    """Return what a viewer reads of a cue."""
    text = re.sub(r"<[0-9:.]+>", "", cue.split("\n", 1)[1])
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()
