"""What a client asks of a session, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import AS_FILMED as BEHIND_AS_FILMED
from pipeline.avatars.background import Background
from pipeline.jobs.look import AS_FILMED, Look
from pipeline.messages import Message
from pipeline.speech.expression_track import NEUTRAL, USUAL_LIVELINESS
from pipeline.text.pronunciations import Pronunciations


@dataclass(frozen=True, kw_only=True)
class SessionRequest:
    """What a client asked for.

    Attributes:
        pack: The avatar's pack.
        avatar: The same, loaded.
        engine: What moves the mouth, a key of `Studio.engines`.
        devices: Devices that draw for the engine, each for one process; 0 if the processes draw themselves.
        tts_engine: A key of `Studio.tts`; "" chooses by the language of the text.
        tts_voice: One of its voices, or "Custom".
        tts_speed, tts_pitch: As in ``GenerateRequest``.
        language: Language of the texts, as eSpeak NG calls it; None detects it.
        record: Whether to keep the session as a video.
        mood, liveliness: As in ``GenerateRequest``.
        eye_contact: Whether the eyes look at the camera where that is safe.
        note: Why they cannot although that was asked for; None if they can.
        fps: The frame rate that is asked for; None is that of the clip.
        look: How the pictures are cropped and marked.
        background: What is behind the person.
        pronunciations: What is spoken for some words of the texts.
        paces: How fast speech engines are here, as far as it was measured; see `TTSEngine.pace`.
        voice_seconds: CPU seconds that a second of its speech takes here; 0 if that is little, unknown, or a service's.
    """

    pack: Path
    avatar: Avatar
    engine: str
    tts_engine: str
    tts_voice: str
    tts_speed: float = 1.0
    tts_pitch: float = 0.0
    language: str | None = None
    record: bool = False
    mood: str = NEUTRAL
    liveliness: float = USUAL_LIVELINESS
    eye_contact: bool = False
    note: Message | None = None
    fps: int | None = None
    look: Look = AS_FILMED
    background: Background = BEHIND_AS_FILMED
    pronunciations: Pronunciations = field(default_factory=Pronunciations)
    devices: int = 0
    paces: Mapping[str, float] = field(default_factory=dict)
    voice_seconds: float = 0.0
