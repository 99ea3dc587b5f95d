"""The page in a real browser: how it is opened, written to, and read."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from tests.servers import Server

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first that is installed; a build without windows takes a quarter less of the processor."""
BROWSER_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
TABS = {
    "ko": ("라이브", "영상", "녹음", "아바타", "개발", "소개"),
    "en": ("Live", "Video", "Audio", "Avatars", "Build", "About"),
}
SPEAK = "/#speak"
"""Address of the tab that makes videos of texts."""
PLAYER = "document.querySelector('#video talking-avatar').shadowRoot"
"""What lies in the player; Playwright's own selectors find it without that."""
VIDEO = f"{PLAYER}.querySelector('.answer')"
CAPTION = f"{PLAYER}.querySelector('.caption').innerText.trim()"
MOVED = f"() => {VIDEO}.currentTime > 0.3"
FINISHED = f"() => {VIDEO}.currentSrc.endsWith('.mp4') && {VIDEO}.readyState > 1"
EMPTY = f"() => {VIDEO}.networkState === 0 && {VIDEO}.readyState === 0 && {CAPTION} === ''"


@cache
def _playwright() -> Any:
    """Playwright of this process, until its end: there may be one only, and several browsers."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    manager = playwright.sync_playwright()
    started = manager.start()
    atexit.register(started.stop)
    return started


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Run Chromium without a window while the block lasts; a test is skipped where there is none."""
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        browser = _playwright().chromium.launch(
            executable_path=installed, args=[*BROWSER_ARGUMENTS.split(), *arguments]
        )
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "playwright":
            raise
        pytest.skip(f"no browser: {str(error).splitlines()[0]}")
    yield browser
    browser.close()


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
