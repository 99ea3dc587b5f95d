"""<talking-avatar> with nothing behind the person: the page is seen beside them, and nothing shines through them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.fakes import HEIGHT, WIDTH
from tests.pages import chromium, new_page
from tests.servers import Server

HOSTS = (255, 0, 255), (0, 128, 0)
"""Colours of the page around the tag."""
AVATAR = "document.querySelector('talking-avatar')"
ROOT = f"{AVATAR}.shadowRoot"


@pytest.fixture(scope="module")
def drawing() -> Iterator[Any]:
    """Chromium with WebGL, drawn by the processor."""
    with chromium("--use-angle=swiftshader", "--enable-unsafe-swiftshader") as started:
        yield started


@pytest.fixture
def page(drawing: Any) -> Iterator[Any]:
    context = drawing.new_context(locale="en-US", viewport={"width": 640, "height": 520}, bypass_csp=True)
    page = new_page(context, 120_000)
    page.add_init_script("""
        window.contexts = []; // of WebGL
        const { getContext } = HTMLCanvasElement.prototype;
        HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
            const context = window.noWebGl && kind === 'webgl' ? null : getContext.call(this, kind, ...more);
            if (kind === 'webgl' && context && !contexts.includes(context)) contexts.push(context);
            return context;
        };
    """)
    yield page
    assert page.faults == []
    context.close()


def visit(page: Any, server: Server, avatar: str, **attributes: str) -> None:
    page.goto(f"{server.url}/embed/{avatar}?{urlencode({'badge': 'off', 'resolution': '360p', **attributes})}")
    page.wait_for_selector("talking-avatar[alive]")


def seen(page: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the stage's own colours (h, w, 3), and how opaque it is (h, w), from what is seen on two pages."""
    shots = []
    for color in HOSTS:
        page.evaluate(f"document.documentElement.style.background = 'rgb{color}'")
        shot = page.locator("talking-avatar .screen").screenshot(animations="disabled")
        shots.append(np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.float32))
    hosts = np.array(HOSTS, np.float32)
    apart = hosts[0] - hosts[1]
    share = 1 - ((shots[0] - shots[1]) @ apart) / float(apart @ apart)
    own = (shots[0] - (1 - share[..., None]) * hosts[0]) / np.maximum(share[..., None], 0.05)
    return own, share


