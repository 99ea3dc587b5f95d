"""A real browser on every tab, in both languages, sizes and lights; an avatar is made, tried out and deleted.

With KEEP_SCREENSHOTS set, pictures of the tabs are left in ``tests/screenshots``.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.server.visitors import of_number
from tests.accessibility import findings
from tests.fakes import make_pack
from tests.footage import first_second
from tests.pages import FINISHED, MOVED, SPEAK, TABS, Kept, new_page
from tests.servers import ROOT, Server, running

SCREENSHOTS = Path(__file__).with_name("screenshots")
NAMELESS = """() => [...document.querySelectorAll('button, input, textarea, select')]
    .filter((one) => one.offsetParent && !one.labels?.length && !one.ariaLabel && !one.title && !one.placeholder)
    .filter((one) => !one.innerText.trim() && !one.hasAttribute('aria-labelledby'))
    .map((one) => one.outerHTML.slice(0, 120))"""
"""What can be reached with the keyboard and has no name."""
NAMES = ("live", "speak", "audio", "avatars", "api", "about")
LAST = ("live .message-box .main", "generate", "say", "make", "python", "about_tab p >> nth=0")
"""What each tab is there for."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program itself, on avatars of its own."""
    folder = tmp_path_factory.mktemp("studio")
    small = folder / "precomputed" / "360p"
    shutil.copytree(ROOT / "precomputed" / "360p", small)
    with running(["app.py"], folder, PRECOMPUTED=str(small.parent)) as server:
        yield server


def keep(page: Any, name: str) -> None:
    if os.environ.get("KEEP_SCREENSHOTS"):
        page.screenshot(path=SCREENSHOTS / f"{name}.jpg", type="jpeg", quality=50, full_page=True)


@pytest.mark.slow
@pytest.mark.parametrize(("language", "width", "light"), [("ko", 1280, "light"), ("en", 390, "light")])
def test_every_tab_fits_and_speaks_one_language(
    request: pytest.FixtureRequest, kept: Kept, studio: Server, language: str, width: int, light: str
) -> None:
    with kept.page(request.node, studio, language, width, light) as page:
        _every_tab_fits(page, language, width)
        # the same page, turned and in the dark: to open another costs as much as all of its tabs
        page.set_viewport_size({"width": (other := 1670 - width), "height": 900})
        page.emulate_media(color_scheme="dark")
        _every_tab_fits(page, language, other)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=light)


def _every_tab_fits(page: Any, language: str, width: int) -> None:
    foreign = re.compile("[가-힣]" if language == "en" else r"\b(Generate|Settings|Avatar|Recording|Ready|Delete)\b")
    for tab, name, last in zip(TABS[language], NAMES, LAST, strict=True):
        page.get_by_role("tab", name=tab).click()
        page.locator(f"#{last}").wait_for()
        page.wait_for_timeout(500)  # what fades in
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        player = page.locator(f"#{'live' if name == 'live' else 'video'} .screen").bounding_box()
        assert player["y"] < 200 and player["x"] < 100, ("first of all", name, width)
        assert player["width"] > (0.5 if width > 1000 else 0.75) * width, (name, width)
        assert not foreign.search(page.inner_text("body")), (name, width)
        keep(page, f"{name}_{language}_{width}")
    assert page.evaluate(NAMELESS) == [] and page.faults == []


@pytest.mark.slow
def test_an_avatar_is_chosen_with_the_keyboard(request: pytest.FixtureRequest, kept: Kept, studio: Server) -> None:
    with kept.page(request.node, studio, "en", 390, "light") as page:
        page.focus("#portraits input:checked")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => document.querySelector('#portraits label[title=talk_short] input').checked")
        page.get_by_role("tab", name="Build").click()
        page.wait_for_function("() => document.querySelector('#curl')?.innerText.includes('talk_short')")
        assert page.evaluate("() => document.querySelectorAll('#portraits input:checked').length") == 1


