"""Requests of clients, which are checked completely before any work is done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import category

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import RESOLUTIONS
from pipeline.engines.select import AUTO, preferred
from pipeline.errors import BadRequest, NothingToSay, ResolutionNotFound, Unavailable
from pipeline.jobs.studio import Studio
from pipeline.text.language import LANGUAGES, language_of, speakable, voice_of
from pipeline.text.markup import said_of
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine

DEFAULT_RESOLUTION = "720p"
MAX_FRAME_SKIP = 10


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """A request that can be fulfilled.

    Attributes:
        text: What to say, line by line, without what is only visible (Markdown, emoji).
        language: The language of `text`, as eSpeak NG calls it; empty without a text.
        avatar: Who says it. It stays as it is here, whatever becomes of its pack.
        frame_skip: The mouth is solved every n-th frame, 1-10.
        engine: What moves the mouth, a key of `Studio.engines`.
        tts_engine: A key of `Studio.tts`; empty if there is a recording.
        tts_voice: One of that engine's voices, or "Custom".
        recording: A file with the speech itself, in place of a speech engine. `text` is then what it says, or empty
            if that is unknown.
    """

    text: str
    language: str
    avatar: Avatar
    frame_skip: int
    engine: str
    tts_engine: str = ""
    tts_voice: str = CUSTOM_VOICE
    recording: Path | None = None


def parse(body: object, studio: Studio, recording: Path | None = None) -> GenerateRequest:
    """Check the decoded JSON of a request, and return it; may read a pack and call a speech service.

    Args:
        body: The JSON.
        studio: Avatars, voices and engines.
        recording: A file that was uploaded with the request. It is no part of `body`, in which clients must not name
            files of this machine.

    Raises:
        BadRequest: A field is invalid; the message names it and lists the choices.
        NothingToSay: The text contains nothing to speak.
        BadPack: The avatar's pack is broken.
        NotFound: There is no such avatar; the message lists the available ones.
        Unavailable: An engine cannot work now.
    """
    if not isinstance(body, dict):
        raise BadRequest(messages.jobs.BODY_NOT_OBJECT())
    if body.get("audio") is not None:
        raise BadRequest(messages.jobs.AUDIO_IN_JSON())
    wordless = recording is not None and body.get("text") in (None, "")
    text = "" if wordless else _text(body, studio.settings.max_text)
    frame_skip = _frame_skip(body)
    resolution = _choice(body, "resolution", RESOLUTIONS)
    lipsync = _lipsync(body, studio)
    asked = _language(body)
    language = language_of(text, asked) if text else ""
    engine = None if recording is not None else _engine(body, studio)
    voice = (engine and _string(body, "tts_voice")) or CUSTOM_VOICE
    avatar = _avatar(body, resolution, studio)
    if engine is not None and voice != CUSTOM_VOICE:
        engine.check_voice(voice)
    elif engine is not None:
        engine.check_language(language)
    return GenerateRequest(
        text=text,
        language=language,
        avatar=avatar,
        frame_skip=frame_skip,
        engine=lipsync,
        tts_engine=engine.name if engine else "",
        tts_voice=voice,
        recording=recording,
    )


def default_engine(studio: Studio) -> TTSEngine:
    """Return the engine of a request that names none: the first available one, in order of preference."""
    for engine in studio.tts.values():
        if engine.available():
            return engine
    raise Unavailable(messages.jobs.NO_SPEECH_ENGINE())


def _text(body: dict[str, Any], limit: int) -> str:
    value = body.get("text")
    if value is None:
        raise BadRequest(messages.jobs.TEXT_MISSING())
    if not isinstance(value, str):
        raise BadRequest(messages.jobs.TEXT_NOT_STRING())
    if len(value) > limit:
        raise BadRequest(messages.jobs.TEXT_TOO_LONG(limit=limit, length=len(value)))
    if "Cs" in map(category, value):
        raise BadRequest(messages.jobs.TEXT_NOT_UNICODE())
    # line ends are pauses; other control characters are silent
    lines = re.split("\r\n|[\n\r\v\f\x1c-\x1e\x85]", value)
    text = "\n".join("".join(" " if category(letter) == "Cc" else letter for letter in line) for line in lines).strip()
    if not text:
        raise BadRequest(messages.jobs.TEXT_BLANK())
    text = said_of(text)
    if not speakable(text):
        raise NothingToSay(messages.tts.NOTHING_TO_SAY())
    return text


def _frame_skip(body: dict[str, Any]) -> int:
    value = body.get("frame_skip")
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FRAME_SKIP:
        raise BadRequest(messages.jobs.FRAME_SKIP_INVALID(limit=MAX_FRAME_SKIP))
    return value


def _language(body: dict[str, Any]) -> str | None:
    """Return the espeak-ng voice of the requested language; None if there is none."""
    value = _string(body, "language")
    voice = voice_of(value) if value else None
    if value and voice is None:
        listed = ", ".join(LANGUAGES)
        raise BadRequest(messages.jobs.LANGUAGE_UNKNOWN(value=_shown(value), choices=listed))
    return voice


def _lipsync(body: dict[str, Any], studio: Studio) -> str:
    name = _choice(body, "engine", (*studio.engines, AUTO))
    engine = studio.engine if name is None else preferred(studio.engines, name)
    engine.check()
    return engine.name


def _engine(body: dict[str, Any], studio: Studio) -> TTSEngine:
    name = _choice(body, "tts_engine", tuple(studio.tts))
    if name is None:
        return default_engine(studio)
    engine = studio.tts[name]
    if not engine.available():
        raise _unavailable(name)
    return engine


def _unavailable(name: str) -> Unavailable:
    if name == "elevenlabs":
        return Unavailable(messages.jobs.ELEVENLABS_WITHOUT_KEY())
    if name == "supertonic":
        steps = "pip install -r requirements-voices.txt && python -m pipeline.tts.supertonic"
        return Unavailable(messages.jobs.SUPERTONIC_MISSING(steps=steps))
    return Unavailable(messages.jobs.SPEECH_ENGINE_UNAVAILABLE(name=name))


def _avatar(body: dict[str, Any], resolution: str | None, studio: Studio) -> Avatar:
    """Return the requested avatar.

    Raises:
        BadRequest, NotFound, BadPack: As ``parse`` raises them.
    """
    path, name = _string(body, "avatar_path"), _string(body, "avatar")
    if path is None and name is None:
        raise BadRequest(messages.jobs.AVATAR_REQUIRED())
    if path is None:
        assert name is not None
        return studio.avatars.load(studio.avatars.find(name, resolution or DEFAULT_RESOLUTION))
    avatar = studio.avatars.load(studio.avatars.resolve(path))
    found = avatar.resolution
    if resolution is not None and found in RESOLUTIONS and found != resolution:
        raise ResolutionNotFound(messages.jobs.RESOLUTION_DIFFERS(found=found))
    return avatar


def _choice(body: dict[str, Any], field: str, choices: tuple[str, ...]) -> str | None:
    """Return the string of a field, which must be one of the choices; None if it is missing."""
    value = body.get(field)
    if value is not None and (not isinstance(value, str) or value not in choices):
        listed = ", ".join(choices)
        raise BadRequest(messages.jobs.NOT_A_CHOICE(field=field, value=_shown(value), choices=listed))
    return value


def _string(body: dict[str, Any], field: str) -> str | None:
    """Return the string of a field; None if it is missing."""
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(messages.jobs.STRING_BLANK(field=field))
    return value.strip()


def _shown(value: object) -> str:
    """Return a value for an error message, shortened."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
