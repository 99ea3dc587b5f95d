"""The page: one form, the stages of a task as they happen, and the video while it is being made."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from pipeline.avatar.store import RESOLUTIONS
from pipeline.errors import PipelineError
from pipeline.events import Done, Event, Failed, Lipsync, Queued, TtsDone, describe, to_json
from pipeline.generate import Studio
from pipeline.request import DEFAULT_RESOLUTION, MAX_FRAME_SKIP, parse
from pipeline.server.language import language_of
from pipeline.server.queue import RenderQueue
from pipeline.tts.base import CUSTOM_VOICE

logger = logging.getLogger(__name__)

TITLE = "실시간 립싱크 아바타 / Real-time talking avatar"
EXAMPLES = (
    "안녕하세요, 면접에 오신 것을 환영합니다.",
    "먼저 간단한 자기소개를 부탁드립니다. 지원 동기도 함께 말씀해 주세요.",
    "지금까지 맡은 일 가운데 가장 어려웠던 문제는 무엇이었고, 어떻게 해결하셨나요?",
    "Hello, and welcome to the interview. Please tell me a little about yourself.",
    "What was the most difficult problem you have solved, and how did you solve it?",
)
AUTOMATIC = ("자동 / Automatic", CUSTOM_VOICE)
IDLE = {"message": "준비됨 / Ready", "percent": 0, "state": "idle"}
WAITING = {"message": "대기 중... / Waiting...", "percent": 0, "state": "queued"}
PRESSED = f"stage => ['queued', 'running', 'stopping'].includes(stage.state) ? stage : {json.dumps(WAITING)}"
"""While a task waits, runs or ends, Gradio passes another press of its button over, and so does the page."""
STOPPING = {"message": "중지 중... / Stopping...", "percent": 0, "state": "stopping"}
STOPPED = {"message": "중지됨 / Stopped", "percent": 0, "state": "idle"}
SETTLE_SECONDS = 0.3
"""How long stages of a stopped task may still be on their way to the page."""
BAR = """
<div class="stage ${value.state}">
  <div class="message" role="status" aria-live="polite">${value.message}</div>
  <div class="track"><div class="bar" style="width: ${value.percent}%"></div></div>
