"""The strip under "Details": it moves with the video, speaks to who cannot see it, and never harms the video."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pages import FINISHED, MOVED, VIDEO, Kept, write
from tests.servers import Server

PICTURE = "document.querySelector('#strip canvas').toDataURL()"
NOW = "#strip .now"
ENDED = f"() => {VIDEO}.ended || ({VIDEO}.paused && {VIDEO}.currentTime > 1)"


@pytest.fixture(params=["no-preference", "reduce"])
def page(request: pytest.FixtureRequest, kept: Kept, fake_server: Server) -> Iterator[Any]:
    """The page as others left it, with its details unfolded."""
    fake_server.wait_idle()
    with kept.page(request.node, fake_server, "en", motion=request.param) as page:
        page.moves = request.param != "reduce"
        if not page.is_visible("#strip canvas"):
            page.click("#details > button")
        page.wait_for_selector("#strip canvas")
        yield page


def test_it_moves_with_the_video_while_that_is_made(page: Any) -> None:
    page.evaluate("document.addEventListener('film', () => (window.pictures = new Set()), { once: true })")
    write(page, "slow " + "word " * 10)
    page.wait_for_function(MOVED)
    page.evaluate(f"""() => {{
        window.looks = true;
        const look = () => {{ pictures.add({PICTURE}); if (looks) requestAnimationFrame(look); }};
        look();
    }}""")
    assert not page.evaluate(FINISHED)
    page.locator(NOW).filter(has_text="/a/").wait_for()
    page.wait_for_timeout(1000)
    pictures = page.evaluate("looks = false, pictures.size")
    assert pictures > 10 if page.moves else pictures <= 4  # more pieces came, or another sound
    page.click("#stop")


def test_keys_go_from_sound_to_sound_and_a_reader_is_told_of_each(page: Any) -> None:
    write(page, "one two. three four")
    page.wait_for_function(ENDED)
    page.wait_for_function(FINISHED)
    strip = page.locator("#strip canvas")
    assert strip.get_attribute("role") == "slider"
    strip.focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"() => {VIDEO}.currentTime < 0.1")
    page.wait_for_function("() => document.querySelector('#strip canvas').ariaValueText.startsWith('0.0 s · pause')")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('#strip canvas').ariaValueText.includes('/a/')")
    first = page.evaluate(f"{VIDEO}.currentTime")
    page.keyboard.press("End")
    page.wait_for_function(f"() => {VIDEO}.currentTime > {first} + 0.3")
    told = strip.evaluate("strip => strip.ariaValueText")
    assert "mouth" in told and "%" in told


@pytest.mark.parametrize("page", ["no-preference"], indirect=True)
@pytest.mark.parametrize(
    "answer",
    [{"status": 500}, {"status": 404}, {"status": 200, "body": "<html>\n"}, {"status": 200, "body": '{"start": 1}\n'}],
    ids=["broken", "absent", "no JSON", "other JSON"],
)
def test_a_strip_that_fails_leaves_the_video_alone(page: Any, answer: dict[str, Any]) -> None:
    page.route("**/*.mouth.ndjson", lambda route: route.fulfill(**answer))
    write(page, "two words")
    page.wait_for_function(ENDED)
    page.locator(NOW).filter(has_text="not known").wait_for()
    page.wait_for_function(FINISHED)
    page.unroute("**/*.mouth.ndjson")
