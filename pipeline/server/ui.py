"""The page: one form, the stages of a task as they happen, and the video."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from pipeline.errors import PipelineError
from pipeline.events import Done, Event, Failed, Lipsync, Queued, TtsDone, TtsStarted, describe, to_json
from pipeline.generate import Studio
from pipeline.request import DEFAULT_RESOLUTION, MAX_FRAME_SKIP
from pipeline.server.language import language_of
from pipeline.server.queue import LINE, RenderQueue
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
IDLE = {"message": "대기 / Ready", "percent": 0, "state": "idle"}
STOPPED = {"message": "중지됨 / Stopped", "percent": 0, "state": "idle"}
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
"""
CSS = """
.gradio-container { max-width: 1080px !important; margin: 0 auto !important; }
#title h1 { margin: 0.5rem 0 0; font-size: 1.5rem; }
#video video { width: 100%; aspect-ratio: 16 / 9; background: #000; }
"""


def make_theme() -> gr.themes.Base:
    """Return the look of the page; its fonts are those of the visitor's own system, so nothing is fetched."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Noto Sans KR", "Malgun Gothic", "sans-serif"]
    mono = ["ui-monospace", "Consolas", "monospace"]
    return gr.themes.Soft(primary_hue="blue", neutral_hue="slate", font=fonts, font_mono=mono)


def build_page(studio: Studio, line: RenderQueue) -> gr.Blocks:
    """Build the page, with REST's entry to the queue beside it."""
    packs = studio.avatars.list()
    names = sorted({pack.name for pack in packs})
    engines = [engine.name for engine in studio.tts.values() if engine.available()]

    def resolutions_of(name: str) -> list[str]:
        return [pack.resolution for pack in studio.avatars.list() if pack.name == name]

    def voices_of(engine: str) -> list[tuple[str, str]]:
        try:
            return [AUTOMATIC, *((voice.name, voice.id) for voice in studio.tts[engine].voices())]
        except PipelineError as error:  # the service cannot be asked; the default voice stays
            logger.warning("no voices of %s: %s", engine, error)
            return [AUTOMATIC]

    def on_avatar(name: str) -> Any:
        found = resolutions_of(name)
        return gr.update(choices=found, value=found[0] if found else None)

    def on_engine(engine: str) -> Any:
        return gr.update(choices=voices_of(engine), value=CUSTOM_VOICE)

    async def generate(
        request: gr.Request,
        text: str,
        avatar: str,
        resolution: str = DEFAULT_RESOLUTION,
        tts_engine: str | None = None,
        tts_voice: str = CUSTOM_VOICE,
        frame_skip: float = 1,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Make a video of an avatar that speaks a text; every stage is yielded, the last one with the video."""
        body = {
            "text": text,
            "avatar": avatar,
            "resolution": resolution,
            "tts_engine": tts_engine,
            "tts_voice": tts_voice,
            "frame_skip": int(frame_skip) if frame_skip == int(frame_skip) else frame_skip,
        }
        language = language_of(request.headers.get("accept-language"))
        async for task, event in line.run(body, language):
            if isinstance(event, Failed):
                raise gr.Error(event.error.message.in_language(language), print_exception=False)
            video = str(task.video) if isinstance(event, Done) else gr.skip()
            yield video, {**to_json(event, task.id, language), **_bar(event)}, task.id

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.Markdown(f"# {TITLE}", elem_id="title")
        with gr.Row():
            with gr.Column(scale=5):
                text = gr.Textbox(label="대사 / Text", lines=4, max_lines=12, value=EXAMPLES[0], elem_id="text")
                with gr.Row():
                    avatar = gr.Dropdown(
                        names, value=names[0] if names else None, label="아바타 / Avatar", min_width=140
                    )
                    found = resolutions_of(names[0]) if names else []
                    resolution = gr.Dropdown(
                        found, value=found[0] if found else None, label="해상도 / Resolution", min_width=140
                    )
                with gr.Row():
                    engine = gr.Dropdown(
                        engines, value=engines[0] if engines else None, label="음성 엔진 / Speech engine", min_width=140
                    )
                    voice = gr.Dropdown(
                        [AUTOMATIC],
                        value=CUSTOM_VOICE,
                        label="음성 / Voice",
                        min_width=140,
                    )
                frame_skip = gr.Slider(
                    1,
                    MAX_FRAME_SKIP,
                    value=1,
                    step=1,
                    label="프레임 스킵 / Frame skip",
                    info="1 = 모든 프레임 계산 / every frame is computed",
                )
                with gr.Row():
                    go = gr.Button("생성 / Generate", variant="primary", elem_id="generate")
                    stop = gr.Button("중지 / Stop", variant="stop", elem_id="stop")
            with gr.Column(scale=6):
                video = gr.Video(label="영상 / Video", autoplay=True, interactive=False, elem_id="video")
                status = gr.HTML(
                    IDLE, label="진행 상태 / Status", html_template=BAR, css_template=BAR_CSS, elem_id="status"
                )
                task_id = gr.Textbox(label="작업 / Task", visible=False)
        gr.Examples([[example] for example in EXAMPLES], [text], label="예문 / Examples", cache_examples=False)

        if engines:  # a remote service is asked for its voices when somebody comes, not while the program starts
            page.load(on_engine, engine, voice, queue=False, api_visibility="private")
        avatar.change(on_avatar, avatar, resolution, queue=False, api_visibility="private")
        engine.change(on_engine, engine, voice, queue=False, api_visibility="private")
        making = go.click(
            generate,
            [text, avatar, resolution, engine, voice, frame_skip],
            [video, status, task_id],
            api_name="generate",
            concurrency_id=LINE,
            concurrency_limit=1,
            show_progress_on=[status],
        )
        stop.click(lambda: STOPPED, None, status, cancels=[making], queue=False, api_visibility="private")
        line.register(page)
    return page


def _bar(event: Event) -> dict[str, Any]:
    """Return what the progress bar shows for EVENT: speech is the first tenth of the way, the video the rest."""
    match event:
        case Queued():
            share, state = 0.0, "queued"
        case TtsStarted():
            share, state = 0.03, "running"
        case TtsDone():
            share, state = 0.1, "running"
        case Lipsync(progress=progress):
            share, state = 0.1 + 0.9 * progress, "running"
        case _:
            share, state = 1.0, "done"
    return {"message": _both_languages(event), "percent": round(100 * share), "state": state}


def _both_languages(event: Event) -> str:
    message = describe(event)
    return f"{message.ko} / {message.en}"