</div>
"""
BAR_CSS = """
.message { font-size: 0.95rem; margin-bottom: 0.35rem; color: var(--body-text-color); }
.track { height: 8px; border-radius: 4px; background: var(--border-color-primary); overflow: hidden; }
.bar { height: 100%; background: var(--color-accent); transition: width 0.25s ease-out; }
.done .bar { background: #16a34a; }
.failed .bar { background: #dc2626; }
"""
PLAYER, PLAYER_CSS, PLAYER_JS = (
    Path(__file__).with_name(f"player.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
)
CSS = """
.gradio-container { max-width: 1120px !important; margin: 0 auto !important; }
#title h1 { margin: 0.5rem 0 0; font-size: 1.5rem; }
"""


def make_theme() -> gr.themes.Base:
    """Return the look of the page; its fonts are those of the visitor's own system, so nothing is fetched."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Noto Sans KR", "Malgun Gothic", "sans-serif"]
    mono = ["ui-monospace", "Consolas", "monospace"]
    return gr.themes.Soft(primary_hue="blue", neutral_hue="slate", font=fonts, font_mono=mono)


def build_page(studio: Studio, line: RenderQueue) -> gr.Blocks:
    """Build the page, with REST's entry to the queue beside it."""
    actions = _Actions(studio, line)
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.Markdown(f"# {TITLE}", elem_id="title")
        with gr.Row():
            with gr.Column(scale=5, min_width=360):
                form = _form(actions)
                with gr.Row():
                    go = gr.Button("생성 / Generate", variant="primary", elem_id="generate")
                    stop = gr.Button("중지 / Stop", variant="stop", elem_id="stop")
            with gr.Column(scale=6, min_width=360):
                player = gr.HTML(
                    IDLE,
                    label="재생 / Player",
                    html_template=PLAYER,
                    css_template=PLAYER_CSS,
                    js_on_load=PLAYER_JS,
                    apply_default_css=False,
                    elem_id="video",
                )
                status = gr.HTML(
                    IDLE, label="진행 상태 / Status", html_template=BAR, css_template=BAR_CSS, elem_id="status"
                )
                # for gradio_client; the page plays the video while it grows
                video = gr.Video(label="영상 / Video", interactive=False, visible=False)
                video.postprocess = _as_it_is  # a subclass of a component makes Gradio write a .pyi file here
                task_id = gr.Textbox(label="작업 / Task", visible=False)
        gr.Examples([[example] for example in EXAMPLES], [form.text], label="예문 / Examples", cache_examples=False)

        unqueued: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        page.load(actions.on_load, [form.avatar, form.engine], [form.avatar, form.resolution, form.voice], **unqueued)
        form.avatar.change(actions.on_avatar, form.avatar, form.resolution, **unqueued)
        form.engine.change(actions.on_engine, form.engine, form.voice, **unqueued)
        # in the browser itself, so that the press of a button is answered at once and in the right order
        go.click(None, status, status, js=PRESSED, api_visibility="private")
        stop.click(None, None, status, js=f"() => ({json.dumps(STOPPING)})", api_visibility="private")
        status.change(None, status, player, js="stage => stage", api_visibility="private")
        making = go.click(
            actions.generate,
            [form.text, form.avatar, form.resolution, form.engine, form.voice, form.frame_skip, form.audio],
            [video, status, task_id],
            api_name="generate",
            concurrency_limit=None,  # it waits in the line itself, and tells its place
            show_progress="hidden",
        )
        stopping = stop.click(lambda: None, cancels=[making], **unqueued)
        stopping.then(actions.on_stopped, None, status, **unqueued)
        line.register(page)
    return page


@dataclass(frozen=True)
class _Form:
    """The fields of the form."""

    text: gr.Textbox
    audio: gr.Audio
    avatar: gr.Dropdown
    resolution: gr.Dropdown
    engine: gr.Dropdown
    voice: gr.Dropdown
    frame_skip: gr.Slider


def _form(actions: _Actions) -> _Form:
    """Lay out the form. Gradio refuses what a list does not hold, so those that change later take other values too."""
    names, engines = actions.avatars(), actions.engines()
    text = gr.Textbox(label="대사 / Text", lines=4, max_lines=12, value=EXAMPLES[0], elem_id="text")
    with gr.Accordion("음성 파일로 만들기 / Use a recording", open=False, elem_id="recording"):
        gr.Markdown(
            "이 목소리로 말합니다. 말한 그대로를 대사에 쓰면 더 정확합니다. 비었거나 예문인 대사는 쓰지 않습니다.  \n"
            "The avatar speaks with this voice. Write what it says as the text for exact lips; a text that is empty or "
            "one of the examples is not used."
        )
        audio = gr.Audio(
            label="녹음 파일 / Recording",
            sources=["upload", "microphone"],
            type="filepath",
            editable=False,
            buttons=[],
            elem_id="audio",
        )
    with gr.Row():
        avatar = gr.Dropdown(
            names,
            value=names[0] if names else None,
            label="아바타 / Avatar",
            allow_custom_value=True,
            min_width=140,
            elem_id="avatar",
        )
        resolution = gr.Dropdown(
            list(RESOLUTIONS),
            value=DEFAULT_RESOLUTION,
            label="해상도 / Resolution",
            allow_custom_value=True,
            min_width=140,
            elem_id="resolution",
        )
    with gr.Row():
        engine = gr.Dropdown(
            engines,
            value=engines[0] if engines else None,
            label="음성 엔진 / Speech",
            min_width=140,
            elem_id="engine",
        )
        voice = gr.Dropdown(
            [AUTOMATIC],
            value=CUSTOM_VOICE,
            label="음성 / Voice",
            allow_custom_value=True,
            min_width=140,
            elem_id="voice",
        )
    frame_skip = gr.Slider(
        1,
        MAX_FRAME_SKIP,
        value=1,
        step=1,
        label="프레임 스킵 / Frame skip",
        info="1 = 모든 프레임 계산 / every frame is computed",
    )
    return _Form(text, audio, avatar, resolution, engine, voice, frame_skip)


class _Actions:
    """What the page can do."""

    def __init__(self, studio: Studio, line: RenderQueue) -> None:
        self._studio = studio
        self._line = line

    def avatars(self) -> list[str]:
        """Return the names of all avatars."""
        return sorted({pack.name for pack in self._studio.avatars.list()})

    def engines(self) -> list[str]:
        """Return the speech engines that can speak now."""
        return [engine.name for engine in self._studio.tts.values() if engine.available()]

    def on_load(self, avatar: str | None, engine: str | None) -> tuple[Any, Any, Any]:
        """Fill the lists when somebody opens the page: avatars made meanwhile, voices of a remote service."""
        return gr.update(choices=self.avatars()), self.on_avatar(avatar), self.on_engine(engine)

    def on_avatar(self, avatar: str | None) -> Any:
        """Offer the resolutions of AVATAR, the largest first."""
        found = [pack.resolution for pack in self._studio.avatars.list() if pack.name == avatar]
        return gr.update(choices=found, value=found[0]) if found else gr.skip()

    def on_engine(self, engine: str | None) -> Any:
        """Offer the voices of ENGINE."""
        voices = [AUTOMATIC]
        if engine is not None:
            try:
                voices += [(voice.name, voice.id) for voice in self._studio.tts[engine].voices()]
            except PipelineError as error:  # the service cannot be asked; its default voice stays
                logger.warning("no voices of %s: %s", engine, error)
        return gr.update(choices=voices, value=CUSTOM_VOICE)

    async def on_stopped(self) -> dict[str, Any]:
        """Tell that nothing runs any more, once the last that the task told has surely reached the page."""
        await asyncio.sleep(SETTLE_SECONDS)
        return STOPPED

    async def generate(
        self,
        request: gr.Request,
        text: str,
        avatar: str | None,
        resolution: str | None,
        tts_engine: str | None,
        tts_voice: str | None,
        frame_skip: float,
        audio: str | None = None,
    ) -> AsyncIterator[tuple[str | None, dict[str, Any], str]]:
        """Make a video of an avatar that says a text, or a recording; every stage is given, the video with the last.

        With a recording, a text that is still one of the examples is not taken for what it says.
        """
        body = {
            "text": "" if audio and text in EXAMPLES else text,
            "avatar": avatar,
            "resolution": resolution,
            "tts_engine": tts_engine,
            "tts_voice": tts_voice,
            "frame_skip": int(frame_skip) if float(frame_skip).is_integer() else frame_skip,
        }
        language = language_of(request.headers.get("accept-language"))
        task_id = ""
        assert request.request is not None, "Gradio gives it to whatever it runs"
        try:
            asked = await asyncio.to_thread(parse, body, self._studio, Path(audio) if audio else None)
            async with aclosing(self._line.watch(asked, request.request)) as events:
                async for task, event in events:
                    if isinstance(event, Failed):
                        raise event.error
                    task_id = task.id
                    video = str(task.video) if isinstance(event, Done) else None
                    yield video, {**to_json(event, task_id, language), **_bar(event)}, task_id
        except PipelineError as error:
            failed = Failed(error)
            yield None, {**to_json(failed, task_id, language), **_bar(failed)}, task_id
            raise gr.Error(error.message.in_language(language), print_exception=False) from None


def _as_it_is(path: str | Path | None) -> FileData | None:
    """Show the mp4 at PATH as it is: Gradio's own way asks ffprobe, and fails where there is an ffmpeg without one."""
    return None if path is None else FileData(path=str(path))


def _bar(event: Event) -> dict[str, Any]:
    """Return what the progress bar shows for EVENT: speech is the first tenth of the way, the video the rest."""
    message = describe(event)
    match event:
        case TtsDone():
            share, state = 0.1, "running"
        case Lipsync(progress=progress):
            share, state = 0.1 + 0.9 * progress, "running"
        case Done():
            share, state = 1.0, "done"
        case Failed():
            share, state = 1.0, "failed"
        case Queued():
            share, state = 0.0, "queued"
        case _:
            share, state = 0.03, "running"
    return {"message": f"{message.ko} / {message.en}", "percent": round(100 * share), "state": state}
