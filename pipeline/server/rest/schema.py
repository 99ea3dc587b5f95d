"""The shapes of what REST takes and answers, for its OpenAPI description.

Requests are read by ``pipeline.jobs.request``, whose messages are written for people; these only describe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute

from pipeline.avatars.framing import ASPECTS, RATES, SOURCE
from pipeline.avatars.store import RESOLUTIONS
from pipeline.conversation.conversation_parser import (
    LONGEST_ANSWERS,
    LONGEST_PROMPT,
    LONGEST_QUESTION,
    MAX_QUESTIONS,
    PATIENCES,
    REMINDERS,
    SILENCES,
)
from pipeline.errors import CODES
from pipeline.jobs import look
from pipeline.jobs.backdrops import MAX_PIXELS
from pipeline.jobs.request import DEFAULT_RESOLUTION, MAX_FRAME_SKIP
from pipeline.live.session_parser import LONGEST_TAG
from pipeline.preparing.file_kinds import PICTURES, VIDEOS
from pipeline.speech.expression_track import NEUTRAL, USUAL_LIVELINESS
from pipeline.speech.soundtrack import KINDS
from pipeline.text.cues import MOODS
from pipeline.tools.verify import KINDS as VERIFIABLE
from pipeline.tts.speech_engine import CUSTOM_VOICE, PITCHES, SPEEDS

TITLE = "Realtime interview avatar"
VERSION = "2"
"""Of the API, as in its addresses."""
TaskId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Seconds = Annotated[float, Field(ge=0)]
Url = Annotated[str, Field(pattern="^/")]
_CODES: dict[str, Any] = {"enum": sorted(CODES)}
Code = Annotated[str, Field(description="The kind of error, for programs.", json_schema_extra=_CODES)]


class _Shape(BaseModel):
    """A JSON object; fields that are not described may be added by later versions."""

    model_config = ConfigDict(extra="allow")


_MOOD = f"How the face looks: {', '.join(MOODS)}; {NEUTRAL} if left out."
_WEBHOOK = "Where to tell of the end; WEBHOOK_URL if left out. Needs WEBHOOK_SECRET, and an API key."
_PRONUNCIATIONS = (
    'What is spoken for words, which captions show as they are written: {"SQL": "sequel"}, or by language '
    '{"en": {"SQL": "sequel"}}. A text is the same as JSON, or has a line "SQL = sequel" for each.'
)
_ASPECT = f"{', '.join((*ASPECTS, SOURCE))}: cropped around the person; {SOURCE} if left out."
_FPS = f"{', '.join(map(str, RATES))}: frames per second, where the clip allows it; those of the clip if left out."
_BACKGROUND = (
    "What is behind the person: source as filmed, blur, a colour (#rrggbb or a CSS name), the id of a picture from "
    "POST /api/v2/backgrounds, or transparent: pictures of two parts; source if left out."
)
_LABEL = f"A mark in a corner of the picture: {', '.join(look.LABELS)}; AI_LABEL if left out."
_LIVELINESS = f"How much brows and eyes move with the voice; 0: only the mouth. {USUAL_LIVELINESS} if left out."

_EYE_CONTACT = "Whether the eyes look at the camera wherever that is safe; as filmed if left out."


class LipsyncBody(_Shape):
    """What to say, and the avatar that says it; ``avatar`` or ``avatar_path`` is required."""

    text: str = Field(
        min_length=1, description="What to say, up to MAX_TEXT characters; SSML if it begins with <speak>."
    )
    avatar: str | None = Field(None, description="A name that GET /api/avatars lists.")
    avatar_path: str | None = Field(None, description="A path that GET /api/avatars lists.")
    resolution: str | None = Field(None, description=f"{', '.join(RESOLUTIONS)}; {DEFAULT_RESOLUTION} if left out.")
    frame_skip: int | None = Field(None, ge=1, le=MAX_FRAME_SKIP, description="The mouth is solved every n-th frame.")
    engine: str | None = Field(
        None, description="The lipsync engine: mesh, musetalk or auto, the best available; LIPSYNC_ENGINE if left out."
    )
    tts_engine: str | None = Field(
        None, description="One that GET /api/v2/status lists, or auto, the best for the language."
    )
    tts_voice: str | None = Field(None, description=f"A voice of that engine; {CUSTOM_VOICE} if left out.")
    tts_speed: float | None = Field(None, ge=SPEEDS[0], le=SPEEDS[1], description="How fast; 1 is the voice's usual.")
    tts_pitch: float | None = Field(None, ge=PITCHES[0], le=PITCHES[1], description="Semitones above its usual pitch.")
    language: str | None = Field(
        None, description="The language of the text, such as ko, en or fr; detected if left out."
    )
    mood: str | None = Field(None, description=_MOOD)
    liveliness: float | None = Field(None, ge=0, le=1, description=_LIVELINESS)
    eye_contact: bool | None = Field(None, description=_EYE_CONTACT)
    pronunciations: dict[str, str | dict[str, str]] | str | None = Field(None, description=_PRONUNCIATIONS)
    aspect: str | None = Field(None, description=_ASPECT)
    fps: int | None = Field(None, description=_FPS)
    background: str | None = Field(None, description=_BACKGROUND)
    label: str | None = Field(None, description=_LABEL)
    captions: str | None = Field(None, description=f"{', '.join(look.CAPTIONS)}: burn draws them, too.")
    webhook_url: str | None = Field(None, description=_WEBHOOK)


class LipsyncForm(LipsyncBody):
    """The same as a form, which may bring a recording that the avatar speaks."""

    text: str | None = Field(  # type: ignore[assignment]  # optional here
        None, description="What to say; beside a recording, what it says, if you know it."
    )
    audio: bytes | None = Field(
        None, description=f"A recording of speech ({', '.join(KINDS)}...), up to MAX_UPLOAD MiB and MAX_AUDIO seconds."
    )
    background: str | bytes | None = Field(  # type: ignore[assignment]  # a file is possible here
        None, description=f"{_BACKGROUND} Or the picture itself, as a file."
    )


class BackgroundForm(_Shape):
    """A picture."""

    picture: bytes = Field(
        description=f"A picture ({', '.join(PICTURES)}), up to MAX_UPLOAD MiB and {MAX_PIXELS // 10**6} million pixels."
    )


class KeptBackground(_Shape):
    """A picture that is kept until a day after its last use."""

    success: Literal[True]
    background: TaskId = Field(description="Its id, for the field background.")
    url: Url = Field(description="The address at which DELETE removes it; the field takes it, too.")


class RemovedBackground(_Shape):
    """A picture that was removed."""

    success: Literal[True]
    background: TaskId


class TokenBody(_Shape):
    """What a token may be used for; all of it may be left out."""

    endpoints: list[Literal["lipsync", "sessions"]] | None = Field(None, min_length=1, description="All if left out.")
    origin: str | None = Field(None, description="The only web site that may use it: one of ALLOWED_ORIGINS.")
    avatar: str | None = Field(None, description="The only avatar.")
    session_id: str | None = Field(None, description="The only session, which is open.")
    seconds: float | None = Field(None, ge=0, le=86_400, description="Seconds of speech; 300 if left out.")
    expires_in: float | None = Field(None, ge=1, le=86_400, description="Seconds of its life; 600 if left out.")


class Token(_Shape):
    """A token, and what it may be used for."""

    success: Literal[True]
    token: str = Field(description="To be sent as Authorization: Bearer, or as ?token=.")
    expires: str = Field(description="When it becomes invalid (ISO 8601, UTC).")
    seconds: Seconds
    endpoints: list[Literal["lipsync", "sessions"]]
    origin: str | None
    avatar: str | None
    session_id: TaskId | None


class Problem(_Shape):
    """Any error."""

    success: Literal[False]
    error: str = Field(min_length=1, description="One sentence for people, Korean or English.")
    code: Code


class Lipsync(_Shape):
    """The engine that moves the mouths."""

    engine: str = Field(description="The lipsync engine of requests that name none.")
    engines: list[str] = Field(description="The lipsync engines that are available now.")
    problem: str | None = Field(description="Why ``engine`` is not available; null if it is.")
    notes: list[str] = Field(description="How ``engine`` runs: what was tried to make it faster, with the outcome.")
    encoder: str = Field(description="The encoder of its 720p videos: x264, or nvenc, that of an NVIDIA card.")


class ClusterNode(_Shape):
    """A machine of the cluster that makes videos and runs live sessions."""

    address: str
    slots: int = Field(description="How many tasks it can do at a time; 0 once it is gone.")
    cores: int
    gpus: int
    engines: list[str] = Field(description="The lipsync engines that work there; empty until it has told.")
    tts_engines: list[str] = Field(description="The speech engines that work there.")
    tasks: int = Field(description="Tasks that it works on.")
    sessions: int = Field(description="Live sessions that run there.")


class Status(_Shape):
    """What there is."""

    status: Literal["ok"]
    models_loaded: bool
    available_avatars: list[str]
    tts_engines: list[str]
    lipsync: Lipsync
    nodes: list[ClusterNode] | None = Field(None, description="The machines of a cluster; missing without one.")


class AvatarFile(_Shape):
    """One avatar in one resolution."""

    id: str
    name: str
    path: str
    gender: Literal["female", "male"] | None = Field(description="Whose voice it gets by default; null: unknown.")
    uploaded: bool = Field(description="Whether it was made from an upload, so that it can be deleted.")
    consent: bool | None = Field(
        description="Whether there is a record of the consent to it; null for avatars that came with the program."
    )


class Avatars(_Shape):
    """Every avatar in every resolution."""

    avatars: list[AvatarFile]


class VoiceOf(_Shape):
    """One voice."""

    engine: str = Field(description="What to send as tts_engine.")
    id: str = Field(description="What to send as tts_voice.")
    name: str = Field(description="Its name for people.")
    language: str | None = Field(description="Its language; null if it speaks several.")
    gender: Literal["female", "male"] | None
    sample: str | None = Field(description="Where you can listen to a sentence of it.")


class Voices(_Shape):
    """Every voice that can speak now."""

    voices: list[VoiceOf]


class VoiceDownloadState(_Shape):
    """Where the download of Supertonic's weights stands."""

    state: Literal["unavailable", "absent", "running", "ready", "failed"]
    bytes_done: int = Field(ge=0)
    bytes_total: int = Field(ge=0, description="0 before it is known.")
    message: str | None = Field(description="Why it is unavailable, or has failed.")
    licence: str = Field(description="The licence of the weights.")
    licence_url: str


