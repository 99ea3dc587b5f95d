"""A real browser on what the page does around the avatar: keys, files, messages, a shared link, a lost server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import requests

from pipeline.messages import Language
from pipeline.server.page.words import FACES, choices_of
from tests.accessibility import findings
from tests.footage import first_second
from tests.media import add_audio, encode_audio, image
from tests.pages import (
    ADVICE,
    CAPTION,
    FINISHED,
    MOVED,
    SHIFTS,
    VIDEO,
    WATCH_SHIFTS,
    Kept,
    at_the_webcam,
    new_page,
    opened,
    write,
)
from tests.recordings import record
from tests.servers import ROOT, Server, running, wait_for

NOTE = "#connection"
VISIBLE_TEXTS = """(text) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let count = 0;
    while (walker.nextNode()) {
        count += walker.currentNode.nodeValue.includes(text) && walker.currentNode.parentElement.checkVisibility();
    }
    return count;
}"""
"""How often a text can be seen."""
CONTRAST = """(element) => {
    const parts = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((part) => {
        const share = part / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    const light = (color) => parts(color).reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const style = getComputedStyle(element);
    const [one, other] = [light(style.color), light(style.backgroundColor)].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
}"""
"""As WCAG 2 counts it: w3.org/TR/WCAG22/#dfn-contrast-ratio."""


@pytest.fixture
def language() -> Language:
    return "en"


@pytest.fixture
def page(request: pytest.FixtureRequest, kept: Kept, fake_server: Server, language: Language) -> Iterator[Any]:
    """The page as others left it, in the size of a desk."""
    fake_server.wait_idle()
    with kept.page(request.node, fake_server, language) as page:
        yield page
        page.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on stand-ins, with the avatars that ship: the page reserves room for pictures of their shape."""
    folder = tmp_path_factory.mktemp("filmed")
    shutil.copytree(ROOT / "precomputed" / "360p", folder / "precomputed" / "360p")
    with running(["-m", "tests.fakes", str(folder / "precomputed")], folder) as server:
        wait_for(lambda: "warm after" in server.log)  # until then a page looks whether all is loaded
        yield server


# --- nothing on the face


def test_captions_and_controls_lie_under_the_picture(page: Any) -> None:
    page.evaluate("moved = 0")
    write(page, "brisk one two three four five six seven eight nine ten. " + "word " * 5)
    page.wait_for_function(f"() => {CAPTION}.length > 10")
    assert page.evaluate(f"[{VIDEO}.controls, {VIDEO}.textTracks.length]") == [False, 0]
    page.wait_for_selector("#video .transport")
    assert page.evaluate(SHIFTS) <= 0.02
    for width in (390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        screen = page.locator("#video .screen").bounding_box()
        whole, captions = (page.locator(f"#video .{part}").bounding_box() for part in ("whole", "captions"))
        assert whole["x"] + whole["width"] <= captions["x"] or whole["y"] + whole["height"] <= captions["y"], width
        for part in ("caption", "transport", "captions"):
            box = page.locator(f"#video .{part}").bounding_box()
            assert box["y"] >= screen["y"] + screen["height"], (part, width)
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, (part, width)
    assert page.evaluate(f"{CAPTION}.length") > 10  # all the while


def test_the_controls_pause_seek_mute_and_play_on(page: Any) -> None:
    write(page, "brisk " + "word " * 9)
    page.wait_for_function(MOVED)
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate(f"{VIDEO}.paused")
    page.wait_for_function(FINISHED)
    page.get_by_role("slider", name="Position").fill("0.5")
    page.wait_for_function(f"() => Math.abs({VIDEO}.currentTime - {VIDEO}.duration / 2) < 0.1")
    page.get_by_role("button", name="Mute").click()
    assert page.evaluate(f"{VIDEO}.muted")
    page.get_by_role("button", name="Unmute").click()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"() => !{VIDEO}.paused && {VIDEO}.currentTime > {VIDEO}.duration / 2 + 0.1")
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement?.matches('talking-avatar')")  # with its captions
    assert page.locator("#video .answer").get_attribute("aria-label") == "What the avatar says"
    page.evaluate("document.exitFullscreen()")


@pytest.mark.slow
@pytest.mark.parametrize(("at", "width", "most"), [("/", 390, 45), ("/", 1280, 45), ("/#speak", 390, 45)])
def test_little_is_fetched_and_nothing_moves_while_the_page_comes(
    browser: Any, filmed: Server, at: str, width: int, most: int
) -> None:
    context = browser.new_context(locale="ko-KR", viewport={"width": width, "height": 844})
    page = new_page(context)
    page.add_init_script(WATCH_SHIFTS)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(filmed.url + at)
    page.wait_for_selector("#portraits img")
    page.wait_for_selector("#text textarea" if "speak" in at else "#live .live[data-state=ready]")
    page.wait_for_timeout(500)  # what might still come
    assert page.evaluate(SHIFTS) <= 0.02  # of which 0.1 is called good
    # a slow machine looks more often whether the server is there, and whether all is loaded
    different = {one for one in fetched if one.startswith("http") and not one.endswith("/app_id")}
    assert len(different) <= most, sorted(different)
    styles = {one.rsplit("/", 1)[1].split("?")[0] for one in different if ".css" in one}
    assert styles == {"gradio.css", "theme.css"}  # all of Gradio's own in one
    assert sum("/run/predict" in one for one in fetched) <= 2
    context.close()


def test_what_goes_wrong_on_one_tab_is_not_shown_on_another(page: Any) -> None:
    write(page, "...")
    page.wait_for_selector("#status .failed")
    page.get_by_role("tab", name="Audio").click()
    page.locator("#status .message").filter(has_text="Ready").wait_for()
    page.click("#say")
    page.wait_for_selector("#status .failed")
    page.get_by_role("tab", name="Video").click()
    page.locator("#status .message").filter(has_text="Ready").wait_for()


def test_a_video_on_a_tab_that_is_left_is_not_heard(page: Any) -> None:
    write(page, "brisk " + "word " * 30)
    page.wait_for_function(MOVED)
    page.get_by_role("tab", name="Live").click()
    page.wait_for_function(f"() => {VIDEO}.paused")


def test_until_something_is_made_the_room_for_it_says_what_to_do(browser: Any, fake_server: Server) -> None:
    fake_server.wait_idle()
    page = opened(browser, fake_server, "en")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)  # what is turned moves
        hint, avatar = (page.locator(f"#video {part}").bounding_box() for part in (".hint.of-text", "talking-avatar"))
        screen = page.locator("#video .screen").bounding_box()
        assert hint["y"] + 1 >= screen["y"] + screen["height"], width
        assert hint["y"] + hint["height"] <= avatar["y"] + avatar["height"] + 1, width
    page.evaluate("moved = 0")
    write(page, "two words")
    page.wait_for_selector("#video .hint.of-text", state="hidden")
    page.wait_for_function(FINISHED)
    assert page.evaluate(SHIFTS) <= 0.02
    page.context.close()


# --- keys, lengths, what can be seen


@pytest.mark.parametrize("key", ["Control+Enter", "Meta+Enter"])
def test_a_key_sends_the_text(page: Any, key: str) -> None:
    page.fill("#text textarea", "two words")
    page.press("#text textarea", key)
    page.wait_for_function(FINISHED)
    assert page.locator("#text textarea").input_value() == "two words"


def test_the_length_of_the_text_is_counted_as_the_server_counts(page: Any) -> None:
    for text, shown, over in (("", "0 / 5,000", 0), ("가나다 😀", "5 / 5,000", 0), ("a" * 5001, "5,001 / 5,000", 1)):
        page.fill("#text textarea", text)
        page.wait_for_function(f"() => document.querySelector('#count').innerText.includes('{shown}')")
        assert page.locator("#count .over").count() == over


@pytest.mark.parametrize("light", ["light", "dark"])
def test_the_main_button_can_be_read(page: Any, light: str) -> None:
    page.emulate_media(color_scheme=light)
    page.wait_for_function(f"() => document.body.matches('.dark') === {str(light == 'dark').lower()}")
    button = page.locator("#generate")
    assert button.evaluate(CONTRAST) >= 4.5
    button.hover()
    page.wait_for_timeout(400)  # what fades
    assert button.evaluate(CONTRAST) >= 4.5
    page.emulate_media(color_scheme="light")


def test_buttons_are_buttons_in_forced_colours(page: Any) -> None:
    page.emulate_media(forced_colors="active")
    write(page, "two words")
    page.wait_for_function(FINISHED)
    for button in ("#generate", "#video .replay", "#video .captions", "#video .download"):
        style = page.locator(button).evaluate("one => [getComputedStyle(one).borderTopStyle, one.clientTop]")
        assert style[0] == "solid" and style[1] >= 1, button
    page.emulate_media(forced_colors="none")


# --- messages


def test_a_message_is_shown_once_and_states_what_to_do(page: Any) -> None:
    write(page, "...")
    page.wait_for_selector("#status .failed")
    page.wait_for_timeout(500)  # what might still come
    assert page.evaluate(VISIBLE_TEXTS, "Write letters or numbers") == 1
    page.get_by_role("tab", name="Audio").click()
    page.locator("#transcript_count").get_by_text("0 / 5,000", exact=True).wait_for()
    assert page.get_by_text("Error", exact=True).count() == 0
    page.click("#say")
    page.get_by_text("Upload or record a voice first.").wait_for()
    assert page.evaluate(VISIBLE_TEXTS, "is blank") == 0
    page.get_by_role("tab", name="Avatars").click()
    page.click("#make")
    page.wait_for_selector("#making .failed")
    page.wait_for_timeout(500)
    assert page.evaluate(VISIBLE_TEXTS, "Choose a clip or a photo first.") == 1


@pytest.mark.parametrize("language", ["ko", "en"])
def test_on_a_phone_an_error_moves_nothing_below_it_and_can_be_read(page: Any, language: Language) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    place = "document.querySelector('#text').getBoundingClientRect().top + scrollY"
    page.wait_for_timeout(500)  # what is turned moves
    before = page.evaluate(place)
    page.evaluate("""document.querySelector('#status .message').textContent =
        'Nothing can be heard in this text. Write letters or numbers, or choose another voice.'""")
    assert page.evaluate("document.querySelector('#status .message').clientHeight") > 40  # several lines
    assert page.evaluate(place) == before
    page.evaluate("moved = 0")
    write(page, "...")
    page.wait_for_selector("#status .failed")
    assert page.evaluate(place) == before
    assert page.inner_text("#status .message").startswith({"ko": "대사: ", "en": "Text: "}[language])  # its field
    assert page.input_value("#text textarea") == "..."
    mark = "getComputedStyle(document.querySelector('#status .failed .message'), '::before').content"
    assert "\u26a0" in page.evaluate(mark)
    assert findings(page) == [] and page.evaluate(SHIFTS) <= 0.02


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_list_says_words_in_the_language_of_the_visitor(page: Any, language: Language) -> None:
    page.click("#settings > button")
    lists = {"aspect": "aspect", "fps": "fps", "captions_in": "captions", "label": "label", "behind": "background"}
    for place, field in lists.items():
        page.click(f"#{place} input")
        page.wait_for_selector("[role=option]")
        offered = [one.replace("✓", "").strip() for one in page.locator("[role=option]").all_inner_texts()]
        assert offered == [words for words, _ in choices_of(field, language)], place
        assert not {"source", "burn", "file", "off", "blur", "white", "black"} & {*offered}
        page.keyboard.press("Escape")
        page.wait_for_selector("[role=option]", state="hidden")
    page.click("#mood input")
    assert any(FACES["smile"].in_language(language) in one for one in page.locator("[role=option]").all_inner_texts())
    page.keyboard.press("Escape")
    page.click("#settings > button")


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("mp4", "aac"), ("3gp", "aac")])
def test_a_recording_is_taken_whatever_browsers_call_its_container(
    page: Any, tmp_path: Path, container: str, codec: str
) -> None:
    wave, recording = tmp_path / "speech.wav", tmp_path / f"speech.{container}"
    record(wave, "만나서 반갑습니다.")
    with av.open(str(wave)) as source, av.open(str(recording), "w") as sink:
        encode_audio(sink, add_audio(sink, codec, 48_000), source.decode(audio=0))
    page.get_by_role("tab", name="Audio").click()
    page.set_input_files("#audio input[type=file]", recording)
    page.wait_for_selector("#audio [data-testid=waveform-controls], #audio .controls")
    page.click("#say")
    page.wait_for_function(FINISHED)
    assert "NaN" not in page.inner_text("#audio")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_selector("#audio input[type=file]", state="attached")


def test_the_length_of_what_a_browser_recorded_is_found_out(page: Any) -> None:
    """As of the webcam: a webm that is written as it comes says nothing of its length."""
    page.evaluate("""async () => {
        const canvas = document.createElement('canvas');
        const context = canvas.getContext('2d');
        const recorder = new MediaRecorder(canvas.captureStream(25));
        const parts = [];
        recorder.ondataavailable = (event) => parts.push(event.data);
        const over = new Promise((stopped) => (recorder.onstop = stopped));
        recorder.start(100);
        const from = performance.now();
        while (performance.now() - from < 1000) {
            context.fillRect(0, 0, performance.now() % 100, 50);
            await new Promise(requestAnimationFrame);
        }
        recorder.stop();
        await over;
        window.filmed = document.createElement('video');
        window.lengths = [];
        filmed.addEventListener('durationchange', () => lengths.push(filmed.duration));
        filmed.src = URL.createObjectURL(new Blob(parts, { type: 'video/webm' }));
        document.body.append(filmed);
    }""")
    page.wait_for_function("() => Number.isFinite(filmed.duration) && filmed.currentTime === 0")
    assert page.evaluate("lengths[0] === Infinity") and 0.5 < page.evaluate("filmed.duration") < 3
    page.evaluate("filmed.remove()")


NO_CAMERA = {
    "NotAllowedError": {"ko": "주소창에서 카메라를 허용", "en": "Allow it in the address bar"},
    "NotFoundError": {"ko": "카메라를 찾을 수 없습니다", "en": "No camera was found"},
    "NotReadableError": {"ko": "다른 프로그램이 카메라를", "en": "Another program is using the camera"},
}


@pytest.mark.parametrize("language", ["ko", "en"])
def test_without_a_camera_the_page_says_what_to_do(page: Any, language: Language) -> None:
    page.evaluate("""() => void (navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException('as a browser says it', window.error);
    })""")
    page.evaluate(f"window.error = '{next(iter(NO_CAMERA))}'")
    at_the_webcam(page, language)
    for error, sentences in NO_CAMERA.items():
        page.evaluate(f"window.error = '{error}'")
        page.click("#guide .open")
        page.locator(ADVICE).filter(has_text=sentences[language]).wait_for()
        assert page.locator("#guide .open").is_visible() and page.locator("#guide .film").is_hidden()


# --- a shared link


@pytest.mark.slow
def test_a_shared_link_shows_the_product_and_its_picture(fake_server: Server) -> None:
    text = fake_server.get("/").text
    tags = dict(re.findall(r'<meta (?:property|name)="((?:og|twitter):[a-z:]+)" content="([^"]*)"', text))
    assert len(re.findall('property="og:title"', text)) == 1 and "Gradio" not in "".join(tags.values())
    assert tags["og:title"] == tags["twitter:title"] == "실시간 립싱크 아바타 / Real-time talking avatar"
    assert "person on video" in tags["og:description"] and tags["og:url"].startswith("http")
    assert tags["og:image"] == tags["twitter:image"] == fake_server.url + "/assets/card.jpg"
    picture = requests.get(tags["og:image"], timeout=30)
    assert picture.headers["content-type"] == "image/jpeg"
    assert image(picture.content).shape == (630, 1200, 3)


@pytest.mark.parametrize(("language", "own"), [("ko", "나도 만들기"), ("en", "Make your own")])
def test_a_finished_video_has_a_page_for_others(browser: Any, fake_server: Server, language: str, own: str) -> None:
    done = fake_server.events({"text": "one two. three <four>", "avatar": "solo"})[-1]
    locale = {"ko": "ko-KR", "en": "en-US"}[language]
    page = new_page(browser.new_context(locale=locale, viewport={"width": 390, "height": 844}))
    page.add_init_script(WATCH_SHIFTS)
    page.goto(f"{fake_server.url}/v/{done['task_id']}")
    assert page.get_by_role("link", name=own).get_attribute("href") == "/"
    page.wait_for_function("() => document.querySelector('#text').textContent === 'one two. three <four>'")
    page.wait_for_function("() => document.querySelector('talking-avatar').video.readyState > 0")
    assert page.locator("talking-avatar .empty").is_hidden()  # it would lie on the face
    assert page.evaluate(SHIFTS) <= 0.02
    page.locator("talking-avatar .replay").click()
    page.wait_for_function("() => document.querySelector('talking-avatar').video.currentTime > 0.3")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 and findings(page) == []
    assert fake_server.get(page.locator("a[download$=vtt]").get_attribute("href")).text.startswith("WEBVTT")
    page.context.close()


def test_on_a_phone_what_was_opened_is_what_can_be_seen(browser: Any, fake_server: Server) -> None:
    page = opened(browser, fake_server, "en", 390, motion="reduce", at="/")
    page.click("#portraits .be")
    page.wait_for_selector("#clip")
    page.wait_for_function("() => Math.abs(document.querySelector('#panel').getBoundingClientRect().top) < 60")
    page.evaluate("scrollTo(0, 0)")
    page.click("#audio_tab-button")
    page.wait_for_selector("#audio")
    assert page.locator("#video .hint:visible").all_inner_texts() == [
        "Give a recording below and press Generate: this person speaks with that voice, and you can keep the video."
    ]
    page.click("#speak_tab-button")
    assert len(page.locator("#video .hint:visible").all_inner_texts()) == 1
    page.context.close()


@pytest.mark.parametrize(
    ("address", "language", "own"),
    [("/v/00000000000000000000000000000000", "ko-KR", "나도 만들기"), ("/v/nothing", "en-US", "Make your own")],
)
def test_who_follows_an_old_link_reads_why_and_what_to_do(
    browser: Any, fake_server: Server, address: str, language: str, own: str
) -> None:
    page = browser.new_context(locale=language, viewport={"width": 320, "height": 640}).new_page()
    reply = page.goto(fake_server.url + address)
    assert reply.status == 404 and "text/html" in reply.headers["content-type"]
    assert page.inner_text("h1") in ("이 영상은 이제 없습니다", "This video is no longer here")
    assert page.get_by_role("link").all_inner_texts() == [own]
    assert page.get_by_role("link").get_attribute("href") == "/"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320 and findings(page) == []
    page.context.close()


# --- one state, and nothing waits


@pytest.mark.slow
def test_the_main_button_is_stop_until_the_avatar_is_silent(page: Any) -> None:
    write(page, "word " * 15)  # made long before it is heard to its end
    page.wait_for_selector("#status .done")
    page.wait_for_function(MOVED)
    page.wait_for_selector("#stop")
    assert page.evaluate(f"{VIDEO}.paused") is False and page.locator("#generate").is_hidden()
    page.click("#stop")
    page.wait_for_selector("#generate")
    assert page.locator("#stop").is_hidden()


def test_stop_stops_what_is_made_on_both_sides_and_frees_the_queue(
    browser: Any, fake_server: Server, tmp_path: Path
) -> None:
    page, clip = opened(browser, fake_server, "en"), tmp_path / "me.mp4"
    clip.write_bytes(first_second((640, 360), frames=200))  # whose faces take seconds to find
    page.get_by_role("tab", name="Avatars").click()
    page.set_input_files("#clip input[type=file]", clip)
    page.wait_for_selector("#faces img")
    page.fill("#name textarea, #name input", "left_over")
    page.check("#consent input")
    page.click("#make")
    children = wait_for(lambda: fake_server.children("quick_preparing"))
    assert len(children) == 1
    page.get_by_text("Finding the face").wait_for()
    page.click("#stop")
    wait_for(lambda: not fake_server.children("quick_preparing"))  # by hanging it would be a minute
    page.wait_for_function("""() => ['#status', '#making']
        .every((bar) => document.querySelector(`${bar} .message`).innerText === 'Stopped')""")
    assert "left_over" not in fake_server.get("/api/avatars").text and page.faults == []
    page.context.close()


# --- a server that is away


def note(page: Any, sentence: str) -> None:
    """Wait until the page says that of its connection."""
    page.locator(NOTE).filter(has_text=sentence).wait_for()


def test_what_was_written_chosen_and_made_survives_a_server_that_dies(
    browser: Any, fake_packs: Path, tmp_path: Path
) -> None:
    command = ["-m", "tests.fakes", str(fake_packs)]
    with running(command, tmp_path) as server:
        page = opened(browser, server, "ko")
        page.click("#portraits label[title=solo]")
        page.click("#settings > button")
        page.click("#resolution input")
        page.get_by_role("option", name="480p").click()
        write(page, "two words")
        page.wait_for_function(FINISHED)
        address = page.locator("#video .download").get_attribute("href")
        page.fill("#text textarea", "written before it died")
        server.process.kill()
        server.process.wait()
        note(page, "서버에 연결할 수 없습니다")
        page.click("#generate")  # is not lost in an error of Gradio's
        assert page.locator(NOTE).inner_text().startswith("서버에 연결할 수 없습니다")
        page.fill("#text textarea", "written while it was away")
        with running(command, tmp_path, GRADIO_SERVER_PORT=str(server.port)) as second:
            note(page, "다시 연결되었습니다")
            page.reload()
            note(page, "글과 설정, 마지막 영상은 그대로입니다")
            page.wait_for_selector("#portraits label[title=solo] input:checked", state="attached")
            page.click("#settings > button")
            page.wait_for_function("() => document.querySelector('#resolution input')?.value === '480p'")
            assert page.locator("#text textarea").input_value() == "written while it was away"
            assert page.locator("#video .download").get_attribute("href") == address
            page.click("#video .replay")
            page.wait_for_function(MOVED)
            write(page, "slow " + "word " * 30)
            page.wait_for_function(f"() => {VIDEO}.currentSrc.startsWith('blob:') && ({MOVED})()")
            second.process.kill()  # and a task is lost with it
            second.process.wait()
            note(page, "서버에 연결할 수 없습니다")
        with running(command, tmp_path, GRADIO_SERVER_PORT=str(server.port)):
            note(page, "만들던 영상은 중단되었으니 다시 눌러 주세요")
            page.wait_for_selector("#portraits img")
            assert page.locator("#text textarea").input_value().startswith("slow word")
            write(page, "two words")
            page.wait_for_function(FINISHED)
        assert page.faults == []
        page.context.close()


def test_an_offline_client_gets_a_message_and_keeps_the_page(page: Any) -> None:
    page.fill("#text textarea", "two words")
    page.evaluate("window.same = true")
    page.context.set_offline(True)
    page.click("#generate")
    note(page, "cannot be reached")
    assert page.locator("#status .message").inner_text() == "Ready"
    page.context.set_offline(False)
    note(page, "The server is back.")
    page.click("#generate")
    page.wait_for_function(FINISHED)
    assert page.evaluate("window.same")
