"""The optional supertonic engine: with a stand-in for its synthesizer, and without the package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest, Cancelled, NothingToSay, SpeechFailed, Unavailable
from pipeline.settings import ROOT
from pipeline.tts.speech_engine import CUSTOM_VOICE
from pipeline.tts.supertonic import MAX_SENTENCE, PAUSE, SupertonicEngine, has_weights

absent = pytest.mark.skipif(importlib.util.find_spec("supertonic") is not None, reason="supertonic is installed here")


class StandIn:
    """Says a tenth of a second for every character, as ``supertonic.TTS`` would."""

    sample_rate = 1000

    def __init__(self) -> None:
        self.spoken: list[tuple[str, str, str]] = []

    def get_voice_style(self, voice_name: str) -> str:
        return voice_name

    def synthesize(self, text: str, voice_style: str, *, lang: str, speed: float) -> tuple[np.ndarray, np.ndarray]:
        self.spoken.append((text, voice_style, lang))
        if "broken" in text:
            raise ValueError("Found 1 unsupported character(s)")
        return np.full((1, 100 * len(text)), 0.5, np.float32), np.array([0.1 * len(text)])


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    names = ["tts.json", "unicode_indexer.json", "duration_predictor.onnx", "text_encoder.onnx"]
    for name in [*names, "vector_estimator.onnx", "vocoder.onnx"]:
        (tmp_path / "onnx").mkdir(exist_ok=True)
        (tmp_path / "onnx" / name).write_bytes(b"weights")
    (tmp_path / "voice_styles").mkdir()
    for voice in ("F1", "M1"):
        (tmp_path / "voice_styles" / f"{voice}.json").write_text("{}")
    return tmp_path


def test_speaks_sentence_by_sentence_with_pauses(weights: Path) -> None:
    stand_in = StandIn()
    speech = SupertonicEngine(weights, lambda _: stand_in).synthesize("사과 3개. 배요?", CUSTOM_VOICE, CancelToken())
    assert stand_in.spoken == [("사과 세 개.", "M1", "ko"), ("배요?", "M1", "ko")]
    assert speech.duration == pytest.approx(0.7 + PAUSE + 0.3)
    assert speech.marks == ()
    assert speech.text == "사과 3개. 배요?"


def test_long_and_odd_text_reaches_the_model_in_pieces_it_takes(weights: Path) -> None:
    stand_in = StandIn()
    SupertonicEngine(weights, lambda _: stand_in).synthesize("word " * 100 + "x" * 300 + " 😀\0", "F1", CancelToken())
    pieces = [text for text, _, _ in stand_in.spoken]
    assert all(0 < len(piece) <= MAX_SENTENCE for piece in pieces)
    assert "".join(pieces).replace(" ", "") == "word" * 100 + "x" * 300


def test_voices_are_the_styles_beside_the_weights(weights: Path) -> None:
    engine = SupertonicEngine(weights, lambda _: StandIn())
    assert [voice.id for voice in engine.voices()] == ["F1", "M1"]
    with pytest.raises(BadRequest, match="F1, M1"):
        engine.check_voice("../F1")


def test_weights_are_loaded_once(weights: Path) -> None:
    loads: list[Path] = []

    def load(folder: Path) -> StandIn:
        loads.append(folder)
        return StandIn()

    engine = SupertonicEngine(weights, load)
    assert engine.available() and loads == []
    for _ in range(2):
        engine.synthesize("hello", CUSTOM_VOICE, CancelToken())
    assert loads == [weights]


def test_incomplete_weights_are_not_available(weights: Path) -> None:
    (weights / "onnx" / "vocoder.onnx").unlink()
    engine = SupertonicEngine(weights, lambda _: StandIn())
    assert not has_weights(weights) and not engine.available()
    with pytest.raises(Unavailable, match=r"python -m pipeline\.tts\.supertonic"):
        engine.synthesize("hello", CUSTOM_VOICE, CancelToken())


def test_errors_of_the_model_are_reported(weights: Path) -> None:
    engine = SupertonicEngine(weights, lambda _: StandIn())
    with pytest.raises(SpeechFailed, match="unsupported"):
        engine.synthesize("broken", CUSTOM_VOICE, CancelToken())
    with pytest.raises(NothingToSay):
        engine.synthesize("...", CUSTOM_VOICE, CancelToken())

    def corrupt(_: Path) -> StandIn:
        raise RuntimeError("not a model")

    with pytest.raises(Unavailable, match="damaged"):
        SupertonicEngine(weights, corrupt).synthesize("hello", CUSTOM_VOICE, CancelToken())


def test_every_line_is_a_sentence(weights: Path) -> None:
    for end in ("\n", "\n\n", "\r\n", "\u2028", "\x85"):
        text = end.join(["면접 준비", "- 이력서", "- 자기소개", "끝"])
        pieces = list(SupertonicEngine(weights, lambda _: StandIn()).stream(text, CUSTOM_VOICE, CancelToken()))
        assert [piece.text.strip() for piece in pieces] == text.split(end)


def test_cancel_takes_effect_between_sentences(weights: Path) -> None:
    token = CancelToken()

    class CancelsItself(StandIn):
        def synthesize(self, text: str, voice_style: str, *, lang: str, speed: float) -> tuple[np.ndarray, np.ndarray]:
            token.cancel()
            return super().synthesize(text, voice_style, lang=lang, speed=speed)

    stand_in = CancelsItself()
    with pytest.raises(Cancelled):
        SupertonicEngine(weights, lambda _: stand_in).synthesize("One. Two. Three.", CUSTOM_VOICE, token)
    assert len(stand_in.spoken) == 1


@absent
def test_without_the_package_it_is_not_available_and_states_what_to_install(weights: Path) -> None:
    engine = SupertonicEngine(weights)
    assert not engine.available()
    with pytest.raises(Unavailable, match=r"requirements-voices\.txt"):
        engine.synthesize("hello", CUSTOM_VOICE, CancelToken())


@absent
def test_the_download_command_states_what_to_install(tmp_path: Path) -> None:
    environment = {**os.environ, "SUPERTONIC_CACHE_DIR": str(tmp_path / "weights")}
    command = [sys.executable, "-m", "pipeline.tts.supertonic"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "requirements-voices.txt" in done.stderr
    assert not (tmp_path / "weights").exists()
