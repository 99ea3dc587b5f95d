"""Work done in a process of its own: what it reports, and what is reported if it dies."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.cancel import CancelToken
from pipeline.core.child_process import run
from pipeline.errors import BadClip, Cancelled, RenderFailed, TookTooLong

CRIES = "import os, sys; print('the decoder says: boom', file=sys.stderr, flush=True); "
BODIES = {
    "raises": "raise RuntimeError('boom')",
    "aborts": CRIES + "os.abort()",
    "exits": CRIES + "os._exit(3)",
    "floods": "import sys; sys.stderr.write('x' * 5_000_000); sys.exit('boom')",
}


def _run(body: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    (folder / "some_module.py").write_text(body, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))

    async def collect() -> list[dict[str, Any]]:
        return [line async for line in run("some_module", [], CancelToken(), 60)]

    return asyncio.run(collect())


@pytest.mark.parametrize("how", BODIES)
def test_a_death_is_our_fault_and_is_found_in_the_log_by_its_number(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RenderFailed, match="your file is not the cause") as caught:
        _run(BODIES[how], tmp_path, monkeypatch)
    [number] = re.findall("Look for ([0-9a-f]{8}) in the server's log", caught.value.message.en)
    assert number in caught.value.message.ko and "파일 문제가 아닙니다" in caught.value.message.ko
    [line] = [record.getMessage() for record in caplog.records if number in record.getMessage()]
    assert "boom" in line and "some_module" in line and len(line) < 10_000


def test_what_it_refuses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = """print('{"error": {"ko": "아니요", "en": "no"}, "code": "clip_unusable"}')"""
    with pytest.raises(BadClip, match="no"):
        _run(body, tmp_path, monkeypatch)
    assert _run("""print('{"a": 1}')""", tmp_path, monkeypatch) == [{"a": 1}]


@pytest.mark.parametrize("how", ["before", "meanwhile", "from a thread", "too long"])
def test_it_is_stopped_whatever_it_does(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_module.py").write_text("import time; print('{}', flush=True); time.sleep(3600)", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    cancel = CancelToken()
    if how == "before":
        cancel.cancel()

    async def collect() -> None:
        async for _ in run("some_module", [], cancel, 3 if how == "too long" else 0):
            if how == "meanwhile":
                cancel.cancel()
            elif how == "from a thread":
                threading.Timer(0.01, cancel.cancel).start()

    with pytest.raises(TookTooLong if how == "too long" else Cancelled):
        asyncio.run(asyncio.wait_for(collect(), 60))
