"""Events of a job, with types; SSE, the page and clients all read the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline import messages
from pipeline.avatars.background import TRANSPARENT
from pipeline.errors import Cancelled, PipelineError
from pipeline.messages import Language, Message


@dataclass(frozen=True)
class Queued:
    """The task waits.

    Attributes:
        position: 1 is next.
        eta: Seconds until it is done; None until a first task was timed.
    """

    position: int
    eta: float | None = None


@dataclass(frozen=True)
class TtsStarted:
    """Speech is being made.

    Attributes:
        video_url: Where the video grows from the first sentence on, while the next one is spoken.
        captions_url: Where its captions grow; here and below None if the words are unknown.
        note: Why not the engine speaks that would by default; None if it does.
        transparent: Whether the video has pictures of two parts (see ``Background``).
    """

    video_url: str
    captions_url: str | None
    note: Message | None = None
    transparent: bool = False


@dataclass(frozen=True)
class Composing:
    """The avatar is being put in front of another background for the first time; its speech is made meanwhile.

    Attributes:
        progress: 0..1.
    """

    progress: float


@dataclass(frozen=True, kw_only=True)
class TtsDone:
    """Speech is ready.

    Attributes:
        audio_url: The sound.
        captions_url: The captions.
        duration: Seconds of sound.
        elapsed: Seconds that it took.
        lost: See ``Done``.
        note: See ``TtsStarted``.
    """

    audio_url: str
    captions_url: str | None
    duration: float
    elapsed: float
    lost: float = 0.0
    note: Message | None = None


@dataclass(frozen=True)
class Lipsync:
    """The speech is complete and its video is being made.

    Attributes:
        video_url: Where the video grows.
        progress: 0..1.
    """

    video_url: str
    progress: float


@dataclass(frozen=True, kw_only=True)
class Done:
    """The video is finished; times in seconds."""

    text: str
    video_url: str
    video_path: str
    audio_url: str
    captions_url: str | None
    audio_duration: float
    tts: float
    lipsync: float
    total: float
    first_byte: float
    """Seconds until the first bytes of the video were available."""
    lost: float = 0.0
    """Seconds of a recording that could not be read; they are silent, or missing at the end."""
    note: Message | None = None
    """What the video lacks, though it was asked for; None if that is nothing."""
    transparent: bool = False
    """See ``TtsStarted``."""


@dataclass(frozen=True)
class Failed:
    """The task ended without a result. Of the error only its class and message are kept, not its traceback."""

    error: PipelineError

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", self.error.afresh())


@dataclass(frozen=True)
class Preparing:
    """An avatar is being made.

    Attributes:
        stage: A key of `STAGES`.
        progress: Of the whole, 0..1.
        resolution: The resolution that is written.
    """

    stage: str
    progress: float
    resolution: str = ""


@dataclass(frozen=True)
class Made:
    """The avatar is ready.

    Attributes:
        name: Its name.
        ids: One for each resolution.
        report: As ``write_report`` writes it.
    """

    name: str
    ids: tuple[str, ...]
    report: dict[str, Any]


Ended = Done | Made | Failed
"""The last event of a job."""
Event = Queued | TtsStarted | Composing | TtsDone | Lipsync | Preparing | Ended
STAGES = {
    "reading": messages.jobs.READING_FILE,
    "faces": messages.jobs.FINDING_FACE,
    "measuring": messages.jobs.MEASURING_FACE,
    "mouth": messages.jobs.CLOSING_MOUTH,
    "matte": messages.jobs.SEPARATING_PERSON,
    "writing": messages.jobs.WRITING_AVATAR,
}
"""The stages in which an avatar is made, in order."""


def describe(event: Event) -> Message:
    """Return the sentence for an event."""
    match event:
        case Queued(position):
            return messages.jobs.WAITING(position=position)
        case TtsStarted(note=note):
            return _and_noted(messages.jobs.MAKING_SPEECH(), note)
        case Composing():
            return messages.jobs.COMPOSING()
        case TtsDone(duration=duration, lost=lost, note=note):
            return _and_noted(_and_lost(messages.jobs.SPEECH_READY(duration=duration), lost), note)
        case Lipsync():
            return messages.jobs.MAKING_VIDEO()
        case Done(total=total, lost=lost, note=note):
            return _and_noted(_and_lost(messages.jobs.DONE(total=total), lost), note)
        case Preparing(stage, _, resolution):
            message = STAGES[stage]()
            return messages.jobs.WITH_RESOLUTION(message=message, resolution=resolution) if resolution else message
        case Made(name):
            return messages.jobs.AVATAR_READY(name=name)
        case Failed(error):
            return error.message


def same_kind(one: Event, other: Event) -> bool:
    """Return whether one event only updates the other: a position in the queue, or progress within a stage."""
    if isinstance(one, Preparing) and isinstance(other, Preparing):
        return one.stage == other.stage
    return type(one) is type(other)


def to_json(event: Event, task_id: str, language: Language, root: str = "") -> dict[str, Any]:
    """Return an event in the documented shape (API.md).

    Args:
        event: The event.
        task_id: Its task.
        language: Language of its message.
        root: Public path of the server ("/avatar").
    """
    message = describe(event).in_language(language)
    match event:
        case Queued(position, eta):
            body = _status("queued", message, position=position, eta=_seconds(eta))
        case TtsStarted(video_url, captions_url):
            body = _status("tts", message, video_url=video_url, captions_url=captions_url)
            body |= _background(event.transparent)
        case Composing(progress):
            body = _status("background", message, progress=round(progress, 3))
        case TtsDone():
            body = _status("tts_done", message, audio_url=event.audio_url, captions_url=event.captions_url)
            body |= {"duration": _seconds(event.duration), "elapsed": _seconds(event.elapsed), **_lost(event.lost)}
        case Lipsync(video_url, progress):
            body = _status("lipsync", message, video_url=video_url, progress=round(progress, 3))
        case Done():
            elapsed_by_stage = {"tts": event.tts, "lipsync": event.lipsync, "total": event.total}
            body = {
                "type": "done",
                "text": event.text,
                "video_url": event.video_url,
                "video_path": event.video_path,
                "audio_url": event.audio_url,
                "captions_url": event.captions_url,
                "audio_duration": _seconds(event.audio_duration),
                "elapsed": {stage: _seconds(seconds) for stage, seconds in elapsed_by_stage.items()},
                **_lost(event.lost),
                **_background(event.transparent),
                **({"note": event.note.in_language(language)} if event.note else {}),
            }
        case Preparing(stage, progress):
            body = _status(stage, message, progress=progress)
        case Made(name, ids, report):
            words = [one.in_language(language) for one in report_sentences(report)]
            body = {"type": "done", "message": message, "avatar": name, "ids": list(ids), "report": words}
        case Failed(error):
            body = {"type": "error", "message": message, "status": error.status, "retryable": error.retryable}
            body |= error.to_json(language)  # the shape of every other error
            body["cancelled"] = isinstance(error, Cancelled)
    addresses = {key: root + url for key, url in body.items() if key.endswith("_url") and url is not None}
    return {**body, **addresses, "task_id": task_id}


def _status(stage: str, message: str, **more: object) -> dict[str, Any]:
    return {"type": "status", "stage": stage, "message": message, **more}


def _and_noted(message: Message, note: Message | None) -> Message:
    return message if note is None else messages.jobs.WITH_NOTE(message=message, note=note)


def _and_lost(message: Message, lost: float) -> Message:
    """Append to a message how much of a recording is lost."""
    if not _lost(lost):
        return message
    shown = f"{lost:.2f}" if lost < 1 else f"{lost:.1f}"
    return messages.jobs.WITH_LOSS(message=message, seconds=shown)


def _lost(lost: float) -> dict[str, float]:
    """Return the field for the seconds of a recording that are lost; empty if it is complete."""
    return {"audio_lost": round(lost, 3)} if lost >= 0.005 else {}


def _background(transparent: bool) -> dict[str, str]:
    """Return the field that tells players of pictures of two parts; empty for whole ones."""
    return {"background": TRANSPARENT} if transparent else {}


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def report_sentences(report: dict[str, Any]) -> list[Message]:
    """Return a report in sentences: the clip, its teeth, its problems, and what was found in it."""
    seconds, usable, width = report["frames"] / report["fps"], 100 * report["usable"], report["face_width"]
    more = *report["problems"], *report.get("left_out", ()), *report.get("clips", ())
    return [
        messages.jobs.USABLE_SHARE(seconds=seconds, usable=usable, width=width),
        Message(report["teeth_ko"], report["teeth"]),
        *(Message(one["message_ko"], one["message"]) for one in more),
    ]
