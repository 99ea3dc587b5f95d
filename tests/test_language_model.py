"""Language models and transcription over OpenAI's protocol: what they answer, and how they fail."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.conversation.dialogue import KEPT_LETTERS, KEPT_SAYINGS, PROMPT, Dialogue
from pipeline.conversation.endpoints import Endpoint
from pipeline.conversation.language_model import LanguageModel
from pipeline.conversation.transcription import TranscriptionService, make_transcriber
from pipeline.conversation.whisper import MODEL, LocalWhisper, folder_of
from pipeline.conversation.whisper import main as download_whisper
from pipeline.errors import LanguageModelFailed, LanguageModelUnavailable, PipelineError, TranscriptionUnavailable
from pipeline.settings import Settings
from tests.stub_openai import KEY, OpenAIStub, seconds_of


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as started:
        yield started


def endpoint(stub: OpenAIStub, prefix: str = "LLM", seconds: float = 20.0) -> Endpoint:
    return Endpoint(prefix=prefix, base_url=stub.url, key=KEY, model="stub", seconds=seconds)


def answer(model: LanguageModel, *sayings: str) -> tuple[str, PipelineError | None]:
    """Return what a model says, and the error with which it ends."""
    dialogue = Dialogue()
    for number, text in enumerate(sayings or ("hello",)):
        dialogue.add("assistant" if number % 2 else "user", text)

    async def collect() -> tuple[str, PipelineError | None]:
        text = ""
        try:
            async for piece in model.answer(dialogue):
                text += piece
        except PipelineError as error:
            return text, error
        return text, None

    return asyncio.run(collect())


def test_an_answer_comes_in_pieces_and_the_model_gets_the_conversation(stub: OpenAIStub) -> None:
    stub.reset()
    assert answer(LanguageModel(endpoint(stub)), "hello", "good day", "who are you?") == ("one two. three four. ", None)
    asked = stub.asked[0]
    assert asked.path == "/v1/chat/completions" and asked.key == KEY
    assert asked.body["model"] == "stub" and asked.body["stream"] is True
    assert asked.body["messages"] == [
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "good day"},
        {"role": "user", "content": "who are you?"},
    ]


@pytest.mark.parametrize(
    ("mode", "text", "kind", "word"),
    [
        ("401", "", LanguageModelUnavailable, "LLM_API_KEY"),
        ("403", "", LanguageModelUnavailable, "LLM_API_KEY"),
        ("404", "", LanguageModelUnavailable, "LLM_MODEL"),
        ("400", "", LanguageModelUnavailable, "400"),
        ("429", "", LanguageModelUnavailable, "busy"),
        ("500", "", LanguageModelUnavailable, "500"),
        ("503-html", "", LanguageModelUnavailable, "503"),
        ("hang", "", LanguageModelUnavailable, "said nothing"),
        ("comments", "", LanguageModelUnavailable, "said nothing"),
        ("stall", "one two. ", LanguageModelFailed, "said nothing"),
        ("drop", "one two. ", LanguageModelFailed, "broke"),
        ("error-inside", "one two. ", LanguageModelFailed, "cannot be used"),
        ("garbage", "one ", LanguageModelFailed, "cannot be used"),
        ("empty", "", LanguageModelFailed, "empty"),
    ],
)
def test_a_model_that_fails(
    stub: OpenAIStub, caplog: pytest.LogCaptureFixture, mode: str, text: str, kind: type[PipelineError], word: str
) -> None:
    stub.reset(mode)
    with caplog.at_level(logging.DEBUG, "pipeline"):
        found, error = answer(LanguageModel(endpoint(stub, seconds=0.6 if word == "said nothing" else 20)))
    stub.go_on.set()
    assert found == text and type(error) is kind
    assert word in error.message.en and "LLM_" in error.message.en + "LLM_" * (mode == "empty")
    assert KEY not in str(error.message) and KEY not in caplog.text
    assert stub.tries == (3 if mode in ("429", "500", "503-html") else 1)
    stub.reset()
    assert answer(LanguageModel(endpoint(stub))) == ("one two. three four. ", None), "the next one works"


@pytest.mark.parametrize("mode", ["429-once", "500-once", "no-choices"])
def test_a_model_that_answers_in_the_end(stub: OpenAIStub, mode: str) -> None:
    stub.reset(mode)
    assert answer(LanguageModel(endpoint(stub))) == ("one two. three four. ", None)
    assert stub.tries == (2 if "once" in mode else 1)


def test_an_answer_without_an_end_is_cut_off(stub: OpenAIStub) -> None:
    stub.reset("endless")
    text, error = answer(LanguageModel(endpoint(stub), longest=1000))
    assert len(text) == 1000 and isinstance(error, LanguageModelFailed) and "1,000" in error.message.en


def test_a_service_that_is_not_there() -> None:
    gone = Endpoint(prefix="LLM", base_url="http://127.0.0.1:9/v1", key="", model="stub", seconds=20.0)
    text, error = answer(LanguageModel(gone))
    assert not text and isinstance(error, LanguageModelUnavailable) and "LLM_BASE_URL" in error.message.en


@pytest.mark.parametrize(
    ("url", "key", "model", "there"),
    [
        ("", "", "", False),
        ("http://localhost:1/v1", "", "", False),
        ("", "", "small", False),
        ("", "key", "small", True),
        ("http://localhost:1/v1", "", "small", True),
    ],
)
def test_what_must_be_set(url: str, key: str, model: str, there: bool) -> None:
    found = LanguageModel(Endpoint(prefix="LLM", base_url=url, key=key, model=model, seconds=1.0))
    assert found.configured is there
    if not there:
        with pytest.raises(LanguageModelUnavailable, match=r"LLM_BASE_URL.*LLM_MODEL"):
            found.check()
        assert LanguageModelUnavailable.status == 503


def test_the_variables_of_other_programs_are_not_sent(stub: OpenAIStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    stub.reset()
    keyless = Endpoint(prefix="LLM", base_url=stub.url, key="", model="stub", seconds=20.0)
    assert answer(LanguageModel(keyless))[1] is None
    assert stub.asked[0].key == "none"


def test_a_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(Endpoint(prefix="LLM", base_url="", key="sk-secret", model="m", seconds=1.0))


def test_a_dialogue_is_bounded_and_alternates() -> None:
    dialogue = Dialogue("be kind")
    for number in range(KEPT_SAYINGS):
        dialogue.add("user", f"question {number}")
        dialogue.add("assistant", f"answer {number}")
    sayings = list(dialogue)
    assert sayings[0].content == "be kind" and sayings[1].role == "user" and len(sayings) <= KEPT_SAYINGS + 1
    assert sayings[-1].content == f"answer {KEPT_SAYINGS - 1}"
    dialogue.add("user", "a" * KEPT_LETTERS)
    dialogue.add("user", "b")
    assert sum(len(one.content) for one in list(dialogue)[1:]) <= KEPT_LETTERS
    assert [one.role for one in dialogue] == ["system", "user"] and list(dialogue)[-1].content.endswith("a\nb")
    dialogue.withdraw("b")
    assert list(dialogue)[-1].content.endswith("a")
    dialogue.add("assistant", "  ")
    assert list(dialogue)[-1].role == "user"


SOUND = (np.sin(np.arange(24000) * 0.1) * 8000).astype(np.int16)


def test_a_sound_is_transcribed(stub: OpenAIStub) -> None:
    stub.reset()
    service = TranscriptionService(endpoint(stub, "STT"))
    assert asyncio.run(service.transcribe(SOUND, "ko")) == stub.transcript
    asked = stub.asked[0]
    assert asked.path == "/v1/audio/transcriptions" and asked.key == KEY
    assert asked.body["model"] == b"stub" and asked.body["language"] == b"ko"
    assert seconds_of(asked.body["file"]) == 1.5
    asyncio.run(service.transcribe(SOUND, None))
    assert "language" not in stub.asked[1].body


@pytest.mark.parametrize(
    ("mode", "word"),
    [
        ("401", "STT_API_KEY"),
        ("404", "STT_MODEL"),
        ("429", "busy"),
        ("500", "500"),
        ("hang", "said nothing"),
        ("garbage", "cannot be used"),
    ],
)
def test_a_transcription_that_fails(stub: OpenAIStub, mode: str, word: str) -> None:
    stub.reset(mode)
    service = TranscriptionService(endpoint(stub, "STT", 0.6 if mode == "hang" else 20))
    with pytest.raises(TranscriptionUnavailable, match=word) as raised:
        asyncio.run(service.transcribe(SOUND, None))
    stub.go_on.set()
    assert KEY not in str(raised.value.message)


def test_nothing_transcribes_where_nothing_is_set_up() -> None:
    assert make_transcriber(Settings(stt_base_url="", stt_api_key="", stt_model="")) is None
    assert make_transcriber(Settings(stt_base_url="http://localhost:1/v1", stt_model="small")) is not None


def test_whisper_on_this_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = LocalWhisper(tmp_path)
    assert not local.available(), "nothing was downloaded"
    weights = folder_of(tmp_path, MODEL) / "model.bin"
    weights.parent.mkdir(parents=True)
    weights.touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "faster_whisper")
    assert local.available() and isinstance(make_transcriber(Settings(models_dir=tmp_path)), LocalWhisper)
    asked: dict[str, Any] = {}

    class WhisperModel:
        def __init__(self, folder: str, **options: Any) -> None:
            asked.update(options, folder=folder)

        def transcribe(self, sound: np.ndarray, language: str | None) -> tuple[list[Any], None]:
            if language == "xx":
                raise ValueError("no such language")
            asked.update(seconds=len(sound) / 16_000, loudest=np.abs(sound).max())
            parts = (" 저는", 0.1), ("개발자입니다. ", 0.2), ("시청해 주셔서 감사합니다.", 0.9)
            return [SimpleNamespace(text=text, no_speech_prob=silent) for text, silent in parts], None

    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))
    assert asyncio.run(local.transcribe(SOUND, "ko")) == "저는 개발자입니다."
    assert asked["local_files_only"] is True and asked["seconds"] == 1.5 and 0.2 < asked["loudest"] < 0.3
    with pytest.raises(TranscriptionUnavailable):
        asyncio.run(local.transcribe(SOUND, "xx"))


def test_the_download_of_whisper_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert download_whisper() == 1
    assert "pip install -r requirements-transcription.txt" in capsys.readouterr().err
