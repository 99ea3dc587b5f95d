"""A real browser that comes while models are still being loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.pages import FINISHED, SPEAK, new_page, opened, write
from tests.servers import running

STATUS = "document.querySelector('#status .message').innerText"


WORDS = {"ko": ("준비 중", "준비됨"), "en": ("Getting ready", "Ready")}
"""What visitors read until everything is loaded, and from then on."""


def test_the_page_is_there_before_everything_is_loaded(browser: Any, fake_packs: Path, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, FAKE_COLD_UNTIL=str(loaded)) as server:
        pages = [(opened(browser, server, language), *words) for language, words in WORDS.items()]
        for page, warming, _ in pages:
            page.wait_for_function(f"() => {STATUS}.startsWith('{warming}')")
        assert "warm after" not in server.log
        with new_page(pages[0][0].context) as early:
            early.goto(server.url + SPEAK)
            write(early, "two words")
            early.wait_for_function(FINISHED)
            assert "warm after" not in server.log
            loaded.touch()
            for page, _, ready in pages:
                page.wait_for_function(f"() => {STATUS} === '{ready}'")
            assert early.evaluate(STATUS) != WORDS["ko"][1]  # tells of the video
        for page, *_ in pages:
            assert page.faults == []
            page.context.close()
