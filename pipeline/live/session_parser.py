"""Checks what a client asks of a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pipeline import messages
from pipeline.engines.lipsync_engine import LipsyncEngine, LiveEngine
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.musetalk.zerogpu import ZeroGpuEngine
from pipeline.engines.select import AUTO
from pipeline.errors import BadRequest, Unavailable
from pipeline.jobs.request import (
    avatar_of,
    default_engine,
    engine_of,
    flag_of,
    language_asked,
    lipsync_of,
    liveliness_of,
    look_of,
    looking,
    mood_of,
    number_of,
    pronunciations_of,
    rated,
    string_of,
)
from pipeline.jobs.studio import Studio
from pipeline.live.session_request import SessionRequest
from pipeline.speech_types import Mark
from pipeline.text.script import script_of
from pipeline.text.ssml import is_ssml
from pipeline.tts.speech_engine import CUSTOM_VOICE, PITCHES, SPEEDS, TTSEngine

LONGEST_WORD = 30.0
"""Seconds of a word of sound."""
LONGEST_TURN = 86_400.0
"""Seconds of a turn of sound in which words may be."""
LONGEST_TAG = 100
"""Characters of a client's name for a turn."""
LIKELY_LANGUAGES = ("ko", "en")
"""What a session may speak that names no language, as far as room for it must be known."""


def parse_session(body: object, studio: Studio) -> SessionRequest:
    """Check the decoded JSON of a request for a session; may read a pack and call a speech service.

    Raises:
        BadRequest: A field is invalid; the message names it and lists the choices.
        BadPack: The avatar's pack is broken.
        NotFound: There is no such avatar; the message lists the available ones.
        Unavailable: An engine cannot work now.
    """
    if not isinstance(body, dict):
        raise BadRequest(messages.live.SESSION_NOT_OBJECT())
    fields = body
    language = language_asked(fields)
    voice = string_of(fields, "tts_voice") or CUSTOM_VOICE
    pack, avatar = avatar_of(fields, studio)
    engine, _ = engine_of(fields, studio, language or "", voice, avatar.gender)
    chosen = fields.get("tts_engine") not in (None, AUTO) or voice != CUSTOM_VOICE
    engines = [engine] if chosen else _usual_engines(studio, language, avatar.gender)
    lipsync = _lipsync(fields, studio)
    _, eyes_note = looking(fields, avatar)
    background = studio.backdrops.parse(fields.get("background"), avatar)
    look = look_of(fields, studio, avatar)
    if look.captioned:  # their words are known when they are being said, and clients show them
        raise BadRequest(messages.live.CAPTIONS_NOT_BURNT_LIVE())
    return SessionRequest(
        pack=pack,
        avatar=rated(fields, avatar),
        fps=fields.get("fps"),
        look=replace(look, parted=background.kind == "transparent"),
        background=background,
        engine=lipsync.name,
        devices=lipsync.concurrency if isinstance(lipsync, LiveEngine) else 0,
        tts_engine=engine.name if chosen else "",
        tts_voice=voice,
        tts_speed=number_of(fields, "tts_speed", engine.speeds if chosen else SPEEDS, 1.0),
        tts_pitch=number_of(fields, "tts_pitch", PITCHES, 0.0),
        language=language,
        record=flag_of(fields, "record"),
        mood=mood_of(fields),
        liveliness=liveliness_of(fields),
        eye_contact=flag_of(fields, "eye_contact"),
        note=eyes_note,
        pronunciations=pronunciations_of(fields, studio),
        paces={one.name: one.pace for one in studio.tts.values() if one.pace is not None},
        voice_seconds=max(map(_voice_seconds, engines), default=0.0),
    )


def _usual_engines(studio: Studio, language: str | None, gender: str) -> Iterator[TTSEngine]:
    """Yield the engines that speak if none is named."""
    for one in [language] if language else LIKELY_LANGUAGES:
        with suppress(Unavailable):  # the turn that needs it reports it
            yield default_engine(studio, one, gender)[0]


def _voice_seconds(engine: TTSEngine) -> float:
    """Return the CPU seconds that a second of speech takes; 0 if that is little, unknown, or a service's."""
    return 1 / engine.pace if engine.pace else 0.0


def _lipsync(fields: dict[str, Any], studio: Studio) -> LipsyncEngine:
    """Return what moves the mouth: the engine asked for, or the usual one if it keeps up with a session.

    Raises:
        BadRequest: There is no such engine.
        Unavailable: It cannot work now, or is too slow for a session.
    """
    engine = studio.engines[lipsync_of(fields, studio)]
    keeps_up = engine.draws_on_gpu if isinstance(engine, LiveEngine) else not isinstance(engine, ZeroGpuEngine)
    if keeps_up:
        return engine
    if fields.get("engine") == engine.name:
        raise Unavailable(messages.live.ENGINE_NOT_LIVE(engine=engine.name))
    return studio.engines[MeshEngine.name]


def text_of(fields: dict[str, Any], limit: int) -> str:
    """Return the piece of text of a request to speak; SSML must be whole.

    Raises:
        BadRequest: There is none, it is too long, or it is SSML that cannot be read.
    """
    value = fields.get("text")
    if not isinstance(value, str) or not value:
        raise BadRequest(messages.live.PIECE_MISSING())
    if len(value) > limit:
        raise BadRequest(messages.jobs.TEXT_TOO_LONG(limit=limit, length=len(value)))
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadRequest(messages.jobs.TEXT_NOT_UNICODE())
    if is_ssml(value):
        script_of(value)
    return value


def tag_of(fields: dict[str, Any]) -> str | None:
    """Return the client's name for a turn; None if it has none.

    Raises:
        BadRequest: It is no short text.
    """
    value = fields.get("tag")
    if value is None or (isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_TAG):
        return value
    raise BadRequest(messages.live.TAG_INVALID(limit=LONGEST_TAG))


def moment_of(fields: dict[str, Any], field: str) -> float | None:
    """Return the time in a field, in seconds of the stream; None if it is missing.

    Raises:
        BadRequest: It is no time.
    """
    value = fields.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise BadRequest(messages.live.MOMENT_INVALID(field=field))
    return float(value)


def words_of(fields: dict[str, Any], limit: int) -> tuple[list[Mark], str | None]:
    """Return the words of a message about sound, with a blank after each, and their language; None if it is missing.

    Raises:
        BadRequest: They are no words with times in order, or too long.
    """
    given = fields.get("words")
    if not isinstance(given, list) or not given:
        raise BadRequest(messages.live.WORDS_MISSING())
    language = language_asked(fields)
    words: list[Mark] = []
    for number, one in enumerate(given):
        field = f"words[{number}]"
        if not isinstance(one, dict):
            raise BadRequest(messages.live.WORDS_MISSING())
        text = text_of(one, limit)
        start, end = moment_of(one, "start"), moment_of(one, "end")
        earliest = words[-1].start if words else 0.0
        if start is None or end is None or not earliest <= start <= end <= start + LONGEST_WORD or end > LONGEST_TURN:
            raise BadRequest(messages.live.WORD_WITHOUT_TIME(field=field))
        words.append(Mark("word", text if text[-1:].isspace() else f"{text} ", start, end))
    length = sum(len(word.text) for word in words)
    if length > limit:
        raise BadRequest(messages.jobs.TEXT_TOO_LONG(limit=limit, length=length))
    return words, language
