"""Uploaded speech: what people send through Gradio's upload, and that a path from elsewhere is never opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import requests
from gradio_client import Client, handle_file

from pipeline.speech.framed import LEAD_IN, LEAD_OUT
from pipeline.speech.recording import load_audio
from tests.media import add_audio, encode_audio
from tests.recordings import record, write_wav
from tests.servers import Server, predict, running

pytestmark = pytest.mark.slow  # real servers throughout

SENTENCE = "안녕하세요, 면접에 오신 것을 환영합니다."
ENCODERS = {"ogg": "libopus", "mp3": "libmp3lame", "m4a": "aac", "webm": "libopus"}
CALLS = {"amr": "libopencore_amrnb"}
"""Of the files that people have; browsers record webm."""
LOUDNESS_HZ = 50  # divides every usual rate: two envelopes must not drift apart


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "speech.wav"
    record(path, SENTENCE)
    return path


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(server.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
    yield client
    client.close()


def encoded(wav: Path, kind: str) -> Path:
    """Return the sound of WAV in a file of another KIND."""
    path = wav.with_suffix(f".{kind}")
    with av.open(str(wav)) as source, av.open(str(path), "w") as target:
        rate = 8000 if kind in CALLS else 48000
        stream = add_audio(target, {**ENCODERS, **CALLS}[kind], rate, "mono" if kind in CALLS else "stereo")
        if kind in CALLS:
            stream.bit_rate = 12200
        encode_audio(target, stream, source.decode(audio=0))
    return path


def loudness(path: Path) -> np.ndarray:
    """Return the loudness of the sound in the file PATH, LOUDNESS_HZ times a second."""
    samples, rate = load_audio(path)
    step = rate // LOUDNESS_HZ
    return np.asarray(np.sqrt(np.square(samples[: len(samples) // step * step].reshape(-1, step)).mean(axis=1)))


def is_video_of(video: object, recording: Path) -> None:
    """Assert that VIDEO, as gradio_client gives it, is RECORDING with a little silence around it, without a shift."""
    path = Path(video["video"] if isinstance(video, dict) else str(video))
    samples, rate = load_audio(recording)
    with av.open(str(path)) as container:
        fps = container.streams.video[0].average_rate
        assert fps
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert 0 <= len(frames) / fps - len(samples) / rate - LEAD_IN - LEAD_OUT <= 1 / fps
    mine, theirs = loudness(path)[round(LEAD_IN * LOUDNESS_HZ) :], loudness(recording)
    length = min(len(mine), len(theirs))
    assert np.corrcoef(mine[:length], theirs[:length])[0, 1] > 0.95
    lower = np.array([frame[frame.shape[0] // 2 :] for frame in frames], np.float32)
    assert np.abs(np.diff(lower, axis=0)).mean(axis=(1, 2)).max() > 0.1  # something moves


def left_behind(server: Server) -> list[str]:
    files = (path for path in server.results.iterdir() if path.is_file())  # uploads go with their age
    return [path.name for path in files if path.suffix not in (".mp4", ".wav", ".vtt", ".json", ".ndjson")]


@pytest.mark.parametrize("kind", ["wav", *ENCODERS])
def test_a_recording_without_text_moves_the_mouth(client: Client, server: Server, wav: Path, kind: str) -> None:
    recording = wav if kind == "wav" else encoded(wav, kind)
    video, status, task_id = predict(client, audio=handle_file(recording), avatar="talk_short", resolution="360p")
    assert status["type"] == "done" and status["text"] == "" and status["task_id"] == task_id
    is_video_of(video, recording)
    kept = server.results / f"{task_id}.wav"
    assert kept.is_file() and left_behind(server) == []


def test_a_recording_with_its_text_keeps_its_own_sound(client: Client, wav: Path) -> None:
    text = "안녕하세요, 면접에 오신 것을 환영합니다!"
    video, status, _ = predict(client, text=text, audio=handle_file(wav), avatar="talk_short", resolution="360p")
    assert status["text"] == text
    is_video_of(video, wav)


def test_a_damaged_recording_is_made_and_reported(client: Client, wav: Path, tmp_path: Path) -> None:
    data = encoded(wav, "mp3").read_bytes()
    damaged = tmp_path / "damaged.mp3"
    damaged.write_bytes(data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 + 3000 :])
    for text in ("", SENTENCE):
        video, status, _ = predict(
            client, text=text, audio=handle_file(damaged), avatar="talk_short", resolution="360p"
        )
        lost = status["audio_lost"]
        assert 0.1 < lost < 0.6 and f"{lost:.2f}" in status["message"]
        is_video_of(video, damaged)


def test_a_call_that_a_phone_recorded_moves_the_mouth(client: Client, wav: Path) -> None:
    recording = encoded(wav, "amr")
    video, status, _ = predict(client, audio=handle_file(recording), avatar="talk_short", resolution="360p")
    assert "audio_lost" not in status
    is_video_of(video, recording)


def refusal(client: Client, recording: Path, **more: object) -> str:
    with pytest.raises(Exception) as refused:
        predict(client, audio=handle_file(recording), avatar="talk_short", **more)
    return str(refused.value)


def test_a_file_that_holds_no_speech_is_refused(client: Client, server: Server, wav: Path, tmp_path: Path) -> None:
    before = sorted(server.results.iterdir())
    broken, text, silent, hushed = (tmp_path / name for name in ("broken.mp3", "text.wav", "silent.wav", "hushed.wav"))
    broken.write_bytes(b"ID3" + bytes(500))
    text.write_text("this is no sound\n" * 100)
    write_wav(silent, np.zeros(16000), 16000)
    write_wav(hushed, 0.0002 * np.random.default_rng(0).standard_normal(16000), 16000)
    picture = tmp_path / "picture.mp4"
    with av.open(str(picture), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    for path in (broken, text, silent, hushed, picture):
        assert "audio: " in refusal(client, path), path.name
    assert sorted(server.results.iterdir()) == before


def test_text_beside_a_recording_is_checked_too(client: Client, wav: Path) -> None:
    assert "text: " in refusal(client, wav, text="...")


def test_a_recording_may_not_be_longer_than_allowed(fake_packs: Path, wav: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, MAX_AUDIO="1") as server:
        client = Client(server.url, verbose=False, download_files=False)
        with pytest.raises(Exception, match=r"audio: .*1"):
            predict(client, audio=handle_file(wav), avatar="solo")
        client.close()


def test_json_names_no_file(fake_server: Server, wav: Path) -> None:
    for language in ("ko", "en"):
        for endpoint in ("/api/v2/lipsync", "/api/v2/lipsync/stream"):
            for body in ({"avatar": "solo", "audio": str(wav)}, {"text": "one", "avatar": "solo", "audio": {}}):
                answer = fake_server.post(endpoint, body, headers={"Accept-Language": language})
                assert answer.status_code == 400 and "multipart/form-data" in answer.json()["error"]
    before = len(fake_server.log)
    call: dict[str, Any] = {"data": [{"avatar": "solo", "audio": str(wav)}, "en"]}
    refused = requests.post(f"{fake_server.url}/gradio_api/call/rest", json=call, timeout=30)
    assert refused.status_code == 400 and "event_id" not in refused.json()  # the entry of REST is not for clients
    assert "starts" not in fake_server.log[before:]


@pytest.mark.parametrize("where", ["outside", "relative", "file://", "http://", "result"])
def test_a_path_outside_the_upload_folder_is_never_opened(fake_server: Server, wav: Path, where: str) -> None:
    done = fake_server.events({"text": "one", "avatar": "solo"})[-1]
    path = {
        "outside": str(wav),
        "relative": "../../../../../../.." + str(wav),
        "file://": wav.as_uri(),
        "http://": fake_server.url + done["audio_url"],
        "result": str(fake_server.results / f"{done['task_id']}.wav"),
    }[where]
    before = len(fake_server.log)
    audio = {"path": path, "meta": {"_type": "gradio.FileData"}}
    answer = events_of_call(fake_server, "generate", {"data": ["", "solo", "720p", "fake", "Custom", 1, audio]})
    assert "event: error" in answer and "done" not in answer
    assert "starts" not in fake_server.log[before:]


def events_of_call(server: Server, entry: str, call: dict[str, Any]) -> str:
    """Call an entry of Gradio's as its JavaScript client does; return all that it sends."""
    answer = requests.post(f"{server.url}/gradio_api/call/{entry}", json=call, timeout=30)
    return server.get(f"/gradio_api/call/{entry}/{answer.json()['event_id']}").text
