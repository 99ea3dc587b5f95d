"""Supertonic behind the REST API: the error where it is absent, and that it speaks where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.tts.supertonic import has_weights
from tests.fake_supertonic import PACKAGE, WEIGHTS
from tests.servers import Server, running

pytestmark = pytest.mark.slow

BODY = {"text": "Hello there.", "avatar": "talk_short", "resolution": "360p"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("supertonic")


@pytest.fixture(scope="module")
def installed(folder: Path) -> Iterator[Server]:
    """The program where the package can be imported; its weights are not there yet."""
    (folder / "packages" / "supertonic").mkdir(parents=True)
    (folder / "packages" / "supertonic" / "__init__.py").write_text(PACKAGE)
    environ = {
        "TTS_ENGINE": "auto",
        "PYTHONPATH": str(folder / "packages"),
        "SUPERTONIC_CACHE_DIR": str(folder / "weights"),
    }
    with running(["app.py"], folder, **environ) as server:
        yield server


@pytest.mark.skipif(importlib.util.find_spec("supertonic") is not None, reason="supertonic is installed here")
def test_where_it_is_absent_asking_for_it_states_how_to_get_it(server: Server) -> None:
    assert server.get("/api/v2/status").json()["tts_engines"] == ["hibari", "kokoro", "espeak"]
    for language in ("ko", "en"):
        for endpoint in ("/api/v2/lipsync", "/api/v2/lipsync/stream"):
            answer = server.post(endpoint, {**BODY, "tts_engine": "supertonic"}, headers={"Accept-Language": language})
            assert answer.status_code == 503
            assert "pip install -r requirements-voices.txt" in answer.json()["error"]
            assert "python -m pipeline.tts.supertonic" in answer.json()["error"]


def test_it_becomes_the_default_as_soon_as_its_weights_are_there(installed: Server, folder: Path) -> None:
    assert installed.get("/api/v2/status").json()["tts_engines"] == ["hibari", "kokoro", "espeak"]
    assert installed.post("/api/v2/lipsync", {**BODY, "tts_engine": "supertonic"}).status_code == 503
    for name in WEIGHTS:
        path = folder / "weights" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert has_weights(folder / "weights")
    assert installed.get("/api/v2/status").json()["tts_engines"] == ["supertonic", "hibari", "kokoro", "espeak"]
    done = installed.events(BODY)[-1]
    assert done["type"] == "done"
    assert done["audio_duration"] == pytest.approx(1.28)  # the stand-in's tone and the silence around it
    assert installed.events({**BODY, "tts_engine": "espeak"})[-1]["audio_duration"] != pytest.approx(1.28, abs=0.05)
    wrong = installed.post("/api/v2/lipsync", {**BODY, "tts_voice": "nobody"})
    assert wrong.status_code == 400 and "M1" in wrong.json()["error"]
