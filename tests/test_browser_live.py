"""A real browser on the tab Live: somebody is there, says what is written, stops, and goes when the visitor does."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accessibility import findings_everywhere
from tests.live_page import CAPTION, LIVE, VIDEO, is_there, say, state, transcript
from tests.pages import SHIFTS, Kept, opened
from tests.servers import Server, running, wait_for

CONNECTIONS = """
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...address) {
            super(...address);
            window.sockets.push(this);
        }
    };
"""
"""Lets a test look at the page's connections, and break them."""
SKIPS = f"""() => {{
    [window.skipped, window.spoken] = [0, 0];
    const player = document.querySelector('#live talking-avatar');
    player.addEventListener('word', () => window.spoken++);
    let [seen, at] = [{VIDEO}.currentTime, performance.now()];
    const look = () => {{
        const [time, now] = [{VIDEO}.currentTime, performance.now()];
        const skipped = time - seen - (now - at) / 1000;
        if (window.spoken > 0 && window.spoken < 10) window.skipped = Math.max(window.skipped, skipped);
        [seen, at] = [time, now];
        if (window.spoken < 10) requestAnimationFrame(look);
    }};
    look();
}}"""
"""Notes how many words were heard, and by how much (s) what is played skips meanwhile."""


@pytest.fixture
def page(request: pytest.FixtureRequest, kept: Kept, fake_server: Server) -> Iterator[Any]:
    """The page as others left it, without what was said."""
    with kept.page(request.node, fake_server, "en", at=LIVE, script=CONNECTIONS) as page:
        is_there(page)
        yield page


BOX = "#live .writing"
BOX_VALUE = f"document.querySelector('{BOX}').value"
SENT_AND_WRITTEN_ON = f"""() => {{
    const box = document.querySelector('{BOX}');
    box.form.requestSubmit();
    box.value = 'and this';
}}"""


def send_workers(server: Server, number: signal.Signals) -> None:
    """Send a signal to the server's processes of sessions."""
    for pid in server.children("fake_worker"):
        os.kill(pid, number)


def test_somebody_is_there_at_once_and_says_what_is_written(page: Any) -> None:
    assert page.evaluate(f"{VIDEO}.paused") is False
    before = page.evaluate(f"{VIDEO}.currentTime")
    say(page, "brisk one two, three four. five six seven eight")
    state(page, "speaking")
    page.wait_for_function(f"() => {CAPTION}.querySelectorAll('.lit').length === 2")
    page.wait_for_function(f"() => {CAPTION}.innerText.startsWith('brisk one two, three four.')")
    page.wait_for_function(f"() => {CAPTION}.innerText.startsWith('five six')")  # a line for each sentence
    assert page.evaluate(SHIFTS) <= 0.02  # no word moves for the next
    state(page, "ready")
    assert transcript(page) == ["Avatar: brisk one two, three four. five six seven eight"]
    assert page.input_value("#live .writing") == ""
    assert re.fullmatch(r"first picture \d+\.\d\d s", page.inner_text("#live .latency"))
    assert page.evaluate(f"{VIDEO}.currentTime") > before + 1
    assert page.evaluate(f"{VIDEO}.muted") is False  # a key is a press


def test_shift_and_enter_begin_a_line_and_say_nothing(page: Any) -> None:
    page.fill("#live .writing", "one")
    page.press("#live .writing", "Shift+Enter")
    assert page.input_value("#live .writing") == "one\n"
    page.press("#live .writing", "Enter")
    state(page, "speaking")
    state(page, "ready")
    assert transcript(page) == ["Avatar: one"]


def test_a_text_that_cannot_be_spoken_comes_back_into_the_box(page: Any) -> None:
    message = page.locator("#live .message")
    for text, reason in (
        ("...", "Nothing in it can be spoken."),
        ("\U0001f389\U0001f600", "Nothing in it can be spoken."),
        ("crash", "An internal error occurred"),
        ("too long " * 3000, "Text: "),
    ):
        say(page, text)
        message.filter(has_text=reason).wait_for()
        state(page, "ready")
        assert page.input_value(BOX) == text, reason
    assert transcript(page) == []
    page.fill(BOX, "...")
    page.evaluate(SENT_AND_WRITTEN_ON)
    page.wait_for_function(f"() => {BOX_VALUE} === '...\\nand this'")  # nor is what was written meanwhile lost
    say(page, "one")
    page.wait_for_selector("#live .entry")
    assert page.input_value(BOX) == ""


