"""Requests of clients, which are checked completely before any work is done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import category

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import AS_FILMED as BEHIND_AS_FILMED
from pipeline.avatars.background import Background
from pipeline.avatars.eye_contact import with_eye_contact
from pipeline.avatars.framing import ASPECTS, RATES, SOURCE, at_rate, box_of
from pipeline.avatars.store import RESOLUTIONS
from pipeline.engines.select import AUTO, preferred
from pipeline.errors import BadRequest, NothingToSay, PipelineError, ResolutionNotFound, Unavailable
from pipeline.jobs.look import AS_FILMED, BURN, CAPTIONS, LABELS, NO_LABEL, Look
from pipeline.jobs.studio import Studio
from pipeline.messages import Message
from pipeline.speech.expression_track import NEUTRAL, USUAL_LIVELINESS
from pipeline.text import pronunciations
from pipeline.text.cues import MOODS, Cue
from pipeline.text.language import LANGUAGES, speakable, voice_of
from pipeline.text.pronunciations import Pronunciations
from pipeline.text.script import Phrase, Script, script_of
from pipeline.tts.speech_engine import CUSTOM_VOICE, PITCHES, SPEEDS, TTSEngine
from pipeline.video import lettering

DEFAULT_RESOLUTION = "720p"
MAX_FRAME_SKIP = 10


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """A request that can be fulfilled.

    Attributes:
        text: What to say as captions show it, line by line, without what is only visible (Markdown, emoji).
        phrases: How it is said; none says it as it is written.
        language: The language of `text`, as eSpeak NG calls it; empty without a text.
        avatar: The person who speaks. It stays as it is here, whatever becomes of its pack.
        cues: The stage directions in the text (see ``pipeline.text.cues``).
        mood: How the face looks throughout, one of `MOODS`.
        liveliness: How much the face moves with the voice, 0..1.
        frame_skip: The mouth is solved every n-th frame, 1-10.
        engine: What moves the mouth, a key of `Studio.engines`.
        look: How its pictures are cropped, captioned and marked.
        background: What is behind the person.
        tts_engine: A key of `Studio.tts`; empty if there is a recording.
        tts_voice: One of that engine's voices, or "Custom".
        tts_speed: How fast, 1 is usual (0.7-1.3).
        tts_pitch: Semitones above the voice's usual pitch (-4..4).
        eyes_note: Why the eyes look as they were filmed although eye contact was asked for; None if they do not.
        tts_note: Why not the engine that would speak by default; None if it does, or if another was asked for.
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
    tts_speed: float = 1.0
    tts_pitch: float = 0.0
    tts_note: Message | None = None
    eyes_note: Message | None = None
    recording: Path | None = None
    look: Look = AS_FILMED
    background: Background = BEHIND_AS_FILMED
    phrases: tuple[Phrase, ...] = ()
    cues: tuple[Cue, ...] = ()
    mood: str = NEUTRAL
    liveliness: float = USUAL_LIVELINESS

    @property
    def note(self) -> Message | None:
        """What differs from what was asked for, or would be expected; None if nothing does."""
        if self.tts_note is None or self.eyes_note is None:
            return self.tts_note or self.eyes_note
        return messages.jobs.WITH_NOTE(message=self.tts_note, note=self.eyes_note)

    @property
    def spoken(self) -> str:
        """What is spoken for the text."""
        return "".join(phrase.spoken for phrase in self.phrases) if self.phrases else self.text


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
    asked = language_asked(body)
    dictionary = pronunciations_of(body, studio)
    script = Script((), (), "") if wordless else _script(body, studio.settings.max_text, asked, dictionary)
    frame_skip = _frame_skip(body)
    lipsync = lipsync_of(body, studio)
    language = script.language
    voice = (recording is None and string_of(body, "tts_voice")) or CUSTOM_VOICE
    _, avatar = avatar_of(body, studio)
    background = studio.backdrops.parse(body.get("background"), avatar)
    shown, eyes_note = looking(body, rated(body, avatar))
    engine: TTSEngine | None = None
    note: Message | None = None
    if recording is None:
        engine, note = engine_of(body, studio, language, voice, avatar.gender)
        voice = engine.voice_for(avatar.gender) if voice == CUSTOM_VOICE else voice
    speed = number_of(body, "tts_speed", engine.speeds if engine else SPEEDS, 1.0)
    pitch = number_of(body, "tts_pitch", PITCHES, 0.0)
    return GenerateRequest(
        text=script.written,
        phrases=script.phrases,
        cues=script.cues,
        mood=mood_of(body),
        liveliness=liveliness_of(body),
        language=language,
        avatar=shown,
        look=replace(look_of(body, studio, avatar), parted=background.kind == "transparent"),
        background=background,
        frame_skip=frame_skip,
        engine=lipsync,
        tts_engine=engine.name if engine else "",
        tts_voice=voice,
        tts_speed=speed,
        tts_pitch=pitch,
        tts_note=note,
        eyes_note=eyes_note,
        recording=recording,
    )


