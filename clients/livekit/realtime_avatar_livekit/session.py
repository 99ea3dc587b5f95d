"""The avatar of an agent: LiveKit's runner in front, a live session of the server behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame
from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarOptions, AvatarRunner, QueueAudioOutput, VideoGenerator
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from realtime_avatar_client import AsyncClient, AsyncSession, Problem, TurnEnded
from realtime_avatar_client.media import Medium, Playback

logger = logging.getLogger(__name__)

INPUT_RATE = 24_000
OUTPUT_RATE = 48_000
FPS = 25.0
FIRST_PICTURE_SECONDS = 30.0
"""Seconds in which the avatar must appear."""


class RealtimeAvatarGenerator(VideoGenerator):
    """Makes pictures and sound of an agent's sound, by a live session.

    Args:
        session: A session that was opened with ``video=True``.

    Attributes:
        size: Width and height of its pictures, once ``start`` has returned.
    """

    def __init__(self, session: AsyncSession) -> None:
        self.size = (0, 0)
        self._session = session
        self._playback = Playback(session)
        self._media: asyncio.Queue[Medium | None] = asyncio.Queue()
        self._resampler = AudioResampler("s16", "mono", OUTPUT_RATE)
        self._seen = asyncio.Event()
        self._playing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to play; return with the first picture.

        Raises:
            TimeoutError: There is none.
        """
        self._playing = asyncio.create_task(self._play())
        async with asyncio.timeout(FIRST_PICTURE_SECONDS):
            await self._seen.wait()

    async def aclose(self) -> None:
        """Stop."""
        if self._playing is not None:
            self._playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._playing

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Speak sound; the end of a segment ends the turn."""
        if isinstance(frame, AudioSegmentEnd):
            await self._session.flush()
        else:
            await self._session.push_audio(_mono(frame), frame.sample_rate)

    async def clear_buffer(self) -> None:
        """Stop speaking at once."""
        self._playback.silence()
        kept = []
        while not self._media.empty():
            one = self._media.get_nowait()
            kept += [one] if not isinstance(one, AudioFrame | TurnEnded) else []
        for one in kept:
            self._media.put_nowait(one)
        await self._playback.interrupt()

    async def __aiter__(self) -> AsyncGenerator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        """Yield pictures and sound in time, and the end of each segment after its last sound."""
        while (one := await self._media.get()) is not None:
            if isinstance(one, VideoFrame):
                data = one.to_ndarray(format="rgba").tobytes()
                yield rtc.VideoFrame(one.width, one.height, rtc.VideoBufferType.RGBA, data)
            elif isinstance(one, AudioFrame):
                for part in self._resampler.resample(one):
                    sound = part.to_ndarray().tobytes()
                    yield rtc.AudioFrame(sound, OUTPUT_RATE, 1, part.samples)
            elif isinstance(one, TurnEnded):
                yield AudioSegmentEnd()

    async def _play(self) -> None:
        try:
            async with aclosing(self._playback.__aiter__()) as media:
                async for one in media:
                    if isinstance(one, VideoFrame) and not self._seen.is_set():
                        self.size = one.width, one.height
                        self._seen.set()
                    if isinstance(one, Problem):
                        logger.warning("the avatar: %s", one.error)
                    self._media.put_nowait(one)
        finally:
            self._media.put_nowait(None)


class AvatarSession(BaseAvatarSession[Literal["closed"]]):
    """The avatar of an agent.

    Args:
        url: The server's address.
        avatar: Who speaks.
        key: An API key or a token, if the server needs one.
        **fields: Fields of a request for a session: ``resolution``, ``mood``...
    """

    def __init__(self, *, url: str, avatar: str, key: str = "", **fields: Any) -> None:
        super().__init__()
        self._client = AsyncClient(url, key)
        self._asked = {"avatar": avatar, **fields}
        self._identity = ""
        self._session: AsyncSession | None = None
        self._generator: RealtimeAvatarGenerator | None = None
        self._runner: AvatarRunner | None = None

    @property
    def avatar_identity(self) -> str:
        """The participant that shows the avatar: the agent itself."""
        return self._identity

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return "realtime-avatar"

    async def start(self, agent_session: AgentSession, room: rtc.Room) -> None:
        """Open the session, and have the agent's sound spoken by the avatar.

        Args:
            agent_session: The agent's session, which has not been started.
            room: Its room.

        Raises:
            AvatarError: The server refuses, or cannot be reached.
            TimeoutError: The avatar does not appear.
        """
        self._identity = room.local_participant.identity
        await super().start(agent_session, room)
        try:
            self._session = await self._client.session(video=True, **self._asked)
            self._generator = RealtimeAvatarGenerator(self._session)
            await self._generator.start()
            output = QueueAudioOutput(sample_rate=INPUT_RATE)
            width, height = self._generator.size
            options = AvatarOptions(width, height, FPS, OUTPUT_RATE, 1)
            self._runner = AvatarRunner(room, audio_recv=output, video_gen=self._generator, options=options)
            await self._runner.start()
        except BaseException:
            await self.aclose()
            raise
        agent_session.output.audio = output

    async def aclose(self) -> None:
        """End the avatar."""
        self._room = None  # the participant is the agent itself, which is not removed
        await super().aclose()
        for one in (self._runner, self._generator):
            if one is not None:
                await one.aclose()
        if self._session is not None:
            await self._session.close()
        await self._client.close()
        self._runner = self._generator = self._session = None


def _mono(frame: rtc.AudioFrame) -> bytes:
    """Return the sound of a frame in one channel."""
    data = bytes(frame.data)
    if frame.num_channels == 1:
        return data
    return b"".join(data[at : at + 2] for at in range(0, len(data), 2 * frame.num_channels))
