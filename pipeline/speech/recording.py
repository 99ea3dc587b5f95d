"""Speech that a user uploads: any file that FFmpeg's libraries can decode."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import av
import numpy as np

from pipeline.errors import BadRequest

FORMATS = "wav,mp3,mov,mp4,m4a,ogg,matroska,webm,aac,flac,aiff,avi,caf,asf,mpeg,mpegts"
"""FFmpeg's names of what people record in; others (playlists, lists of files) could make it open something else."""
MIN_SECONDS = 0.1
MAX_SECONDS = 900.0
MAX_RATE = 48000
"""Hz; higher rates are brought down to this."""
MIN_RATE = 8000
QUIETEST = 1e-4
"""Peak below which a recording counts as silence; full scale is 1."""


def load_audio(path: Path, max_seconds: float = MAX_SECONDS) -> tuple[np.ndarray, int]:
    """Return the first sound track of the file PATH (wav, mp3, m4a, ogg, ...): (n,) float32 mono in [-1, 1], and Hz.

    Raises BadRequest when the file is missing, not sound, broken, silent, or not between MIN_SECONDS and MAX_SECONDS
    long.
    """
    try:
        with av.open(str(path), options={"format_whitelist": FORMATS}) as container:
            if not container.streams.audio:
                raise _refused("소리가 없는 파일입니다", "the file holds no sound")
            samples, rate = _decoded(container, max_seconds)
    except FileNotFoundError as error:
        raise _refused("파일이 없습니다", "there is no such file") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _refused("읽을 수 없는 파일입니다", "the file cannot be read") from error
    if len(samples) < MIN_SECONDS * rate:
        raise _refused(f"{MIN_SECONDS}초보다 짧습니다", f"it is shorter than {MIN_SECONDS} s")
    if not np.isfinite(samples).all() or np.abs(samples).max() < QUIETEST:
        raise _refused("소리가 들리지 않습니다", "nothing can be heard in it")
    return np.clip(samples, -1, 1), rate


def _decoded(container: av.container.InputContainer, max_seconds: float) -> tuple[np.ndarray, int]:
    stream = container.streams.audio[0]
    rate = min(max(stream.rate or MAX_RATE, MIN_RATE), MAX_RATE)
    resampler = av.AudioResampler("flt", "mono", rate)
    pieces: list[np.ndarray] = []
    count = 0
    for frame in chain(container.decode(stream), [None]):  # None flushes the resampler
        for piece in resampler.resample(frame):
            pieces.append(piece.to_ndarray()[0])
            count += len(pieces[-1])
        if count > max_seconds * rate:
            raise _refused(f"{max_seconds:.0f}초보다 깁니다", f"it is longer than {max_seconds:.0f} s")
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.float32)), rate


def _refused(ko: str, en: str) -> BadRequest:
    return BadRequest(
        f"audio: {ko}. wav, mp3, m4a, ogg 음성 파일을 올려 주세요.",
        f"audio: {en}. Upload speech as wav, mp3, m4a or ogg.",
    )