_KINDS = f"A video ({', '.join(VIDEOS)}...) or picture ({', '.join(PICTURES)}), up to MAX_UPLOAD MiB."


class AvatarForm(_Shape):
    """A clip or photo, and what is to be made of it."""

    file: bytes = Field(description=_KINDS)
    name: str = Field(description="Its name: letters, digits, - and _, 64 at most; must not exist yet.")
    consent: Literal["true"] = Field(description="That the person shown agreed to be made to speak.")
    consent_by: str | None = Field(None, max_length=200, description="Who confirms it; kept in its record.")
    face: str = Field("center", description="center, largest, or a number counted from the left.")
    gender: Literal["female", "male"] | None = Field(None, description="Whose voice it gets by default.")
    start: Seconds | None = Field(None, description="Where the part to use begins.")
    end: Seconds | None = Field(None, description="Where it ends.")
    resolutions: str = Field("all", description=f"{', '.join(RESOLUTIONS)}; separated by commas.")
    background: str = Field(
        "e0e0e0", pattern="^#?[0-9a-fA-F]{6}$", description="The colour behind transparent parts, RRGGBB."
    )
    find_clips: Literal["true", "false"] = Field(
        "false", description="Whether to find where the person waits, listens, nods and talks in a longer recording."
    )
    clip_idle: bytes | None = Field(None, description="A further clip of the person: waiting.")
    clip_listening: bytes | None = Field(None, description="Listening.")
    clip_speaking: bytes | None = Field(None, description="Moving as one who speaks, mouth closed.")
    clip_nod: bytes | None = Field(None, description="Nodding once or twice.")
    clip_greeting: bytes | None = Field(None, description="Greeting, mouth closed.")
    clip_thinking: bytes | None = Field(None, description="Thinking: looking away for a moment, mouth closed.")
    webhook_url: str | None = Field(None, description=_WEBHOOK)


