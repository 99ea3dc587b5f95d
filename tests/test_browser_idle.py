"""A real browser before, between and after answers: the avatar is there, and neither begins nor ends with a jump."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.media import image
from tests.pages import FINISHED, MOVED, PLAYER, SPEAK, VIDEO, Kept, new_page, opened, write
from tests.servers import Server

IDLE = f"{PLAYER}.querySelector('.idle')"
ALIVE = f"() => {PLAYER}.querySelector('.alive.idling') && {IDLE}.currentTime > 0.3"
LOOK = """() => {
    const root = document.querySelector('#video talking-avatar').shadowRoot;
    const [idle, answer, cover] = ['idle', 'answer', 'cover'].map((name) => root.querySelector(`.${name}`));
    const screen = root.querySelector('.screen');
    const context = new OffscreenCanvas(160, 90).getContext('2d', { willReadFrequently: true });
    const whole = new OffscreenCanvas(idle.videoWidth, idle.videoHeight).getContext('2d');
    const seen = (picture) => {
        // by way of a canvas of its size, as the cover is one: a video that is drawn smaller is smoothed in another way
        whole.drawImage(picture, 0, 0, whole.canvas.width, whole.canvas.height);
        context.drawImage(whole.canvas, 0, 0, 160, 90);
        return context.getImageData(0, 0, 160, 90).data.filter((_, i) => i % 4 !== 3);
    };
    const change = (one, other) => one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / one.length;
    window.usual = [];
    let before = null;
    const watch = () => {
        const now = seen(idle);
        if (before && !idle.paused) usual.push(change(before, now));
        before = now;
        idle.requestVideoFrameCallback(watch);
    };
    watch();
    window.begun = Infinity;
    new MutationObserver((_, observer) => {
        observer.disconnect();
        window.begun = change(before, seen(cover));
    }).observe(cover, { attributeFilter: ['hidden'] });
    answer.requestVideoFrameCallback(() => (window.first = true));
    new MutationObserver((_, observer) => {
        if (screen.matches('.idling')) return;
        observer.disconnect();
        window.first ??= false;
        window.covered = !cover.hidden;
        window.fades = cover.getAnimations().map((fade) => fade.effect.getKeyframes().map((key) => key.opacity));
    }).observe(screen, { attributeFilter: ['class'] });
    answer.addEventListener('ended', () => {
        const last = seen(answer);
        const look = () => screen.matches('.idling') ? (window.ended = change(last, seen(idle))) : setTimeout(look, 1);
        look();
    }, { capture: true, once: true });
}"""
"""Notes how much the picture changes (of 255, a mean) from one of the clip to the next, and where an answer takes over
and gives back."""


QUICK = """
    performance.getEntriesByType = () => [{ transferSize: 1_000_000, responseStart: 0, responseEnd: 100 }];