@pytest.mark.parametrize("how", ["button", "key"])
def test_it_stops_in_the_middle(page: Any, how: str) -> None:
    say(page, "brisk " + "word " * 60)
    state(page, "speaking")
    page.wait_for_function(f"() => {CAPTION}.querySelectorAll('.lit').length > 2")
    assert page.inner_text("#live .main") == "Stop"
    if how == "button":
        page.click("#live .main")
    else:
        page.press("#live .writing", "Escape")
    state(page, "ready")
    page.wait_for_selector("#live .entry.cut")
    (only,) = transcript(page)
    assert "brisk word" in only and only.count("word") < 55
    assert page.inner_text("#live .main") == "Say it"


def test_another_text_interrupts_the_first(page: Any) -> None:
    say(page, "brisk " + "word " * 60)
    state(page, "speaking")
    page.wait_for_function(f"() => {CAPTION}.querySelectorAll('.lit').length > 2")
    say(page, "something else")
    page.wait_for_function(f"() => {CAPTION}.innerText.startsWith('something else')")
    state(page, "ready")
    first, second = transcript(page)
    assert first.count("word") < 55 and second == "Avatar: something else"


def test_two_visitors_of_a_public_page_have_a_session_each_and_a_third_is_told_why_not(
    browser: Any, fake_packs: Path, tmp_path: Path
) -> None:
    """The page needs no key where REST does, and tells a visitor whose server is gone, too."""
    command, at = ["-m", "tests.fakes", str(fake_packs)], "/deep/er/"
    public = {"API_KEYS": "secret", "PAGE": "open", "GRADIO_ROOT_PATH": "/deep/er", "LIVE_MAX_SESSIONS": "2"}
    with running(command, tmp_path, **public) as server:
        assert server.post("/deep/er/api/v2/sessions", {"avatar": "solo"}).status_code == 401
        one, other = (opened(browser, server, "en", at=at) for _ in range(2))
        is_there(one)
        is_there(other)
        say(one, "only for the first")
        state(one, "speaking")
        state(one, "ready")
        assert transcript(one) == ["Avatar: only for the first"] and transcript(other) == []
        third = opened(browser, server, "ko", 390, at=at)
        third.locator("#live .message").filter(has_text="지금은 세션을 더 열 수 없습니다").wait_for()
        place = "document.querySelector('#live .writing').getBoundingClientRect().top + scrollY"
        under_message = third.evaluate(place)
        say(third, "나중에 할 말")
        third.wait_for_timeout(500)
        assert third.input_value("#live .writing") == "나중에 할 말"  # nothing is lost
        other.close()
        is_there(third)  # by itself, as soon as there is room
        assert third.locator("#live .message").is_hidden() and third.evaluate(place) == under_message
        before = len(server.log)
        one.get_by_role("tab", name="Video").click()
        wait_for(lambda: "ends (deleted)" in server.log[before:])
        one.wait_for_selector("#text textarea")
        assert one.faults == []
        one.context.close()
        server.process.kill()
        state(third, "away")
        say(third, "아무도 없습니다")
        third.wait_for_function(f"() => {BOX_VALUE} === '아무도 없습니다'")
        assert third.locator("#live .message").is_visible()
        assert third.faults == []
        for page in (other, third):
            page.context.close()


def test_a_lost_connection_is_taken_up_again(page: Any) -> None:
    ours = "sockets.filter((one) => one.url.includes('/sessions/'))"
    count = page.evaluate(f"{ours}.length")
    page.evaluate(f"{ours}.at(-1).close()")
    page.wait_for_function(f"() => {ours}.length > {count} && {ours}.at(-1).readyState === 1")
    first, second = page.evaluate(f"{ours}.slice(-2).map((one) => one.url.split(/[/?]/)[6])")
    assert first == second
    say(page, "still here")
    state(page, "speaking")
    state(page, "ready")
    assert transcript(page) == ["Avatar: still here"]


def test_a_session_that_breaks_off_is_opened_anew(page: Any, fake_server: Server) -> None:
    before = len(fake_server.log)
    text = "brisk " + "word " * 60
    say(page, text)
    state(page, "speaking")
    send_workers(fake_server, signal.SIGKILL)
    wait_for(lambda: " opens: " in fake_server.log[before:])
    is_there(page)
    assert page.input_value(BOX) == text  # to be sent again
    say(page, "here again")
    state(page, "speaking")
    assert page.input_value(BOX) == ""


