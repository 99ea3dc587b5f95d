"""The tab Live in a real browser: how it is opened and written to, and what it shows."""

from __future__ import annotations

from typing import Any

LIVE = "/"
PLAYER = "document.querySelector('#live talking-avatar').shadowRoot"
VIDEO = f"{PLAYER}.querySelector('.answer')"
CAPTION = f"{PLAYER}.querySelector('.caption')"


def is_there(page: Any) -> None:
    """Wait until the avatar is alive and silent."""
    state(page, "ready")
    page.wait_for_function(f"() => {VIDEO}.currentTime > 0")


def state(page: Any, name: str) -> None:
    page.wait_for_selector(f"#live .live[data-state={name}]")


def say(page: Any, text: str, key: str = "Enter") -> None:
    page.fill("#live .writing", text)
    page.press("#live .writing", key)


def transcript(page: Any) -> list[str]:
    """Return what the conversation shows, and who said it."""
    texts: list[str] = page.locator("#live .entry").all_text_contents()
    return texts