class Crop(_Shape):
    """A part of a picture, in shares of its width and height."""

    left: float = Field(ge=0, le=1)
    top: float = Field(ge=0, le=1)
    width: float = Field(gt=0, le=1)
    height: float = Field(gt=0, le=1)


class Crops(_Shape):
    """What the videos of an avatar show of its clip, by aspect; those are left out into which its head does not fit."""

    crops: dict[str, Crop]


class FacesForm(_Shape):
    """A clip or photo, and the part of it to look at."""

    file: bytes = Field(description=_KINDS)
    start: Seconds | None = None
    end: Seconds | None = None
    background: str = Field(
        "e0e0e0", pattern="^#?[0-9a-fA-F]{6}$", description="The colour behind transparent parts, RRGGBB."
    )


class Face(_Shape):
    """Where a face is, in pixels of the picture."""

    number: Annotated[int, Field(ge=1)]
    x: int
    y: int
    width: int
    height: int


class FoundFaces(_Shape):
    """The faces that a clip shows, left to right."""

    success: Literal[True]
    faces: list[Face]
    picture: str = Field(pattern="^data:image/jpeg;base64,", description="The picture with the numbers of the faces.")


class Consent(_Shape):
    """The record of the consent to an avatar."""

    success: Literal[True]
    avatar: str
    confirmed_by: str | None = Field(description="Who confirmed it, if the request named them.")
    confirmed_at: str = Field(description="When (ISO 8601, UTC).")
    file_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the clip or photo.")


class VerifyForm(_Shape):
    """A file to verify."""

    file: bytes = Field(description=f"A file ({', '.join(VERIFIABLE)}), up to MAX_UPLOAD MiB.")


class FileSignature(_Shape):
    """The Content Credentials of a file, as they say themselves; null where they do not."""

    key: Literal["certificate", "trial", "other"] = Field(
        description="Who signed: the certificate of this server, its trial key, or a key that it does not know."
    )
    name: str | None = Field(description="Whom the certificate names.")
    issuer: str | None = Field(description="Their organisation.")
    program: str | None
    version: str | None
    avatar: str | None
    engine: str | None
    made_at: str | None


