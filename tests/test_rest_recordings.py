"""Recordings through REST: a form makes the same video as JSON does; what is wrong with its file is told at once."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests

from pipeline.speech.soundtrack import KINDS
from tests.recordings import record, write_wav
from tests.servers import Server, events_of, running, wait_for

pytestmark = pytest.mark.slow  # real servers throughout

PATHS = ("/api/v2/lipsync", "/api/v2/lipsync/stream")
MAX_UPLOAD = 1


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "speech.wav"
    record(path, "one two three")
    return path


@pytest.fixture(scope="module")
def strict(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with low limits."""
    folder = tmp_path_factory.mktemp("strict")
    with running(["-m", "tests.fakes", str(fake_packs)], folder, MAX_UPLOAD=str(MAX_UPLOAD), MAX_AUDIO="2") as server:
        yield server


def send(server: Server, path: str, content: bytes | None, key: str | None = None, **fields: str) -> requests.Response:
    """Send a form, with a file if there is CONTENT."""
    form: list[tuple[str, Any]] = [(name, (None, text)) for name, text in {"avatar": "solo", **fields}.items()]
    form += [("audio", ("voice.bin", content))] if content is not None else []
    headers = {"Accept-Language": "en"} | ({} if key is None else {"Idempotency-Key": key})
    return server.post(path, files=form, headers=headers)


def kept(server: Server) -> list[Path]:
    """Return what the server keeps of uploads."""
    return [path for path in (server.results / "uploads" / "clips").rglob("*") if path.is_file()]


def test_a_recording_is_spoken_as_it_is(fake_server: Server, wav: Path) -> None:
    length = (wav.stat().st_size - 44) / 2 / 22050
    reply = send(fake_server, PATHS[0], wav.read_bytes()).json()
    assert reply["success"] is True and reply["text"] == "" and reply["captions_url"] is None
    assert abs(reply["audio_duration"] - length) < 0.5
    assert fake_server.get(reply["video_url"]).content[4:8] == b"ftyp"
    events = list(events_of(send(fake_server, PATHS[1], wav.read_bytes(), text="one two three", liveliness="0.2")))
    assert events[-1]["type"] == "done" and events[-1]["text"] == "one two three"
    assert "three" in fake_server.get(events[-1]["captions_url"]).text
    wait_for(lambda: not kept(fake_server))


def test_a_form_without_a_recording_is_spoken_by_a_voice(fake_server: Server) -> None:
    fields = {"text": "one two", "tts_voice": "alto", "frame_skip": "2", "liveliness": "0.5", "tts_speed": "0.9"}
    assert send(fake_server, PATHS[0], None, **fields).json()["text"] == "one two"
    # a browser sends an empty part for a file that was not chosen
    form = [("avatar", (None, "solo")), ("text", (None, "one")), ("audio", ("", b""))]
    assert fake_server.post(PATHS[0], files=form).json()["text"] == "one"


def foreign() -> dict[str, bytes]:
    """Return files that hold no sound that can be decoded."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("speech.wav", b"RIFF")
    return {
        "text": b"this is no sound\n" * 100,
        "picture": bytes(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1]),
        "archive": archive.getvalue(),
        "zeros": bytes(5000),
        "nothing": b"",
        "head": b"RIFF\x24\0\0\0WAVE",
        "midi": b"MThd\0\0\0\x06\0\x01\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0",
        "playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", sorted(foreign()))
def test_an_unknown_kind_is_refused_with_the_list(fake_server: Server, path: str, kind: str) -> None:
    before = len(fake_server.log)
    answer = send(fake_server, path, foreign()[kind])
    assert answer.status_code == 400 and answer.json()["code"] == "field_invalid"
    assert answer.json()["error"].startswith("audio: ") and ", ".join(KINDS) in answer.json()["error"]
    assert "starts" not in fake_server.log[before:] and not kept(fake_server)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"frame_skip": "two"}, "frame_skip"),
        ({"frame_skip": "1.5"}, "frame_skip"),
        ({"frame_skip": "11"}, "frame_skip"),
        ({"liveliness": "nan"}, "liveliness"),
        ({"eye_contact": "yes"}, "eye_contact"),
        ({"liveliness": "1_0"}, "liveliness"),
        ({"tts_speed": "9"}, "tts_speed"),
        ({"mood": "angry"}, "mood"),
        ({"text": "..."}, ""),
        ({"avatar": ""}, "avatar"),
        ({"resolution": "1440p"}, "resolution"),
    ],
)
def test_wrong_fields_are_refused_as_in_json(fake_server: Server, wav: Path, fields: dict[str, str], word: str) -> None:
    answer = send(fake_server, PATHS[1], wav.read_bytes(), **fields)
    assert answer.status_code == 400 and word in answer.json()["error"]
    assert not kept(fake_server)


def test_a_recording_is_one_file(fake_server: Server, wav: Path) -> None:
    content = wav.read_bytes()
    named = send(fake_server, PATHS[0], None, audio="/etc/passwd")
    assert named.status_code == 400 and named.json()["error"].startswith("audio: ")
    for form in (
        [("avatar", (None, "solo")), ("audio", ("a", content)), ("audio", ("b", content))],
        [("avatar", (None, "solo")), ("text", (None, "one")), ("voice", ("a", content))],
        [("avatar", (None, "solo")), ("avatar", (None, "duet")), ("audio", ("a", content))],
    ):
        assert fake_server.post(PATHS[0], files=form).status_code == 400
    missing = send(fake_server, PATHS[0], None)
    assert missing.status_code == 400 and missing.json()["error"].startswith("text: ")
    broken = fake_server.post(PATHS[0], data=b"--x", headers={"Content-Type": "multipart/form-data"})
    assert broken.status_code == 400 and broken.json()["code"] == "body_invalid"


def test_a_recording_has_the_limits_of_the_page(strict: Server, tmp_path: Path) -> None:
    large = send(strict, PATHS[0], bytes((MAX_UPLOAD << 20) + 1))
    assert large.status_code == 400 and f"{MAX_UPLOAD} MiB" in large.json()["error"]
    tone = 0.3 * np.sin(np.arange(3 * 16_000) / 20)
    long = write_wav(tmp_path / "long.wav", tone, 16_000).read_bytes()
    refused = send(strict, PATHS[0], long, text="one")
    assert refused.status_code == 400 and "2 s" in refused.json()["error"]
    last = list(events_of(send(strict, PATHS[1], long, text="one")))[-1]
    assert last["type"] == "error" and last["status"] == 400 and "2 s" in last["error"]
    assert send(strict, PATHS[0], None, text="one").json()["success"] is True
    wait_for(lambda: not kept(strict))


def test_the_same_form_sent_twice_is_one_task(fake_server: Server, wav: Path) -> None:
    content = wav.read_bytes()
    first, again = (send(fake_server, PATHS[0], content, key="voice", text="one").json() for _ in range(2))
    assert first["success"] is True and first == again
    for other in (
        send(fake_server, PATHS[0], content[:-2], key="voice", text="one"),
        send(fake_server, PATHS[0], content, key="voice", text="two"),
        fake_server.post(PATHS[0], {"avatar": "solo", "text": "one"}, headers={"Idempotency-Key": "voice"}),
    ):
        assert other.status_code == 409 and other.json()["code"] == "idempotency_key_reused"
    wait_for(lambda: not kept(fake_server))
