"""A real browser on the voices: their names, how each sounds, and the download of more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fake_supertonic import PACKAGE
from tests.hub import Hub
from tests.pages import opened
from tests.servers import Server, running

CONFIG = """
def get_model_repo(model):
    return "somebody/voices"


def get_model_revision(model):
    return 40 * "0"
"""
BAR = "document.querySelector('#voices-status .bar').style.width"


def names(page: Any) -> list[str]:
    """Open the list of voices and return what it says."""
    page.click("#voice input")
    page.wait_for_selector("#voice [role=option], [role=listbox] [role=option]")
    return [text.strip().removeprefix("✓").strip() for text in page.get_by_role("option").all_inner_texts()]


@pytest.mark.parametrize(("language", "listen"), [("ko", "들어 보기"), ("en", "Listen")])
def test_a_voice_is_chosen_by_its_name_and_heard(browser: Any, fake_server: Server, language: str, listen: str) -> None:
    page = opened(browser, fake_server, language)
    page.click("#settings > button")
    assert names(page) == [{"ko": "자동", "en": "Automatic"}[language], "Alto", "Bass"]
    page.get_by_role("option", name="Bass").click()
    assert page.inner_text("#listen") == listen
    page.click("#listen")
    page.wait_for_function("() => window.sample?.readyState > 1 && window.sample.duration > 1")
    assert page.evaluate("sample.src") == f"{fake_server.url}/assets/voices/fake/bass.wav"
    page.wait_for_function("() => sample.currentTime > 0")
    assert page.faults == []
    page.context.close()


def test_voices_are_fetched_with_a_button_and_a_bar(browser: Any, fake_packs: Path, tmp_path: Path) -> None:
    package = tmp_path / "packages" / "supertonic"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "config.py").write_text(CONFIG)
    environ = {"PACKAGES": str(tmp_path / "packages"), "SUPERTONIC_CACHE_DIR": str(tmp_path / "weights")}
    environ |= {"VOICE_DOWNLOADS": "on", "HF_HUB_OFFLINE": "0", "TTS_ENGINE": "auto"}
    with (
        Hub() as hub,
        running(["-m", "tests.real_voices", str(fake_packs)], tmp_path, HF_ENDPOINT=hub.url, **environ) as s,
    ):
        hub.waits.clear()
        page = opened(browser, s, "en")
        page.click("#settings > button")
        assert "OpenRAIL-M" in page.inner_text("#voices-offer") and hub.asked == []
        assert page.get_attribute("#voices-offer a", "href").startswith("https://")
        assert not any("Supertonic" in name for name in names(page))
        page.keyboard.press("Escape")
        page.click("#fetch-voices")
        page.wait_for_selector("#leave-voices", state="visible")
        page.wait_for_function(f"() => parseFloat({BAR}) > 0")
        assert page.evaluate(f"parseFloat({BAR})") < 100 and not page.is_visible("#fetch-voices")
        hub.waits.set()
        page.wait_for_selector("#voices-status .stage.done")
        assert page.evaluate(BAR) == "100%" and not page.is_visible("#leave-voices")
        page.wait_for_function("() => document.querySelector('#voices-status .message').innerText !== ''")
        assert page.faults == []
        page.context.close()
    assert len(list((tmp_path / "weights").rglob("*.onnx"))) == 4
