"""Builds the page: its components, and the handlers of their events."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.data_classes import FileData

from pipeline import messages
from pipeline.avatars.background import SOURCE as BEHIND_AS_FILMED
from pipeline.avatars.framing import SOURCE
from pipeline.core.notifier import Flag
from pipeline.engines.select import AUTO
from pipeline.jobs.avatar_maker import AvatarMaker
from pipeline.jobs.look import CAPTIONS, NO_LABEL
from pipeline.jobs.request import DEFAULT_RESOLUTION, MAX_FRAME_SKIP
from pipeline.jobs.studio import Studio
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.uploads import Uploads
from pipeline.jobs.voice_download import VoiceDownload
from pipeline.server.gradio.queue import RenderQueue
from pipeline.server.page import bar, fetching, live, making
from pipeline.server.page.later import comes_when_opened
from pipeline.server.page.parts import make_part
from pipeline.server.page.portraits import Portraits, make_picker
from pipeline.server.page.speaking import Speaking
from pipeline.server.page.words import (
    AUTOMATIC,
    CHOOSE,
    DESCRIPTION,
    ENTER,
    EXAMPLES,
    FACES,
    HEADING,
    PLAYER,
    STRIP,
    TITLE,
    choices_of,
    said,
    shown,
)
from pipeline.server.visitors import Visitors
from pipeline.speech.expression_track import NEUTRAL, USUAL_LIVELINESS
from pipeline.text.cues import MOODS
from pipeline.text.language import LANGUAGES
from pipeline.tts.speech_engine import CUSTOM_VOICE, PITCHES, SPEEDS

UNQUEUED: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
WAITING = bar.pressed(messages.server.PAGE_WAITING(), "queued")
STOPPING = bar.pressed(messages.server.PAGE_STOPPING(), "stopping")
STOPPED = bar.pressed(messages.server.PAGE_STOPPED(), "idle")
PRESSED = f"stage => ['queued', 'running'].includes(stage.state) ? stage : {WAITING}"
"""While a task waits or runs, Gradio ignores another press of its button, and so does the page."""
HOLD = """() => document.addEventListener('click', (event) => {
    const button = event.target.closest('#generate, #say, #make');
    if (button && window.stopping) {
        window.stopping.pressed = button;
        event.stopImmediatePropagation();
    }
}, true)"""
"""While a task is being stopped, Gradio would ignore another press; it is kept."""
STOP = f"""(stage, making) => {{
    window.stopping ??= {{}};
    const runs = ['queued', 'running'].includes(stage.state);
    window.stopping.over = new Promise((over) => runs ? window.stopping.end = over : over());
    const stopping = {STOPPING};
    return [stopping, making.state === 'running' ? stopping : making];
}}"""
ENDED = "() => window.stopping?.end?.()"
"""Gradio reports a task that it has cancelled, and only then forgotten, as failed."""
SETTLE = """() => {
    const after = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));
    return Promise.race([Promise.all([window.stopping.over, after(300)]), after(1000)]);
}"""
"""Stages of the stopped task may still be on their way through the page."""
SETTLED = f"""(stage, making) => {{
    if (['queued', 'running'].includes(stage.state) || making.state === 'running') {{
        setTimeout(() => document.querySelector('#stop').click()); // the task began only now
        return [stage, making];
    }}
    const pressed = window.stopping?.pressed;
    window.stopping = null;
    if (pressed) setTimeout(() => pressed.click());
    return [stage, making].map((one) => one.state === 'stopping' ? {STOPPED} : one);
}}"""
"""Tasks on both sides are stopped together, and both show the same."""
WARM = f"stage => stage.state === 'warming' ? {json.dumps(bar.IDLE)} : stage"
ANEW = f"stage => stage.state === 'failed' ? {json.dumps(bar.IDLE)} : stage"
"""What went wrong on one tab is no matter of another."""
# functions of page.js
STAGE = "(...shown) => window.page.shown(...shown)"
LIVE = "(...chosen) => window.page.live(...chosen)"
KEEP_STAGE, KEEP_FIELDS = "(stage) => window.page.stage(stage)", "(...fields) => window.page.fields(...fields)"
RESTORE = "(...now) => window.page.restore(...now)"
LISTEN = "url => { window.sample?.pause(); if (url) (window.sample = new Audio(url)).play(); }"
SEE = "status => status.state === 'failed' && window.page.see('making')"
COUNT = "(text, count) => ({...count, length: [...(text ?? '')].length})"
CSS = Path(__file__).with_name("layout.css").read_text("utf-8")


def make_theme() -> gr.themes.Base:
    """Return the theme; it uses the system's fonts, so that nothing is fetched."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Apple SD Gothic Neo", "Noto Sans KR", "Noto Sans CJK KR"]
    fonts += ["Malgun Gothic", "sans-serif"]
    mono = ["ui-monospace", "Consolas", "monospace"]
    theme = gr.themes.Soft(primary_hue="blue", secondary_hue="blue", neutral_hue="slate", font=fonts, font_mono=mono)
    return theme.set(  # where Soft's own colours are too pale to read (WCAG 2 asks for 4.5:1)
        color_accent="*primary_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_title_background_fill="none",
        block_title_background_fill_dark="none",
        block_title_padding="0",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_label_background_fill="none",
        block_label_background_fill_dark="none",
        block_label_text_color="*body_text_color",
        block_label_text_color_dark="*body_text_color",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_padding="0",  # all that lies in a column has one edge
        block_label_border_width="0",
        form_gap_width="*spacing_xl",
        input_border_width="1px",
        input_border_color="#8391a5",  # 3:1 against the ground, as the borders of all that is pressed or written in
        input_border_color_dark="*neutral_500",
        input_shadow="none",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_border_width="1px",
        button_secondary_border_color="#8391a5",
        button_secondary_border_color_hover="*primary_600",
        button_secondary_border_color_dark="*neutral_500",
        button_secondary_shadow="none",
        button_secondary_shadow_hover="none",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        button_cancel_background_fill="#b91c1c",  # Soft's own is hardly a button in the light
        button_cancel_background_fill_hover="#991b1b",
        button_cancel_background_fill_dark="#b91c1c",
        button_cancel_background_fill_hover_dark="#991b1b",
        button_cancel_text_color="white",
        button_cancel_text_color_hover="white",
        button_cancel_text_color_dark="white",
        link_text_color_visited="*link_text_color",
        link_text_color_dark="*secondary_400",
        link_text_color_visited_dark="*link_text_color",
    )


