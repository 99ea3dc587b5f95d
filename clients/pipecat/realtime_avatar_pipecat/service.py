"""The service: sound of the pipeline goes into a live session, its pictures and sound come back in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings
from realtime_avatar_client import AsyncClient, AsyncSession, AvatarError, Problem
from realtime_avatar_client.media import Playback


class RealtimeAvatarVideoService(AIService):
    """Shows an avatar that says what the pipeline's speech service says.

    Args:
        url: The server's address.
        avatar: Who speaks.
        key: An API key or a token, if the server needs one.
        name: The name of this processor in the pipeline.
        **fields: Fields of a request for a session: ``resolution``, ``mood``...
    """

    def __init__(self, *, url: str, avatar: str, key: str = "", name: str | None = None, **fields: Any) -> None:
        super().__init__(settings=ServiceSettings(model=None), name=name)
        self._client = AsyncClient(url, key)
        self._asked = {"avatar": avatar, **fields}
        self._session: AsyncSession | None = None
        self._playback: Playback | None = None
        self._showing: asyncio.Task[None] | None = None
        self._resampler: AudioResampler | None = None
        self._rate = 0

    def can_generate_metrics(self) -> bool:
        """Return whether the service measures itself; it does not."""
        return False

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Learn the rate of sound."""
        await super().setup(setup)
        self._rate = setup.audio_out_sample_rate

    async def start(self, frame: StartFrame) -> None:
        """Open the session."""
        await super().start(frame)
        try:
            self._session = await self._client.session(video=True, **self._asked)
        except AvatarError as error:
            await self.push_error(error_msg=f"The avatar cannot be reached: {error}", exception=error)
            return
        self._playback = Playback(self._session)
        self._showing = self.create_task(self._show(self._playback))

    async def stop(self, frame: EndFrame) -> None:
        """End the session."""
        await super().stop(frame)
        await self._end()

    async def cancel(self, frame: CancelFrame) -> None:
        """End the session."""
        await super().cancel(frame)
        await self._end()

    async def cleanup(self) -> None:
        """End the session."""
        await super().cleanup()
        await self._end()
        await self._client.close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech, obey interruptions, and pass on everything else."""
        await super().process_frame(frame, direction)
        session, playback = self._session, self._playback
        if session is None or playback is None or direction is not FrameDirection.DOWNSTREAM:
            await self.push_frame(frame, direction)
            return
        try:
            if isinstance(frame, TTSAudioRawFrame):
                await session.push_audio(_mono(frame), frame.sample_rate)
                return  # it comes back with the pictures
            if isinstance(frame, TTSStoppedFrame):
                await session.flush()
            elif isinstance(frame, InterruptionFrame):
                playback.silence()  # at once; the server follows
                self.create_task(self._interrupt(playback))
        except AvatarError as error:
            await self.push_error(error_msg=f"The avatar cannot speak: {error}", exception=error)
        await self.push_frame(frame, direction)

    async def _interrupt(self, playback: Playback) -> None:
        try:
            await playback.interrupt()
        except AvatarError as error:
            await self.push_error(error_msg=f"The avatar cannot be interrupted: {error}", exception=error)

    async def _show(self, playback: Playback) -> None:
        """Push pictures and sound of the session, each when its time has come."""
        try:
            async with aclosing(playback.__aiter__()) as media:
                async for one in media:
                    if isinstance(one, VideoFrame | AudioFrame):
                        await self._push(one)
                    elif isinstance(one, Problem):
                        await self.push_error(error_msg=f"The avatar: {one.error}")
        except AvatarError as error:
            await self.push_error(error_msg=f"The avatar is lost: {error}", exception=error)

    async def _push(self, frame: VideoFrame | AudioFrame) -> None:
        if isinstance(frame, VideoFrame):
            picture = frame.to_ndarray(format="rgb24").tobytes()
            out = OutputImageRawFrame(image=picture, size=(frame.width, frame.height), format="RGB")
            await self.push_frame(out)
            return
        if self._resampler is None:
            self._resampler = AudioResampler("s16", "mono", self._rate)
        for part in self._resampler.resample(frame):
            await self.push_frame(TTSAudioRawFrame(part.to_ndarray().tobytes(), self._rate, 1))

    async def _end(self) -> None:
        session, self._session = self._session, None
        if self._showing is not None:
            await self.cancel_task(self._showing)
            self._showing = None
        if session is not None:
            await session.close()


def _mono(frame: TTSAudioRawFrame) -> bytes:
    """Return the sound of a frame in one channel."""
    if frame.num_channels == 1:
        return frame.audio
    pick: Callable[[int], bytes] = lambda at: frame.audio[at : at + 2]  # noqa: E731
    return b"".join(map(pick, range(0, len(frame.audio), 2 * frame.num_channels)))
