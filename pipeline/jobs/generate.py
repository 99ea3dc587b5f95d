"""The stages of one request, from top to bottom: text or a recording -> speech -> mouth movement -> frames -> video."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.core.ahead import ahead
from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import LipsyncEngine
from pipeline.errors import BadRequest
from pipeline.jobs.events import Composing, Done, Event, Lipsync, TtsDone, TtsStarted
from pipeline.jobs.look import BurntCaptions
from pipeline.jobs.recall import Recall, Speak, find_out
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.jobs.tasks import Task
from pipeline.jobs.turns import Turns
from pipeline.messages import Message
from pipeline.speech.expression_track import ExpressionOptions
from pipeline.speech.mouth_lines import MouthLines
from pipeline.speech.record import SpeechRecord, write_record
from pipeline.speech.recording import load_recording
from pipeline.speech.spool import SpeechSpool
from pipeline.speech_types import Speech
from pipeline.text.language import language_of
from pipeline.text.script import plain_phrase
from pipeline.tts.finish import finished
from pipeline.tts.say import say
from pipeline.video.captions import CaptionWriter
from pipeline.video.encoder import Encoder
from pipeline.video.frame import Frame
from pipeline.video.writer import SOUND_AHEAD, Mp4Writer

if TYPE_CHECKING:
    from pipeline.jobs.speak import Speaker

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.25
"""Least seconds between two events of progress."""
SOUND_STEP = 0.2
"""Seconds of sound that are encoded at once: frame by frame it would take twice the time."""
FRAMES_AHEAD = 4
"""Frames that rendering is ahead of encoding: enough to keep two cores busy, few enough to stop at once."""
FRAMES_AHEAD_ON_CARD = 16
"""The same for a card, which draws several frames at a time while the last ones are encoded."""


def generate(
    request: GenerateRequest, task: Task, studio: Studio, speech: Speak | None = None, recall: Recall = find_out
) -> Iterator[Event]:
    """Make the video of a request, its sound and, if its text is known, captions; yield an event for each stage.

    The first sentence is rendered while the next one is spoken. Captions that fail are missing, and the video is made.
    Closing the generator early stops it, and leaves no file behind.

    Args:
        request: What to make.
        task: Where the results go, and the token.
        studio: Avatars, voices and engines.
        speech: Speaks in place of ``speech_of``.
        recall: What an earlier try found out about the speech.

    Raises:
        PipelineError: The video cannot be made, or is cancelled; no file is left behind.
    """
    started = time.perf_counter()
    avatar, transparent = request.avatar, request.look.parted
    yield TtsStarted(task.video_url, task.captions_url if request.text else None, request.note, transparent)
    speak = partial(speech or speech_of, request, studio)
    burnt = BurntCaptions()
    with (
        saying(speak, request, task, studio, recall) as speaker,
        studio.backdrops.composing(avatar, request.background, task.cancel) as composing,
    ):
        speech_done = False
        first_byte = 0.0
        for progress in composing:
            yield Composing(progress)
        for frames in render_video(request, speaker, task, studio, burnt):
            first_byte = first_byte or time.perf_counter() - started
            if not speaker.done:
                continue
            if not speech_done:
                speech_done = True
                captions_url = task.captions_url if speaker.captioned else None
                yield TtsDone(
                    audio_url=task.audio_url,
                    captions_url=captions_url,
                    duration=speaker.duration,
                    elapsed=speaker.seconds,
                    lost=speaker.lost,
                    note=request.note,
                )
            yield Lipsync(task.video_url, min(1.0, frames / max(1, round(speaker.duration * avatar.fps))))
    finished = time.perf_counter()
    done = Done(
        text=request.text,
        video_url=task.video_url,
        video_path=task.video_path,
        audio_url=task.audio_url,
        captions_url=task.captions_url if speaker.captioned else None,
        audio_duration=speaker.duration,
        tts=speaker.seconds,
        lipsync=finished - started - speaker.seconds,
        total=finished - started,
        first_byte=first_byte,
        lost=speaker.lost,
        note=_missing(request, speaker, burnt),
        transparent=transparent,
    )
    with best_effort(f"record of task {task.id}"):
        _note(done, speaker, task, request)
    yield done


def _missing(request: GenerateRequest, speaker: Speaker, burnt: BurntCaptions) -> Message | None:
    """Return what the pictures lack of what was asked for."""
    if not request.look.captioned or not request.text:
        return None
    if burnt.failed or not speaker.captioned:
        return messages.jobs.CAPTIONS_NOT_BURNT()
    return messages.jobs.CAPTIONS_LACK_LETTERS() if burnt.incomplete else None


def _note(done: Done, speaker: Speaker, task: Task, request: GenerateRequest) -> None:
    """Write the record of the speech, of what made the video, and of how long that took."""
    seconds = {"tts": done.tts, "first_byte": done.first_byte, "lipsync": done.lipsync, "total": done.total}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = {"avatar": request.avatar.name, "engine": request.engine, "at": now}
    if request.background:
        made["background"] = request.background.kind
    write_record(SpeechRecord(tuple(speaker.phonemes), tuple(speaker.words), seconds, made), task.record)


def speech_of(request: GenerateRequest, studio: Studio, cancel: CancelToken) -> Generator[Speech, None, None]:
    """Yield a request's recording, or its text spoken by the speech engine, sentence by sentence.

    A recording with a known text has no marks, since it is aligned later; the marks of any other are detected in the
    sound.

    Raises:
        BadRequest: The recording contains no speech.
        PipelineError: What the engine raises.
    """
    from pipeline.jobs.speak import usable
    from pipeline.speech.listen import listen

    if request.recording is None:
        engine, voice, language = studio.tts[request.tts_engine], request.tts_voice, request.language
        phrases = request.phrases or (plain_phrase(request.text),)
        pieces = say(engine, phrases, voice, cancel, language, request.tts_speed)
        yield from finished(usable(pieces), engine.loudness(voice, language), request.tts_pitch)
        return
    recording = load_recording(request.recording, studio.settings.max_audio)
    samples, rate = recording.samples, recording.rate
    cancel.check()
    if request.text:
        language = request.language or language_of(request.text)
        yield Speech(samples=samples, rate=rate, text=request.spoken, language=language, lost=recording.lost)
        return
    marks = listen(samples, rate, cancel)
    if not any(mark.text for mark in marks):
        raise BadRequest(messages.jobs.NO_SPEECH_IN_RECORDING())
    yield Speech(samples=samples, rate=rate, text="", language="", marks=marks, lost=recording.lost)


@contextmanager
def saying(
    speak: Callable[[CancelToken], Generator[Speech, None, None]],
    request: GenerateRequest,
    task: Task,
    studio: Studio,
    recall: Recall = find_out,
) -> Iterator[Speaker]:
    """Speak while the block lasts. If the block fails, sound, captions and lines of the mouth are removed.

    Args:
        speak: Yields the speech; its token is set at the end of the block.
        request: What is spoken, and by which avatar.
        task: Where sound, captions and lines of the mouth go.
        studio: Provides the phonemes.
        recall: See ``generate``.
    """
    from pipeline.jobs.speak import Speaker, SpeakerOptions

    with (
        task.cancel.child() as stop,
        SpeechSpool(task.audio, synthetic=request.recording is None) as spool,
        ExitStack() as stack,
    ):
        captions = None
        if request.text:
            with best_effort("captions"):
                captions = stack.enter_context(CaptionWriter(task.captions))
        mouth_lines = None
        with best_effort("lines of the mouth"):
            mouth_lines = stack.enter_context(MouthLines(task.mouth))
        task.grown.notify()
        options = SpeakerOptions(
            fps=request.avatar.fps,
            frame_skip=request.frame_skip,
            espeak=studio.espeak,
            captions=captions,
            captions_first=request.look.captioned,
            mouth_lines=mouth_lines,
            expression=ExpressionOptions(request.mood, request.liveliness),
            cues=request.cues,
            phrases=request.phrases,
            recall=recall,
        )
        speaker = Speaker(speak(stop), spool, options, stop, studio.turns.asked)
        try:
            yield speaker
        finally:
            stop.cancel()
            speaker.close()


def render_video(
    request: GenerateRequest,
    speaker: Speaker,
    task: Task,
    studio: Studio,
    burnt: BurntCaptions,
    encoder: Encoder | None = None,
) -> Iterator[int]:
    """Make the video of a request; yield the number of frames, at most 4 times a second.

    Args:
        request: Which avatar speaks, and how the pictures look.
        speaker: The speech.
        task: Where the video goes.
        studio: Has the engine that draws the frames, the turns in which the task may do so, and what is behind them.
        burnt: Draws captions, if the pictures have them.
        encoder: Encodes them; by default that of the studio.
    """
    avatar, look = request.avatar, request.look
    size, shown = look.size(avatar), look.shown_size(avatar)
    engine = studio.engines[request.engine]
    encoder = encoder or studio.encoder(engine, *size)

    in_front = partial(studio.backdrops.in_front, avatar, request.background, task.cancel)
    depth = FRAMES_AHEAD_ON_CARD if engine.draws_on_gpu else FRAMES_AHEAD
    frames = ahead(in_turns(in_front, speaker, task, engine, studio.turns), depth, task.cancel)
    count = written = 0
    reported = -PROGRESS_SECONDS

    def sound_until(seconds: float, end: int) -> np.ndarray:
        nonlocal written
        samples = speaker.sound(written, min(round(seconds * speaker.rate), end))
        written += len(samples)
        return samples

    colors = avatar.clip.colors
    with Mp4Writer(task.video, *size, avatar.fps, colors, encoder) as writer:
        task.grown.notify()
        try:
            for count, frame in enumerate(frames, 1):
                task.cancel.check()
                # no further than this piece of speech: otherwise the file would depend on what is spoken by now
                ahead_of_it, end = float(count / avatar.fps + SOUND_AHEAD), speaker.end_of(count)
                if written < min(ahead_of_it * speaker.rate, end):
                    writer.add_sound(sound_until(ahead_of_it + SOUND_STEP, end), speaker.rate)
                caption = speaker.caption_at(float((count - Fraction(1, 2)) / avatar.fps)) if look.captioned else ""
                if writer.write_frame(look.of(frame, burnt.drawn(caption, *shown))):
                    task.grown.notify()
                if time.perf_counter() - reported >= PROGRESS_SECONDS:
                    reported = time.perf_counter()
                    yield count
        finally:
            frames.close()  # the engine must stop before the next task starts
        writer.add_sound(sound_until(speaker.duration, speaker.end_of(count)), speaker.rate)
    yield count


def in_turns(
    in_front: Callable[[], AbstractContextManager[Avatar]],
    speaker: Speaker,
    task: Task,
    engine: LipsyncEngine,
    turns: Turns,
) -> Iterator[Frame]:
    """Yield the frames of a speaker, drawn while the task has its turns.

    If other tasks wait, a turn ends with its stretch; between turns the task holds nothing of the engine.

    Args:
        in_front: Gives the avatar in front of its background, which may be composed while it speaks already.
        speaker: What it says.
        task: Whose frames they are.
        engine: Draws them.
        turns: When the task may draw.
    """
    drawn = 0
    with in_front() as avatar:
        for stretch in speaker.stretches():  # which is waited for outside of any turn
            with turns.turn(task.waits, task.cancel):
                more = chain([stretch], speaker.stretches(enough=lambda: turns.wanted))
                with closing(engine.render(avatar, more, task.cancel, drawn)) as frames:
                    for frame in frames:
                        drawn += 1
                        yield frame