def test_after_parts_that_come_late_no_word_is_skipped_and_it_catches_up(page: Any, fake_server: Server) -> None:
    page.evaluate(SKIPS)
    say(page, "one two three four five six seven eight nine ten")
    for seen in (2, 5):
        page.wait_for_function(f"() => window.spoken >= {seen}")
        send_workers(fake_server, signal.SIGSTOP)
        stopped = page.evaluate("performance.now()")
        page.wait_for_function(f"() => {VIDEO}.readyState < 3 && performance.now() > {stopped} + 700")
        send_workers(fake_server, signal.SIGCONT)
        page.wait_for_function(f"() => {VIDEO}.readyState > 2")
    page.wait_for_function("() => window.spoken > 9")
    assert page.evaluate("window.skipped") < 0.15
    state(page, "ready")
    page.wait_for_function(f"() => {VIDEO}.buffered.end(0) - {VIDEO}.currentTime < 0.45")


@pytest.mark.slow
def test_a_locked_page_opens_no_session_without_its_key(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, API_KEYS="secret") as server:
        refused = server.post("/page/sessions", {"avatar": "solo"})
        assert refused.status_code == 401 and refused.json()["code"] == "key_required"
        strange = server.post("/page/sessions", {"avatar": "solo"}, headers={"Origin": "https://evil.example"})
        assert strange.status_code == 403


def test_a_browser_without_mediasource_plays_it_too(browser: Any, fake_server: Server) -> None:
    without = "delete window.MediaSource; delete window.ManagedMediaSource;"
    page = opened(browser, fake_server, "en", at=LIVE, script=without)
    is_there(page)
    assert page.evaluate(f"{VIDEO}.currentSrc").endswith("/video.mp4")
    say(page, "brisk one two")
    page.wait_for_function(f"() => {CAPTION}.innerText.startsWith('brisk one')")
    state(page, "ready")
    assert page.faults == []
    page.context.close()


@pytest.mark.parametrize(("language", "start"), [("ko", "시작"), ("en", "Start")])
def test_with_less_motion_it_begins_when_asked_and_no_word_is_cut(
    browser: Any, fake_server: Server, language: str, start: str
) -> None:
    page = opened(browser, fake_server, language, 390, at=LIVE, motion="reduce")
    page.wait_for_selector("#live .start")
    state(page, "closed")
    first = page.input_value("#live .writing")
    box = "document.querySelector('#live .writing')"
    whole = "span => { span.textContent = 'Long, full name'; return span.scrollWidth <= span.clientWidth && "
    whole += "span.scrollHeight <= span.clientHeight + 1 }"
    for width in (390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for text in (first, "", "one two three four five six seven eight nine ten eleven twelve"):
            if text != page.input_value("#live .writing"):
                page.fill("#live .writing", text)
            shown, needed = page.evaluate(f"[{box}.clientHeight, {box}.scrollHeight]")
            assert shown >= needed, (width, text)
        assert page.locator("#portraits label span").first.evaluate(whole), width
    page.get_by_role("button", name=start).click()
    is_there(page)
    page.context.close()


def test_everybody_can_use_it_and_the_session_ends_when_the_visitor_leaves(browser: Any, fake_server: Server) -> None:
    """In Korean: ``test_browser_keyboard`` asks for the names of everything in English."""
    page = opened(browser, fake_server, "ko", 390, at=LIVE)
    is_there(page)
    assert findings_everywhere(page) == [], "nobody speaks"
    say(page, "brisk " + "word " * 60)
    page.wait_for_function(f"() => {CAPTION}.querySelectorAll('.lit').length > 4")
    assert findings_everywhere(page) == [], "while it speaks"
    state(page, "speaking")
    page.click("#live .main")
    page.wait_for_selector("#live .entry.cut")
    say(page, "...")
    page.wait_for_selector("#live .message")
    assert findings_everywhere(page) == [], "an error, after something was said"
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(SHIFTS) <= 0.02
    before = len(fake_server.log)
    page.get_by_role("tab", name="영상").click()
    wait_for(lambda: "ends (deleted)" in fake_server.log[before:])
    page.get_by_role("tab", name="라이브").click()
    is_there(page)  # again
    before = len(fake_server.log)
    page.goto("about:blank")
    wait_for(lambda: "ends (deleted)" in fake_server.log[before:])
    page.context.close()
