"""The example for browsers, on a site of its own: it plays what is being made, stops, and says what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers import ROOT, Server, running, wait_for

VIDEO = "document.querySelector('#video')"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a web site that has the example."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(ROOT / "examples"))) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()


@pytest.fixture(scope="module")
def server(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program itself, which lets that site in."""
    with running(["app.py"], tmp_path_factory.mktemp("open"), ALLOWED_ORIGINS=site, API_KEYS="secret") as started:
        yield started


@pytest.fixture(params=["ko-KR", "en-US"])
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    context = browser.new_context(locale=request.param)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.korean = request.param == "ko-KR"
    yield page
    context.close()


def test_it_plays_while_the_video_is_made(page: Any, site: str, server: Server) -> None:
    page.goto(f"{site}/client_javascript.html?server={server.url}/#key=secret")
    assert page.locator("#go").inner_text() == ("생성" if page.korean else "Generate")
    page.click("#go")
    page.wait_for_function(f"() => {VIDEO}.currentTime > 0.3 && {VIDEO}.src.startsWith('blob:')")
    page.wait_for_function("() => /(완료|Done): .* s$/.test(document.querySelector('#stage').innerText)")
    page.wait_for_function(f"() => {VIDEO}.textTracks[0]?.cues?.length === 1")
    page.wait_for_function(f"() => {VIDEO}.ended")
    sound = page.evaluate(f"() => {VIDEO}.webkitAudioDecodedByteCount")
    assert sound > 0 and page.locator("#stop").is_disabled() and page.faults == []


def test_stop_stops_the_task(page: Any, site: str, server: Server) -> None:
    before = len(server.log)
    page.goto(f"{site}/client_javascript.html?server={server.url}#key=secret")
    page.fill("#text", "하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열. " * 60)
    page.click("#go")
    page.wait_for_function(f"() => {VIDEO}.currentTime > 0.3")
    page.click("#stop")
    wait_for(lambda: "ends: Failed (Cancelled)" in server.log[before:])
    assert page.locator("#stage").inner_text() == "" and page.evaluate(f"() => {VIDEO}.paused")
    assert page.faults == []
    wait_for(lambda: not server.half_made())


def test_what_is_wrong_is_reported(page: Any, site: str, server: Server, fake_server: Server, tmp_path: Path) -> None:
    def shown(address: str, text: str = "hello") -> str:
        page.goto("about:blank")
        page.goto(address)
        page.fill("#text", text)
        page.click("#go")
        page.wait_for_selector("#stage.error")
        return str(page.locator("#stage").inner_text())

    client = f"{site}/client_javascript.html?server="
    assert ("비어" if page.korean else "blank") in shown(f"{client}{server.url}#key=secret", "  ")
    assert "Authorization" in shown(f"{client}{server.url}#key=wrong")
    assert "ALLOWED_ORIGINS" in shown(client + fake_server.url)  # which lets no site in
    assert page.faults == []
