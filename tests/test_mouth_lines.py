"""What the strip shows: phonemes and the opening of the mouth, while a video is being made and afterwards."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import requests

from pipeline.core.cancel import CancelToken
from pipeline.core.growing_file import part_of
from pipeline.jobs.speak import Speaker, SpeakerOptions
from pipeline.speech.articulate import UNITS
from pipeline.speech.mouth_lines import MouthLines
from pipeline.speech.mouth_track import PARTED, WIDEST, MouthTrack
from pipeline.speech.spool import SpeechSpool
from pipeline.speech_types import Mark
from pipeline.tts.espeak import EspeakEngine
from tests.servers import Server, wait_for


def test_each_piece_is_a_line_that_can_be_read_at_once(tmp_path: Path) -> None:
    weights = np.zeros((3, len(UNITS)), np.float32)
    weights[1, UNITS.index("jawOpen")] = 0.5 * WIDEST / PARTED["jawOpen"]
    weights[2, [UNITS.index(unit) for unit in ("jawOpen", "mouthUpperUpLeft", "mouthLowerDownLeft")]] = 0.9
    with MouthLines(tmp_path / "a" / "x.mouth.ndjson") as lines:
        lines.add([Mark("phoneme", "ㅏ", 0.02, 0.1)], MouthTrack(25.0, weights, UNITS), 2.0)
        (line,) = part_of(lines.path).read_text("utf-8").splitlines()
        lines.finish()
    assert json.loads(line) == {"start": 2.0, "fps": 25.0, "opening": [0, 0.5, 1], "phonemes": [["ㅏ", 2.02, 2.1]]}
    assert [path.name for path in lines.path.parent.iterdir()] == ["x.mouth.ndjson"]


@pytest.mark.parametrize(("text", "language"), [("바보 엄마. 파도!", "ko"), ("Papa buys a map. Bob mops.", "en-us")])
def test_the_strip_is_shut_at_each_bilabial_and_opens_between(tmp_path: Path, text: str, language: str) -> None:
    espeak = EspeakEngine()
    sentences = text.split(" ", 1) if language == "ko" else text.split(". ")
    pieces = (piece for one in sentences for piece in espeak.stream(one, language, CancelToken(), language))
    with SpeechSpool(tmp_path / "x.wav") as spool, MouthLines(tmp_path / "x.ndjson") as lines:
        options = SpeakerOptions(fps=Fraction(25), espeak=espeak, mouth_lines=lines)
        speaker = Speaker(pieces, spool, options, CancelToken())
        list(speaker.stretches())
        speaker.close()
    said = [json.loads(line) for line in lines.path.read_text("utf-8").splitlines()]
    assert len(said) > 1
    for line, following in pairwise(said):
        assert following["start"] == pytest.approx(line["start"] + len(line["opening"]) / 25, abs=0.002)
    opening = np.concatenate([one["opening"] for one in said])
    phonemes = [Mark("phoneme", *one) for line in said for one in line["phonemes"]]
    assert [one.text for one in phonemes] == [one.text for one in speaker.phonemes]
    assert [one.start for one in phonemes] == pytest.approx([one.start for one in speaker.phonemes], abs=0.001)
    assert opening.max() > 0.5
    shut = [one for one in phonemes if one.text[:1] in {"p", "b", "m"}]
    assert len(shut) > 3
    for one in shut:
        assert opening[max(0, round(one.start * 25) - 2) : round(one.end * 25) + 1].min() < 0.1, one


def test_it_grows_with_the_video_and_goes_with_a_cancelled_task(fake_server: Server) -> None:
    with fake_server.stream({"text": "slow " + "word " * 20, "avatar": "solo"}) as events:
        started = next(event for event in events if event.get("stage") == "tts")
        address = started["video_url"].replace(".mp4", ".mouth.ndjson")
        with requests.get(fake_server.url + address, stream=True, timeout=60) as growing:
            assert json.loads(next(growing.iter_lines(chunk_size=1)))["phonemes"]
        fake_server.post(f"/api/cancel/{started['task_id']}")
        assert list(events)[-1]["type"] == "error"
    fake_server.wait_idle()
    wait_for(lambda: not list(fake_server.results.glob(f"{started['task_id']}*")))
    assert fake_server.get(address).status_code == 404
