"""Every file that is made says that it is synthetic, in a field that every reader of metadata shows."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import requests

from pipeline.core.origin import COMPOSITE, SPOKEN
from pipeline.speech.spool import SpeechSpool
from tests.servers import Server


def said_of(data: bytes) -> str:
    """Return the comment in a media file, "" if there is none."""
    with av.open(io.BytesIO(data), "r") as container:
        return container.metadata.get("comment", "")


def test_a_video_and_its_sound_say_that_they_are_synthetic(fake_server: Server) -> None:
    done = fake_server.events({"text": "one two three.", "avatar": "solo"})[-1]
    grown = fake_server.get(done["video_url"]).content
    assert COMPOSITE in said_of(grown)
    assert COMPOSITE in said_of(grown[: len(grown) // 2])  # from the beginning on, while it grows
    assert COMPOSITE in said_of(fake_server.get(f"{done['video_url']}?download=1").content)
    sound = fake_server.get(done["audio_url"]).content
    assert SPOKEN in said_of(sound)
    with wave.open(io.BytesIO(sound)) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(done["audio_duration"], abs=0.001)


def test_a_session_says_it_in_its_header(fake_server: Server) -> None:
    opened = fake_server.post("/api/v2/sessions", {"avatar": "solo"}).json()
    url = fake_server.url + opened["video_url"]
    with requests.get(url, stream=True, timeout=30) as stream:
        begin = b""
        for piece in stream.iter_content(4096):
            begin += piece
            if COMPOSITE.encode() in begin or len(begin) > 1 << 20:
                break
    fake_server.delete(f"/api/v2/sessions/{opened['session_id']}")
    assert begin.index(COMPOSITE.encode()) < 4096


@pytest.mark.parametrize("samples", [1, 2, 2401])
@pytest.mark.parametrize("synthetic", [True, False])
def test_the_sound_is_the_same_with_the_mark_and_recordings_have_none(
    tmp_path: Path, samples: int, synthetic: bool
) -> None:
    sound = np.linspace(-0.5, 0.5, samples, dtype=np.float32)
    with SpeechSpool(tmp_path / "a.wav", synthetic) as spool:
        spool.append(sound, 24000)
        spool.finish()
        assert (
            np.abs(spool.read(0, samples + 500) - sound).max() < 1e-4 and len(spool.read(0, samples + 500)) == samples
        )
    data = (tmp_path / "a.wav").read_bytes()
    assert (SPOKEN in said_of(data)) is synthetic
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    with wave.open(io.BytesIO(data)) as file:
        assert file.readframes(10**6) == (sound * 32767).round().astype("<i2").tobytes()