@pytest.fixture
def page(request: pytest.FixtureRequest, kept: Kept, studio: Server) -> Iterator[Any]:
    """The page in Korean on a desk, as others left it."""
    with kept.page(request.node, studio, "ko", 1280, "light") as page:
        yield page


@pytest.mark.slow
def test_an_avatar_is_made_tried_out_and_deleted(page: Any, studio: Server, tmp_path: Path) -> None:
    page.get_by_role("tab", name="아바타").click()
    (tmp_path / "me.mp4").write_bytes(first_second((640, 360), 15))
    page.set_input_files("#clip input[type=file]", tmp_path / "me.mp4")
    page.wait_for_selector("#faces img")
    assert page.locator("#face").is_hidden()  # there is one only
    page.fill("#name textarea, #name input", "새 얼굴")
    page.click("#make")
    page.get_by_text("동의했는지 확인하고").first.wait_for()
    page.check("#consent input")
    page.fill("#consent-by textarea, #consent-by input", " 김  <b>민수</b> ")
    page.click("#make")
    page.wait_for_selector("#making .done")
    assert "픽셀" in page.inner_text("#report")
    page.wait_for_function("() => document.querySelector('#portraits label[title=새_얼굴] input')?.checked")
    page.wait_for_function(MOVED)
    page.wait_for_function(FINISHED)
    page.click("#details > button")
    page.locator("#strip .now").filter(has_text="%").wait_for()
    keep(page, "made_ko_1280")
    record = page.locator("#consent-record a")
    assert "동의를 확인한 사람: 김 <b>민수</b>" in page.inner_text("#consent-record")
    assert record.get_attribute("download") == "새_얼굴_consent.json"
    content = json.loads(base64.b64decode((record.get_attribute("href") or "").split(",")[1]))
    assert content["avatar"] == "새_얼굴" and content["confirmed_by"] == "김 <b>민수</b>"
    page.click("#delete")
    page.get_by_text("지울까요?").wait_for()  # it asks first
    keep(page, "sure_ko_1280")
    assert findings(page) == []
    page.click("#keep")
    page.locator("#sure").wait_for(state="hidden")
    assert "새_얼굴" in studio.get("/api/avatars").text
    page.click("#delete")
    page.click("#really-delete")
    page.wait_for_function("() => document.querySelectorAll('#portraits input').length === 3")
    assert "새_얼굴" not in studio.get("/api/avatars").text and page.faults == []


def test_an_avatar_that_is_deleted_elsewhere_gives_way_to_the_default(
    browser: Any, fake_packs: Path, tmp_path: Path
) -> None:
    store, number = Path(shutil.copytree(fake_packs, tmp_path / "precomputed")), "0123456789abcdef" * 2
    make_pack(store, "mine", "360p")
    (store / "uploads").mkdir(exist_ok=True)
    (store / "uploads" / "mine.json").write_text(json.dumps({"owner": of_number(number)}))
    with running(["-m", "tests.fakes", str(store)], tmp_path) as server:
        context = browser.new_context(locale="en-US")
        context.add_cookies([{"name": "avatar_visitor", "value": number, "url": server.url}])
        page = new_page(context)
        page.goto(server.url + SPEAK)
        page.wait_for_selector("#portraits label[title=duet] input:checked", state="attached")
        with page.expect_response("**/assets/idle/mine_360p.mp4") as idle:
            page.click("#portraits label[title=mine]")
        assert idle.value.status == 200
        assert server.delete("/api/avatars/mine").json()["deleted"] == ["mine_360p"]
        page.click("#generate")
        page.get_by_text("The avatar 'mine' has been deleted. Now 'duet' speaks").wait_for()
        page.wait_for_selector("#portraits label[title=duet] input:checked", state="attached")
        assert page.locator("#portraits label").count() == 2
        page.click("#generate")
        page.wait_for_function(FINISHED)
        context.close()