class Verdict(_Shape):
    """What a file is."""

    success: Literal[True]
    ours: bool = Field(description="Whether it says that this program made it; only a signature proves that.")
    digital_source_type: str | None = Field(description="As IPTC names it.")
    signed: bool | None = Field(description="null if signatures cannot be read here.")
    unchanged: bool | None = Field(description="null if that is unknown.")
    signature: FileSignature | None
    message: str = Field(description="What that means, in a sentence.")


class Label(_Shape):
    """A mark of pictures."""

    label: str = Field(description=", ".join(look.LABELS))


class Deleted(_Shape):
    """What was deleted."""

    success: Literal[True]
    deleted: list[str]


class DeviceMemory(_Shape):
    """MB of the graphics card; null where there is none."""

    total: int | None
    used: int | None
    free: int | None


class QueueStatus(_Shape):
    """How busy the server is."""

    queue_size: Annotated[int, Field(ge=0)]
    is_processing: bool
    gpu_memory: DeviceMemory


class Video(_Shape):
    """A finished video."""

    success: Literal[True]
    task_id: TaskId
    text: str
    video_path: str
    video_url: Url
    audio_url: Url
    captions_url: Url | None
    audio_duration: Seconds
    elapsed: Seconds
    audio_lost: Seconds = Field(0.0, description="Of a damaged recording; left out if nothing of it is lost.")
    note: str | None = Field(None, description="What the video lacks, though it was asked for; else left out.")


class Stage(_Shape):
    """A stage that a task has reached, and when: seconds after it was asked for."""

    stage: Literal[
        "queued",
        "tts",
        "background",
        "tts_done",
        "lipsync",
        "reading",
        "faces",
        "measuring",
        "mouth",
        "matte",
        "writing",
        "done",
        "error",
    ]
    at: Seconds


