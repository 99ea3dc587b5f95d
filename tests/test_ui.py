"""What the page is made of, read from the configuration that the server gives to browsers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pipeline.errors import Unavailable
from pipeline.events import Done, Failed, Lipsync, Queued, TtsDone, TtsStarted
from pipeline.server.ui import EXAMPLES, _bar
from tests.conftest import Server


@pytest.fixture(scope="module")
def config(fake_server: Server) -> dict[str, Any]:
    answer: dict[str, Any] = fake_server.get("/config").json()
    return answer


def parts(config: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [part["props"] for part in config["components"] if part["type"] == kind]


def test_every_field_has_a_label_in_both_languages(config: dict[str, Any]) -> None:
    kinds = ("textbox", "dropdown", "slider", "video", "html", "audio", "accordion")
    labels = [props["label"] for kind in kinds for props in parts(config, kind)]
    assert len(labels) == 12
    for label in labels:
        assert re.fullmatch(r"[가-힣 ]+ / [A-Za-z ]+", label), label


def test_the_lists_hold_what_there_is(config: dict[str, Any]) -> None:
    lists = parts(config, "dropdown")
    assert {props["label"].split(" / ")[1]: [value for _, value in props["choices"]] for props in lists} == {
        "Avatar": ["duet", "solo"],
        "Resolution": ["720p", "480p", "360p"],
        "Speech": ["fake"],
        "Voice": ["Custom"],
    }


def test_there_are_examples_in_korean_and_english(config: dict[str, Any]) -> None:
    (examples,) = parts(config, "dataset")
    assert [sample for (sample,) in examples["samples"]] == list(EXAMPLES)
    assert any(re.search("[가-힣]", text) for text in EXAMPLES) and any(text.isascii() for text in EXAMPLES)


def test_one_function_is_public_and_shares_the_line_with_rest(fake_server: Server, config: dict[str, Any]) -> None:
    endpoints = fake_server.get("/gradio_api/info").json()["named_endpoints"]
    assert list(endpoints) == ["/generate"]
    names = [parameter["parameter_name"] for parameter in endpoints["/generate"]["parameters"]]
    assert names == ["text", "avatar", "resolution", "tts_engine", "tts_voice", "frame_skip", "audio"]
    assert len(endpoints["/generate"]["returns"]) == 3


DONE = Done("text", "/v", "v", "/a", "/c", 1.0, 0.1, 0.2, 0.3, 0.2)


def test_the_bar_moves_forward_only() -> None:
    speech = [Queued(2), TtsStarted("/v", "/c"), TtsDone("/a", "/c", 1.0, 0.1)]
    percents = [_bar(event)["percent"] for event in [*speech, Lipsync("/v", 0.0), Lipsync("/v", 0.5), DONE]]
    assert percents == sorted(percents) and percents[-1] == 100


def test_the_bar_tells_the_end_in_both_languages() -> None:
    assert _bar(DONE)["message"] == "완료 (0.3초) / Done (0.3 s)"
    failed = _bar(Failed(Unavailable("바쁩니다.", "Busy.")))
    assert failed["state"] == "failed" and failed["message"] == "바쁩니다. / Busy."