def check(page: Any) -> np.ndarray:
    """Assert that there is a person in front of nothing, with clean edges; return how opaque each pixel is."""
    own, share = seen(page)
    height, width = share.shape
    sides = np.concatenate([share[:, : width // 8], share[:, -width // 8 :]], axis=1)
    assert np.abs(sides[: height // 2]).max() < 0.02  # the page, and nothing else
    assert share[height // 3 : height // 2, width * 7 // 16 : width * 9 // 16].min() > 0.98  # a face
    assert 0.15 < (share > 0.5).mean() < 0.6
    soft, hard = (share > 0.3) & (share < 0.7), share > 0.98
    assert soft.sum() > 200
    near = cv2.blur(own * hard[..., None], (9, 9)) / (cv2.blur(hard.astype(np.float32), (9, 9))[..., None] + 1e-6)
    known = soft & (cv2.blur(hard.astype(np.float32), (9, 9)) > 0.1)
    luma = (own - near)[known] @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    assert abs(float(np.median(luma))) < 12 and np.percentile(np.abs(luma), 90) < 45  # no halo, neither light nor dark
    return share


def still(page: Any, video: str) -> None:
    """Have what is shown stand still, and wait until it can be seen alone."""
    page.evaluate(f"{ROOT}.querySelector('{video}').pause()")
    page.wait_for_function(f"{ROOT}.querySelector('.cover').hidden")
    page.wait_for_timeout(100)


@pytest.mark.slow
def test_the_page_is_seen_beside_a_person_who_idles_speaks_and_lives(page: Any, server: Server) -> None:
    page.emulate_media(reduced_motion="reduce")
    visit(page, server, "talk_short", background="transparent", language="en")
    check(page)  # the first picture
    page.emulate_media(reduced_motion="no-preference")
    visit(page, server, "talk_short", background="transparent", language="en")
    page.wait_for_function(f"{ROOT}.querySelector('.idle').currentTime > 0.1")
    still(page, ".idle")
    idle = check(page)
    page.evaluate(f"{AVATAR}.options = {{ tts_engine: 'espeak' }}")
    page.evaluate(f"window.said = {AVATAR}.say('Hello there, how are you all doing today?'), 0")
    page.wait_for_function(f"{AVATAR}.state === 'speaking' && {ROOT}.querySelector('.answer').currentTime > 0.3")
    still(page, ".answer")
    speaking = check(page)
    assert np.abs(speaking - idle).mean() < 0.05  # the same person at the same place
    page.evaluate(f"{ROOT}.querySelector('.answer').play()")
    page.evaluate("said")
    page.wait_for_function(f"{ROOT}.querySelector('.screen').matches('.idling')")
    still(page, ".idle")
    check(page)
    page.evaluate("window.loss = contexts[0].getExtension('WEBGL_lose_context'), loss.loseContext()")
    page.wait_for_function("contexts[0].isContextLost()")
    check(page)  # what was drawn last
    move = f"(one => one.play().then(() => window.at = one.currentTime))({ROOT}.querySelector('.idle'))"
    page.evaluate(move)
    page.wait_for_function(f"{ROOT}.querySelector('.idle').currentTime > at + 0.3")
    still(page, ".idle")
    assert page.evaluate(f"{ROOT}.querySelector('.parts').width") <= 640
    check(page)  # mixed by the processor, however long it takes
    page.evaluate("loss.restoreContext()")
    page.wait_for_function("!contexts[0].isContextLost()")
    page.evaluate(move)
    page.wait_for_function(f"{ROOT}.querySelector('.idle').currentTime > at + 0.3")
    still(page, ".idle")
    check(page)
    page.evaluate(f"{AVATAR}.mode = 'live'")
    page.evaluate(f"{AVATAR}.start()")
    page.wait_for_function(f"{AVATAR}.state === 'ready' && !{ROOT}.querySelector('.screen').matches('.idling')")
    held = "'currentTime', { get: () => 1e9, set() {} }"  # a stream that stands still would jump to what is newest
    page.evaluate(f"Object.defineProperty({ROOT}.querySelector('.answer'), {held}), 0")
    still(page, ".answer")
    check(page)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("rgb(30 144 255)", "#1e90ff"), ("White", "#ffffff"), ("blur", "blur"), ("transparent", "transparent")],
)
def test_the_idle_clip_and_what_is_said_have_the_background_of_the_tag(
    page: Any, fake_server: Server, asked: str, sent: str
) -> None:
    fetched: list[Any] = []
    page.on("request", lambda one: fetched.append(one))
    visit(page, fake_server, "solo", background=asked, resolution="480p", controls="full", text="brisk one")
    page.wait_for_function(f"{ROOT}.querySelector('.idle').readyState > 1")
    page.evaluate(f"{AVATAR}.say()")
    clips = [one.url for one in fetched if "/assets/idle/" in one.url and ".json" not in one.url]
    assert [url.rpartition("?")[2] for url in clips] == [urlencode({"background": sent})] * 2
    (body,) = (json.loads(one.post_data) for one in fetched if one.url.endswith("/lipsync/stream"))
    assert body["background"] == sent
    link = page.evaluate(f"(one => [one.href, one.download])({ROOT}.querySelector('.download'))")
    assert all(one.endswith(".webm") for one in link) if sent == "transparent" else link[1].endswith(".mp4")
    assert page.evaluate(f"{ROOT}.querySelector('.screen').matches('.mixed')") is (sent == "transparent")
    shape = page.evaluate(f"(one => one.videoHeight / one.videoWidth)({ROOT}.querySelector('.idle'))")
    assert shape == pytest.approx((2 if sent == "transparent" else 1) * HEIGHT / WIDTH)


@pytest.mark.slow
def test_without_webgl_the_processor_mixes(page: Any, server: Server) -> None:
    page.add_init_script("window.noWebGl = true")
    visit(page, server, "talk_short", background="transparent")
    page.wait_for_function(f"{ROOT}.querySelector('.idle').currentTime > 0.1")
    still(page, ".idle")
    check(page)
    assert page.evaluate("contexts.length") == 0


NOISE = """
    const { getImageData } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.getImageData = function (...asked) {
        const read = getImageData.apply(this, asked);
        return read.data.forEach((value, i) => (read.data[i] = value ^ (i % 7))), read;
    };
"""


def test_where_nothing_can_be_mixed_the_filmed_background_is_shown_and_that_is_said(
    page: Any, fake_server: Server
) -> None:
    fetched: list[str] = []
    page.on("request", lambda one: fetched.append(one.url))
    page.add_init_script(f"""
        window.noWebGl = true;
        window.told = []; // the sentence goes by itself
        document.addEventListener('error', ({{ detail }}) => detail && told.push(detail), true);
        {NOISE}
    """)
    visit(page, fake_server, "solo", background="transparent", resolution="480p")
    ((code, message),) = page.evaluate("told.map(({ code, message }) => [code, message])")
    assert code == "no_webgl" and "cannot show a transparent background" in message
    assert not [url for url in fetched if "transparent" in url.partition("/assets/")[2]]
    assert not page.evaluate(f"{ROOT}.querySelector('.screen').matches('.mixed')")


def test_a_context_that_is_lost_for_good_leaves_the_filmed_background(page: Any, fake_server: Server) -> None:
    page.add_init_script(NOISE)
    visit(page, fake_server, "solo", background="transparent", resolution="480p")
    page.wait_for_function(f"{ROOT}.querySelector('.idle').readyState > 1")
    page.evaluate("contexts[0].getExtension('WEBGL_lose_context').loseContext()")
    page.wait_for_function(f"!{ROOT}.querySelector('.screen').matches('.mixed')")
    assert "transparent background" in page.locator("talking-avatar .message").inner_text()
    page.wait_for_function(f"(one => one.videoHeight < one.videoWidth)({ROOT}.querySelector('.idle'))")


def test_many_tags_share_one_context(page: Any, fake_server: Server) -> None:
    """Browsers have some 16 contexts; with more, the oldest would be lost."""
    visit(page, fake_server, "solo", background="transparent", resolution="480p")
    page.evaluate(f"""() => {{
        const tag = {AVATAR};
        for (let i = 0; i < 19; i++) tag.after(tag.cloneNode(true));
        document.body.style.height = 'auto';
    }}""")
    shown = """one => {
        const canvas = one.shadowRoot.querySelector('.parts');
        if (!one.shadowRoot.querySelector('.mixed') || !canvas.width) return false;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const shares = data.filter((_, i) => i % 4 === 3);
        return Math.min(...shares.filter((_, i) => i % 97 === 0)) < 9 && shares.some((share) => share > 246);
    }"""
    page.wait_for_function(f"[...document.querySelectorAll('talking-avatar')].filter({shown}).length === 20")
    assert page.evaluate("contexts.length") == 1 and not page.evaluate("contexts[0].isContextLost()")


UNABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "background": ({"background": "#1e90ff"}, {}, "another background"),
    "transparent": ({"background": "transparent"}, {}, "another background"),
    "resolution": ({"resolution": "1080p"}, {}, "that size"),
    "aspect": ({}, {"aspect": "9:16"}, "that shape"),
}


@pytest.mark.parametrize("mode", ["speak", "live"])
@pytest.mark.parametrize("kind", UNABLE)
def test_what_an_avatar_cannot_do_is_said_and_done_without(
    page: Any, fake_server: Server, kind: str, mode: str
) -> None:
    attributes, options, said = UNABLE[kind]
    sent: list[Any] = []
    page.on("request", lambda one: sent.extend([one] if one.method == "POST" else []))
    page.add_init_script("""
        window.told = [];
        document.addEventListener('error', ({ detail }) => detail && told.push(detail), true);
    """)
    page.goto(f"{fake_server.url}/embed/duet?{urlencode({'badge': 'off', 'mode': mode, **attributes})}")
    page.wait_for_selector("talking-avatar[alive]" if kind != "resolution" else "talking-avatar")
    page.evaluate(f"{AVATAR}.options = {json.dumps(options)}")
    if mode == "live":
        assert page.evaluate(f"{AVATAR}.start()")
    else:
        page.evaluate(f"window.said = {AVATAR}.say('brisk one'), 0")
        page.wait_for_function(f"{AVATAR}.state === 'speaking'")
    told = page.evaluate("told.map(({ code, message }) => [code, message])")
    assert len(told) == 1 and said in told[0][1]
    assert told[0][0] == ("resolution_not_found" if kind == "resolution" else "avatar_cannot")
    body = json.loads(sent[-1].post_data)
    assert body.get("background", "source") == "source" and "aspect" not in body
    assert body["resolution"] == "720p"
    reply = fake_server.post("/api/v2/lipsync", {"text": "one", "avatar": "duet", **attributes, **options})
    assert reply.status_code in (400, 404)  # REST is strict


def test_a_background_that_there_is_not_is_named_under_the_picture(page: Any, fake_server: Server) -> None:
    page.goto(f"{fake_server.url}/embed/solo?background=sauce")
    message = page.locator("talking-avatar .message")
    message.wait_for()
    assert "sauce" in message.inner_text() and "transparent" in message.inner_text()
