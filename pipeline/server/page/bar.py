"""A progress bar with a sentence."""

from __future__ import annotations

import re
from typing import Any

import gradio as gr

from pipeline import messages
from pipeline.jobs.events import Done, Event, Failed, Lipsync, Queued, TtsDone, describe
from pipeline.messages import Language, Message
from pipeline.server.page.words import CTRL_ENTER, WORDS, in_browser, shown

TEMPLATE = """
<div class="stage ${value.state}">
  <div class="message" role="status" aria-live="polite">${value.message || READY}</div>
  <div class="track"><div class="bar" style="width: ${value.percent}%"></div></div>
</div>
""".replace("READY", in_browser(messages.server.PAGE_READY()))
STYLE = """
.message { font-size: 0.95rem; margin-bottom: 0.35rem; color: var(--body-text-color); }
.track { height: 8px; border-radius: 4px; background: var(--border-color-primary); overflow: hidden; }
.bar { height: 100%; background: var(--color-accent); transition: width 0.25s ease-out; }
@media (prefers-reduced-motion: reduce) { .bar { transition: none; } }
.done .bar { background: #16a34a; }
.failed .bar { background: #dc2626; }
.failed .message { font-weight: 600; }
.failed .message::before { content: "\u26a0\ufe0e\u2002" / ""; color: var(--error-icon-color); }
"""
COUNT = """
<div class="count ${value.length > value.limit ? 'over' : ''}">
  <span class="keys">KEYS</span>
  <span>${value.length.toLocaleString('en')} / ${value.limit.toLocaleString('en')}</span>
</div>
"""
COUNT_STYLE = """
.count { display: flex; justify-content: space-between; gap: 1rem; font-size: 0.8rem;
  font-variant-numeric: tabular-nums; color: var(--body-text-color-subdued); }
.count > :last-child { margin-left: auto; white-space: nowrap; }
.over > :last-child { color: var(--error-text-color, #b91c1c); font-weight: 700; }
@media (hover: none) { .keys { display: none; } }
"""
_FIELD = re.compile(r"^(\w+)(?=: )")
"""What errors of requests begin with: the field's name in REST."""
_LABELS = {"audio": "recording", "tts_voice": "voice", "captions": "captions_in", "background": "behind"}
"""The page's words for fields that have other names in REST."""
IDLE = {"message": "", "percent": 0, "state": "idle"}


def make_bar(elem_id: str, visible: bool = True) -> gr.HTML:
    """Lay out a bar that is idle."""
    return gr.HTML(
        IDLE,
        label=shown("status"),
        html_template=TEMPLATE,
        css_template=STYLE,
        elem_id=elem_id,
        visible=visible,
        padding=False,
    )


def make_count(elem_id: str, length: int, limit: int, keys: Message = CTRL_ENTER) -> gr.HTML:
    """Lay out the number of letters in a text, with its limit, and the keys that send it."""
    return gr.HTML(
        {"length": length, "limit": limit},
        label=shown("length"),
        html_template=COUNT.replace("KEYS", "${" + in_browser(keys) + "}"),
        css_template=COUNT_STYLE,
        elem_id=elem_id,
        padding=False,
    )


def at(message: str, share: float, state: str) -> dict[str, Any]:
    """Return the value of the bar.

    Args:
        message: The sentence.
        share: Progress, 0..1.
        state: "queued", "running", "done", "failed", "warming" or "idle".
    """
    return {"message": message, "percent": round(100 * share), "state": state}


def at_event(event: Event, language: Language) -> dict[str, Any]:
    """Return the value of the bar for an event: speech is the first tenth of the way, the video the rest."""
    match event:
        case TtsDone():
            share, state = 0.1, "running"
        case Lipsync(progress=progress):
            share, state = 0.1 + 0.9 * progress, "running"
        case Done():
            share, state = 1.0, "done"
        case Failed():
            share, state = 1.0, "failed"
        case Queued():
            share, state = 0.0, "queued"
        case _:
            share, state = 0.03, "running"
    return at(_for_people(_message(event), language), share, state)


def _for_people(message: Message, language: Language) -> str:
    """Return a message that calls a field as the page does."""

    def label(field: re.Match[str]) -> str:
        name = WORDS.get(_LABELS.get(field[0], field[0]))
        return name.in_language(language) if name else field[0]

    return _FIELD.sub(label, message.in_language(language))


def _message(event: Event) -> Message:
    """Return the page's sentence for an event; for a waiting task with the time that is left."""
    match event:
        case Queued(position, eta) if eta is not None:
            return messages.server.WAITING_WITH_ETA(position=position, eta=eta)
        case _:
            return describe(event)


def pressed(message: Message, state: str) -> str:
    """Return a JavaScript expression that sets the bar to its beginning with a message."""
    return f"({{message: {in_browser(message)}, percent: 0, state: '{state}'}})"
