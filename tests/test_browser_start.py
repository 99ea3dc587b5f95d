"""A real browser that comes while models are still being loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.pages import FINISHED, SPEAK, new_page, opened, write
from tests.servers import running

STATUS = "document.querySelector('#status .message').innerText"


@pytest.mark.parametrize(
    ("language", "warming", "ready"), [("ko", "준비 중", "준비됨"), ("en", "Getting ready", "Ready")]
)
def test_the_page_is_there_before_everything_is_loaded(
    browser: Any, fake_packs: Path, tmp_path: Path, language: str, warming: str, ready: str
) -> None:
    loaded = tmp_path / "loaded"
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, FAKE_COLD_UNTIL=str(loaded)) as server:
        page = opened(browser, server, language)
        page.wait_for_function(f"() => {STATUS}.startsWith('{warming}')")
        assert "warm after" not in server.log
        with new_page(page.context) as early:
            early.goto(server.url + SPEAK)
            write(early, "two words")
            early.wait_for_function(FINISHED)
            assert "warm after" not in server.log
            loaded.touch()
            page.wait_for_function(f"() => {STATUS} === '{ready}'")
            assert early.evaluate(STATUS) != ready  # tells of the video
        assert page.faults == []
        page.context.close()
