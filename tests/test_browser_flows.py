"""A real browser does all that visitors do, in both languages, on a desk and on a phone, by light and dark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.messages import Message
from pipeline.preparing.encode_clip import encode
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from tests.pages import FINISHED, MOVED, PLAYER, TABS, VIDEO, Kept, write
from tests.recordings import record
from tests.servers import ROOT, Server

STATUS = "#status .message"
STRIP = "#strip .now"
WITH = [("ko", 390, "dark"), ("en", 1280, "light")]
"""Language, width and light, each of them once; ``test_browser_studio`` and ``test_browser_axe`` have the others."""


class Visitor:
    """Somebody on the page of a server, who reads one language."""

    def __init__(self, page: Any, language: str, width: int) -> None:
        self.page = page
        self.language = language
        self.width = width

    def reads(self, ko: str, en: str) -> str:
        return Message(ko, en).in_language("ko" if self.language == "ko" else "en")

    def goes_to(self, number: int) -> None:
        self.page.get_by_role("tab", name=TABS[self.language][number]).click()

    def is_told(self, ko: str, en: str, where: str = STATUS) -> None:
        self.page.locator(where).filter(has_text=self.reads(ko, en)).first.wait_for()


@pytest.fixture(params=WITH, ids=lambda way: "-".join(map(str, way)))
def visitor(request: pytest.FixtureRequest, kept: Kept, fake_server: Server) -> Iterator[Visitor]:
    language, width, _ = request.param
    fake_server.wait_idle()
    with kept.page(request.node, fake_server, *request.param) as page:
        yield Visitor(page, language, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing sticks out


def test_a_text_is_spoken_watched_inspected_and_spoken_again(visitor: Visitor) -> None:
    page = visitor.page
    page.click("#details > button")
    page.locator(STRIP).filter(has_text=visitor.reads("아바타가 말하면", "Phonemes and")).wait_for()
    write(page, "brisk " + "word " * 5)
    page.wait_for_function(MOVED)
    page.locator(STRIP).filter(has_text="%").wait_for()
    page.wait_for_function(f"""() => {{
        const {{ top, bottom }} = {PLAYER}.querySelector('.screen').getBoundingClientRect();
        return top >= 0 && bottom <= 900; // a phone scrolls to it
    }}""")
    captions = page.locator("#video .captions")
    assert captions.inner_text() == visitor.reads("자막", "Captions")
    captions.click()
    assert captions.get_attribute("aria-pressed") == "false"
    assert page.locator("#video .caption").inner_text() == ""
    page.wait_for_function(FINISHED)
    visitor.is_told("완료", "Done")
    page.focus("#strip canvas")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('#strip canvas').ariaValueText?.includes('/a/')")
    page.click("#video .replay")
    page.wait_for_function(f"() => !{VIDEO}.paused && {VIDEO}.currentTime > 0")


def test_a_running_video_is_stopped_and_another_one_made(visitor: Visitor) -> None:
    page = visitor.page
    write(page, "slow " + "word " * 20)
    page.wait_for_function(MOVED)
    page.click("#stop")
    visitor.is_told("중지됨", "Stopped")
    write(page, "two words")
    visitor.is_told("완료", "Done")


def test_an_error_states_what_to_do_and_leaves_the_page_usable(visitor: Visitor) -> None:
    write(visitor.page, "...")
    visitor.is_told("글자나 숫자를 입력하세요", "Write letters or numbers", "#status .failed .message")
    write(visitor.page, "two words")
    visitor.is_told("완료", "Done")


def test_a_recording_is_uploaded_and_spoken(visitor: Visitor, tmp_path: Path) -> None:
    page, recording = visitor.page, tmp_path / "speech.wav"
    record(recording, "반갑습니다.")
    visitor.goes_to(2)
    page.set_input_files("#audio input[type=file]", recording)
    page.wait_for_selector("#audio [data-testid=waveform-controls], #audio .controls")
    page.click("#say")
    visitor.is_told("완료", "Done")
    page.wait_for_function(FINISHED)


def test_the_request_to_copy_is_the_one_that_the_page_would_send(visitor: Visitor) -> None:
    page = visitor.page
    page.fill("#text textarea", "one two")
    page.focus("#portraits input:checked")
    with page.expect_response(lambda response: "/run/predict" in response.url):
        page.keyboard.press("ArrowRight")  # from duet to solo, which has two resolutions
    page.click("#settings > button")
    page.click("#resolution input")
    page.get_by_role("option", name="480p").click()
    visitor.goes_to(4)
    page.wait_for_function("() => document.querySelector('#curl')?.innerText.includes('480p')")
    shell = page.locator("#curl .cm-content").inner_text()
    body = json.loads(shell[shell.index("{") : shell.rindex("}") + 1])
    assert (body["text"], body["avatar"], body["resolution"]) == ("one two", "solo", "480p")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#curl").get_by_role("button").first.click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('480p')")


@pytest.mark.slow
@pytest.mark.parametrize("visitor", WITH[1:], indirect=True, ids=lambda way: "-".join(map(str, way)))
def test_an_avatar_of_one_of_two_faces_is_made_tried_out_and_deleted(
    visitor: Visitor, fake_server: Server, tmp_path: Path
) -> None:
    page, clip = visitor.page, tmp_path / "two.mp4"
    people = [cv2.VideoCapture(str(ROOT / "examples" / f"{name}.mp4")).read()[1] for name in ("talk_long", "woman")]
    both = cv2.resize(np.hstack([person[:, 320:960] for person in people]), (640, 360))
    clip.write_bytes(
        encode(repeat(Frame(cv2.cvtColor(both, cv2.COLOR_BGR2YUV_I420)), 15), 640, 360, Fraction(25), ColorTags())
    )
    visitor.goes_to(3)
    page.set_input_files("#clip input[type=file]", clip)
    page.wait_for_selector("#faces img")
    page.locator("#face label").nth(1).click()
    page.fill("#name textarea, #name input", "second")
    page.click("#make")
    visitor.is_told("동의했는지 확인하고", "Tick the box", "#making .failed .message")
    page.check("#consent input")
    page.fill("#sentence textarea, #sentence input", "two words")
    page.click("#make")
    page.wait_for_selector("#making .done", timeout=240_000)
    assert visitor.reads("픽셀", "pixels") in page.inner_text("#report")
    page.wait_for_function("() => document.querySelector('#portraits label[title=second] input')?.checked")
    visitor.is_told("완료", "Done")
    page.click("#delete")
    page.click("#really-delete")
    page.wait_for_function("() => !document.querySelector('#portraits label[title=second]')")
    assert "second" not in fake_server.get("/api/avatars").text
