"""A real pipeline on this computer: scripted speech, the avatar, SmallWebRTC, and a peer that records what it gets.

    python clients/pipecat/tests/loopback.py URL AVATAR SPEECH.wav OUT.mp4 [SECONDS_UNTIL_INTERRUPTION]

Prints a JSON object with what arrived. It runs where Pipecat with its extra ``webrtc`` is installed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import wave
from bisect import bisect_right
from fractions import Fraction
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2] / "python")]

import av  # noqa: E402
import numpy as np  # noqa: E402
from aiortc import RTCPeerConnection, RTCSessionDescription  # noqa: E402
from aiortc.mediastreams import MediaStreamError  # noqa: E402
from loguru import logger  # noqa: E402
from pipecat.frames.frames import (  # noqa: E402
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.worker import PipelineParams, PipelineWorker  # noqa: E402
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor  # noqa: E402
from pipecat.transports.base_transport import TransportParams  # noqa: E402
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection  # noqa: E402
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport  # noqa: E402
from pipecat.workers.runner import WorkerRunner  # noqa: E402
from realtime_avatar_pipecat import RealtimeAvatarVideoService  # noqa: E402

RATE = 50
"""Pictures a second of the recording."""
AFTER = 2.0
"""Seconds that are recorded after the speech."""
LOUD = 500
"""Of 16-bit sound: what counts as speech."""
BEFORE = 1.0
"""Seconds of an idle avatar before it speaks."""


class Watch(FrameProcessor):
    """Keeps the errors of the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note an error, and pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        await self.push_frame(frame, direction)


class Peer:
    """The other side: takes picture and sound with the time of their arrival."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection()
        self.pictures: list[tuple[float, np.ndarray]] = []
        self.sound: list[tuple[float, np.ndarray]] = []
        self.rate = 48_000
        self.tasks: list[asyncio.Task[None]] = []
        self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver("video", direction="recvonly")
        self.pc.on("track", lambda track: self.tasks.append(asyncio.ensure_future(self._take(track))))

    async def _take(self, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "video":
                self.pictures.append((time.monotonic(), frame.to_ndarray(format="yuv420p")))
            else:
                self.rate = frame.sample_rate
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.sound.append((time.monotonic(), samples))

    def save(self, path: Path) -> None:
        """Write what somebody saw and heard: the newest picture `RATE` times a second, sound from its first arrival."""
        begun = min(self.pictures[0][0], self.sound[0][0])
        height, width = self.pictures[0][1].shape
        with av.open(str(path), "w") as out:
            video = out.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "ultrafast"})
            video.width, video.height, video.pix_fmt = width, height * 2 // 3, "yuv420p"
            audio = out.add_stream("aac", rate=48_000, layout="mono")
            moments = [moment for moment, _ in self.pictures]
            for number in range(round((moments[-1] - begun) * RATE)):
                newest = max(0, bisect_right(moments, begun + number / RATE) - 1)
                frame = av.VideoFrame.from_ndarray(self.pictures[newest][1], format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
            silence = np.zeros(round(48_000 * (self.sound[0][0] - begun)), np.int16)
            samples = np.concatenate([silence, *(part for _, part in self.sound)])
            for at in range(0, len(samples), 1024):
                part = samples[at : at + 1024]
                sound = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
                sound.sample_rate, sound.pts, sound.time_base = 48_000, at, Fraction(1, 48_000)
                out.mux(audio.encode(sound))
            out.mux(audio.encode(None))


async def run(url: str, avatar: str, speech: Path, out: Path, interrupt: float | None) -> dict[str, Any]:
    """Run the pipeline; return what arrived."""
    with wave.open(str(speech)) as file:
        rate, pcm = file.getframerate(), file.readframes(file.getnframes())
    peer, ours, watch = Peer(), SmallWebRTCConnection(), Watch()
    await peer.pc.setLocalDescription(await peer.pc.createOffer())
    await ours.initialize(peer.pc.localDescription.sdp, "offer")
    service = RealtimeAvatarVideoService(url=url, avatar=avatar, resolution="360p" if avatar != "solo" else "480p")
    width, height = (640, 360) if avatar != "solo" else (64, 48)
    params = TransportParams(
        audio_out_enabled=True,
        video_out_enabled=True,
        video_out_is_live=True,
        video_out_width=width,
        video_out_height=height,
        video_out_framerate=25,
    )
    transport = SmallWebRTCTransport(ours, params)
    pipeline = Pipeline([service, watch, transport.output()])
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_out_sample_rate=24_000), cancel_on_idle_timeout=False)
    begun: dict[str, float] = {}

    async def script() -> None:
        answer = ours.get_answer()
        assert answer is not None
        await peer.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        while not peer.pictures:
            await asyncio.sleep(0.05)
        await asyncio.sleep(BEFORE)
        begun["speech"] = time.monotonic()
        await worker.queue_frame(TTSStartedFrame())
        step = rate // 10 * 2
        for at in range(0, len(pcm), step):  # as fast as a speech service sends
            await worker.queue_frame(TTSAudioRawFrame(pcm[at : at + step], rate, 1))
        await worker.queue_frame(TTSStoppedFrame())
        seconds = len(pcm) / 2 / rate
        if interrupt is not None:
            await asyncio.sleep(interrupt)
            begun["interruption"] = time.monotonic()
            await worker.queue_frame(InterruptionFrame())
            seconds = 1.0
        await asyncio.sleep(seconds + AFTER)
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), script())
    await peer.pc.close()
    for task in peer.tasks:
        task.cancel()
    peer.save(out)
    loud = [(moment, part) for moment, part in peer.sound if np.abs(part.astype(int)).max() > LOUD]
    spoken = [moment for moment, _ in loud if moment >= begun["speech"]]
    first, last = peer.pictures[0][0], peer.pictures[-1][0]
    return {
        "pictures": len(peer.pictures),
        "pictures_per_second": round((len(peer.pictures) - 1) / (last - first), 1),
        "first_sound": round(spoken[0] - begun["speech"], 3) if spoken else None,
        "sound_seconds": round(sum(len(part) for _, part in loud) / peer.rate, 3),
        "sound_after_interruption": (
            round(max(0.0, spoken[-1] - begun["interruption"]), 3) if spoken and interrupt is not None else None
        ),
        "errors": watch.errors,
    }


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    where, name, sound, target, *more = sys.argv[1:]
    result = asyncio.run(run(where, name, Path(sound), Path(target), float(more[0]) if more else None))
    print(json.dumps(result))