def _without(audio: gr.Audio, fields: list[Any]) -> str:
    """Return the script that sends `fields` without the recording: the tab for texts does not use that of another."""
    return f"(...fields) => fields.map((field, at) => at === {fields.index(audio)} ? null : field)"


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The fields that all tabs share. `avatar` is hidden: visitors choose a portrait, clients send the name."""

    avatar: gr.Textbox
    resolution: gr.Dropdown
    tts_engine: gr.Dropdown
    voice: gr.Dropdown
    frame_skip: gr.Slider
    engine: gr.Dropdown
    language: gr.Dropdown
    speed: gr.Slider
    pitch: gr.Slider
    mood: gr.Dropdown
    liveliness: gr.Slider
    pronunciations: gr.Textbox
    aspect: gr.Dropdown
    fps: gr.Dropdown
    captions: gr.Dropdown
    label: gr.Dropdown
    eye_contact: gr.Checkbox
    background: gr.Dropdown
    picture: gr.UploadButton
    listen: gr.Button
    sample: gr.Textbox
    drawer: gr.Accordion

    def inputs(self, text: gr.Textbox, audio: gr.Audio) -> list[Any]:
        """Return the inputs of the public function, in order."""
        return [text, *self._before_audio, audio, *self._after_audio]

    def of_session(self) -> list[Any]:
        """Return the fields of a live session."""
        voice = [self.tts_engine, self.voice, self.language, self.speed, self.pitch]
        pictures = [self.aspect, self.fps, self.label, self.eye_contact, self.background]
        return [self.avatar, self.resolution, *voice, self.mood, self.liveliness, self.pronunciations, *pictures]

    def asked(self, text: gr.Textbox) -> list[Any]:
        """Return the fields of a JSON request."""
        return [text, *self.asked_of_all()]

    def asked_of_all(self) -> list[Any]:
        """Return the fields of every request, with or without a text."""
        return [*self._before_audio, *self._after_audio]

    @property
    def _after_audio(self) -> list[Any]:
        of_voice = [self.language, self.speed, self.pitch]
        pictures = [self.aspect, self.fps, self.captions, self.label, self.eye_contact, self.background]
        return [self.engine, *of_voice, self.mood, self.liveliness, self.pronunciations, *pictures]

    @property
    def _before_audio(self) -> list[Any]:
        return [self.avatar, self.resolution, self.tts_engine, self.voice, self.frame_skip]


@dataclass(frozen=True, kw_only=True)
class _Result:
    """The components that show a task: the player, the bar, and the outputs for clients."""

    player: gr.HTML
    status: gr.HTML
    video: gr.Video
    task_id: gr.Textbox
    details: gr.Accordion


@dataclass(frozen=True, slots=True, kw_only=True)
class PageServices:
    """What the page shows and uses.

    Attributes:
        studio: Avatars, voices and engines.
        queue: Where videos wait.
        uploads: Avatars that were uploaded.
        avatar_maker: Makes them.
        supervisor: Follows, cancels and ends jobs.
        visitors: Selects the avatars that a visitor can see.
        chat: Whether a language model answers in live sessions.
        visited: Set when a visitor opens the page.
        warm: Until it is set, the page shows that models are loading.
        voice_download: Fetches voices when a visitor asks for it.
    """

    studio: Studio
    queue: RenderQueue
    uploads: Uploads
    avatar_maker: AvatarMaker
    supervisor: Supervisor
    visitors: Visitors
    chat: bool
    visited: threading.Event
    warm: Flag
    voice_download: VoiceDownload


def build_page(services: PageServices) -> gr.Blocks:
    """Build the page, including REST's function in the queue."""
    studio, queue, visitors = services.studio, services.queue, services.visitors
    speaking = Speaking(studio, queue, visitors, services.visited, services.warm)
    maker = making.Maker(services.uploads, services.avatar_maker, services.supervisor, visitors, queue)
    portraits = Portraits(studio.avatars, visitors)
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600), fill_width=True) as page:
        said({"h1": HEADING, "p": DESCRIPTION}, elem_id="title")
        with gr.Column(elem_id="house"):
            with gr.Column(scale=8, min_width=320, elem_id="stage"):
                with gr.Tabs(elem_id="ways"):
                    with gr.Tab(shown("live"), id="live", elem_id="live_tab"):
                        stage = live.make_stage(services.chat)
                    with gr.Tab(shown("speak"), id="speak", elem_id="speak_tab") as speak_tab:
                        text = gr.Textbox(label=shown("text"), lines=2, max_lines=8, value=EXAMPLES[0], elem_id="text")
                        most = studio.settings.max_text
                        counts = [(text, bar.make_count("count", len(EXAMPLES[0]), most, ENTER))]
                    with gr.Tab(shown("audio"), id="audio", elem_id="audio_tab") as audio_tab:
                        audio = gr.Audio(
                            label=shown("recording"),
                            sources=["upload", "microphone"],
                            type="filepath",
                            editable=False,
                            buttons=[],
                            elem_id="audio",
                        )
                        words = gr.Textbox(
                            label=shown("transcript"), info=shown("transcript_help"), lines=3, elem_id="transcript"
                        )
                        counts.append((words, bar.make_count("transcript_count", 0, most)))
                with gr.Column(elem_id="act"):  # the one of the three that is of use now
                    go = gr.Button(shown("generate"), variant="primary", elem_id="generate")
                    say = gr.Button(shown("generate"), variant="primary", elem_id="say")
                    stop = gr.Button(shown("stop"), variant="stop", elem_id="stop")
                with gr.Accordion(shown("examples"), open=False, elem_id="examples") as drawer:
                    examples = [gr.Button(one, size="sm", elem_classes="example") for one in EXAMPLES]
                with gr.Column(elem_id="result"):  # last, so that the Tab key goes from a text to its button
                    result = _lay_out_result()
            with gr.Column(scale=4, min_width=320, elem_id="side"), gr.Tabs(elem_id="panel"):
                with gr.Tab(shown("talk"), id="talk", elem_id="talk_tab"):
                    said({"p": CHOOSE}, elem_classes="heading")
                    picker = make_picker()
                    settings = _lay_out_settings(speaking, studio.settings.lipsync_engine)
                    offer = fetching.lay_out()
                with gr.Tab(shown("avatars"), id="avatars", elem_id="avatars_tab") as avatars_tab:
                    studio_tab = making.lay_out()
                with gr.Tab(shown("api"), id="api", elem_id="api_tab") as api:
                    gr.Markdown(shown("api_help"))
                    plain: dict[str, Any] = {"interactive": False, "wrap_lines": True, "lines": 1}
                    codes = [
                        gr.Code(label="curl", language="shell", elem_id="curl", **plain),
                        gr.Code(label="JavaScript", language="javascript", elem_id="javascript", **plain),
                        gr.Code(label="Python", language="python", elem_id="python", **plain),
                        gr.Code(label="HTML", language="html", elem_id="tag", **plain),
                        gr.Code(label="iframe", language="html", elem_id="frame", **plain),
                    ]
                with gr.Tab(shown("about"), id="about", elem_id="about_tab") as about:
                    gr.Markdown(shown("about_text"))
        for opened in (speak_tab, audio_tab, drawer, settings.drawer, result.details, avatars_tab, api, about):
            comes_when_opened(opened)

        # --- the avatar and its voice
        follow: dict[str, Any] = {"js": "gallery => gallery.chosen", "api_visibility": "private"}
        kept: list[Any] = [text, words, studio_tab.sentence, studio_tab.name, *settings.asked_of_all()]
        before = [result.status, *kept]
        restored = page.load(None, before, before, js=RESTORE, api_visibility="private")
        offered, voices = [settings.avatar, settings.resolution], [settings.tts_engine, settings.voice]
        looks = [settings.aspect, settings.fps, settings.captions, settings.label, settings.background]
        chosen = [text, settings.engine, settings.language, settings.tts_engine, settings.mood, *looks]
        filled = [studio_tab.uploaded, studio_tab.sentence, studio_tab.gender]
        fetcher = fetching.Fetcher(services.voice_download)
        bars_of_voices = [offer.box, offer.status, offer.fetch, offer.leave]
        warming = gr.Textbox(visible=False, label="warming")

        def on_load(  # noqa: PLR0913 - Gradio passes each field by its position
            request: gr.Request,
            avatar: str | None,
            resolution: str | None,
            engine_of_speech: str | None,
            voice: str | None,
            written: str,
            engine: str | None,
            sentence: str | None,
        ) -> tuple[Any, ...]:
            """Fill all that depends on the visitor, with one request."""
            gallery = portraits.gallery(request, avatar)
            avatar = gallery["chosen"]
            return (
                gallery,
                speaking.on_avatar(request, avatar, resolution),
                speaking.on_tts_engine(request, engine_of_speech, voice, avatar),
                *speaking.on_load(request, written, engine),
                *maker.on_load(request, sentence),
                *fetcher.on_load(request),
                *speaking.on_start(request),
            )

        seen = [*offered, *voices, *chosen[:2], studio_tab.sentence]
        fills = [picker, settings.resolution, settings.voice, *chosen, *filled, *bars_of_voices, result.status, warming]
        shows = restored.then(on_load, seen, fills, **UNQUEUED)
        shows.then(None, picker, settings.avatar, **follow)
        gr.on([one.change for one in kept], None, kept, None, js=KEEP_FIELDS, api_visibility="private")
        result.status.change(None, result.status, None, js=KEEP_STAGE, api_visibility="private")
        for written, count in counts:
            written.change(None, [written, count], count, js=COUNT, api_visibility="private")
        picker.input(None, picker, settings.avatar, **follow)
        settings.avatar.change(speaking.on_avatar, offered, settings.resolution, **UNQUEUED)
        for changed in (settings.avatar, settings.tts_engine):
            changed.change(speaking.on_tts_engine, [*voices, settings.avatar], settings.voice, **UNQUEUED)
        settings.picture.upload(speaking.on_background, settings.picture, settings.background, **UNQUEUED)
        listens = settings.listen.click(
            speaking.on_listen, [text, *voices, settings.language, settings.avatar], settings.sample, **UNQUEUED
        )
        listens.then(None, settings.sample, None, js=LISTEN, api_visibility="private")
        private_stream: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", "queue": True}
        fetched = offer.fetch.click(fetcher.fetch, None, bars_of_voices, api_visibility="private", **private_stream)
        offer.leave.click(fetcher.leave, None, None, **UNQUEUED)
        fetched = fetched.then(speaking.on_load, chosen[:2], chosen, **UNQUEUED)
        fetched.then(speaking.on_tts_engine, [*voices, settings.avatar], settings.voice, **UNQUEUED)
        api.select(speaking.on_api, settings.asked(text), codes, **UNQUEUED)
        for button, example in zip(examples, EXAMPLES, strict=True):
            button.click(None, None, text, js=f"() => {json.dumps(example)}", api_visibility="private")

        # --- speaking; the bar is set in the browser itself, so that a press is answered at once and in the right order
        outputs = [result.video, result.status, result.task_id]
        queued: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}  # it waits in the queue itself
        for button in (go, say):
            button.click(None, result.status, result.status, js=PRESSED, api_visibility="private")
        for tab in (speak_tab, audio_tab):
            tab.select(None, result.status, result.status, js=ANEW, api_visibility="private")
        warm = warming.change(speaking.until_warm, None, None, **UNQUEUED)
        warm.then(None, result.status, result.status, js=WARM, api_visibility="private")
        page.load(None, None, None, js=HOLD, api_visibility="private")
        bars = [result.status, studio_tab.status]
        stop.click(None, bars, bars, js=STOP, api_visibility="private")
        shown_now: list[Any] = [result.status, settings.avatar, settings.resolution, picker]
        shown_now += [settings.aspect, settings.background]
        for changed in shown_now:
            changed.change(None, shown_now, result.player, js=STAGE, api_visibility="private")
        page.load(None, shown_now, result.player, js=STAGE, api_visibility="private")
        of_session: list[Any] = [stage, picker, *settings.of_session()]
        for changed in (picker, *settings.of_session()):
            changed.change(None, of_session, stage, js=LIVE, api_visibility="private")
        fields = settings.inputs(text, audio)
        speaks = go.click(speaking.generate, fields, outputs, js=_without(audio, fields), api_name="generate", **queued)
        private = {"api_visibility": "private", **queued}
        says = say.click(speaking.say, settings.inputs(words, audio), outputs, **private)

        # --- making avatars
        looked = studio_tab.file.change(maker.look, studio_tab.file, [studio_tab.faces, studio_tab.face], **private)
        studio_tab.status.change(None, studio_tab.status, None, js=SEE, api_visibility="private")
        sources = (studio_tab.file, studio_tab.listening, studio_tab.nod)
        made = studio_tab.make.click(
            maker.make,
            [
                *sources,
                *(studio_tab.face, studio_tab.name, studio_tab.gender, studio_tab.find_clips),
                *(studio_tab.consent, studio_tab.consent_by),
            ],
            [studio_tab.status, studio_tab.report, settings.avatar],
            **private,
        )
        shows = made.success(portraits.gallery, settings.avatar, picker, **UNQUEUED)
        shows = shows.then(maker.uploaded, settings.avatar, studio_tab.uploaded, **UNQUEUED)
        shows = shows.then(speaking.on_avatar, offered, settings.resolution, **UNQUEUED)
        fields = settings.inputs(studio_tab.sentence, audio)
        tries = shows.then(speaking.generate, fields, outputs, js=_without(audio, fields), **private)
        asked = [studio_tab.sure, studio_tab.question]
        of_record = [studio_tab.record, studio_tab.delete]
        studio_tab.uploaded.change(maker.record, studio_tab.uploaded, of_record, **UNQUEUED)
        studio_tab.delete.click(maker.ask, studio_tab.uploaded, asked, **UNQUEUED)
        for answer in (studio_tab.really, studio_tab.keep):
            answer.click(lambda: gr.update(visible=False), None, studio_tab.sure, **UNQUEUED)
        deleted = studio_tab.really.click(maker.delete, studio_tab.uploaded, studio_tab.uploaded, **UNQUEUED)
        deleted = deleted.success(portraits.gallery, settings.avatar, picker, **UNQUEUED)
        deleted.then(None, picker, settings.avatar, **follow)

        stopping = stop.click(lambda: None, cancels=[speaks, says, looked, made, tries], **UNQUEUED)
        for stopped in (speaks, says, tries):
            stopped.failure(None, None, None, js=ENDED, api_visibility="private")
            gone = stopped.failure(portraits.fall_back, settings.avatar, [picker, result.status], **UNQUEUED)
            gone.then(None, picker, settings.avatar, **follow)
        stopping = stopping.then(None, None, None, js=SETTLE, api_visibility="private")
        stopping.then(None, bars, bars, js=SETTLED, api_visibility="private")

        queue.register(page)
    return page