def default_engine(studio: Studio, language: str, gender: str = "") -> tuple[TTSEngine, Message | None]:
    """Return the engine of a request that names none: the first that speaks the language, in order of preference.

    The engine of the setting TTS_ENGINE comes first. One that is too slow for this machine, or was not measured yet, is
    left out. Where the first has only voices of the other gender, a later one that has a fitting voice speaks, unless
    the setting names the first. Without a language, since the text is not known yet, any will do. Also returns why it
    is not one before it, if that should have worked.

    Args:
        studio: The engines.
        language: Of the text, as eSpeak NG calls it; "" if it is not known yet.
        gender: Of the avatar, "female" or "male"; "" if unknown.

    Raises:
        Unavailable: There is none.
    """
    able = _able_engines(studio, language)
    usual, note = next(able, (None, None))
    if usual is None:
        raise Unavailable(messages.jobs.NO_SPEECH_ENGINE())
    ours = not usual.remote and usual.name != studio.settings.tts_engine
    if language and gender and ours and usual.voice_for(gender) == CUSTOM_VOICE:
        fitting = next((engine for engine, _ in able if engine.voice_for(gender) != CUSTOM_VOICE), None)
        if fitting is not None:
            return fitting, None
    return usual, note and messages.jobs.SPEAKS_INSTEAD(engine=usual.name, why=note)


def _able_engines(studio: Studio, language: str) -> Iterator[tuple[TTSEngine, Message | None]]:
    """Yield the engines that may speak a language here without being named, each with why one before it may not."""
    note: Message | None = None
    chosen = studio.settings.tts_engine
    engines = sorted(studio.tts.values(), key=lambda engine: engine.name != chosen)
    for engine in [engine for engine in engines if not language or engine.speaks(language)] or engines:
        if engine.optional and not engine.set_up():
            continue
        try:
            engine.check()
        except Unavailable as error:
            note = note or error.message
            continue
        slowness = engine.slowness()
        if slowness and engine.name != chosen:
            note = note or slowness
            continue
        yield engine, note


def pronunciations_of(body: dict[str, Any], studio: Studio) -> Pronunciations:
    """Return the pronunciations of a request, before those of the setting.

    Raises:
        BadRequest: The field is no dictionary.
    """
    return pronunciations.parse(body.get("pronunciations")).over(studio.pronunciations)


def rated(body: dict[str, Any], avatar: Avatar) -> Avatar:
    """Return an avatar at the frame rate of a request.

    Raises:
        BadRequest: The clip does not allow it, or it is none of those that may be asked for.
    """
    rate = body.get("fps")
    if rate is None:
        return avatar
    if isinstance(rate, bool) or not isinstance(rate, int) or rate not in RATES:
        choices = ", ".join(map(str, RATES))
        raise BadRequest(messages.jobs.NOT_A_CHOICE(field="fps", value=_shown(rate), choices=choices))
    return at_rate(avatar, rate)


def looking(body: dict[str, Any], avatar: Avatar) -> tuple[Avatar, Message | None]:
    """Return an avatar as a request has it look: as it was filmed, or at the camera; and why that is not possible.

    Raises:
        BadRequest: The field is not true or false.
    """
    if not flag_of(body, "eye_contact"):
        return avatar, None
    if avatar.gaze is None:
        return avatar, messages.jobs.EYES_AS_FILMED()
    return with_eye_contact(avatar), None


def look_of(body: dict[str, Any], studio: Studio, avatar: Avatar) -> Look:
    """Return how the pictures of a request look; a mark of the setting AI_LABEL cannot be switched off.

    Raises:
        BadRequest: The aspect is unknown, or the head does not fit into it; captions or label are unknown.
        Unavailable: The font of captions and marks is missing or damaged.
    """
    aspect = _choice(body, "aspect", (*ASPECTS, SOURCE)) or SOURCE
    captions = _choice(body, "captions", CAPTIONS)
    label, ours = _choice(body, "label", LABELS), studio.settings.ai_label
    mark = label if label not in (None, NO_LABEL) else ours
    look = Look(box_of(avatar, aspect), "" if mark == NO_LABEL else mark or "", captions == BURN)
    if look.label or look.captioned:
        lettering.check()
    return look


def _script(body: dict[str, Any], limit: int, asked: str | None, dictionary: Pronunciations) -> Script:
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
    script = script_of(text, asked, dictionary)
    if not speakable(script.written):
        raise NothingToSay(messages.tts.NOTHING_TO_SAY())
    return script


def _frame_skip(body: dict[str, Any]) -> int:
    value = body.get("frame_skip")
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FRAME_SKIP:
        raise BadRequest(messages.jobs.FRAME_SKIP_INVALID(limit=MAX_FRAME_SKIP))
    return value


