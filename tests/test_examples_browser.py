"""The example for browsers, on a site of its own: it speaks, stops, and says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pages import new_page
from tests.servers import ROOT, Server, pages_of, running, wait_for

VIDEO = "document.querySelector('talking-avatar').video"


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a web site that has the example."""
    with pages_of(ROOT / "examples") as address:
        yield address


@pytest.fixture(scope="module")
def server(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on stand-ins, with the avatars that ship, which lets that site in."""
    command = ["-m", "tests.fakes", str(ROOT / "precomputed")]
    with running(command, tmp_path_factory.mktemp("open"), ALLOWED_ORIGINS=site, API_KEYS="secret") as started:
        yield started


@pytest.fixture(params=["ko-KR", "en-US"])
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    context = browser.new_context(locale=request.param)
    page = new_page(context)
    page.korean = request.param == "ko-KR"
    yield page
    context.close()


def test_it_says_what_is_written(page: Any, site: str, server: Server) -> None:
    page.goto(f"{site}/client_javascript.html?server={server.url}/#key=secret")
    assert page.locator("#go").inner_text() == ("말하기" if page.korean else "Speak")
    page.wait_for_selector("talking-avatar[alive]")
    page.click("#go")
    page.wait_for_function(f"() => {VIDEO}.currentTime > 0.3 && {VIDEO}.src.startsWith('blob:')")
    page.wait_for_function(f"() => {VIDEO}.webkitAudioDecodedByteCount > 0")
    assert page.locator("#stop").is_enabled()
    page.wait_for_function("() => document.querySelector('talking-avatar').state === 'ready'")
    assert page.locator("#stop").is_disabled() and page.faults == []


@pytest.mark.parametrize("page", ["ko-KR"], indirect=True)
def test_stop_stops_the_task(page: Any, site: str, server: Server) -> None:
    before = len(server.log)
    page.goto(f"{site}/client_javascript.html?server={server.url}#key=secret")
    page.wait_for_selector("talking-avatar[alive]")
    page.fill("#text", "slow 하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열. " * 60)
    page.click("#go")
    page.wait_for_function(f"() => {VIDEO}.currentTime > 0.3")
    page.click("#stop")
    wait_for(lambda: "ends: Failed (Cancelled)" in server.log[before:])
    assert page.locator("#stop").is_disabled() and page.locator("talking-avatar .message").is_hidden()
    assert page.faults == []
    wait_for(lambda: not server.half_made())


@pytest.mark.parametrize("page", ["en-US"], indirect=True)
def test_it_talks_in_a_live_session(page: Any, site: str, server: Server) -> None:
    page.goto(f"{site}/client_javascript.html?server={server.url}&mode=live#key=secret")
    page.wait_for_selector("talking-avatar[alive]")
    page.click("#go")
    page.wait_for_function("() => document.querySelector('talking-avatar').state === 'speaking'")
    page.click("#stop")
    page.wait_for_function("() => document.querySelector('talking-avatar').state === 'ready'")
    assert page.faults == []


def test_what_is_wrong_is_reported(page: Any, site: str, server: Server, fake_server: Server) -> None:
    def shown(address: str, text: str = "hello") -> str:
        page.goto("about:blank")
        page.goto(address)
        page.wait_for_function("() => customElements.get('talking-avatar')")
        page.fill("#text", text)
        page.click("#go")
        message = page.locator("talking-avatar .message")
        message.wait_for()
        return str(message.inner_text())

    client = f"{site}/client_javascript.html?server="
    assert ("할 말이 없습니다" if page.korean else "nothing to say") in shown(f"{client}{server.url}#key=secret", "  ")
    assert "Authorization" in shown(f"{client}{server.url}#key=wrong")
    assert "ALLOWED_ORIGINS" in shown(client + fake_server.url)  # which lets no site in
    page.goto("about:blank")
    page.goto(f"{client}http://127.0.0.1:9")
    page.locator("#stage.error").wait_for()
    assert "http://127.0.0.1:9" in page.locator("#stage").inner_text() and page.faults == []