class TaskState(_Shape):
    """How far a task is. What its last event carried (result addresses, progress, error) is here as well."""

    success: Literal[True]
    task_id: TaskId
    kind: Literal["video", "avatar"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    position: int | None = Field(description="1 is next; null unless it waits.")
    eta: float | None = Field(description="Seconds until it is done; null if not known yet.")
    stages: list[Stage]
    events_url: Url
    video_url: Url | None = Field(description="null where an avatar is made.")
    error: str | None = Field(description="Why it failed.")
    message: str


class _Event(_Shape):
    """What every event carries."""

    task_id: TaskId
    id: Annotated[int, Field(ge=1)]


class StatusEvent(_Event):
    """A stage that was reached, or how far it is: with position and eta, addresses, times, or progress."""

    type: Literal["status"]
    stage: Literal["queued", "tts", "background", "tts_done", "lipsync"]
    message: str


class DoneEvent(_Event):
    """The end of a task: its video."""

    type: Literal["done"]
    text: str
    video_url: Url
    video_path: str
    audio_url: Url
    captions_url: Url | None
    audio_duration: Seconds
    elapsed: dict[Literal["tts", "lipsync", "total"], Seconds]
    note: str | None = Field(None, description="What the video lacks, though it was asked for.")
    background: Literal["transparent"] | None = Field(None, description="Its pictures have two parts; else left out.")


class ErrorEvent(_Event):
    """The end of a task that failed or was cancelled."""

    type: Literal["error"]
    success: Literal[False]
    error: str
    code: Code
    message: str
    status: int
    retryable: bool
    cancelled: bool


TaskEvent = StatusEvent | DoneEvent | ErrorEvent
"""What the data of a server-sent event holds while a video is made."""


class AvatarStage(_Event):
    """How far the making of an avatar is; position where it waits, progress (0..1) where it does not."""

    type: Literal["status"]
    stage: Literal["queued", "reading", "faces", "measuring", "mouth", "matte", "writing"]
    message: str


class AvatarDone(_Event):
    """An avatar that is there, in every resolution of ids; report: what its clip is like, in sentences."""

    type: Literal["done"]
    message: str
    avatar: str
    ids: list[str]
    report: list[str]


AvatarEvent = AvatarStage | AvatarDone | ErrorEvent
"""What the data of a server-sent event holds while an avatar is made."""


class Stopped(_Shape):
    """A task that was stopped, and what it was."""

    success: Literal[True]
    task_id: TaskId
    state: Literal["queued", "running"]


class ConversationBody(_Shape):
    """How a session converses with its visitor."""

    prompt: str | None = Field(None, max_length=LONGEST_PROMPT, description="The language model's system prompt.")
    silence: float | None = Field(
        None, ge=SILENCES[0], le=SILENCES[1], description="Seconds without speech that end what the visitor says."
    )
    barge_in: bool | None = Field(None, description="Whether the avatar stops when the visitor speaks; it does.")
    transcribe: bool | None = Field(None, description="Whether the server transcribes, where it can; it does.")


class InterviewBody(_Shape):
    """An interview to be held."""

    questions: list[Annotated[str, Field(max_length=LONGEST_QUESTION)]] = Field(min_length=1, max_length=MAX_QUESTIONS)
    greeting: str | None = Field(None, max_length=LONGEST_QUESTION, description="Said before the first question.")
    farewell: str | None = Field(None, max_length=LONGEST_QUESTION, description="Said after the last answer.")
    silence: float | None = Field(
        None, ge=SILENCES[0], le=SILENCES[1], description="Seconds of silence that end an answer; 1.5 if left out."
    )
    patience: float | None = Field(
        None, ge=PATIENCES[0], le=PATIENCES[1], description="Seconds without an answer until the question is repeated."
    )
    reminders: int | None = Field(None, ge=REMINDERS[0], le=REMINDERS[1], description="How often it is repeated.")
    longest: float | None = Field(
        None, ge=LONGEST_ANSWERS[0], le=LONGEST_ANSWERS[1], description="Seconds after which an answer is ended."
    )


class SessionBody(_Shape):
    """The avatar of the session, and how it speaks; ``avatar`` or ``avatar_path`` is required."""

    avatar: str | None = Field(None, description="A name that GET /api/avatars lists.")
    avatar_path: str | None = Field(None, description="A path that GET /api/avatars lists.")
    resolution: str | None = Field(None, description=f"{', '.join(RESOLUTIONS)}; {DEFAULT_RESOLUTION} if left out.")
    engine: str | None = Field(
        None, description="The lipsync engine: mesh, musetalk or auto, the best available; LIPSYNC_ENGINE if left out."
    )
    tts_engine: str | None = Field(None, description="One that GET /api/v2/status lists; the best if left out.")
    tts_voice: str | None = Field(None, description=f"A voice of that engine; {CUSTOM_VOICE} if left out.")
    tts_speed: float | None = Field(None, ge=SPEEDS[0], le=SPEEDS[1], description="How fast it speaks; 1 is usual.")
    tts_pitch: float | None = Field(None, ge=PITCHES[0], le=PITCHES[1], description="Semitones above its usual pitch.")
    language: str | None = Field(
        None, description="The language of the texts; detected sentence by sentence if left out."
    )
    mood: str | None = Field(None, description=_MOOD)
    liveliness: float | None = Field(None, ge=0, le=1, description=_LIVELINESS)
    eye_contact: bool | None = Field(None, description=_EYE_CONTACT)
    pronunciations: dict[str, str | dict[str, str]] | str | None = Field(None, description=_PRONUNCIATIONS)
    aspect: str | None = Field(None, description=_ASPECT)
    fps: int | None = Field(None, description=_FPS)
    background: str | None = Field(None, description=_BACKGROUND)
    label: str | None = Field(None, description=_LABEL)
    webhook_url: str | None = Field(None, description=_WEBHOOK)
    record: bool = Field(False, description="Whether to keep the session as a video with captions.")
    conversation: ConversationBody | None = Field(None, description="How it converses; as usual if left out.")
    interview: InterviewBody | None = Field(None, description="An interview to be held.")


class SessionState(_Shape):
    """How a session is."""

    success: Literal[True]
    session_id: TaskId
    state: Literal["loading", "open", "closed"]
    stream: Seconds = Field(description="Seconds of the stream so far.")
    expires: str | None = Field(description="When it ends at the latest (ISO 8601, UTC).")


class OpenedSession(SessionState):
    """A session that was opened, and where it is."""

    video_url: Url = Field(description="The stream, an mp4 without an end.")
    socket_url: Url = Field(description="The WebSocket; with ?video=1 it sends the stream as well.")
    events_url: Url = Field(description="Its events, as server-sent events.")
    token: str = Field(description="Allows its owner to use the session without a key: ?token=...")
    note: str | None = Field(None, description="What cannot be as it was asked for; left out if everything can.")


class ChatBody(_Shape):
    """What the visitor says to the language model."""

    text: str = Field(min_length=1, description="Up to MAX_TEXT characters.")


class InterviewAnswer(_Shape):
    """A question, and what came of it; times are seconds of the stream."""

    number: int
    question: str
    asked: Seconds | None = Field(description="When it was first asked.")
    asked_until: Seconds | None = Field(description="When it had been asked, the last time.")
    reminders: int = Field(description="How often it was asked again.")
    begin: Seconds | None = Field(description="When the answer began; null without one.")
    end: Seconds | None
    reason: Literal["silence", "next", "time_limit", "no_answer"] | None = Field(
        description="Why the answer ended; null until then."
    )
    transcript: str | None = Field(description="What the visitor said; null if it is unknown.")
    sound_url: Url | None = Field(description="The sound of the answer; null without one.")


class InterviewRecord(_Shape):
    """The questions and answers of an interview."""

    success: Literal[True]
    session_id: TaskId
    state: Literal["waiting", "asking", "listening", "done"]
    answers: list[InterviewAnswer]


class SayBody(_Shape):
    """What to say."""

    text: str = Field(min_length=1, description="A text, or a piece of one; up to MAX_TEXT characters.")
    more: bool = Field(False, description="Whether more of the text follows.")
    tag: str | None = Field(None, max_length=LONGEST_TAG, description="Any name for the turn; its events have it.")


class InterruptBody(_Shape):
    """When the listener stopped listening."""

    at: Seconds | None = Field(None, description="Time of the stream that was reached; the rest counts as not said.")


class _SessionEvent(_Shape):
    id: Annotated[int, Field(ge=1)]


_TAG: Any = Field(description="What the client called the turn.")


class ComposingEvent(_SessionEvent):
    """The avatar is put in front of another background for the first time; the stream begins after that."""

    type: Literal["composing"]
    message: str
    progress: Annotated[float, Field(ge=0, le=1)]


class TurnStartedEvent(_SessionEvent):
    """The avatar begins to speak, at the time ``stream``."""

    type: Literal["turn_started"]
    turn: int
    stream: Seconds
    tag: str | None = _TAG


class WordEvent(_SessionEvent):
    """A word is spoken from ``stream`` to ``end``."""

    type: Literal["word"]
    turn: int
    text: str
    stream: Seconds
    end: Seconds


class TurnEndedEvent(_SessionEvent):
    """The avatar has said all of a turn."""

    type: Literal["turn_ended"]
    turn: int
    stream: Seconds
    said: str
    tag: str | None = _TAG


class InterruptedEvent(_SessionEvent):
    """The avatar was stopped; it is silent from ``stream`` on."""

    type: Literal["interrupted"]
    turn: int | None = Field(description="null if it was silent anyway.")
    stream: Seconds
    said: str = Field(description="The part of the turn's text that was said.")
    tag: str | None = _TAG


class ListeningEvent(_SessionEvent):
    """The avatar shows that it listens."""

    type: Literal["listening"]
    stream: Seconds


class VisitorSpeakingEvent(_SessionEvent):
    """The visitor began to speak, at the time ``stream``."""

    type: Literal["visitor_speaking"]
    stream: Seconds


class VisitorStoppedEvent(_SessionEvent):
    """The visitor has finished; the last word ended at the time ``stream``."""

    type: Literal["visitor_stopped"]
    stream: Seconds


class VisitorSaidEvent(_SessionEvent):
    """What the visitor said."""

    type: Literal["visitor_said"]
    text: str
    question: int | None = Field(description="Number of the question that it answers, if it is known.")


class QuestionEvent(_SessionEvent):
    """An interview goes on to a question, or asks it again."""

    type: Literal["question"]
    number: int
    text: str
    reminders: int = Field(description="How often it was asked before.")


class AnswerEvent(_SessionEvent):
    """The answer to a question has ended."""

    type: Literal["answer"]
    number: int
    begin: Seconds | None
    end: Seconds | None
    reason: Literal["silence", "next", "time_limit", "no_answer"]


class InterviewEndedEvent(_SessionEvent):
    """All questions were asked."""

    type: Literal["interview_ended"]
    questions: int
    answered: int


class ProblemEvent(_SessionEvent):
    """Something went wrong; the session goes on."""

    type: Literal["error"]
    success: Literal[False]
    error: str
    code: Code


class ClosedEvent(_SessionEvent):
    """The session has ended."""

    type: Literal["closed"]
    reason: Literal["deleted", "time_limit", "no_viewer", "failed", "server_ends"]


SessionEvents = (
    ComposingEvent
    | TurnStartedEvent
    | WordEvent
    | TurnEndedEvent
    | InterruptedEvent
    | ListeningEvent
    | VisitorSpeakingEvent
    | VisitorStoppedEvent
    | VisitorSaidEvent
    | QuestionEvent
    | AnswerEvent
    | InterviewEndedEvent
    | ProblemEvent
    | ClosedEvent
)
"""What the data of a server-sent event of a session holds; the socket sends the same."""


class InterruptedSession(SessionState):
    """How a session is after it was interrupted."""

    interrupted: InterruptedEvent | None = Field(description="What was said; null if the session ended meanwhile.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of errors with some statuses, all of one shape."""
    why = {
        400: "Something in the request is wrong; the message names it.",
        401: "Neither a key nor a valid token came with the request.",
        403: "A web site or a token may not do this; or what came with the program is to be deleted.",
        404: "There is no such thing.",
        408: "The body of the request comes too slowly.",
        409: "The Idempotency-Key came before with another body, the name is taken, or the session was deleted.",
        500: "Something inside went wrong.",
        503: "An engine cannot work now, the queue is full (then with Retry-After), or the task was cancelled.",
    }
    return {status: {"model": Problem, "description": why[status]} for status in statuses}


def described(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Return the OpenAPI description of routes."""
    description = get_openapi(title=TITLE, version=VERSION, routes=routes, separate_input_output_schemas=False)
    for path in description["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # FastAPI's own; it does not check requests here
    schemas = description["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    bodies = TokenBody, LipsyncBody, LipsyncForm, AvatarForm, FacesForm, VerifyForm, SayBody, ChatBody, InterruptBody
    nested = BackgroundForm, SessionBody, ConversationBody, InterviewBody
    for model in (*bodies, *nested, *get_args(TaskEvent | AvatarEvent), *get_args(SessionEvents)):
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[model.__name__].pop("$defs", None)  # each has its own place
    return description


def _header(name: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": meaning, "schema": {"type": "string"}}


def _content(media_type: str, meaning: str, binary: bool = False) -> dict[str, Any]:
    shape = {"type": "string", "format": "binary"} if binary else {"type": "string"}
    return {"description": meaning, "content": {media_type: {"schema": shape}}}


_KEY = _header("Idempotency-Key", "Sent again with the same body, it gives the same task.")
_ASKED: dict[str, Any] = {
    "parameters": [
        _KEY,
        _header("Accept-Language", "en gives messages in English."),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/LipsyncBody"}},
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/LipsyncForm"}},
        },
    },
}


def _sse(events: Any, last: str, **more: Any) -> dict[str, Any]:
    """Describe an event stream (a union of shapes), and the fields of each event besides its data."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [{"$ref": f"#/components/schemas/{one.__name__}"} for one in get_args(events)]},
    }
    event = {"type": "object", "required": [*more, "data"], "properties": {**more, "data": data}}
    return {
        "description": f"Server-sent events, each of this shape; the last is {last}.",
        "content": {"text/event-stream": {"schema": event}},
    }


def _form(shape: type[_Shape], *headers: dict[str, Any]) -> dict[str, Any]:
    """Describe a request with a form."""
    content = {"multipart/form-data": {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}}
    language = _header("Accept-Language", "en gives messages in English.")
    return {"parameters": [*headers, language], "requestBody": {"required": True, "content": content}}


_NUMBER = {"type": "string", "pattern": "^[1-9][0-9]*$", "description": "The number to send back as Last-Event-ID."}
_SSE = _sse(TaskEvent, "a DoneEvent or an ErrorEvent", id=_NUMBER)
_ANY = _sse(TaskEvent | AvatarEvent, "a DoneEvent, an AvatarDone or an ErrorEvent", id=_NUMBER)
_FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    206: {"description": "The part that Range requested."},
    304: {"description": "Not changed since If-None-Match or If-Modified-Since."},
    416: {"description": "There is no such part."},
}

# descriptions of the routes, besides their docstrings
STREAM: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {200: _SSE, **problems(400, 404, 408, 409, 500, 503)},
    "openapi_extra": _ASKED,
}
LIPSYNC: dict[str, Any] = {
    "response_model": Video,
    "responses": problems(400, 404, 408, 409, 500, 503),
    "openapi_extra": _ASKED,
}
TASK: dict[str, Any] = {"response_model": TaskState, "responses": problems(404)}
EVENTS: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {200: _ANY, 204: {"description": "No events are left."}, **problems(400, 404)},
    "openapi_extra": {"parameters": [_header("Last-Event-ID", "The number of the last event that arrived.")]},
}
INSPECTION: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {
        200: _content("image/png", "The picture.", binary=True),
        **_FILE_ANSWERS,
        **problems(400, 404, 500),
    },
}
VOICE_DOWNLOAD: dict[str, Any] = {"response_model": VoiceDownloadState, "responses": problems(503)}
CANCEL: dict[str, Any] = {"response_model": Stopped, "responses": problems(404)}
MAKE_AVATAR: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {
        200: _sse(AvatarEvent, "an AvatarDone or an ErrorEvent", id=_NUMBER),
        **problems(400, 408, 409, 500, 503),
    },
    "openapi_extra": _form(AvatarForm, _KEY),
}
FACES: dict[str, Any] = {
    "response_model": FoundFaces,
    "responses": problems(400, 408, 500, 503),
    "openapi_extra": _form(FacesForm),
}
VERIFY: dict[str, Any] = {
    "response_model": Verdict,
    "responses": problems(400, 408, 500, 503),
    "openapi_extra": _form(VerifyForm),
}
LABEL: dict[str, Any] = {"response_model": Label}
BACKGROUND: dict[str, Any] = {
    "response_model": KeptBackground,
    "responses": problems(400, 408, 500, 503),
    "openapi_extra": _form(BackgroundForm),
}
REMOVE_BACKGROUND: dict[str, Any] = {"response_model": RemovedBackground, "responses": problems(404)}
CONSENT: dict[str, Any] = {"response_model": Consent, "responses": problems(404)}
DELETE_AVATAR: dict[str, Any] = {"response_model": Deleted, "responses": problems(403, 404)}
METRICS: dict[str, Any] = {
    "response_class": PlainTextResponse,
    "responses": {200: _content("text/plain", "Prometheus' text format.")},
}
VIDEO: dict[str, Any] = {
    "openapi_extra": {
        "parameters": [
            {
                "name": "download",
                "in": "query",
                "required": False,
                "description": "1 waits for the end, and returns a copy in one piece, with its length.",
                "schema": {"type": "string", "enum": ["0", "1"]},
            },
            {
                "name": "c2pa",
                "in": "query",
                "required": False,
                "description": "1 returns that copy with signed Content Credentials; 0 without them. "
                "If left out, downloads are signed where C2PA_CERT is set.",
                "schema": {"type": "string", "enum": ["0", "1"]},
            },
        ]
    },
    "response_class": FileResponse,
    "responses": {200: _content("video/mp4", "The video.", binary=True), **_FILE_ANSWERS, **problems(404, 503)},
}
IDLE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: _content("video/mp4", "The clip.", binary=True),
        **_FILE_ANSWERS,
        **problems(400, 401, 404, 503),
    },
}
VOICE_SAMPLE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: _content("audio/wav", "The sentence.", binary=True),
        **problems(404, 503),
    },
}
FIRST_PICTURE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "description": "The picture; a WebP where it is transparent.",
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/jpeg", "image/webp")
            },
        },
        **problems(400, 401, 404),
    },
}
CROPS: dict[str, Any] = {"response_model": Crops, "responses": problems(400, 401, 404)}
CAPTIONS: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {200: _content("text/vtt", "The captions."), **_FILE_ANSWERS, **problems(404)},
}
SUBRIP: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {200: _content("application/x-subrip", "The captions as SubRip."), **_FILE_ANSWERS, **problems(404)},
}
TRANSPARENT: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {200: _content("video/webm", "The video.", binary=True), **_FILE_ANSWERS, **problems(400, 404, 500)},
}
MOUTH: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {
        200: _content("application/x-ndjson", "One JSON object a line for each piece of speech."),
        **_FILE_ANSWERS,
        **problems(404),
    },
}
AUDIO: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {200: _content("audio/wav", "The speech.", binary=True), **_FILE_ANSWERS, **problems(400, 404)},
}


