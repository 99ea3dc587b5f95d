"""The picture of what was said and what the mouth did, and the notes that it is drawn from."""

from __future__ import annotations

import json
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.speech.record import SpeechRecord, read_record, write_record
from pipeline.speech_types import Mark
from pipeline.tools.inspect import look, main
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from pipeline.video.writer import Mp4Writer
from tests.fakes import seconds_of
from tests.servers import ROOT, Server

RATE = 16_000


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = SpeechRecord(
        (Mark("phoneme", "", 0, 0.1), Mark("phoneme", "ɐ", 0.1, 0.25)), (Mark("word", "아 ", 0.1, 0.25),), {"tts": 0.5}
    )
    write_record(record, tmp_path / "a.json")
    read = read_record(tmp_path / "a.json")
    assert read is not None and read.known and not record.known
    assert (read.phonemes, read.words, read.seconds) == (record.phonemes, record.words, record.seconds)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("content", [None, "", "[]", '{"phonemes": 1}', '{"phonemes": [["a"]]}'])
def test_another_file_beside_a_video_is_no_record(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    assert read_record(tmp_path / "a.json") is None


def speaking(path: Path) -> Path:
    """Write a second of the bundled man with a buzz as his voice."""
    with (
        av.open(str(ROOT / "examples" / "talk_short.mp4")) as source,
        Mp4Writer(path, 640, 360, Fraction(25), ColorTags(1, 1, 1, 1)) as out,
    ):
        buzz = 0.3 * np.sign(np.sin(2 * np.pi * 120 * np.arange(RATE) / RATE))
        out.add_sound(buzz.astype(np.float32), RATE)
        for number, frame in enumerate(source.decode(video=0)):
            if number == 25:
                break
            out.write_frame(Frame(frame.reformat(640, 360, "yuv420p").to_ndarray()))
    return path


@pytest.mark.slow
def test_a_closed_mouth_is_seen_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = speaking(tmp_path / "man.mp4")
    mouths = look(video)
    assert mouths.times == pytest.approx(np.arange(25) / 25)
    assert np.nanmax(mouths.opening) < 0.03 and not np.isnan(mouths.opening).any()
    red, _, blue = mouths.pictures.mean((0, 1, 2))
    assert red > 1.2 * blue  # skin and lips
    sides = mouths.pictures.astype(float)[:, :, [8, -8]].mean((0, 1, 3))
    assert abs(sides[0] - sides[1]) < 60  # in the middle of it

    assert main([str(video)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "man.png")
    with Image.open(tmp_path / "man.png") as picture:
        assert picture.size[0] > picture.size[1] > 300
        height = picture.size[1]
    write_record(
        SpeechRecord((Mark("phoneme", "b", 0, 1),), (), {"tts": 0.1, "first_byte": 0.2, "lipsync": 1, "total": 1.1}),
        tmp_path / "man.json",
    )
    assert main([str(video), "--out", str(tmp_path / "said.png")]) == 0
    with Image.open(tmp_path / "said.png") as picture:
        assert picture.size[1] > height  # with the times of the stages
        colors = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        assert (np.abs(colors.astype(int) - (0x25, 0x63, 0xEB)).max(1) < 3).mean() > 0.01  # lips should meet here


def test_what_is_no_video_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.mp4").write_bytes(b"hello")
    assert main([str(tmp_path / "text.mp4"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["status"] == 400
    assert main([str(tmp_path / "none.mp4")]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_a_task_is_inspected_through_rest(fake_server: Server) -> None:
    fake_server.wait_idle()
    text = "one two three"
    done = fake_server.events({"text": text, "avatar": "solo"})[-1]
    record = read_record(fake_server.results / f"{done['task_id']}.json")
    assert record is not None and record.phonemes[-1].end == pytest.approx(seconds_of(text), abs=0.05)
    assert "".join(word.text for word in record.words).strip() == text
    assert record.seconds["total"] == pytest.approx(done["elapsed"]["total"], abs=0.001)
    for _ in range(2):
        answer = fake_server.get(f"/api/v2/tasks/{done['task_id']}/inspect.png")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert Image.open(BytesIO(answer.content)).format == "PNG"
    assert (fake_server.results / f"{done['task_id']}.png").read_bytes() == answer.content
    unknown = fake_server.get(f"/api/v2/tasks/{'0' * 32}/inspect.png")
    assert (unknown.status_code, unknown.json()["success"]) == (404, False)
