"""Handlers of the tabs on which an avatar speaks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline import messages
from pipeline.avatars.background import SOURCE as BEHIND_AS_FILMED
from pipeline.avatars.framing import SOURCE
from pipeline.avatars.store import RESOLUTIONS
from pipeline.core.notifier import Flag, until
from pipeline.engines.select import AUTO, problem_of
from pipeline.errors import PipelineError
from pipeline.jobs.events import Done, Failed, to_json
from pipeline.jobs.look import CAPTIONS, NO_LABEL
from pipeline.jobs.request import default_engine, parse
from pipeline.jobs.studio import Studio
from pipeline.jobs.voices import sample_url, voices_of
from pipeline.messages import Language
from pipeline.server.gradio.queue import RenderQueue
from pipeline.server.page import bar
from pipeline.server.page.snippets import frame, snippets, tag
from pipeline.server.page.words import (
    AUTOMATIC,
    ENGINES,
    EXAMPLES,
    FACES,
    GENDERS,
    LOOKS,
    choices_of,
    visitors_language,
)
from pipeline.server.visitors import Visitors
from pipeline.speech.expression_track import NEUTRAL, USUAL_LIVELINESS
from pipeline.speech_types import Voice
from pipeline.text.language import LANGUAGES, language_of, voice_of
from pipeline.tts.speech_engine import CUSTOM_VOICE

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fields:
    """The fields of a request as the page has them; None where nothing is chosen."""

    text: str
    avatar: str | None
    resolution: str | None
    tts_engine: str | None
    tts_voice: str | None
    frame_skip: float
    engine: str | None
    language: str | None
    tts_speed: float
    tts_pitch: float
    mood: str | None = None
    liveliness: float = USUAL_LIVELINESS
    eye_contact: bool = False
    pronunciations: str = ""
    aspect: str | None = None
    fps: str | None = None
    captions: str | None = None
    label: str | None = None
    background: str | None = None

    def body(self) -> dict[str, Any]:
        """Return the request in REST's format."""
        skip = self.frame_skip
        return {
            "text": self.text,
            "avatar": self.avatar or None,
            "resolution": self.resolution,
            "tts_engine": self.tts_engine,
            # without a voice the engine chooses
            **({} if self.tts_voice in (None, CUSTOM_VOICE) else {"tts_voice": self.tts_voice}),
            "frame_skip": int(skip) if float(skip).is_integer() else skip,
            "engine": self.engine,
            **({"language": self.language} if self.language else {}),
            **({"tts_speed": self.tts_speed} if self.tts_speed != 1 else {}),
            **({"tts_pitch": self.tts_pitch} if self.tts_pitch else {}),
            **({"mood": self.mood} if self.mood not in (None, NEUTRAL) else {}),
            **({"liveliness": self.liveliness} if self.liveliness != USUAL_LIVELINESS else {}),
            **({"eye_contact": True} if self.eye_contact else {}),
            **({"pronunciations": self.pronunciations} if self.pronunciations.strip() else {}),
            **({"aspect": self.aspect} if self.aspect not in (None, SOURCE) else {}),
            **({"fps": int(self.fps) if self.fps.isdecimal() else self.fps} if self.fps not in (None, SOURCE) else {}),
            **({"captions": self.captions} if self.captions not in (None, CAPTIONS[0]) else {}),
            **({"label": self.label} if self.label not in (None, NO_LABEL) else {}),
            **({"background": self.background} if self.background not in (None, "", BEHIND_AS_FILMED) else {}),
        }


def _shown(voice: Voice, language: Language) -> str:
    """Return the name of a voice for people."""
    gender = GENDERS.get(voice.gender)
    return f"{voice.name} · {gender.in_language(language)}" if gender else voice.name


