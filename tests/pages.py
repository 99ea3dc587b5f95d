"""The page in a real browser: how it is opened, written to, and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from benchmarks.machine import chromium as installed_chromium
from tests.live_page import LIVE, is_there
from tests.servers import Server

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
SHIFTS = "moved"
"""How far parts of the page were moved without the visitor's doing: https://web.dev/articles/cls."""
WATCH_SHIFTS = """
    window.moved = 0;
    new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.moved += shift.value;
    }).observe({ type: 'layout-shift', buffered: true });
"""
FAILS = """() => {
    if (document.querySelector('#status .failed')) return true;
    window.pressed ??= performance.now();
    if (performance.now() < pressed + 5000) return false;
    document.querySelector('#generate').click();
    delete window.pressed;
}"""
"""Waits until the bar of a task says that it failed, and presses again after five seconds."""
FAILED = pytest.StashKey[bool]()
"""Whether a test failed; fixtures may ask for it at its end."""
ADVICE = "#guide .advice"
"""What the page says to somebody at the webcam."""
LOOK = 50
"""Milliseconds between two looks at what a page is waited for."""
EMPTY = f"() => {VIDEO}.networkState === 0 && {VIDEO}.readyState === 0 && {CAPTION} === ''"


class _Playwright:
    """Playwright of this process: one for all browsers, and none without a browser.

    Two in one thread refuse each other; and while one is there its event loop counts as running, so that
    tests with a loop of their own fail.
    """

    def __init__(self) -> None:
        self._running: Any = None
        self._browsers = 0

    @contextmanager
    def chromium(self, arguments: list[str]) -> Iterator[Any]:
        playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
        installed = installed_chromium()
        if not self._browsers:
            self._running = playwright.sync_playwright().start()
        self._browsers += 1
        try:
            try:
                browser = self._running.chromium.launch(executable_path=installed, args=arguments)
            except playwright.Error as error:
                pytest.skip(f"no browser: {str(error).splitlines()[0]}")
            yield browser
            browser.close()
        finally:
            self._browsers -= 1
            if not self._browsers:
                self._running.stop()


_PLAYWRIGHT = _Playwright()


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Run Chromium without a window while the block lasts; a test is skipped where there is none."""
    with _PLAYWRIGHT.chromium([*BROWSER_ARGUMENTS.split(), *arguments]) as browser:
        yield browser


def write(page: Any, text: str) -> None:
    page.fill("#text textarea", text)
    page.click("#generate")


def at_the_webcam(page: Any, language: str = "ko") -> Any:
    """Open the webcam on a page, which is returned."""
    page.get_by_role("tab", name=TABS[language][3]).click()
    page.click("#webcam > button")
    page.click("#guide .open")
    return page


def new_page(context: Any, patience: int = 60_000) -> Any:
    """Open an empty page, which waits for up to PATIENCE milliseconds and notes the errors of its scripts.

    By itself Playwright looks at each frame, for which the page is drawn 60 times a second however little it moves.
    """
    page = context.new_page()
    page.set_default_timeout(patience)
    page.wait_for_function = partial(page.wait_for_function, polling=LOOK)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(f"{error} {error.stack}"))
    return page


def opened(  # noqa: PLR0913 - each is one way in which visitors differ
    browser: Any,
    server: Server,
    language: str,
    width: int = 1280,
    light: str = "light",
    motion: str = "",
    at: str = SPEAK,
    script: str = "",
) -> Any:
    """Open the page as a visitor does; SCRIPT runs in it before its own.

    Where it makes videos, the visitor wants little motion unless a test says otherwise: the clip of an avatar that
    idles takes a fifth of a core.
    """
    context = browser.new_context(
        locale={"ko": "ko-KR", "en": "en-US"}[language],
        viewport={"width": width, "height": 900},
        color_scheme=light,
        reduced_motion=motion or ("reduce" if at == SPEAK else "no-preference"),
    )
    page = new_page(context, 120_000)
    page.add_init_script(WATCH_SHIFTS + script)
    page.goto(server.url + at)
    page.wait_for_selector("#portraits img")
    page.wait_for_selector("#text textarea" if at == SPEAK else "#ways")
    page.evaluate("moved = 0")  # what comes first has a test of its own
    return page


def _start_conversation_over(page: Any) -> None:
    """Bring a page that is alive back to where nothing was said, in another session."""
    page.evaluate("document.querySelectorAll('#live .entry').forEach((one) => one.remove())")
    page.click("#live_tab-button")
    page.fill("#live .writing", "")
    is_there(page)
    page.evaluate("moved = 0")


def _start_over(page: Any) -> None:
    """Bring a page that makes videos back to where nothing was asked for; what was unfolded or chosen stays."""
    page.click("#talk_tab-button")
    page.click("#speak_tab-button")
    if page.is_visible("#stop"):
        page.click("#stop")
    page.wait_for_selector("#status .stage:not(.queued, .running, .stopping)")
    page.wait_for_selector("#generate")
    write(page, "...")  # an error gives way when another tab is opened, and what was made does not
    # Gradio passes over a press until it has heard that the last task is over, which is later than its video
    page.evaluate("delete window.pressed")
    page.wait_for_function(FAILS)
    page.click("#audio_tab-button")
    page.wait_for_selector("#status .idle")
    page.click("#speak_tab-button")
    page.evaluate("document.querySelector('#video talking-avatar').close()")
    page.wait_for_function(EMPTY)


def _rest(page: Any) -> None:
    """End a session, and have nobody idle: while another page is used, that would take a fifth of a core."""
    page.click("#speak_tab-button")
    page.evaluate("document.body.style.display = 'none'")


class Kept:
    """Pages that the tests of a file use one after the other: to open one takes more than most tests do with it."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._pages: dict[Any, Any] = {}

    @contextmanager
    def page(self, test: pytest.Item, server: Server, *way: Any, **more: Any) -> Iterator[Any]:
        """Lend a page that was opened in a way of ``opened``; a test that fails leaves none for the next one."""
        kind = (server.url, *way, *more.items())
        page = self._pages.pop(kind, None)
        if page is None:
            page = opened(self._browser, server, *way, **more)
        else:
            page.evaluate("document.body.style.display = ''")
            (_start_conversation_over if more.get("at") == LIVE else _start_over)(page)
        yield page
        assert page.faults == [], page.faults
        if test.stash.get(FAILED, False):
            page.context.close()
        else:
            _rest(page)
            self._pages[kind] = page
