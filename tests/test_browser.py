"""A real browser on the real page: type, press, watch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.speech.framed import LEAD_IN, LEAD_OUT
from tests.fakes import seconds_of
from tests.pages import CAPTION, EMPTY, FINISHED, MOVED, SPEAK, VIDEO, Kept, new_page, write
from tests.recordings import record
from tests.servers import QUEUE_LIMIT, Server, wait_for

SENTENCE = "안녕하세요, 면접에 오신 것을 환영합니다."


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(locale="ko-KR", viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    page = new_page(context)
    yield page
    context.close()


@pytest.fixture
def kept_page(request: pytest.FixtureRequest, kept: Kept, fake_server: Server) -> Iterator[Any]:
    """The page of ``fake_server`` as others left it."""
    fake_server.wait_idle()
    with kept.page(request.node, fake_server, "ko", 1200) as page:
        yield page


def test_a_korean_sentence_becomes_a_playing_video_and_the_page_asks_only_its_own_server(
    server: Server, page: Any
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url + SPEAK)
    write(page, SENTENCE)
    page.wait_for_function(MOVED)  # by itself
    page.wait_for_function(FINISHED)
    video = page.locator("#video .answer")
    video.evaluate("video => { video.currentTime = 0; video.play(); }")
    page.wait_for_function(MOVED)  # and again, on demand
    size = video.evaluate("video => [video.videoWidth, video.videoHeight, video.duration, video.muted]")
    assert size[:2] == [1280, 720] and 3 < size[2] < 5 and size[3] is False
    assert "완료" in page.locator("#status .message").inner_text()
    assert page.faults == []
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []


def test_stages_are_shown_as_they_happen_and_stop_stops(fake_server: Server, kept_page: Any) -> None:
    page = kept_page
    before = len(fake_server.log)
    write(page, "slow " + "word " * 30)
    page.wait_for_function("() => parseFloat(document.querySelector('#status .bar').style.width) > 10")
    assert "립싱크 비디오 생성 중" in page.locator("#status .message").inner_text()
    page.wait_for_function(MOVED)
    page.click("#stop")
    page.wait_for_function(EMPTY)
    page.wait_for_function("() => document.querySelector('#status .message').innerText.includes('중지됨')")
    wait_for(lambda: "ends: Failed" in fake_server.log[before:])
    fake_server.wait_idle()
    assert fake_server.half_made() == []
    assert page.evaluate(EMPTY)


def test_pressing_again_at_once_after_stop_gives_the_next_video(kept_page: Any) -> None:
    page = kept_page
    write(page, "slow " + "word " * 30)
    page.wait_for_function(MOVED)
    page.click("#stop")
    write(page, "two words")
    page.wait_for_function(FINISHED)
    assert "완료" in page.locator("#status .message").inner_text()


def test_a_task_is_stopped_that_has_hardly_begun(fake_server: Server, kept_page: Any) -> None:
    page = kept_page
    before = len(fake_server.log)
    write(page, "slow " + "word " * 30)
    page.click("#stop")
    page.get_by_text("중지됨").wait_for()
    fake_server.wait_idle()
    assert "ends: Done" not in fake_server.log[before:]
    assert "중지됨" in page.locator("#status .message").inner_text()


def test_a_video_is_watched_while_it_is_made(fake_server: Server, kept_page: Any) -> None:
    page = kept_page
    page.wait_for_selector("#video .answer", state="attached")
    page.evaluate(
        f"""() => {{
            window.seen = [];
            const note = (event) => seen.push(event.type);
            for (const type of ['playing', 'waiting', 'ended']) {VIDEO}.addEventListener(type, note);
        }}"""
    )
    write(page, "brisk " + "word " * 19)
    page.wait_for_function(MOVED)
    assert page.evaluate(f"{VIDEO}.currentSrc").startswith("blob:")
    assert "완료" not in page.locator("#status .message").inner_text()
    assert page.locator("#generate").is_hidden() and page.locator("#stop").is_visible()  # one main button
    page.wait_for_function(FINISHED)  # at its end
    seen = page.evaluate("seen")
    assert (seen[0], seen[-1]) == ("playing", "ended")
    assert seen.count("waiting") <= 1  # a shared machine may be late once
    duration = seconds_of("word " * 20)
    assert page.evaluate(f"[{VIDEO}.currentTime, {VIDEO}.duration]") == pytest.approx([duration] * 2, abs=0.1)
    assert page.evaluate(f"{VIDEO}.seekable.end(0)") == pytest.approx(duration, abs=0.1)
    address = page.locator("#video .download").get_attribute("href")
    assert address.startswith("/video/") and address.endswith(".mp4?download=1")
    with page.expect_download() as download:
        page.click("#video .download")
    name = download.value.suggested_filename  # its first words, and the time
    assert re.fullmatch(r"brisk word word word word \d{4}-\d\d-\d\d \d\d\.\d\d\.mp4", name)
    assert download.value.path().read_bytes() == fake_server.get(address).content
    assert page.faults == []


def test_a_video_that_is_made_slowly_is_held_and_goes_on(kept_page: Any) -> None:
    page = kept_page
    page.wait_for_selector("#video .answer", state="attached")
    page.evaluate(f"() => {{ window.dry = 0; {VIDEO}.addEventListener('waiting', () => dry++); }}")
    write(page, "slow " + "word " * 9)
    page.wait_for_function(MOVED)
    page.wait_for_function(FINISHED)
    assert page.evaluate("dry") <= 3  # and not at each of its eight fragments
    assert page.faults == []


def test_captions_are_shown_as_the_words_are_spoken(kept_page: Any) -> None:
    page = kept_page
    write(page, "brisk one. two three four. five six")
    page.wait_for_function(MOVED)
    shown = f"() => {CAPTION}"
    page.wait_for_function(f"() => ({shown})() === 'two three four.'")
    assert page.evaluate(f"{VIDEO}.textTracks.length") == 0  # or the browser would draw them on the face
    page.click("#video .captions")
    assert page.evaluate(shown) == ""
    page.click("#video .captions")
    page.wait_for_function(FINISHED)
    lines = page.locator("#video .log p").all_text_contents()  # which screen readers get, each once
    assert lines[lines.index("brisk one.") :] == ["brisk one.", "two three four.", "five six"]


def test_a_second_press_shows_the_second_video(kept_page: Any) -> None:
    page = kept_page
    asked: list[str] = []

    def note(request: Any) -> None:
        asked.append(request.url)

    page.on("request", note)
    write(page, "brisk " + "word " * 30)
    page.wait_for_function(MOVED)
    page.click("#stop")
    page.get_by_text("중지됨").wait_for()
    write(page, "two words")
    page.wait_for_function(FINISHED)
    assert page.evaluate(f"{VIDEO}.duration") == pytest.approx(seconds_of("two words"), abs=0.1)
    assert len({url for url in asked if url.endswith(".vtt")}) == 2
    page.remove_listener("request", note)
    assert page.faults == []


def test_a_video_that_breaks_off_lets_the_player_go(kept_page: Any) -> None:
    page = kept_page
    write(page, "slow torn " + "word " * 9)
    page.wait_for_function("() => document.querySelector('#status .stage').classList.contains('failed')")
    page.wait_for_function(EMPTY)


@pytest.mark.parametrize("missing", ["MediaSource", "play"])
def test_browsers_that_cannot_or_may_not_play_by_themselves(fake_server: Server, page: Any, missing: str) -> None:
    fake_server.wait_idle()
    if missing == "MediaSource":
        page.add_init_script("delete window.MediaSource; delete window.ManagedMediaSource;")
    else:
        page.add_init_script(
            "const play = HTMLMediaElement.prototype.play; let may = false;"
            "addEventListener('click', (event) => { may = event.composedPath()[0].className === 'play'; }, true);"
            "HTMLMediaElement.prototype.play = function () {"
            "  return may ? play.call(this) : Promise.reject(new DOMException('', 'NotAllowedError')); };"
        )
    page.goto(fake_server.url + SPEAK)
    write(page, "brisk " + "word " * 9)
    if missing == "play":
        page.click("#video .play")
        page.wait_for_selector("#video .play", state="hidden")
    page.wait_for_function(MOVED)
    page.wait_for_function(FINISHED)
    page.wait_for_function(f"() => {VIDEO}.ended || {VIDEO}.currentTime === {VIDEO}.duration")


def test_the_page_reports_the_place_in_the_queue_and_when_it_is_full(fake_server: Server, page: Any) -> None:
    fake_server.wait_idle()
    body = {"text": "slow " + "word " * 30, "avatar": "solo"}
    page.goto(fake_server.url + SPEAK)
    page.wait_for_selector("#generate")
    with ExitStack() as clients:
        for _ in range(2):
            clients.enter_context(fake_server.stream(body))
        page.click("#generate")
        page.get_by_text("대기 중... (2번째)").wait_for()
        for _ in range(QUEUE_LIMIT - 2):
            clients.enter_context(fake_server.stream(body))
        with page.context.new_page() as other:
            other.goto(fake_server.url + SPEAK)
            other.click("#generate")
            other.get_by_text("대기열이 가득 찼습니다").first.wait_for()
        page.click("#stop")
    fake_server.wait_idle()


def test_an_error_states_what_to_do(kept_page: Any) -> None:
    page = kept_page
    write(page, "...")
    page.get_by_text("글자나 숫자를 입력하세요").first.wait_for()


def test_a_closed_tab_stops_its_task(fake_server: Server, page: Any) -> None:
    fake_server.wait_idle()
    page.goto(fake_server.url + SPEAK)
    before = len(fake_server.log)
    write(page, "slow " + "word " * 30)
    wait_for(lambda: "render starts" in fake_server.log[before:])
    page.close()
    wait_for(lambda: "ends: Failed" in fake_server.log[before:])
    fake_server.wait_idle()
    assert fake_server.half_made() == []


def test_an_uploaded_recording_becomes_a_playing_video(kept_page: Any, tmp_path: Path) -> None:
    page, recording = kept_page, tmp_path / "speech.wav"
    seconds = record(recording, "만나서 반갑습니다.")
    page.get_by_role("tab", name="녹음").click()
    page.set_input_files("#audio input[type=file]", recording)
    page.wait_for_selector("#audio [data-testid=waveform-controls], #audio .controls")
    page.click("#say")
    page.wait_for_function(FINISHED)
    assert page.locator("#video .answer").evaluate("video => video.duration") == pytest.approx(
        seconds + LEAD_IN + LEAD_OUT, abs=0.1
    )
    assert page.locator("#video .captions").is_hidden()  # the words are unknown
    assert page.faults == []


def test_an_avatar_offers_the_resolutions_that_it_has(kept_page: Any) -> None:
    page = kept_page
    page.click("#settings > button")
    for avatar, resolutions in (("solo", ["720p", "480p"]), ("duet", ["720p"])):
        with page.expect_response(lambda response: "/run/predict" in response.url):
            page.click(f"#portraits label[title={avatar}]")
        count = len(resolutions)
        page.click("#title")  # the list must be closed to be opened afresh
        page.click("#resolution input")
        page.wait_for_function(f"() => document.querySelectorAll('#resolution [role=option]').length === {count}")
        texts = page.locator("#resolution [role=option]").all_inner_texts()
        assert [text.strip("✓ \n") for text in texts] == resolutions
        page.click("#title")
