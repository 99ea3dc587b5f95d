"""A real browser asks axe-core who could not use the page: https://dequeuniversity.com/rules/axe."""

from __future__ import annotations

from typing import Any

import pytest

from tests.accessibility import findings, findings_everywhere
from tests.pages import FINISHED, SHIFTS, TABS, new_page, opened, write
from tests.servers import Server

SPEAKS = "document.querySelector('#video talking-avatar').state === 'speaking'"


@pytest.mark.slow
def test_everybody_can_use_every_tab(browser: Any, fake_server: Server) -> None:
    """In Korean: ``test_browser_keyboard`` asks for the names of everything in English."""
    fake_server.wait_idle()
    page = opened(browser, fake_server, "ko")
    for part in ("settings", "examples"):
        page.click(f"#{part} > button")
    assert findings_everywhere(page) == [], "nobody speaks"
    write(page, "slow " + "word " * 60)
    page.wait_for_function(SPEAKS)
    assert findings_everywhere(page) == [] and page.evaluate(SPEAKS), "while it speaks"
    page.click("#stop")
    write(page, "...")
    page.wait_for_selector("#status .failed")
    assert findings_everywhere(page) == [], "an error"
    write(page, "two words")
    page.wait_for_function(FINISHED)
    page.click("#details > button")
    page.locator("#strip .now").filter(has_text="%").wait_for()
    assert findings_everywhere(page) == [], "with a video, and what belongs to it"
    page.click("#voice input")
    page.wait_for_selector("#voice [role=listbox], [role=listbox]")
    assert findings(page) == [], "a list"
    page.keyboard.press("Escape")
    for tab in TABS["ko"][2:]:
        page.get_by_role("tab", name=tab).click()
        assert findings_everywhere(page, "#panel") == [], tab  # around it only words of a hint are others
    page.get_by_role("tab", name=TABS["ko"][3]).click()
    page.click("#webcam > button")
    page.click("#guide .open")
    page.wait_for_function("() => document.querySelector('#guide .advice').textContent")  # there is no camera
    page.click("#make")
    page.wait_for_selector("#making .failed")
    assert findings(page) == [], "the webcam, and an error"
    assert page.evaluate(SHIFTS) <= 0.02
    page.context.close()


@pytest.mark.slow
def test_everybody_can_use_a_frame(browser: Any, fake_server: Server) -> None:
    page = new_page(browser.new_context(locale="ko-KR", reduced_motion="reduce"))
    for query, button in (("text=one+two", "말하기"), ("mode=live", "시작")):
        page.goto(f"{fake_server.url}/embed/solo?{query}&background=%23ffeecc")
        page.get_by_role("button", name=button).wait_for()
        assert findings_everywhere(page) == [], query
    page.get_by_role("button", name="시작").click()
    page.get_by_role("button", name="보내기").wait_for()
    assert findings_everywhere(page) == [], "a session"
    page.goto(f"{fake_server.url}/embed/nobody")
    page.locator("talking-avatar [role=alert]").wait_for()
    assert findings_everywhere(page) == [], "an error"
    page.context.close()