class Speaking:
    """Handlers that make avatars speak."""

    def __init__(
        self, studio: Studio, queue: RenderQueue, visitors: Visitors, visited: threading.Event, warm: Flag
    ) -> None:
        """Create the handlers.

        Args:
            studio: Avatars, voices and engines.
            queue: Where requests wait.
            visitors: Selects the avatars that a visitor can see.
            visited: Set when the first visitor arrives.
            warm: Set once everything is loaded; until then all is slower.
        """
        self._studio = studio
        self._queue = queue
        self._visitors = visitors
        self._visited = visited
        self._warm = warm

    def avatars(self) -> list[str]:
        """Return the names of the avatars that all visitors can see."""
        return sorted({pack.name for pack in self._visitors.shipped().list()})

    def resolutions(self, avatar: str | None) -> list[str]:
        """Return the resolutions of an avatar that all visitors can see, largest first; all that there are for none."""
        found = [pack.resolution for pack in self._visitors.shipped().list() if pack.name == avatar]
        return found or list(RESOLUTIONS)

    def tts_engines(self) -> list[str]:
        """Return the speech engines that are available now."""
        return [engine.name for engine in self._studio.tts.values() if engine.available()]

    def lipsync_engines(self) -> list[str]:
        """Return the lipsync engines that a request may name."""
        return [AUTO, *self._studio.engines]

    def on_load(self, request: gr.Request, text: str, engine: str | None) -> tuple[Any, ...]:
        """Give visitors who do not speak Korean a text that they can read, and all choices in their language.

        Their input from before a reload stays.
        """
        language = visitors_language(request)
        untouched = language != "ko" and text == EXAMPLES[0]
        readable = next(one for one in EXAMPLES if one.isascii()) if untouched else gr.skip()
        languages = gr.update(choices=[(AUTOMATIC.in_language(language), ""), *LANGUAGES])
        voices = gr.update(choices=[(AUTOMATIC.in_language(language), AUTO), *self.tts_engines()])
        moods = gr.update(choices=[(label.in_language(language), mood) for mood, label in FACES.items()])
        looks = (gr.update(choices=choices_of(field, language)) for field in LOOKS)
        return readable, self._engines(language, engine), languages, voices, moods, *looks

    def _engines(self, language: Language, chosen: str | None) -> Any:
        """Offer the lipsync engines that are available now, if there are several, with the chosen one.

        The configured engine is offered even if it is not available: then the reason is shown, and visitors may choose
        another.
        """
        setting = self._studio.settings.lipsync_engine
        problems = {name: problem_of(engine) for name, engine in self._studio.engines.items()}
        offered = [name for name, problem in problems.items() if problem is None or name == setting]
        labels = [(ENGINES[name].in_language(language) if name in ENGINES else name) for name in (AUTO, *offered)]
        problem = problems.get(setting)
        return gr.update(
            choices=list(zip(labels, (AUTO, *offered), strict=True)),
            value=chosen if chosen in (AUTO, *offered) else setting,
            info=problem and problem.in_language(language),
            visible=len(offered) > 1,
        )

    def on_start(self, request: gr.Request) -> tuple[Any, Any]:
        """Show early visitors that models are being loaded; the second value has the page wait for the end of that."""
        self._visited.set()
        if self._warm.is_set:
            return gr.skip(), gr.skip()
        message = messages.server.PAGE_WARMING().in_language(visitors_language(request))
        return bar.at(message, 0, "warming"), "warming"

    async def until_warm(self) -> None:
        """Return once everything is loaded."""
        await until(lambda: self._warm.is_set, self._warm)

    def on_avatar(self, request: gr.Request, avatar: str | None, chosen: str | None) -> Any:
        """Offer the resolutions of an avatar, largest first; the chosen one stays if the avatar has it."""
        assert request.request is not None, "Gradio gives it to whatever it runs"
        seen = self._visitors.for_page(request.request)
        found = [pack.resolution for pack in seen.list() if pack.name == avatar]
        return gr.update(choices=found, value=chosen if chosen in found else found[0]) if found else gr.skip()

    def on_tts_engine(
        self, request: gr.Request, engine: str | None, chosen: str | None, avatar: str | None = None
    ) -> Any:
        """Offer the voices of an engine, first those that fit the avatar's gender.

        Without an engine, those of all but eSpeak NG, whose voices are its languages. The chosen one stays if it is
        among them.
        """
        language, gender = visitors_language(request), self._gender(request, avatar)
        found = voices_of(self._studio, engine) if engine in self._studio.tts else voices_of(self._studio)
        voices = [(AUTOMATIC.in_language(language), CUSTOM_VOICE)]
        offered = [voice for speaks, voice in found if engine == speaks.name or speaks is not self._studio.espeak]
        offered.sort(key=lambda voice: bool(gender) and voice.gender != gender)
        voices += [(_shown(voice, language), voice.id) for voice in offered]
        return gr.update(choices=voices, value=chosen if chosen in {one for _, one in voices} else CUSTOM_VOICE)

    def _gender(self, request: gr.Request, avatar: str | None) -> str:
        """Return the gender of an avatar that the visitor can see; "" if it is unknown."""
        assert request.request is not None, "Gradio gives it to whatever it runs"
        seen = self._visitors.for_page(request.request)
        return next((seen.gender(pack) for pack in seen.list() if pack.name == avatar), "")

    def on_listen(
        self,
        request: gr.Request,
        text: str,
        engine: str | None,
        voice: str | None,
        language: str | None,
        avatar: str | None = None,
    ) -> str:
        """Return the address of a sample of the chosen voice, or of the one that would speak a text; "" without one."""
        assert request.request is not None, "Gradio gives it to whatever it runs"
        spoken = language_of(text, voice_of(language) if language else None)
        named = engine if engine in self._studio.tts else None
        if voice in (None, CUSTOM_VOICE):
            gender = self._gender(request, avatar)
            chosen = self._studio.tts[named] if named else default_engine(self._studio, spoken, gender)[0]
            named, voice = chosen.name, chosen.voice_for(gender)
        found = list(voices_of(self._studio, named))
        fits = [one for one in found if one[1].id == voice]
        fits += [one for one in found if one[1].language.split("-")[0] == spoken.split("-")[0]]
        for speaks, one in (*fits, *found[:1]):
            return one.sample or request.request.scope.get("root_path", "") + sample_url(speaks.name, one.id)
        return ""

    def on_background(self, request: gr.Request, file: str) -> str:
        """Keep a picture to be behind avatars; return its id."""
        try:
            return self._studio.backdrops.keep(Path(file))
        except PipelineError as error:
            raise gr.Error(error.message.in_language(visitors_language(request)), print_exception=False) from None

    def on_api(  # noqa: PLR0913 - Gradio passes each field by its position
        self,
        request: gr.Request,
        text: str,
        avatar: str | None,
        resolution: str | None,
        tts_engine: str | None,
        tts_voice: str | None,
        frame_skip: float,
        engine: str | None,
        language: str | None,
        tts_speed: float = 1.0,
        tts_pitch: float = 0.0,
        mood: str | None = None,
        liveliness: float = USUAL_LIVELINESS,
        pronunciations: str = "",
        aspect: str | None = None,
        fps: str | None = None,
        captions: str | None = None,
        label: str | None = None,
        eye_contact: bool = False,
        background: str | None = None,
    ) -> tuple[str, str, str, str, str]:
        """Return the request that makes the same video, for curl, JavaScript, Python, as a tag, and as a frame."""
        url = str(request.request.base_url).rstrip("/") if request.request else ""
        fields = _Fields(
            text=text,
            avatar=avatar,
            resolution=resolution,
            tts_engine=tts_engine,
            tts_voice=tts_voice,
            frame_skip=frame_skip,
            engine=engine,
            language=language,
            tts_speed=tts_speed,
            tts_pitch=tts_pitch,
            mood=mood,
            liveliness=liveliness,
            pronunciations=pronunciations,
            aspect=aspect,
            fps=fps,
            captions=captions,
            label=label,
            eye_contact=eye_contact,
            background=background,
        )
        asked = url, fields.body(), self._studio.settings.api_keys
        return (*snippets(*asked), tag(*asked), frame(*asked))

    async def generate(  # noqa: PLR0913 - Gradio passes each field by its position
        self,
        request: gr.Request,
        text: str,
        avatar: str | None,
        resolution: str | None,
        tts_engine: str | None,
        tts_voice: str | None,
        frame_skip: float,
        audio: str | None = None,
        engine: str | None = None,
        language: str | None = None,
        tts_speed: float = 1.0,
        tts_pitch: float = 0.0,
        mood: str | None = None,
        liveliness: float = USUAL_LIVELINESS,
        pronunciations: str = "",
        aspect: str | None = None,
        fps: str | None = None,
        captions: str | None = None,
        label: str | None = None,
        eye_contact: bool = False,
        background: str | None = None,
    ) -> AsyncGenerator[tuple[str | None, dict[str, Any], str]]:
        """Make a video of an avatar that says a text, or a recording; every stage is given, the video with the last.

        With a recording, a text that is still one of the examples is not taken for what it says.
        """
        fields = _Fields(
            text="" if audio and text in EXAMPLES else text,
            avatar=avatar,
            resolution=resolution,
            tts_engine=tts_engine,
            tts_voice=tts_voice,
            frame_skip=frame_skip,
            engine=engine,
            language=language,
            tts_speed=tts_speed,
            tts_pitch=tts_pitch,
            mood=mood,
            liveliness=liveliness,
            pronunciations=pronunciations,
            aspect=aspect,
            fps=fps,
            captions=captions,
            label=label,
            eye_contact=eye_contact,
            background=background,
        )
        reader = visitors_language(request)
        task_id = ""
        assert request.request is not None, "Gradio gives it to whatever it runs"
        root = request.request.scope.get("root_path", "")
        studio = replace(self._studio, avatars=self._visitors.for_page(request.request))
        try:
            asked = await asyncio.to_thread(parse, fields.body(), studio, Path(audio) if audio else None)
            async with aclosing(self._queue.watch(asked, request.request)) as events:
                async for task, event in events:
                    if isinstance(event, Failed):
                        raise event.error.afresh()
                    task_id = task.id
                    video = str(task.video) if isinstance(event, Done) else None
                    body = to_json(event, task_id, reader, root)
                    if isinstance(event, Done):  # Gradio's stream would break at line ends of Unicode's own
                        body["text"] = "\n".join(event.text.splitlines())
                    yield video, {**body, **bar.at_event(event, reader)}, task_id
        except PipelineError as error:
            failed = Failed(error)
            yield None, {**to_json(failed, task_id, reader), **bar.at_event(failed, reader)}, task_id
            # for clients; the page shows it at the bar already
            raise gr.Error(error.message.in_language(reader), visible=False, print_exception=False) from None

    async def say(
        self, request: gr.Request, text: str, *settings: Any
    ) -> AsyncGenerator[tuple[str | None, dict[str, Any], str]]:
        """Make a video of an avatar that speaks a recording, the sixth of `settings`; see ``generate``."""
        if settings[5] is None:
            language = visitors_language(request)
            yield None, bar.at(messages.server.RECORDING_REQUIRED().in_language(language), 1.0, "failed"), ""
            return
        async with aclosing(self.generate(request, text, *settings)) as stages:
            async for stage in stages:
                yield stage
