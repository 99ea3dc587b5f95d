"""<talking-avatar> on a site of its own, with nothing but the tag: it speaks, is interrupted, says what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from pipeline.server.page.snippets import frame, snippets, tag
from tests.accessibility import findings
from tests.pages import new_page
from tests.servers import Server, free_port, pages_of, running, wait_for

PAGE = """<!doctype html>
<html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Site</title>
<script src="{server}/embed/v1.js" async></script>
<main><h1>Site</h1>{tag}</main></html>"""
EVENTS = """
    window.heard = [];
    new MutationObserver(() => {
        const avatar = document.querySelector('talking-avatar');
        if (!avatar || window.avatar === avatar) return;
        window.avatar = avatar;
        const kinds = ['ready', 'turn-started', 'word', 'turn-ended', 'interrupted', 'error', 'unsaid'];
        kinds.push('interview-ended');
        for (const kind of kinds) avatar.addEventListener(kind, ({ detail }) => heard.push([kind, detail]));
    }).observe(document, { childList: true, subtree: true });
"""
"""Notes what the tag tells of, from its first moment."""


@dataclass
class Site:
    """A web site on another origin, whose only page can be written."""

    folder: Path
    origin: str
    server: str

    def write(self, tag: str, language: str = "en") -> None:
        page = PAGE.format(tag=tag.replace("SERVER", self.server), server=self.server, language=language)
        (self.folder / "index.html").write_text(page, "utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, fake_packs: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with pages_of(folder) as origin:
        results = tmp_path_factory.mktemp("embedded")
        with running(["-m", "tests.fakes", str(fake_packs)], results, ALLOWED_ORIGINS=origin) as server:
            yield Site(folder, origin, server.url)


@pytest.fixture
def page(browser: Any, site: Site) -> Iterator[Any]:
    context = browser.new_context(locale="en-US", viewport={"width": 900, "height": 900})
    page = new_page(context)
    page.add_init_script(EVENTS)
    yield page
    assert page.faults == []
    context.close()


def visit(page: Any, site: Site, tag: str, language: str = "en") -> None:
    site.write(tag, language)
    page.goto(
        f"{site.origin}/?{time.monotonic_ns()}"
    )  # one written in the same second would be taken for the one before


def heard(page: Any, kind: str, count: int = 1) -> list[Any]:
    """Wait until the tag has told COUNT times of something, and return all that it told, in order."""
    page.wait_for_function(f"heard.filter(([kind]) => kind === '{kind}').length >= {count}")
    told: list[Any] = page.evaluate("heard")
    return told


def kinds(told: list[Any]) -> list[str]:
    return [kind for kind, _ in told]


BADGE = "talking-avatar .badge"


def test_the_badge_is_there_for_everybody_and_off_only_where_that_is_allowed(
    page: Any, site: Site, fake_packs: Path, tmp_path: Path
) -> None:
    for language, words in (("en", "This person is AI-generated"), ("ko", "AI로 만든 사람입니다")):
        visit(page, site, '<talking-avatar server="SERVER" avatar="solo"></talking-avatar>', language)
        badge = page.get_by_role("img", name=words)
        badge.wait_for()
        assert badge.inner_text() == "AI" and badge.get_attribute("title") == words
    stage, box = (page.locator(one).bounding_box() for one in ("talking-avatar .screen", BADGE))
    assert stage["x"] < box["x"] < stage["x"] + 20 and stage["y"] < box["y"] < stage["y"] + 20
    page.evaluate("avatar.setAttribute('badge', 'off')")
    page.wait_for_selector(BADGE, state="hidden")
    page.evaluate("avatar.removeAttribute('badge')")
    page.wait_for_selector(BADGE, state="visible")
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo" badge="off"></talking-avatar>')
    page.wait_for_selector(BADGE, state="hidden")
    prescribed = {"ALLOWED_ORIGINS": site.origin, "AI_LABEL": "AI"}
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, **prescribed) as strict:
        with page.expect_response(lambda reply: reply.url.endswith("/assets/label.json")) as asked:
            tag = f'<talking-avatar server="{strict.url}" avatar="solo" badge="off"></talking-avatar>'
            visit(page, site, tag)
        assert asked.value.json() == {"label": "AI"}
        heard(page, "ready")
        assert page.locator(BADGE).is_visible()


def test_a_tag_speaks_its_text_and_tells_of_it_in_order(page: Any, site: Site) -> None:
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo">brisk one two. three four</talking-avatar>')
    assert heard(page, "ready") == [["ready", {"avatar": "solo"}]]
    page.wait_for_function("avatar.shadowRoot.querySelector('.idle').currentTime > 0")  # alive before it speaks
    page.get_by_role("button", name="Speak").click()
    page.wait_for_function("avatar.shadowRoot.querySelector('.caption').innerText.startsWith('brisk one two.')")
    assert page.evaluate("avatar.state") == "speaking"
    assert page.get_by_role("button", name="Stop").is_visible()
    told = heard(page, "turn-ended")
    assert kinds(told) == ["ready", "turn-started", *["word"] * 5, "turn-ended"]
    assert [detail["text"].strip() for kind, detail in told if kind == "word"] == [
        "brisk",
        "one",
        "two.",
        "three",
        "four",
    ]
    starts = [detail["start"] for kind, detail in told if kind == "word"]
    assert starts == sorted(starts) and starts[0] > 0
    assert told[-1][1] == {"said": "brisk one two. three four", "tag": None}
    assert told[1][1]["seconds"] > 0
    box, line = (page.locator(f"talking-avatar .{one}").bounding_box() for one in ("screen", "caption"))
    assert line["y"] >= box["y"] + box["height"]  # no word on the face
    page.wait_for_selector("talking-avatar .screen.idling")
    page.get_by_role("button", name="Replay").click()
    assert kinds(heard(page, "turn-ended", 2))[-1] == "turn-ended"


def test_the_methods_say_and_interrupt(page: Any, site: Site) -> None:
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo" muted></talking-avatar>')
    heard(page, "ready")
    page.evaluate("void avatar.say('brisk ' + 'word '.repeat(40)).then((all) => (whole = all))")
    heard(page, "word", 3)
    page.evaluate("avatar.interrupt()")
    page.wait_for_function("whole === false")
    told = heard(page, "interrupted")
    assert told[-1][1]["said"].startswith("brisk word") and told[-1][1]["said"].count("word") < 35
    assert page.evaluate("[avatar.state, avatar.video.currentSrc === '' || avatar.video.paused]") == ["ready", True]
    assert page.evaluate("avatar.say('two words', { tag: 'mine' })") is True
    assert heard(page, "turn-ended")[-1] == ["turn-ended", {"said": "two words", "tag": "mine"}]


def test_a_live_tag_talks_at_once_and_stops_when_interrupted(page: Any, site: Site) -> None:
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo" mode="live">Hello there.</talking-avatar>')
    heard(page, "ready")
    page.get_by_role("button", name="Start").click()
    told = heard(page, "turn-ended")
    assert kinds(told) == ["ready", "turn-started", "word", "word", "turn-ended"]
    assert told[-1][1]["said"].strip() == "Hello there."
    field = page.get_by_role("textbox")
    field.fill("brisk " + "word " * 60)
    field.press("Enter")
    heard(page, "word", 6)
    assert page.get_by_role("button", name="Stop").is_visible() and field.input_value() == ""
    assert findings(page) == []
    field.press("Escape")
    told = heard(page, "interrupted")
    assert "brisk word" in told[-1][1]["said"] and told[-1][1]["said"].count("word") < 55
    page.evaluate("avatar.close()")
    page.wait_for_selector("talking-avatar .screen.idling")
    assert page.evaluate("avatar.state") == "closed"


WATCH = """() => {
    window.times = [];
    const look = (now, { mediaTime }) => { times.push(mediaTime); avatar.video.requestVideoFrameCallback(look); };
    avatar.video.requestVideoFrameCallback(look);
}"""


@pytest.mark.parametrize("fps", [24, 30])
def test_a_tag_has_the_rate_of_its_options(page: Any, site: Site, fps: int) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo" muted></talking-avatar>')
    heard(page, "ready")
    page.evaluate(f"avatar.options = {{ fps: {fps} }}")
    page.evaluate("void avatar.say('brisk one two three four five six seven')")
    heard(page, "word", 2)
    page.evaluate(WATCH)
    heard(page, "turn-ended")
    assert any(json.loads(body).get("fps") == fps for body in asked if body.startswith("{"))
    numbers = [time * fps for time in page.evaluate("times")]
    assert len(numbers) > 2 and all(abs(number - round(number)) < 0.05 for number in numbers)


def test_a_live_tag_whose_options_change_says_what_comes_next_with_them(page: Any, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo" mode="live" muted></talking-avatar>')
    heard(page, "ready")
    page.evaluate("avatar.options = { fps: 24 }; void avatar.say('one two three')")  # opens a session
    heard(page, "turn-ended")
    page.evaluate("avatar.options = { fps: 30 }; void avatar.say('one two three')")  # opens another one
    told = heard(page, "turn-ended", 2)
    assert kinds(told).count("turn-started") == 2 and "error" not in kinds(told)
    rates = [json.loads(body).get("fps") for body in asked if body.startswith("{")]
    assert rates == [24, 30]
    page.evaluate("avatar.options = { fps: 24 }; setTimeout(() => (avatar.options = { fps: 30 }))")
    page.wait_for_timeout(1000)  # for which a change back would have been forgotten
    page.evaluate("void avatar.say('four five six')")
    heard(page, "turn-ended", 3)
    assert [json.loads(body).get("fps") for body in asked if body.startswith("{")] == rates


@pytest.mark.parametrize(
    ("tag", "language", "code", "sentence"),
    [
        ('<talking-avatar avatar="solo">Hi</talking-avatar>', "en", "tag_invalid", "has no server"),
        ('<talking-avatar avatar="solo">Hi</talking-avatar>', "ko", "tag_invalid", "서버의 주소가 없습니다"),
        ('<talking-avatar server="ftp://x" avatar="solo"></talking-avatar>', "en", "tag_invalid", "no http or https"),
        ('<talking-avatar server="SERVER"></talking-avatar>', "en", "tag_invalid", "has no avatar"),
        ('<talking-avatar server="SERVER" avatar="nobody"></talking-avatar>', "en", "avatar_not_found", "nobody"),
        ('<talking-avatar server="http://127.0.0.1:9" avatar="a"></talking-avatar>', "en", "unreachable", "cannot be"),
    ],
)
def test_what_is_wrong_with_a_tag_can_be_read(
    page: Any, site: Site, tag: str, language: str, code: str, sentence: str
) -> None:
    visit(page, site, tag, language)
    told = heard(page, "error")
    assert [detail["code"] for kind, detail in told if kind == "error"] == [code]
    shown = page.locator("talking-avatar .message")
    assert shown.is_visible() and sentence in shown.inner_text() and shown.inner_text() == told[-1][1]["message"]


def test_a_text_that_fails_is_told_of_and_the_next_one_works(page: Any, site: Site) -> None:
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo"></talking-avatar>')
    heard(page, "ready")
    for text, code in (("crash", "internal_error"), ("...", "nothing_to_say"), ("  ", "text_required")):
        page.evaluate("heard.length = 0")
        assert page.evaluate(f"avatar.say('{text}')") is False
        (told,) = [detail for kind, detail in heard(page, "error") if kind == "error"]
        shown = told["message"].replace("text: ", "Text: ")  # visitors read other names of fields than programs
        assert page.locator("talking-avatar .message").inner_text() == shown
        assert told["code"] == code, text
        unsaid = [detail for kind, detail in page.evaluate("heard") if kind == "unsaid"]
        assert unsaid == ([{"text": text}] if text.strip() else [])
    assert page.evaluate("avatar.say('two words')") is True
    assert page.locator("talking-avatar .message").is_hidden()


def test_what_a_live_tag_cannot_say_comes_back_into_its_box(page: Any, site: Site) -> None:
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo" mode="live"></talking-avatar>')
    page.get_by_role("button", name="Start").click()
    box, message = (page.locator(f"talking-avatar {one}") for one in ("textarea", ".message"))
    for text, reason in (("...", "Nothing in it"), ("crash", "An internal error occurred"), ("long " * 5000, "Text: ")):
        box.fill(text)
        box.press("Enter")
        message.filter(has_text=reason).wait_for()
        assert box.input_value() == text
    page.evaluate("heard.length = 0; avatar.say('...')")  # what the site's own script says is not the visitor's
    heard(page, "unsaid")
    assert box.input_value() == text
    box.fill("one two")
    box.press("Enter")
    heard(page, "turn-ended")
    assert box.input_value() == ""


@pytest.mark.parametrize("when", ["while a place is sought", "while it fades in"])
def test_somebody_is_seen_when_a_session_ends(page: Any, site: Site, when: str) -> None:
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo" mode="live"></talking-avatar>')
    page.wait_for_function("avatar.shadowRoot.querySelector('.idle').readyState > 1")
    sought = when == "while a place is sought"
    faint = "cover.hidden || getComputedStyle(cover).opacity < 1"
    seen = page.evaluate(f"""new Promise((over) => {{
        const part = (name) => avatar.shadowRoot.querySelector(`.${{name}}`);
        const [screen, answer, cover] = ['screen', 'answer', 'cover'].map(part);
        avatar.addEventListener('session-started', () => setTimeout(() => {{
            if ({str(sought).lower()}) answer.currentTime += 1000; // no picture is there for it
            avatar.close();
            const held = !({faint}) && cover.getContext('2d').getImageData(0, 0, cover.width, cover.height).data.at(-1);
            over([screen.matches('.idling'), Boolean(held)]);
        }}, 100));
        avatar.start();
    }})""")
    assert seen == [sought, not sought]
    page.wait_for_function("avatar.shadowRoot.querySelector('.cover').hidden")


def test_a_site_that_the_server_does_not_know_is_told_what_to_do(page: Any, site: Site, fake_server: Server) -> None:
    visit(page, site, f'<talking-avatar server="{fake_server.url}" avatar="solo"></talking-avatar>')
    told = heard(page, "error")
    assert told[-1][1]["code"] == "unreachable" and "ALLOWED_ORIGINS" in told[-1][1]["message"]
    assert site.origin in told[-1][1]["message"]


@pytest.mark.parametrize(("form", "ratio"), [("16:9", 16 / 9), ("9:16", 9 / 16), ("1:1", 1), ("", 64 / 48)])
def test_the_picture_fills_its_stage(page: Any, site: Site, form: str, ratio: float) -> None:
    visit(page, site, f'<talking-avatar server="SERVER" avatar="solo" format="{form}"></talking-avatar>')
    heard(page, "ready")
    box, idle = (page.locator(f"talking-avatar .{one}").bounding_box() for one in ("screen", "idle"))
    assert box["width"] / box["height"] == pytest.approx(ratio, abs=0.02)
    assert (idle["width"], idle["height"]) == (box["width"], box["height"])
    assert page.locator("talking-avatar .idle").evaluate("one => getComputedStyle(one).objectFit") == "cover"


def test_a_token_is_sent_and_a_tag_that_leaves_the_page_ends_its_session(page: Any, site: Site) -> None:
    asked: list[Any] = []
    page.on("request", lambda request: asked.append((request.method, request.url, request.headers)))
    tag = '<talking-avatar server="SERVER" avatar="solo" mode="live" token="abc" autostart></talking-avatar>'
    visit(page, site, tag)
    page.wait_for_function("avatar.state === 'ready'")
    (opens,) = [sent for method, url, sent in asked if method == "POST" and url.endswith("/api/v2/sessions")]
    assert opens["authorization"] == "Bearer abc"
    page.evaluate("avatar.remove()")
    wait_for(lambda: page.wait_for_timeout(50) or any(method == "DELETE" for method, _, _ in asked))


@pytest.mark.parametrize("without", ["delete window.MediaSource; delete window.ManagedMediaSource;"])
def test_a_browser_without_mediasource_plays_plain_mp4(page: Any, site: Site, without: str) -> None:
    page.add_init_script(without)
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo">brisk one two</talking-avatar>')
    heard(page, "ready")
    page.get_by_role("button", name="Speak").click()
    assert "word" in kinds(heard(page, "turn-ended"))
    assert page.evaluate("avatar.video.currentSrc").endswith(".mp4")


def test_with_less_motion_it_stands_still_and_still_speaks(browser: Any, site: Site) -> None:
    context = browser.new_context(locale="en-US", reduced_motion="reduce")
    page = new_page(context)
    page.add_init_script(EVENTS)
    visit(page, site, '<talking-avatar server="SERVER" avatar="solo">two words</talking-avatar>')
    heard(page, "ready")
    page.wait_for_function("avatar.shadowRoot.querySelector('.idle').readyState > 1")
    assert page.evaluate("avatar.shadowRoot.querySelector('.idle').paused")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the keyboard reaches the button
    heard(page, "turn-ended")
    assert findings(page) == []
    context.close()


# --- Firefox

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = """
user_pref("media.autoplay.default", 0);
user_pref("remote.active-protocols", 1);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("intl.accept_languages", "en-US");
user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
"""


class Firefox:
    """A Firefox without a window, driven by WebDriver BiDi: https://w3c.github.io/webdriver-bidi."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._count = 0
        self("session.new", capabilities={})
        self._context = self("browsingContext.getTree")["contexts"][0]["context"]

    def __call__(self, method: str, **params: Any) -> Any:
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv(timeout=60))).get("id") != self._count:
            pass
        assert answer["type"] == "success", answer
        return answer["result"]

    def visit(self, address: str) -> None:
        self("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def run(self, code: str) -> Any:
        """Run CODE, an expression whose value may be a promise, and return its JSON."""
        found = self(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await ({code})) ?? null))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    if FIREFOX is None:
        pytest.skip("Firefox is not installed")
    folder = tmp_path_factory.mktemp("firefox")
    port, profile = free_port(), folder / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(PREFERENCES)
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", str(port)]
    with (folder / "firefox.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        wait_for(lambda: "WebDriver BiDi listening" in (folder / "firefox.log").read_text("utf-8", "replace"))
        with connect(f"ws://127.0.0.1:{port}/session", max_size=None, compression=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(30)


def test_every_snippet_of_the_page_says_it(page: Any, site: Site, tmp_path: Path) -> None:
    body = {"text": 'it\'s "two" words', "avatar": "solo", "resolution": "480p", "mood": "smile", "frame_skip": 1}
    visit(page, site, tag(site.server, body, ""))
    page.click("talking-avatar .main")
    whole = heard(page, "turn-ended")
    assert [kind for kind, _ in whole if kind == "error"] == []
    visit(page, site, frame(site.server, body, ""))
    inside = page.frame_locator("iframe")
    inside.locator("talking-avatar .main").click()
    inside.locator("talking-avatar .replay").wait_for()  # it was said
    curl, script, python = snippets(site.server, body, "")
    visit(page, site, "<video></video>")
    page.evaluate(f"async () => {{ {script} }}")
    page.wait_for_function("() => document.querySelector('video').readyState > 0")
    told = subprocess.run(["bash", "-c", curl], capture_output=True, check=True, cwd=tmp_path, text=True, timeout=60)
    assert json.loads(told.stdout.strip().splitlines()[-1].removeprefix("data: "))["type"] == "done"
    subprocess.run([sys.executable, "-c", python], check=True, cwd=tmp_path, timeout=60)
    assert b"ftyp" in (tmp_path / "avatar.mp4").read_bytes()[:16]


@pytest.mark.slow
@pytest.mark.browser
def test_it_speaks_in_firefox(firefox: Firefox, site: Site) -> None:
    site.write('<talking-avatar server="SERVER" avatar="solo">brisk one two. three</talking-avatar>')
    firefox.visit(site.origin)
    assert firefox.run("customElements.whenDefined('talking-avatar').then(() => true)")
    told = firefox.run("""new Promise((over) => {
        const avatar = document.querySelector('talking-avatar');
        const told = [];
        for (const kind of ['turn-started', 'word', 'turn-ended', 'error']) {
            avatar.addEventListener(kind, ({ detail }) => {
                told.push([kind, detail.text ?? detail.said ?? detail.message]);
                if (kind === 'turn-ended' || kind === 'error') over(told);
            });
        }
        avatar.shadowRoot.querySelector('.main').click();
    })""")
    assert kinds(told) == ["turn-started", *["word"] * 4, "turn-ended"], told
    whole = "avatar.shadowRoot.querySelector('.screen').matches('.alive.idling')"
    assert firefox.run(f"(() => {{ const avatar = document.querySelector('talking-avatar'); return {whole}; }})()")


UNTIL = """new Promise((over) => {
    const look = () => { const found = CONDITION; if (found) over(found); else setTimeout(look, 50); };
    look();
})"""


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_speaks_shows_phonemes_and_films_in_firefox(firefox: Firefox, fake_server: Server) -> None:
    def until(condition: str) -> Any:
        return firefox.run(UNTIL.replace("CONDITION", condition))

    player = "document.querySelector('#video talking-avatar')?.shadowRoot"
    firefox.visit(f"{fake_server.url}/#speak")
    until("document.querySelector('#portraits img') && document.querySelector('#text textarea')")
    until(f"{player}?.querySelector('.screen.alive')")
    assert firefox.run(f"getComputedStyle({player}.querySelector('.badge')).visibility") == "visible"
    firefox.run("document.querySelector('#details > button').click()")
    firefox.run("document.querySelector('#generate').click()")
    until(f"{player}.querySelector('.answer').currentTime > 0.3")
    until("document.querySelector('#strip .now')?.textContent.includes('%')")
    painted = """(() => {
        const canvas = document.querySelector('#strip canvas');
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(pixels.buffer)).size;
    })()"""
    assert firefox.run(painted) > 3  # a curve, signs and the line of now
    until(f"{player}.querySelector('.answer').currentSrc.endsWith('.mp4')")
    firefox.run("document.querySelector('#avatars_tab-button').click()")
    until("document.querySelector('#webcam > button')")
    firefox.run("document.querySelector('#webcam > button').click()")
    firefox.run("document.querySelector('#guide .open').click()")
    until("document.querySelector('#guide .seen').videoWidth")
    until("document.querySelector('#guide .guide').dataset.state === 'on'")  # Firefox's own picture shows nobody
    firefox.run("document.querySelector('#guide .film').click()")
    until("document.querySelector('#clip').textContent.includes('webcam_own')")
    firefox.run("document.querySelector('#guide .close').click()")
