"""A real browser with a microphone: an interview is held by voice, and its recording is there."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Iterator
from typing import Any

import av
import pytest

from tests.accessibility import findings
from tests.live_page import LIVE, is_there
from tests.pages import chromium, opened
from tests.recordings import record
from tests.servers import Server, wait_for


@pytest.fixture(scope="module")
def speaking_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a microphone into which somebody speaks now and then, over and over."""
    speech = tmp_path_factory.mktemp("microphone") / "speech.wav"
    record(speech, "저는 삼 년 동안 서버를 만들었습니다.")
    with wave.open(str(speech)) as spoken:
        form, sound = spoken.getparams(), spoken.readframes(spoken.getnframes())
    with wave.open(str(speech), "wb") as looped:
        looped.setparams(form)
        looped.writeframes(sound + bytes(4 * form.framerate * form.sampwidth * form.nchannels))
    microphone = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with chromium(*microphone, f"--use-file-for-fake-audio-capture={speech}") as browser:
        yield browser


@pytest.mark.slow
def test_an_interview_of_three_questions_is_held_by_voice(speaking_browser: Any, fake_server: Server) -> None:
    page = opened(speaking_browser, fake_server, "en", 390, at=LIVE)
    page.context.grant_permissions(["microphone"])
    is_there(page)
    page.click("#live .interview summary")
    fields = page.locator("#live .questions textarea")
    assert fields.count() == 3
    page.get_by_role("button", name="Question 1: Move down").click()  # and back
    page.get_by_role("button", name="Question 2: Move up").click()
    page.get_by_role("button", name="Add a question").click()
    page.get_by_role("button", name="Question 4: Remove").click()
    for number, text in enumerate(("brisk one?", "brisk " + "word " * 80 + "?", "brisk three?")):
        fields.nth(number).fill(text)
    page.click("#live .begin")
    page.wait_for_function("() => document.querySelector('#live .where').innerText.startsWith('Question 2 / 3')")
    page.wait_for_selector("#live .entry.cut")  # the visitor speaks before the second was asked completely
    page.wait_for_function("() => document.querySelector('#live .where').innerText.startsWith('Question 3 / 3')")
    page.wait_for_selector("#live .result a")
    answers = page.locator("#live .result li").all_inner_texts()
    assert len(answers) == 3 and all(re.search(r"\([1-9] s\)$", one) for one in answers)
    video = page.get_by_role("link", name="Download the video").get_attribute("href")
    wait_for(lambda: fake_server.get(video).status_code == 200)
    with av.open(io.BytesIO(fake_server.get(video).content), "r") as film:
        assert film.duration is not None and film.duration / av.time_base > 8
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the record").click()
    saved = json.loads(download.value.path().read_text("utf-8"))
    assert [one["reason"] for one in saved["answers"]] == ["silence"] * 3
    is_there(page)  # ready for another conversation
    assert findings(page) == [] and page.faults == []
    page.context.close()


def test_what_was_written_before_a_question_is_no_answer(browser: Any, fake_server: Server) -> None:
    page = opened(browser, fake_server, "en", at=LIVE)
    is_there(page)
    assert page.input_value("#live .writing")  # what the avatar is to say
    page.click("#live .interview summary")
    boxes = "[...document.querySelectorAll('#live .questions li')].map((one) => [...one.querySelectorAll('button')])"
    lines = page.evaluate(f"{boxes}.map((row) => new Set(row.map((one) => one.getBoundingClientRect().top)).size)")
    assert lines == [1, 1, 1]  # what moves a question stands together
    for number, text in enumerate(("brisk one?", "brisk two?", "brisk three?")):
        page.locator("#live .questions textarea").nth(number).fill(text)
    page.click("#live .begin")
    assert page.input_value("#live .writing") == ""
    page.fill("#live .writing", "too early")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#live .where').innerText.startsWith('Question 1 / 3')")
    assert page.input_value("#live .writing") == "too early"
    page.wait_for_selector("#live .live[data-state=speaking]")
    endless = "too long " * 3000
    page.fill("#live .writing", endless)
    page.keyboard.press("Enter")
    page.locator("#live .message").filter(has_text="Text: ").wait_for()
    assert page.input_value("#live .writing") == endless  # and it asks for no answer but this one
    assert page.inner_text("#live .where").startswith("Question 1 / 3")
    page.fill("#live .writing", "an answer")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#live .where').innerText.startsWith('Question 2 / 3')")
    assert page.input_value("#live .writing") == ""
    page.click("#live .quit")
    page.wait_for_selector("#live .result li")
    answers = page.locator("#live .result li").all_inner_texts()
    assert answers[0].split("\n") == ["brisk one?", "“an answer”"] and answers[1].endswith("(no answer)")
    assert findings(page) == [] and page.faults == []
    page.context.close()