def _lay_out_settings(speaking: Speaking, lipsync_engine: str) -> _Settings:
    """Lay out the settings. Gradio rejects values outside a list, so lists that change later accept other values."""
    names, voices = speaking.avatars(), speaking.tts_engines()
    avatar = gr.Textbox(value=names[0] if names else None, label="avatar", visible=False, elem_id="avatar")
    _describe(avatar, {"type": "string", "description": "Name of an avatar; GET /api/avatars lists what there is."})
    with gr.Column(elem_id="voices"):
        voice = gr.Dropdown(
            [(AUTOMATIC.en, CUSTOM_VOICE)],
            value=CUSTOM_VOICE,
            label=shown("voice"),
            allow_custom_value=True,
            min_width=140,
            elem_id="voice",
        )
        listen = gr.Button(shown("listen"), min_width=90, scale=0, elem_id="listen")
    with gr.Accordion(shown("settings"), open=False, elem_id="settings") as drawer:
        with gr.Row():
            tts_engine = gr.Dropdown(
                [(AUTOMATIC.en, AUTO), *voices],
                value=AUTO,
                label=shown("tts_engine"),
                min_width=140,
                elem_id="tts_engine",
            )
            language = gr.Dropdown(
                [(AUTOMATIC.en, ""), *LANGUAGES],
                value="",
                label=shown("language"),
                allow_custom_value=True,
                min_width=140,
                elem_id="language",
            )
        with gr.Row():
            speed = gr.Slider(*SPEEDS, value=1, step=0.05, label=shown("tts_speed"), min_width=300, elem_id="tts_speed")
            pitch = gr.Slider(*PITCHES, value=0, step=0.5, label=shown("tts_pitch"), min_width=300, elem_id="tts_pitch")
        with gr.Row():
            mood = gr.Dropdown(
                [(FACES[name].en, name) for name in MOODS], value=NEUTRAL, label=shown("mood"), elem_id="mood"
            )
            liveliness = gr.Slider(
                0,
                1,
                value=USUAL_LIVELINESS,
                step=0.05,
                label=shown("liveliness"),
                info=shown("liveliness_help"),
                min_width=300,
                elem_id="liveliness",
            )
        eye_contact = gr.Checkbox(label=shown("eye_contact"), info=shown("eye_contact_help"), elem_id="eye_contact")
        pronunciations = gr.Textbox(
            label=shown("pronunciations"),
            info=shown("pronunciations_help"),
            value="",
            placeholder="GIF = jif",
            lines=2,
            max_lines=8,
            elem_id="pronunciations",
        )
        with gr.Row():
            resolution = gr.Dropdown(
                speaking.resolutions(names[0] if names else None),
                value=DEFAULT_RESOLUTION,
                label=shown("resolution"),
                allow_custom_value=True,
                min_width=140,
                elem_id="resolution",
            )
            fps = gr.Dropdown(choices_of("fps"), value=SOURCE, label=shown("fps"), min_width=140, elem_id="fps")
        with gr.Row():
            aspect = gr.Dropdown(
                choices_of("aspect"),
                value=SOURCE,
                label=shown("aspect"),
                info=shown("aspect_help"),
                min_width=140,
                elem_id="aspect",
            )
            label = gr.Dropdown(
                choices_of("label"),
                value=NO_LABEL,
                label=shown("label"),
                info=shown("label_help"),
                min_width=140,
                elem_id="label",
            )
        captions = gr.Dropdown(
            choices_of("captions"), value=CAPTIONS[0], label=shown("captions_in"), elem_id="captions_in"
        )
        background = gr.Dropdown(
            choices_of("background"),
            value=BEHIND_AS_FILMED,
            label=shown("behind"),
            info=shown("behind_help"),
            allow_custom_value=True,
            elem_id="behind",
        )
        picture = gr.UploadButton(shown("behind_picture"), file_types=["image"], size="sm", elem_id="behind_picture")
        frame_skip = gr.Slider(
            1, MAX_FRAME_SKIP, value=1, step=1, label=shown("frame_skip"), info=shown("frame_skip_help")
        )
        engine = gr.Dropdown(
            [lipsync_engine],
            value=lipsync_engine,
            label=shown("engine"),
            allow_custom_value=True,
            visible=False,
            elem_id="engine",
        )
    # their lists are those of the start, or of one engine; a client may ask for more
    of_voice = f"Id of a voice of tts_engine; {CUSTOM_VOICE} leaves it to the engine."
    _describe(voice, {"type": "string", "description": of_voice})
    behind = "source, blur, a colour (#rrggbb or a CSS name), or the id of a picture from POST /api/v2/backgrounds."
    _describe(background, {"type": "string", "description": behind})
    _describe(engine, {"type": "string", "enum": speaking.lipsync_engines()})
    return _Settings(
        avatar=avatar,
        resolution=resolution,
        tts_engine=tts_engine,
        voice=voice,
        frame_skip=frame_skip,
        engine=engine,
        language=language,
        speed=speed,
        pitch=pitch,
        mood=mood,
        liveliness=liveliness,
        pronunciations=pronunciations,
        aspect=aspect,
        fps=fps,
        captions=captions,
        label=label,
        eye_contact=eye_contact,
        background=background,
        picture=picture,
        listen=listen,
        sample=gr.Textbox(visible=False, label="sample"),
        drawer=drawer,
    )


