"""Writes a growing mp4 with a single encode: the bytes that are streamed are the bytes of the finished file."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from pipeline import messages
from pipeline.core import origin
from pipeline.core.growing_file import part_of
from pipeline.errors import RenderFailed
from pipeline.video.encoder import X264, X264_BESIDE_CARD, Encoder
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

logger = logging.getLogger(__name__)

AUDIO_RATE = 48_000
"""Hz; every AAC decoder and browser plays it, and its encoder delay (1,024 samples) is the shortest in seconds."""
AUDIO_BITS = 96_000
"""Bits per second: plenty for one voice, also for FFmpeg's fast coder (its default takes as long as the pictures)."""
FRAGMENT_SECONDS = 0.5
"""Length of one fragment (and GOP): how far the stream lags behind the encoder."""
FIRST_FRAGMENTS_SECONDS = (0.12, 0.12, 0.2, 0.3)
"""Lengths of the first fragments.

The shorter they are, the sooner a picture appears. None is longer than all before it together, so that a video that is
made in real time never stalls.
"""
SOUND_AHEAD = Fraction(1, 2)
"""Seconds by which the muxer gets the sound before its picture."""
MUXER_OPTIONS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
"""Fragments play before the file is finished; each reaches the disk as soon as it is complete."""


class Mp4Writer:
    """Encodes frames and sound into a fragmented mp4 (H.264, AAC); use it as a context manager.

    The file is written at ``path`` + ".part" and renamed when it is complete. If the block raises, nothing remains. If
    the encoder does not open (a card encodes only so many videos at a time), x264 takes its place.

    Args:
        path: Path of the finished file.
        width: Width in pixels.
        height: Height in pixels.
        fps: Frames per second.
        colors: Colour tags.
        encoder: Encoder of the pictures.

    Raises:
        RenderFailed: The disk is full, or the encoder fails.
    """

    def __init__(
        self, path: Path, width: int, height: int, fps: Fraction, colors: ColorTags, encoder: Encoder = X264
    ) -> None:
        self.path = path
        self.part = part_of(path)
        self._fps = fps
        self._gop = max(1, round(fps * Fraction(FRAGMENT_SECONDS)))
        self._early_keys = [round(fps * Fraction(end)) for end in accumulate(FIRST_FRAGMENTS_SECONDS, initial=0)]
        self._frames = 0
        self._samples = 0
        self._sound: deque[np.ndarray] = deque()
        self._sound_rate = 0
        self._container: Any = None
        self._video: Any = None
        self._audio: Any = None
        self._resampler: av.AudioResampler | None = None
        with _as_render_failure():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._open(encoder, width, height, colors)
            except av.error.FFmpegError as error:
                if encoder.codec == X264.codec:
                    raise
                logger.warning("%s cannot encode one more video now (%s): x264 does", encoder.name, error.strerror)
                self._open(X264_BESIDE_CARD, width, height, colors)

    def _open(self, encoder: Encoder, width: int, height: int, colors: ColorTags) -> None:
        try:
            self._container = av.open(str(self.part), "w", format="mp4", options=MUXER_OPTIONS)
            self._container.metadata[origin.KEY] = origin.comment(origin.COMPOSITE)
            self._video = encoder.add_stream(self._container, width, height, self._fps, self._gop, colors)
            self._audio = self._container.add_stream("aac", rate=AUDIO_RATE, layout="mono")
            self._audio.codec_context.bit_rate, self._audio.options = AUDIO_BITS, {"aac_coder": "fast"}
        except BaseException:
            self._discard()
            raise

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._finish()
            except BaseException:
                self._discard()
                raise
        else:
            self._discard()

    def add_sound(self, samples: np.ndarray, rate: int) -> None:
        """Append sound, which is encoded in step with the pictures.

        Args:
            samples: (n,) float32 mono in [-1, 1].
            rate: Samples per second; the same in every call.
        """
        if self._resampler is None:
            self._resampler, self._sound_rate = av.AudioResampler("fltp", "mono", AUDIO_RATE), rate
        elif rate != self._sound_rate:
            raise ValueError(f"sound at {rate} Hz after sound at {self._sound_rate} Hz")
        step = rate // 4
        self._sound.extend(samples[start : start + step] for start in range(0, len(samples), step))

    def write_frame(self, frame: Frame) -> bool:
        """Append a picture, and the sound until shortly after it.

        Returns:
            Whether this completes a fragment, so that more of the file can be read.
        """
        with _as_render_failure():
            self._write_sound(until=self._frames / self._fps + SOUND_AHEAD)
            picture = av.VideoFrame.from_numpy_buffer(frame.planes, format="yuv420p")
            picture.pts, picture.time_base = self._frames, 1 / self._fps
            ends_fragment = self._is_key(self._frames)
            if ends_fragment:
                picture.pict_type = av.video.frame.PictureType.I
            self._frames += 1
            self._container.mux(self._video.encode(picture))
        return ends_fragment

    def _is_key(self, number: int) -> bool:
        """Whether a picture begins a fragment. All are marked, since not all encoders count from the last one."""
        last = self._early_keys[-1]
        return number in self._early_keys if number < last else (number - last) % self._gop == 0

    def _write_sound(self, until: Fraction | None) -> None:
        """Encode the queued sound up to a time in seconds; None encodes all of it."""
        while self._sound and (until is None or self._samples < until * self._sound_rate):
            chunk = np.ascontiguousarray(self._sound.popleft(), dtype=np.float32)[None]
            frame = av.AudioFrame.from_ndarray(np.clip(chunk, -1, 1), format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = (
                self._sound_rate,
                self._samples,
                Fraction(1, self._sound_rate),
            )
            self._samples += chunk.shape[1]
            assert self._resampler is not None
            self._mux_sound(self._resampler.resample(frame))

    def _mux_sound(self, frames: Sequence[av.AudioFrame | None]) -> None:
        """Encode frames of sound without the packet that only primes the decoder.

        An AAC decoder runs one packet (21 ms) late. The usual remedy, an edit list, is ignored by some players of
        fragmented files. Without that packet sound starts at 0 everywhere, and only the start of a fade-in is lost.
        """
        for frame in frames:
            self._container.mux([p for p in self._audio.encode(frame) if p.pts is not None and p.pts >= 0])

    def _finish(self) -> None:
        with _as_render_failure():
            self._write_sound(until=None)
            if self._resampler is not None:
                self._mux_sound([*self._resampler.resample(None), None])
            self._container.mux(self._video.encode(None))
            self._close()
            self.part.replace(self.path)

    def _discard(self) -> None:
        try:
            self._close()
        except (av.error.FFmpegError, OSError):  # the disk may be full; the file is removed anyway
            pass
        finally:
            self.part.unlink(missing_ok=True)

    def _close(self) -> None:
        """Close the file; the encoders and the resampler end, with their threads, when nothing refers to them."""
        container, self._container = self._container, None
        self._video = self._audio = self._resampler = None
        if container is not None:
            container.close()


class _as_render_failure:
    """Turns errors of the encoder, the muxer and the disk into RenderFailed."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, av.error.FFmpegError | OSError):
            reason = error.strerror or type(error).__name__  # the whole error would contain the path
            raise RenderFailed(messages.video.VIDEO_NOT_WRITTEN(reason=reason)) from error