"""
"""Has the parts of the page come quickly, as the page sees it; on a busy machine they do not."""


def test_an_answer_begins_and_ends_without_a_jump(server: Server, browser: Any) -> None:
    page = opened(browser, server, "ko", motion="no-preference", script=QUICK)
    page.wait_for_function(ALIVE)
    assert page.evaluate(f"[{IDLE}.videoWidth, {IDLE}.videoHeight]") == [1280, 720]  # which a fast connection gets
    page.evaluate(LOOK)
    page.wait_for_function(f"() => {IDLE}.currentTime > 2")  # far away from the first picture
    far = page.evaluate("usual.reduce((sum, one) => sum + one, 0)")
    page.click("#generate")
    page.wait_for_function("() => window.ended !== undefined")
    covered, begun, ended, most = page.evaluate("[covered, begun, ended, Math.max(...usual)]")
    assert covered and begun < 4 * most and 0 < ended < 1.5 * most  # a busy page learns late which picture is shown
    assert page.evaluate("first")  # until a picture of the answer is there, the idle one stays
    assert page.evaluate("fades") == [["1", "0"]]  # out of that picture into the answer
    assert far > 5 * max(begun, ended)  # of all the way that it had gone
    at = page.evaluate(f"{IDLE}.currentTime")
    page.wait_for_function(f"() => {IDLE}.currentTime > {at + 0.3}")  # and on it goes
    assert 3.5 < at < 5 and page.faults == []
    page.context.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, kept: Kept, fake_server: Server) -> Iterator[Any]:
    """The page as others left it, where avatars idle."""
    fake_server.wait_idle()
    with kept.page(request.node, fake_server, "ko", motion="no-preference") as page:
        yield page


def test_the_chosen_avatar_is_there_before_and_after_and_when_stopped(page: Any) -> None:
    page.wait_for_selector("#video .alive.idling")
    assert page.evaluate(f"[{IDLE}.muted, {IDLE}.loop, {IDLE}.paused]") == [True, True, False]
    shown = page.evaluate(f"{IDLE}.src")
    page.click("#portraits label[title=solo]")
    page.wait_for_function(f"() => {IDLE}.src !== '{shown}' && !{IDLE}.paused")
    write(page, "slow " + "word " * 30)
    page.wait_for_function(MOVED)
    assert page.evaluate(f"{IDLE}.paused") and page.locator("#video .idling").count() == 0
    page.click("#stop")
    page.wait_for_function(f"() => {PLAYER}.querySelector('.idling') && !{IDLE}.paused")
    write(page, "two words")
    page.click("#video .replay")
    page.wait_for_selector("#video .screen:not(.idling)")
    page.wait_for_selector("#video .idling")
    page.wait_for_function(f"() => {PLAYER}.querySelector('.cover').hidden")


def test_the_person_is_cropped_before_and_after_as_the_answers_are(page: Any) -> None:
    page.wait_for_selector("#video .alive.idling")
    shape = f"() => [{PLAYER}.querySelector('.screen'), {IDLE}].map((one) => one.clientWidth / one.clientHeight)"
    assert page.evaluate(shape) == pytest.approx([4 / 3, 4 / 3], abs=0.01)
    page.click("#settings > button")
    page.click("#aspect input")
    page.get_by_role("option", name="가로 16:9").click()
    page.wait_for_function(f"() => getComputedStyle({IDLE}).objectPosition === '50% 0%'")  # the head is at the top
    assert page.evaluate(shape) == pytest.approx([16 / 9, 16 / 9], abs=0.01)
    write(page, "two words")
    page.wait_for_function(FINISHED)
    page.wait_for_selector("#video .idling")
    assert page.evaluate(f"[{VIDEO}.videoWidth, {VIDEO}.videoHeight]") == [64, 36]
    assert page.evaluate(f"getComputedStyle({VIDEO}).objectFit") == "cover"
    page.click("#aspect input")
    page.get_by_role("option", name="원본 그대로").click()
    page.wait_for_function(f"() => getComputedStyle({VIDEO}).objectFit === 'contain'")
    assert page.evaluate(shape) == pytest.approx([4 / 3, 4 / 3], abs=0.01)
    assert page.evaluate(f"getComputedStyle({IDLE}).objectPosition") == "50% 50%"


def test_a_slow_connection_gets_a_picture_at_once_and_a_small_clip(server: Server, browser: Any) -> None:
    context = browser.new_context(locale="en-US", viewport={"width": 390, "height": 844})
    page = new_page(context)
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 50, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
    network.send("Network.emulateNetworkConditions", slow)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(server.url)))
    page.goto(server.url + SPEAK, wait_until="commit")
    first = "document.querySelector('#first-look')"
    page.wait_for_function(f"() => {first}?.naturalWidth > 0")
    assert page.locator("#generate").count() == 0  # nothing of Gradio is there yet
    page.wait_for_selector("#video .alive.idling")
    page.wait_for_function(f"() => !{first}")
    assert page.evaluate(f"{IDLE}.poster").endswith("/assets/idle/talk_long.jpg")
    page.wait_for_function(f"() => {IDLE}.readyState > 1")
    assert [path for path in asked if path.startswith("/assets/idle/") and path.endswith(".mp4")] == [
        "/assets/idle/talk_long_360p.mp4"
    ]
    context.close()


@pytest.mark.slow
def test_a_first_picture_is_asked_for_again_and_sent_only_where_it_changed(server: Server) -> None:
    first = server.get("/assets/idle/woman.jpg")
    assert image(first.content).shape == (270, 480, 3)
    assert len(first.content) < 20_000 and first.headers["content-type"] == "image/jpeg"
    again = server.get("/assets/idle/woman.jpg", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert server.get("/assets/idle/nobody.jpg").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("avatar", ["solo_360p", "nobody_720p", "solo", "..", "solo_480p.mp4"])
def test_an_avatar_that_is_not_there_has_no_clip(fake_server: Server, avatar: str) -> None:
    assert fake_server.get(f"/assets/idle/{avatar}.mp4").status_code == 404


LAST_FRAME = """
    window.last_frame = 0;
    const ask = window.requestAnimationFrame;
    window.requestAnimationFrame = (act) => {
        window.last_frame = performance.now();
        return ask(act);
    };
"""
"""Notes when a frame was asked for the last time."""


def test_with_less_motion_the_page_shows_a_picture_and_asks_for_no_frames(browser: Any, fake_server: Server) -> None:
    """Each would keep a phone awake."""
    page = opened(browser, fake_server, "en", motion="reduce", script=LAST_FRAME)
    page.wait_for_function(f"() => {PLAYER}.querySelector('.alive') && {IDLE}.readyState > 1")
    assert page.evaluate(f"[{IDLE}.paused, {IDLE}.currentTime]") == [True, 0]
    for tab, part in (("Video", "#text textarea"), ("Avatars", "#make")):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector(part)
        assert page.evaluate("last_frame") > 0, "it is seen how a page comes"
        page.evaluate("last_frame = performance.now()")
        page.wait_for_function("() => performance.now() - last_frame > 2000", polling=500)
    page.context.close()
