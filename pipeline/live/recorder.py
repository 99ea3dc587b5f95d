"""Keeps sessions as finished videos with captions: results of a task, like any other video."""

from __future__ import annotations

import asyncio
import logging
import time
import wave
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from pipeline import messages
from pipeline.core.best_effort import best_effort
from pipeline.core.growing_file import part_of, saving
from pipeline.core.origin import SPOKEN, mark_wav
from pipeline.errors import Cancelled, PipelineError, RenderFailed
from pipeline.jobs.events import Done, Failed
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Task
from pipeline.live.session_events import Closed, Problem, SessionEvent, TurnStarted, Word
from pipeline.live.workers import RemoteSession
from pipeline.speech_types import Mark
from pipeline.video.captions import CaptionWriter
from pipeline.video.writer import AUDIO_RATE

logger = logging.getLogger(__name__)

UNHEARD_SECONDS = 1e6
"""Grace of the task: it ends with its session, with or without a client."""
_NAME = messages.live.RECORDING()


class Recorder:
    """Records sessions; use it from the event loop.

    Args:
        supervisor: Where the tasks are.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._finishing: set[asyncio.Task[None]] = set()

    def record(self, session: RemoteSession, end: Callable[[RemoteSession], object]) -> Task:
        """Record a session from its start to its end; return the task whose result the recording becomes.

        Args:
            session: The session, which has not sent anything yet.
            end: Ends the session, if its task is cancelled.

        Raises:
            RenderFailed: The file cannot be written.
        """
        task = self._supervisor.book.open(session.id, UNHEARD_SECONDS)
        try:
            recording = _Recording(task, session)
        except PipelineError as error:
            self._supervisor.end(task, Failed(error))
            raise
        loop = asyncio.get_running_loop()
        watch = ExitStack()
        watch.enter_context(task.cancel.calling(lambda: loop.call_soon_threadsafe(end, session)))

        def on_event(event: SessionEvent) -> None:
            recording.note(event)
            if isinstance(event, Closed):
                watch.close()
                finishing = loop.create_task(self._finish(recording))
                self._finishing.add(finishing)
                finishing.add_done_callback(self._finishing.discard)

        session.on_fragment = recording.add
        session.listeners.append(on_event)
        return task

    async def close(self) -> None:
        """Wait until all recordings of sessions that have ended are finished."""
        await asyncio.gather(*self._finishing, return_exceptions=True)

    async def _finish(self, recording: _Recording) -> None:
        try:
            done = await asyncio.to_thread(recording.finish)
        except PipelineError as error:
            self._supervisor.end(recording.task, Failed(error))
        else:
            self._supervisor.end(recording.task, done)


class _Recording:
    """The stream of a session on its way to a file."""

    def __init__(self, task: Task, session: RemoteSession) -> None:
        self.task = task
        self._session = session
        self._begun = time.monotonic()
        self._words: list[Mark] = []
        self._turns: list[str] = []
        self._problem: PipelineError | None = None
        self._file: BinaryIO | None = None
        with saving(_NAME):
            task.video.parent.mkdir(parents=True, exist_ok=True)
            self._file = part_of(task.video).open("wb")

    def add(self, data: bytes) -> None:
        """Append a piece of the stream. If that fails, the session goes on without its recording."""
        if self._file is None:
            return
        try:
            with saving(_NAME):
                self._file.write(data)
        except RenderFailed as error:
            self._problem = error
            self._drop()
            self._session.emit(Problem.of(error))
        else:
            self.task.grown.notify()

    def note(self, event: SessionEvent) -> None:
        """Keep the speech."""
        if isinstance(event, TurnStarted):
            self._turns.append("")
        if isinstance(event, Word):
            self._turns[-1] += event.text
            self._words.append(Mark("word", event.text, event.stream, event.end))

    def finish(self) -> Done:
        """Complete the files, and return the event for the task.

        Raises:
            RenderFailed: The disk is full, or nothing was recorded.
            Cancelled: The task was cancelled.
        """
        started = time.monotonic()
        task = self.task
        try:
            if self._problem is not None:
                raise self._problem.afresh()
            if task.cancel.cancelled:
                raise Cancelled
            if not self._session.time:
                raise RenderFailed(messages.live.NOTHING_RECORDED())
            assert self._file is not None
            with saving(_NAME):
                self._file.close()
                seconds = _write_sound(part_of(task.video), task.audio)
                part_of(task.video).replace(task.video)
        except BaseException:
            self._drop()
            raise
        captioned = False
        with best_effort("captions"), CaptionWriter(task.captions) as captions:
            captions.add(self._words, 0.0, seconds)
            captions.finish()
            captioned = True
        return Done(
            text="\n".join(filter(None, (turn.strip() for turn in self._turns))),
            video_url=task.video_url,
            video_path=task.video_path,
            audio_url=task.audio_url,
            captions_url=task.captions_url if captioned else None,
            audio_duration=seconds,
            tts=0.0,
            lipsync=time.monotonic() - started,
            total=time.monotonic() - self._begun,
            first_byte=0.0,
        )

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with best_effort("end of a recording"):
                file.close()
        part_of(self.task.video).unlink(missing_ok=True)
        self.task.audio.unlink(missing_ok=True)


def _write_sound(video: Path, path: Path) -> float:
    """Write the sound of a video as a WAV file, and return its length in seconds.

    Raises:
        RenderFailed: The video has no sound.
        OSError: The file cannot be written.
    """
    part = part_of(path)
    samples = 0
    try:
        with av.open(f"file:{video}", "r", format="mp4") as container, wave.open(str(part), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(AUDIO_RATE)
            for frame in container.decode(audio=0):
                values = np.clip(frame.to_ndarray()[0], -1, 1)
                sound.writeframesraw((values * 32767).round().astype("<i2").tobytes())
                samples += len(values)
        with best_effort("mark of the sound"), part.open("r+b") as file:
            mark_wav(file, SPOKEN)
        part.replace(path)
    except (av.error.FFmpegError, IndexError) as error:
        raise OSError(str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    return samples / AUDIO_RATE