def _json(shape: type[_Shape], required: bool = True) -> dict[str, Any]:
    """Describe a request with a JSON object."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}}
    language = _header("Accept-Language", "en gives messages in English.")
    return {"parameters": [language], "requestBody": {"required": required, "content": content}}


OPEN_SESSION: dict[str, Any] = {
    "response_model": OpenedSession,
    "responses": problems(400, 401, 403, 404, 408, 503),
    "openapi_extra": _json(SessionBody),
}
TOKEN: dict[str, Any] = {
    "response_model": Token,
    "responses": problems(400, 404, 408, 409),
    "openapi_extra": _json(TokenBody),
}
SESSION: dict[str, Any] = {"response_model": SessionState, "responses": problems(401, 403, 404, 409)}
SAY: dict[str, Any] = {
    "response_model": SessionState,
    "responses": problems(400, 401, 403, 404, 408, 409),
    "openapi_extra": _json(SayBody),
}
CHAT: dict[str, Any] = {
    "response_model": SessionState,
    "responses": problems(400, 401, 403, 404, 408, 409, 503),
    "openapi_extra": _json(ChatBody),
}
NEXT: dict[str, Any] = {"response_model": SessionState, "responses": problems(401, 403, 404, 409)}
INTERVIEW: dict[str, Any] = {"response_model": InterviewRecord, "responses": problems(401, 403, 404, 409)}
ANSWER: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {
        200: _content("audio/wav", "The sound of an answer.", binary=True),
        **_FILE_ANSWERS,
        **problems(401, 403, 404, 409),
    },
}
INTERRUPT: dict[str, Any] = {
    "response_model": InterruptedSession,
    "responses": problems(400, 401, 403, 404, 408, 409),
    "openapi_extra": _json(InterruptBody, required=False),
}
SESSION_EVENTS: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {
        200: _sse(SessionEvents, "a ClosedEvent", id=_NUMBER),
        204: {"description": "No events are left."},
        **problems(400, 401, 403, 404, 409),
    },
    "openapi_extra": {"parameters": [_header("Last-Event-ID", "The number of the last event that arrived.")]},
}
SESSION_VIDEO: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {200: _content("video/mp4", "The stream.", binary=True), **problems(404, 409)},
}
