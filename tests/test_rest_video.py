"""The program itself, from the documented request to the pixels and samples of the video."""

from __future__ import annotations

import wave
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from tests.media import time_of
from tests.servers import Server

SENTENCE = "안녕하세요, 면접에 오신 것을 환영합니다."
SIZES = {"720p": (1280, 720), "480p": (854, 480), "360p": (640, 360)}

pytestmark = pytest.mark.slow


def sound_of(container: av.container.InputContainer, rate: int) -> np.ndarray:
    """Return the whole sound of a video, (n,) float32 mono at RATE Hz."""
    resampler = av.AudioResampler("flt", "mono", rate)
    frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


EACH = (
    ("talk_long", "360p"),
    ("talk_long", "720p"),
    ("talk_short", "480p"),
)


@pytest.mark.parametrize(("avatar", "resolution"), EACH)
def test_the_documented_request_gives_a_whole_video(server: Server, avatar: str, resolution: str) -> None:
    done = server.events({"text": SENTENCE, "avatar": avatar, "resolution": resolution})[-1]
    assert done["type"] == "done"
    with wave.open(BytesIO(server.get(done["audio_url"]).content)) as file:
        rate, seconds = file.getframerate(), file.getnframes() / file.getframerate()
        spoken = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert seconds == pytest.approx(done["audio_duration"], abs=0.001) and seconds > 2

    content = server.get(done["video_url"]).content
    with av.open(BytesIO(content), "r") as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert container.streams.audio[0].codec_context.name == "aac"
        frames = [(time_of(frame), frame.width, frame.height) for frame in container.decode(video=0)]
    fps = 1 / (frames[1][0] - frames[0][0])
    assert {(width, height) for _, width, height in frames} == {SIZES[resolution]}
    assert len(frames) == round(seconds * fps)
    assert [time for time, *_ in frames] == [Fraction(number) / fps for number in range(len(frames))]

    with av.open(BytesIO(content), "r") as container:
        decoded = sound_of(container, rate)
    assert len(decoded) == pytest.approx(len(spoken), abs=0.05 * rate)  # neither cut nor stretched
    length = min(len(decoded), len(spoken))
    assert np.corrcoef(decoded[:length], spoken[:length])[0, 1] > 0.95  # nor shifted by a sample


def test_frame_skip_keeps_the_length_of_the_video(server: Server) -> None:
    lengths = set()
    for skip in (1, 3):
        body = {"text": "안녕하세요", "avatar": "talk_short", "resolution": "360p", "frame_skip": skip}
        reply = server.post("/api/v2/lipsync", body).json()
        with av.open(BytesIO(server.get(reply["video_url"]).content), "r") as container:
            lengths.add(sum(1 for _ in container.decode(video=0)))
    assert len(lengths) == 1


def test_the_program_lists_what_ships_with_it(server: Server) -> None:
    status = server.get("/api/v2/status").json()
    assert status["status"] == "ok" and status["models_loaded"] is True
    shipped = {f"{name}_{resolution}" for name in ("talk_long", "talk_short") for resolution in SIZES}
    assert shipped <= set(status["available_avatars"])
    assert status["tts_engines"] == ["hibari", "kokoro", "espeak"]  # ElevenLabs is listed where its key is set


def test_elevenlabs_by_name_without_a_key_names_the_variable(server: Server) -> None:
    for language in ("ko", "en"):
        body = {"text": "one", "avatar": "talk_long", "tts_engine": "elevenlabs"}
        answer = server.post("/api/v2/lipsync/stream", body, headers={"Accept-Language": language})
        assert answer.status_code == 503 and answer.json()["success"] is False
        assert "ELEVENLABS_API_KEY" in answer.json()["error"]


def test_a_voice_of_a_local_engine_can_be_chosen(server: Server) -> None:
    body = {"text": "hello", "avatar": "talk_short", "resolution": "360p", "tts_engine": "espeak"}
    assert server.post("/api/v2/lipsync", {**body, "tts_voice": "de"}).status_code == 200
    answer = server.post("/api/v2/lipsync", {**body, "tts_voice": "nobody"})
    assert answer.status_code == 400 and "tts_voice" in answer.json()["error"] and "ko" in answer.json()["error"]
