"""LiveKit's own runner, queue and media sources, with a room that stands in for a real one.

    python clients/livekit/tests/fake_room.py URL AVATAR

Prints a JSON object with what was shown, heard and reported. It runs where livekit-agents is installed.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2] / "python")]

from livekit import rtc  # noqa: E402
from realtime_avatar_livekit import AvatarSession  # noqa: E402

RATE = 24_000


class Publication:
    """A track that somebody subscribes to at once."""

    async def wait_for_subscription(self) -> None:
        """Return at once."""


class Room(rtc.EventEmitter[str]):
    """A room that is connected, and keeps the names of tracks."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "room"
        self.tracks: list[str] = []
        self.remote_participants: dict[str, Any] = {}
        self.local_participant = SimpleNamespace(
            identity="agent", publish_track=self._publish, track_publications={}, kind=0
        )

    def isconnected(self) -> bool:
        """Return that it is."""
        return True

    async def _publish(self, track: Any, _options: Any) -> Publication:
        self.tracks.append(track.name)
        return Publication()


class Agent(rtc.EventEmitter[str]):
    """The part of an agent's session that an avatar touches."""

    def __init__(self) -> None:
        super().__init__()
        self.output = SimpleNamespace(audio=None)


def tone(seconds: float) -> rtc.AudioFrame:
    """Return a sound."""
    count = round(seconds * RATE)
    samples = (int(12_000 * math.sin(2 * math.pi * 220 * at / RATE)) for at in range(count))
    return rtc.AudioFrame(struct.pack(f"<{count}h", *samples), RATE, 1, count)


async def run(url: str, avatar: str) -> dict[str, Any]:
    """Let an agent speak twice, the second time with an interruption."""
    room, agent = Room(), Agent()
    session = AvatarSession(url=url, avatar=avatar, resolution="480p")
    await session.start(agent, room)  # type: ignore[arg-type]  # stand-ins
    assert session._runner is not None
    output, sync = agent.output.audio, session._runner.av_sync
    pictures: list[float] = []
    heard: list[tuple[float, float]] = []
    push = sync.push

    async def watched(frame: Any, timestamp: float | None = None) -> None:
        now = time.monotonic()
        if isinstance(frame, rtc.AudioFrame):
            heard.append((now, frame.duration))
        else:
            pictures.append(now)
        await push(frame, timestamp)

    sync.push = watched  # type: ignore[method-assign]
    ends: asyncio.Queue[Any] = asyncio.Queue()
    output.on("playback_finished", ends.put_nowait)
    reported = []
    for interrupted in (False, True):
        heard.clear()
        await output.capture_frame(tone(2.0))
        output.flush()
        while not heard:
            await asyncio.sleep(0.02)
        if interrupted:
            await asyncio.sleep(0.6)
            output.clear_buffer()
            stopped = time.monotonic()
        event = await asyncio.wait_for(ends.get(), 60)
        await asyncio.sleep(1.0)
        late = [moment - stopped for moment, _ in heard if interrupted and moment > stopped]
        reported.append(
            {
                "heard": round(sum(seconds for _, seconds in heard), 2),
                "position": round(event.playback_position, 2),
                "interrupted": event.interrupted,
                "late": round(max(late, default=0.0), 3),
            }
        )
    rate = (len(pictures) - 1) / (pictures[-1] - pictures[0])
    size = session._generator.size if session._generator else None
    await session.aclose()
    return {"turns": reported, "pictures_per_second": round(rate, 1), "tracks": room.tracks, "size": size}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(*sys.argv[1:]))))