def _lay_out_result() -> _Result:
    player = make_part("player", PLAYER, bar.IDLE, label=shown("player"), elem_id="video")
    status = bar.make_bar("status")
    _describe(
        status, {"type": "object", "additionalProperties": True, "description": "The last event, as REST sends it."}
    )
    # for gradio_client; the page plays the video while it grows
    video = gr.Video(label="video", interactive=False, visible=False)
    video.postprocess = _as_it_is  # a subclass of a component makes Gradio write a .pyi file here
    task_id = gr.Textbox(label="task", visible=False)
    with gr.Accordion(shown("details"), open=False, elem_id="details") as details:
        make_part("strip", STRIP, elem_id="strip")
    return _Result(player=player, status=status, video=video, task_id=task_id, details=details)


def _describe(component: Component, info: dict[str, Any]) -> None:
    """Set the JSON schema that clients get for a component, where Gradio's own says less.

    It is set on the component itself, since a subclass makes Gradio write a .pyi file here.
    """
    component.api_info = lambda: info  # type: ignore[method-assign]  # on purpose, see above


def _as_it_is(path: str | Path | None) -> FileData | None:
    """Return an mp4 unchanged: Gradio's own way calls ffprobe, and fails for an ffmpeg without one."""
    return None if path is None else FileData(path=str(path))
