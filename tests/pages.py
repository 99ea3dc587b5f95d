"""The page in a real browser: how it is opened, written to, and read."""

from __future__ import annotations

from typing import Any

from tests.servers import Server

TABS = {"ko": ("라이브", "말하기", "녹음", "아바타", "API"), "en": ("Live", "Speak", "Audio", "Avatars", "API")}
SPEAK = "/#speak"
"""Address of the tab that makes videos of texts."""
VIDEO = "document.querySelector('#video .answer')"
MOVED = f"() => {VIDEO}.currentTime > 0.3"
FINISHED = f"() => {VIDEO}.currentSrc.endsWith('.mp4') && {VIDEO}.readyState > 1"
EMPTY = f"() => {VIDEO}.networkState === 0 && {VIDEO}.readyState === 0 && {VIDEO}.querySelector('track') === null"


def write(page: Any, text: str) -> None:
    page.fill("#text textarea", text)
    page.click("#generate")


def opened(  # noqa: PLR0913 - each is one way in which visitors differ
    browser: Any,
    server: Server,
    language: str,
    width: int = 1280,
    light: str = "light",
    motion: str = "no-preference",
    at: str = SPEAK,
) -> Any:
    context = browser.new_context(
        locale={"ko": "ko-KR", "en": "en-US"}[language],
        viewport={"width": width, "height": 900},
        color_scheme=light,
        reduced_motion=motion,
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(server.url + at)
    page.wait_for_selector("#portraits img")
    return page