def number_of(body: dict[str, Any], field: str, within: tuple[float, float], usual: float) -> float:
    """Return the number of a field; the usual one if it is missing.

    Raises:
        BadRequest: It is something else, or out of range.
    """
    value = body.get(field)
    if value is None:
        return usual
    low, high = within
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadRequest(messages.jobs.NUMBER_OUT_OF_RANGE(field=field, low=low, high=high))
    return float(value)


def flag_of(fields: dict[str, Any], field: str) -> bool:
    """Return the value of a field that is true or false; false if it is missing.

    Raises:
        BadRequest: It is something else.
    """
    value = fields.get(field)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise BadRequest(messages.jobs.FLAG_INVALID(field=field))


def mood_of(body: dict[str, Any]) -> str:
    """Return the mood of a request; neutral if it names none.

    Raises:
        BadRequest: There is no such mood; the message lists them.
    """
    return _choice(body, "mood", MOODS) or NEUTRAL


def liveliness_of(body: dict[str, Any]) -> float:
    """Return how much the face of a request moves with the voice, 0..1.

    Raises:
        BadRequest: It is no such number.
    """
    return number_of(body, "liveliness", (0.0, 1.0), USUAL_LIVELINESS)


def language_asked(body: dict[str, Any]) -> str | None:
    """Return the espeak-ng voice of the requested language; None if there is none.

    Raises:
        BadRequest: There is no such language.
    """
    value = string_of(body, "language")
    voice = voice_of(value) if value else None
    if value and voice is None:
        listed = ", ".join(LANGUAGES)
        raise BadRequest(messages.jobs.LANGUAGE_UNKNOWN(value=_shown(value), choices=listed))
    return voice


def lipsync_of(body: dict[str, Any], studio: Studio) -> str:
    """Return the lipsync engine of a request, a key of `Studio.engines`.

    Raises:
        BadRequest: There is no such engine.
        Unavailable: It cannot work now.
    """
    name = _choice(body, "engine", (*studio.engines, AUTO))
    engine = studio.engine if name is None else preferred(studio.engines, name)
    engine.check()
    return engine.name


def engine_of(
    body: dict[str, Any], studio: Studio, language: str, voice: str, gender: str = ""
) -> tuple[TTSEngine, Message | None]:
    """Return the engine that speaks a text with a voice, and why it is not the usual one.

    Without a language, since the text is not known yet, none is checked. The gender is the avatar's, "" if unknown.

    Raises:
        BadRequest: There is no such engine, or it has no such voice or language.
        Unavailable: It cannot speak now.
    """
    name = _choice(body, "tts_engine", (*studio.tts, AUTO))
    if name in (None, AUTO):
        engine, note = default_engine(studio, language, gender)
        if voice != CUSTOM_VOICE:
            return _that_has(voice, engine, studio), None
        if language:
            engine.check_language(language)
        return engine, note
    engine = studio.tts[name]
    engine.check()
    if voice != CUSTOM_VOICE:
        engine.check_voice(voice)
    elif language:
        engine.check_language(language)
    return engine, None


def _that_has(voice: str, usual: TTSEngine, studio: Studio) -> TTSEngine:
    """Return the engine that has a voice: the usual one if possible.

    Raises:
        BadRequest: None has it; the message lists the voices of the usual one.
    """
    try:
        usual.check_voice(voice)
        return usual
    except BadRequest:
        for engine in studio.tts.values():
            if engine is not usual and engine.available():
                with suppress(PipelineError):
                    engine.check_voice(voice)
                    engine.check()
                    return engine
        raise


def avatar_of(body: dict[str, Any], studio: Studio) -> tuple[Path, Avatar]:
    """Return the requested avatar, and its pack.

    Raises:
        BadRequest, NotFound, BadPack: As ``parse`` raises them.
    """
    resolution = _choice(body, "resolution", RESOLUTIONS)
    path, name = string_of(body, "avatar_path"), string_of(body, "avatar")
    if path is None and name is None:
        raise BadRequest(messages.jobs.AVATAR_REQUIRED())
    if path is None:
        assert name is not None
        pack = studio.avatars.find(name, resolution or DEFAULT_RESOLUTION)
        return pack, studio.avatars.load(pack)
    pack = studio.avatars.resolve(path)
    avatar = studio.avatars.load(pack)
    found = avatar.resolution
    if resolution is not None and found in RESOLUTIONS and found != resolution:
        raise ResolutionNotFound(messages.jobs.RESOLUTION_DIFFERS(found=found))
    return pack, avatar


def _choice(body: dict[str, Any], field: str, choices: tuple[str, ...]) -> str | None:
    """Return the string of a field, which must be one of the choices; None if it is missing."""
    value = body.get(field)
    if value is not None and (not isinstance(value, str) or value not in choices):
        listed = ", ".join(choices)
        raise BadRequest(messages.jobs.NOT_A_CHOICE(field=field, value=_shown(value), choices=listed))
    return value


def string_of(body: dict[str, Any], field: str) -> str | None:
    """Return the string of a field; None if it is missing.

    Raises:
        BadRequest: It is something else, or blank.
    """
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
