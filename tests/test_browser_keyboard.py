"""A real browser for those who do not see the page, or use no mouse.

Each stop of the Tab key has a name and a visible focus, and none holds it; what changes is read out once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.live_page import LIVE
from tests.pages import FINISHED, PLAYER, VIDEO, Kept, write
from tests.servers import Server

MOST = 120
"""Stops, after which the focus is in a trap."""
FOCUSED = """() => {
    let own = document.activeElement;
    while (own?.shadowRoot?.activeElement) own = own.shadowRoot.activeElement;
    return own;
}"""
RING = """(own) => {
    const ringed = (part) => part && getComputedStyle(part).outlineStyle !== 'none'
        && parseFloat(getComputedStyle(part).outlineWidth) >= 2;
    const around = [own, own.nextElementSibling, own.closest('label'), own.closest('.wrap'), own.closest('form')];
    const shown = around.find(ringed);
    if (!shown) return 'no ring';
    const [box, outside] = [shown.getBoundingClientRect(), parseFloat(getComputedStyle(shown).outlineOffset) >= 0];
    for (let part = shown.parentElement; part; part = part.parentElement) {
        const [over, room] = [getComputedStyle(part).overflow, part.getBoundingClientRect()];
        if (over !== 'hidden' || !room.height) continue;
        const cut = room.left > box.left - 2 || room.right < box.right + 2;
        if (outside && cut) return `cut off by ${part.id || part.className}`;
    }
    return '';
}"""
"""What is wrong with the ring around what has the focus: it may be drawn around a label or box of it."""


def stops(page: Any) -> list[str]:
    """Press Tab until the focus has gone round, and return the name of each stop, which is never empty."""
    devtools = page.context.new_cdp_session(page)
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    names: list[str] = []
    first = None
    for _ in range(MOST):
        page.keyboard.press("Tab")
        focused = page.evaluate_handle(FOCUSED)
        if page.evaluate("(one) => !one || one === document.body", focused):
            return names
        if first is not None and page.evaluate("([one, other]) => one === other", [first, focused]):
            return names
        first = first or focused
        found = devtools.send("Runtime.evaluate", {"expression": f"({FOCUSED})()"})["result"]["objectId"]
        (node,) = devtools.send("Accessibility.getPartialAXTree", {"objectId": found, "fetchRelatives": False})["nodes"]
        name = node.get("name", {}).get("value", "").strip()
        where = page.evaluate("(one) => one.outerHTML.slice(0, 120)", focused)
        assert name, f"has no name: {where}"
        assert node["role"]["value"] not in ("generic", "none"), f"has no role: {where}"
        assert page.evaluate(RING, focused) == "", where
        names.append(name)
    raise AssertionError(f"the focus does not leave {names[-3:]}")


@pytest.fixture
def page(request: pytest.FixtureRequest, kept: Kept, fake_server: Server) -> Iterator[Any]:
    """The page as others left it."""
    fake_server.wait_idle()
    with kept.page(request.node, fake_server, "en") as page:
        yield page


@pytest.mark.slow
def test_videos(page: Any, fake_server: Server) -> None:
    idle = stops(page)
    assert idle.index("Generate") == idle.index("Text") + 1  # from what is written to its button
    write(page, "two words")
    page.wait_for_function(FINISHED)
    page.wait_for_function(f"() => {PLAYER}.querySelector('.download').checkVisibility()")
    assert {"Play", "Position", "Mute", "Full screen", "Captions", "Download"} <= {*stops(page)}
    for part in ("settings", "examples", "details"):
        page.click(f"#{part} > button")
    page.wait_for_selector("#strip canvas")
    page.wait_for_selector("#behind input")
    assert {"Phonemes and opening of the mouth", "Background"} <= {*stops(page)}
    address = page.evaluate(f"{VIDEO}.currentSrc").split("/")[-1].removesuffix(".mp4")
    with page.context.new_page() as alone:
        alone.goto(f"{fake_server.url}/v/{address}")
        alone.wait_for_selector("talking-avatar .download")
        assert "Play" in stops(alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tab", "part", "stop"),
    [
        ("Audio", "#transcript textarea", "Generate"),
        ("Avatars", "#make", "Make the avatar"),
        ("Build", "#frame .cm-content", "About"),
        ("About", "#about_tab .prose", "About"),
    ],
)
def test_each_tab(page: Any, tab: str, part: str, stop: str) -> None:
    page.get_by_role("tab", name=tab).click()
    page.wait_for_selector(part)
    if tab == "Avatars":
        if not page.is_visible("#guide .open"):
            page.click("#webcam > button")
        page.wait_for_selector("#guide .open")
    assert stop in stops(page)


@pytest.fixture
def live_page(request: pytest.FixtureRequest, kept: Kept, fake_server: Server) -> Iterator[Any]:
    """The page that is alive, as others left it."""
    with kept.page(request.node, fake_server, "en", at=LIVE) as page:
        page.wait_for_selector("#live .live[data-state=ready]")
        yield page


@pytest.mark.slow
def test_live_and_interviews(live_page: Any) -> None:
    page = live_page
    page.click("#live summary")
    found = stops(page)
    assert found[found.index("What the avatar says") :][:3] == [
        "What the avatar says",
        "Turn on the microphone",
        "Say it",
    ]
    assert {"Sound off", "Conversation", "Question 1", "Begin the interview"} <= {*found}


@pytest.mark.parametrize(("query", "expected"), [("text=one+two", "Speak"), ("mode=live&autostart", "Send")])
def test_a_frame(browser: Any, fake_server: Server, query: str, expected: str) -> None:
    page = browser.new_page(locale="en-US")
    page.goto(f"{fake_server.url}/embed/solo?{query}&language=en")
    page.get_by_role("button", name=expected).wait_for()
    assert expected in stops(page)
    page.close()


SPOKEN = """() => {
    window.spoken = [];
    const players = [...document.querySelectorAll('talking-avatar')].map((one) => one.shadowRoot);
    for (const root of [document, ...players]) {
        for (const region of root.querySelectorAll('[role=status], [role=alert], [role=log]')) {
            const note = () => region.checkVisibility() && spoken.push(region.textContent.trim());
            new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
        }
    }
}"""
"""Notes what regions that are read out show, each time that something in them changes."""


def test_a_video_is_read_out_once(page: Any) -> None:
    page.evaluate(SPOKEN)
    write(page, "word " * 6)  # in many steps
    page.wait_for_function(FINISHED)
    write(page, "...")
    page.wait_for_selector("#status .failed")
    spoken = [one for one in page.evaluate("spoken") if one]
    assert all(one != other for one, other in pairwise(spoken)), spoken
    assert spoken[-1].startswith("Text: ") and len(spoken) < 12, spoken


def test_a_session_is_read_out_once(live_page: Any) -> None:
    page = live_page
    page.evaluate(SPOKEN)
    page.fill("#live .writing", "brisk one two three")
    page.press("#live .writing", "Enter")
    page.wait_for_selector("#live .entry")
    page.wait_for_selector("#live .live[data-state=ready]")
    spoken = [one for one in page.evaluate("spoken") if one]
    assert spoken.count("Speaking") == spoken.count("Ready") == 1, spoken
