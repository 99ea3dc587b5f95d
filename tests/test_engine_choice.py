"""The engine is chosen for each request: by REST, from Python, and on the page where there is a choice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from gradio_client import Client

from tests.pages import FINISHED, TABS, opened, write
from tests.servers import Server, predict, running

BODY = {"text": "one", "avatar": "solo"}
ENGINES = "fake,bright,broken"
WHITE = 235


@pytest.fixture(scope="module")
def server(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two engines that draw, and one that cannot."""
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path_factory.mktemp("choice"), FAKE_ENGINES=ENGINES) as s:
        yield s


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(server.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
    yield client
    client.close()


def drawn_by(path: Path) -> str:
    """The engine that drew the video at PATH."""
    with av.open(str(path)) as container:
        last = [picture.to_ndarray(format="gray") for picture in container.decode(video=0)][-1]
    return "bright" if abs(float(last.mean()) - WHITE) < 30 else "fake"


@pytest.mark.parametrize(("asked", "drawn"), [(None, "fake"), ("auto", "fake"), ("fake", "fake"), ("bright", "bright")])
def test_rest_takes_an_engine(server: Server, asked: str | None, drawn: str) -> None:
    reply = server.post("/api/v2/lipsync", {**BODY, "engine": asked}).json()
    assert drawn_by(server.results / f"{reply['task_id']}.mp4") == drawn


def test_rest_states_why_an_engine_cannot_work_and_which_there_are(server: Server) -> None:
    english = {"Accept-Language": "en"}
    broken = server.post("/api/v2/lipsync", {**BODY, "engine": "broken"}, headers=english)
    assert broken.status_code == 503 and broken.json()["error"] == "broken: it is out of order."
    unknown = server.post("/api/v2/lipsync", {**BODY, "engine": "wav2lip"}, headers=english)
    assert unknown.status_code == 400 and "fake, bright, broken, auto" in unknown.json()["error"]


@pytest.mark.slow
def test_gradio_client_takes_an_engine(client: Client) -> None:
    for asked, drawn in (({}, "fake"), ({"engine": "bright"}, "bright"), ({"engine": "auto"}, "fake")):
        video, _, _ = predict(client, text="one", avatar="solo", **asked)
        assert drawn_by(Path(video["video"] if isinstance(video, dict) else video)) == drawn, asked
    with pytest.raises(Exception, match="broken"):
        predict(client, text="one", avatar="solo", engine="broken")


@pytest.mark.slow
def test_what_was_given_by_position_stays_where_it_was(client: Client) -> None:
    before = ("one", "solo", "480p", "fake", "Custom", 2, None)
    for given, drawn in ((before, "fake"), ((*before, "bright"), "bright"), ((*before, "bright", "en"), "bright")):
        video, _, _ = predict(client, *given)
        assert drawn_by(Path(video["video"] if isinstance(video, dict) else video)) == drawn


def choices(page: Any) -> list[str]:
    """What the page offers, once the list is open."""
    page.click("#settings > button")
    page.click("#engine input")
    page.wait_for_selector("#engine [role=option], [role=listbox] [role=option]")
    return [text.strip().removeprefix("✓").strip() for text in page.get_by_role("option").all_inner_texts()]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_offers_those_that_can_draw(browser: Any, server: Server, language: str) -> None:
    page = opened(browser, server, language)
    assert choices(page) == [{"ko": "자동", "en": "Automatic"}[language], "fake", "bright"]
    label = page.inner_text("#engine label, #engine [data-testid=block-info]")
    assert {"ko": "입을 움직이는 방식", "en": "How the mouth is moved"}[language] in label
    page.get_by_role("option", name="bright").click()
    page.get_by_role("tab", name=TABS[language][4]).click()
    page.wait_for_function("() => document.querySelector('#curl')?.innerText.includes('bright')")
    shell = page.locator("#curl .cm-content").inner_text()
    assert json.loads(shell[shell.index("{") : shell.rindex("}") + 1])["engine"] == "bright"
    page.get_by_role("tab", name=TABS[language][1]).click()
    before = set(server.results.glob("*.mp4"))
    write(page, "one")
    page.wait_for_function(FINISHED)
    [video] = set(server.results.glob("*.mp4")) - before
    assert drawn_by(video) == "bright" and page.faults == []
    page.context.close()


def test_where_there_is_no_choice_the_page_offers_none(browser: Any, fake_server: Server) -> None:
    page = opened(browser, fake_server, "en")
    page.click("#settings > button")
    page.wait_for_selector("#frame_skip, #voice input")
    assert page.locator("#engine").count() == 0
    page.context.close()


def test_the_page_states_why_the_engine_that_is_set_cannot_draw(browser: Any, fake_packs: Path, tmp_path: Path) -> None:
    environ = {"FAKE_ENGINES": "fake,broken", "LIPSYNC_ENGINE": "broken"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, **environ) as server:
        page = opened(browser, server, "ko")
        write(page, "one")
        page.locator("#status .failed .message").filter(has_text="고장났습니다").wait_for()
        assert choices(page) == ["자동", "fake", "broken"]
        assert "broken: 고장났습니다." in page.inner_text("#engine")
        page.get_by_role("option", name="fake").click()
        write(page, "one")
        page.wait_for_function(FINISHED)
        page.context.close()
