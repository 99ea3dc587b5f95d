"""What happens to one request, top to bottom: text or a recording -> speech -> mouth movement -> frames -> video."""

from __future__ import annotations

import logging
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.ahead import ahead
from pipeline.avatar.pack import Avatar
from pipeline.avatar.store import AvatarStore
from pipeline.cancel import CancelToken
from pipeline.engines.base import LipsyncEngine
from pipeline.engines.mesh.engine import MeshEngine
from pipeline.errors import BadRequest, PipelineError, RenderFailed
from pipeline.events import Done, Event, Lipsync, TtsDone, TtsStarted
from pipeline.request import GenerateRequest
from pipeline.settings import Settings
from pipeline.speech.articulate import articulate
from pipeline.speech.language import language_of
from pipeline.speech.listen import listen
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.recording import load_audio
from pipeline.tasks import Task
from pipeline.tts.base import CUSTOM_VOICE, Speech, TTSEngine
from pipeline.tts.elevenlabs import ElevenLabsEngine
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.supertonic import SupertonicEngine
from pipeline.video.reader import ClipReader
from pipeline.video.writer import Mp4Writer

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.25
"""Progress is told at most this often."""
FRAMES_AHEAD = 4
"""How far rendering runs ahead of encoding: enough to keep two cores busy, little enough to stop at once."""


@dataclass(frozen=True)
class Studio:
    """Everything that requests need and share.

    tts: the speech engines by name, the preferred one first; espeak: also the source of phoneme times for the others.
    """

    settings: Settings
    avatars: AvatarStore
    tts: dict[str, TTSEngine]
    espeak: EspeakEngine
    engine: LipsyncEngine


def make_studio(settings: Settings) -> Studio:
    """Put together what SETTINGS ask for; nothing heavy is loaded before the first request."""
    espeak = EspeakEngine()
    engines: list[TTSEngine] = [ElevenLabsEngine(settings), SupertonicEngine(), espeak]
    return Studio(
        settings, AvatarStore(settings.precomputed), {engine.name: engine for engine in engines}, espeak, MeshEngine()
    )


def warm_up(studio: Studio) -> None:
    """Load what the first request would otherwise wait for: an avatar, the engine's compiled code, the voice."""
    started = time.perf_counter()
    packs = studio.avatars.list()
    if not packs:
        return
    try:
        avatar = studio.avatars.load(studio.avatars.find(packs[0].name, packs[0].resolution))
        speech = studio.espeak.synthesize("아", CUSTOM_VOICE, CancelToken())
        mouth = articulate(phonemes_of(speech, studio.espeak), speech, 5, float(avatar.fps))
        for _ in studio.engine.render(avatar, speech, mouth, CancelToken()):
            pass
    except PipelineError as error:  # the request that needs it will say so itself
        logger.warning("warm-up: %s", error)
    logger.info("warm after %.1f s", time.perf_counter() - started)


def generate(request: GenerateRequest, task: Task, studio: Studio) -> Iterator[Event]:
    """Make the video of REQUEST at ``task.video`` and its sound at ``task.audio``, telling each stage as it happens.

    Raises any PipelineError, Cancelled among them; then neither file is left behind. Closing the generator early
    has the same effect.
    """
    started = time.perf_counter()
    try:
        yield TtsStarted()
        avatar = studio.avatars.load(request.pack)  # before the speech: a broken pack must not cost a paid call
        speech = speech_of(request, task, studio)
        save_sound(speech, task.audio)
        spoken = time.perf_counter()
        yield TtsDone(task.audio_url, speech.duration, spoken - started)

        for progress in render_video(avatar, speech, request.frame_skip, task, studio):
            yield Lipsync(task.video_url, progress)
        finished = time.perf_counter()
    except BaseException:
        task.audio.unlink(missing_ok=True)
        raise
    yield Done(
        text=request.text,
        video_url=task.video_url,
        video_path=task.video_path,
        audio_url=task.audio_url,
        audio_duration=speech.duration,
        tts=spoken - started,
        lipsync=finished - spoken,
        total=finished - started,
    )


def speech_of(request: GenerateRequest, task: Task, studio: Studio) -> Speech:
    """Return the recording that came with REQUEST, or its text said by the speech engine.

    A recording whose words are known comes without marks, since it is going to be aligned with them; the marks of any
    other are what can be heard. Raises BadRequest for a recording without speech, and whatever the engine raises.
    """
    if request.recording is None:
        return studio.tts[request.tts_engine].synthesize(request.text, request.tts_voice, task.cancel)
    samples, rate = load_audio(request.recording, studio.settings.max_audio)
    task.cancel.check()
    if request.text:
        return Speech(samples, rate, request.text, language_of(request.text))
    heard = listen(samples, rate, task.cancel)
    if not any(mark.text for mark in heard):
        raise BadRequest(
            "audio: 말소리가 들리지 않습니다. 더 크게 녹음하거나 다른 파일을 올려 주세요.",
            "audio: no speech can be heard in it. Record it louder, or upload another file.",
        )
    return Speech(samples, rate, "", "", heard)


def render_video(avatar: Avatar, speech: Speech, frame_skip: int, task: Task, studio: Studio) -> Iterator[float]:
    """Make the video of AVATAR saying SPEECH at ``task.video``; yield progress, 0 to 1, at most 4 times a second."""
    yield 0.0
    total = max(1, round(speech.duration * avatar.fps))
    phonemes = phonemes_of(speech, studio.espeak, task.cancel)
    mouth = articulate(phonemes, speech, total, float(avatar.fps), frame_skip)
    frames = ahead(studio.engine.render(avatar, speech, mouth, task.cancel), FRAMES_AHEAD)
    told = time.perf_counter()
    with Mp4Writer(task.video, avatar.width, avatar.height, avatar.fps, ClipReader(avatar.video).colors) as writer:
        writer.add_sound(speech.samples, speech.rate)
        try:
            for count, frame in enumerate(frames, 1):
                task.cancel.check()
                writer.write_frame(frame)
                if time.perf_counter() - told >= PROGRESS_SECONDS and count < total:
                    told = time.perf_counter()
                    yield count / total
        finally:
            frames.close()  # the engine must stop before the next task starts
    yield 1.0


def save_sound(speech: Speech, path: Path) -> None:
    """Write SPEECH as 16-bit WAV, whole or not at all. Raises RenderFailed when the disk is full."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(speech.rate)
            for start in range(0, len(speech.samples), speech.rate):  # a second at a time: it may be minutes long
                second = np.clip(speech.samples[start : start + speech.rate], -1, 1)
                file.writeframesraw((second * 32767).round().astype("<i2").tobytes())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RenderFailed(
            f"음성 파일을 저장할 수 없습니다 ({error}). 디스크 여유 공간을 확인하세요.",
            f"The speech could not be saved ({error}). Check for free disk space.",
        ) from error
