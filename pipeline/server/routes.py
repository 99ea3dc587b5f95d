"""The REST API that API.md documents, with task ids, progress and cancelling added."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exception_handlers import http_exception_handler
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from pipeline.errors import BadRequest, Cancelled, Language, Message, NotFound, PipelineError, QueueFull, Unavailable
from pipeline.generate import Studio
from pipeline.gpu import Gpu
from pipeline.request import parse
from pipeline.server.files import file_response, video_response
from pipeline.server.language import language_of
from pipeline.server.queue import RenderQueue, Ticket
from pipeline.tasks import Task, TaskBook, is_task_id

logger = logging.getLogger(__name__)

MAX_BODY = 1 << 20
"""Bytes of a request's body."""
PING_SECONDS = 15.0
"""A stream that has nothing to tell for this long sends a comment, so that proxies keep it open."""
LOOK_SECONDS = 0.5
"""How often a waiting synchronous request looks whether its client is still there."""
OURS = ("/api/", "/video/", "/assets/audio/")
"""Addresses whose errors have the documented shape; the others are Gradio's."""

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]


@dataclass(frozen=True)
class Api:
    """The endpoints, and what they share."""

    studio: Studio
    line: RenderQueue
    book: TaskBook
    gpu: Gpu

    def router(self) -> APIRouter:
        """Return the routes of every endpoint."""
        router = APIRouter()
        router.add_api_route("/api/v2/status", self.status, methods=["GET"])
        router.add_api_route("/api/v2/lipsync/stream", self.stream, methods=["POST"])
        router.add_api_route("/api/v2/lipsync", self.lipsync, methods=["POST"])
        router.add_api_route("/api/avatars", self.avatars, methods=["GET"])
        router.add_api_route("/api/queue_status", self.queue_status, methods=["GET"])
        router.add_api_route("/api/cancel/{task_id}", self.cancel, methods=["POST"])
        router.add_api_route("/video/{task_id}.mp4", self.video, methods=["GET", "HEAD"])
        router.add_api_route("/assets/audio/{task_id}.wav", self.audio, methods=["GET", "HEAD"])
        return router

    def status(self) -> dict[str, Any]:
        """Tell whether videos can be made, with which avatars and voices."""
        avatars = [pack.id for pack in self.studio.avatars.list()]
        engines = [engine.name for engine in self.studio.tts.values() if engine.available()]
        return {
            "status": "ok",
            "models_loaded": bool(avatars and engines and self.studio.engine.available()),
            "available_avatars": avatars,
            "tts_engines": engines,
        }

    def avatars(self) -> dict[str, Any]:
        """List every avatar in every resolution."""
        packs = self.studio.avatars.list()
        return {"avatars": [{"id": pack.id, "name": pack.id, "path": pack.path} for pack in packs]}

    def queue_status(self) -> dict[str, Any]:
        """Tell how many tasks wait, whether one runs, and the card's memory in MB (null without an NVIDIA card)."""
        return {
            "queue_size": self.line.waiting(),
            "is_processing": self.line.busy(),
            "gpu_memory": self.gpu.memory().to_json(),
        }

    async def stream(self, request: Request) -> Response:
        """Make a video, telling each stage as a server-sent event."""
        ticket = await self._join(request)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(sse(ticket), media_type="text/event-stream", headers=headers)

    async def lipsync(self, request: Request) -> Response:
        """Make a video and answer when it is done."""
        language = _language(request)
        ticket = await self._join(request)
        events = ticket.events(LOOK_SECONDS)
        try:
            async for event in events:
                if await request.is_disconnected():
                    raise ClientDisconnect
                if event is None:
                    continue
                if event["type"] == "done":
                    return JSONResponse(_reply(event))
                if event["type"] == "error":
                    error = {"success": False, "error": event["error"], "task_id": event["task_id"]}
                    return JSONResponse(error, event["status"])
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # an async generator
        return _error(PipelineError("결과가 없습니다.", "There is no result."), language)

    async def cancel(self, task_id: str) -> dict[str, Any]:
        """Stop a task that waits or runs."""
        state = await self.line.cancel(task_id)
        return {"success": True, "task_id": task_id, "state": state}

    async def video(self, task_id: str, request: Request) -> Response:
        """Send a video: finished, with Range; or while it is being made, from its start."""
        return await video_response(self._results_of(task_id), self.book, request.method == "HEAD")

    def audio(self, task_id: str) -> Response:
        """Send the speech of a video."""
        return file_response(self._results_of(task_id).audio, "audio/wav")

    def _results_of(self, task_id: str) -> Task:
        if not is_task_id(task_id):
            raise NotFound(f"그런 결과는 없습니다: {task_id:.40}", f"There is no such result: {task_id:.40}")
        return self.book.files_of(task_id)

    async def _join(self, request: Request) -> Ticket:
        """Check a request and put it in the line; whatever is wrong with it is answered as plain JSON."""
        body = await _json_body(request)
        await run_in_threadpool(parse, body, self.studio)
        if not self.studio.engine.available():
            raise Unavailable(
                "립싱크 엔진이 준비되지 않았습니다. 서버 로그를 확인하세요.", "The lipsync engine is not ready."
            )
        return await self.line.join(body, _language(request), request)


async def sse(ticket: Ticket) -> AsyncIterator[str]:
    """Yield the text of a server-sent stream: an event for everything that becomes of TICKET, a comment in between."""
    events = ticket.events(PING_SECONDS)
    try:
        async for event in events:
            yield ": ping\n\n" if event is None else f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
    finally:
        await events.aclose()  # type: ignore[attr-defined]  # an async generator


def _reply(done: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of the synchronous call, made from the last event of the other."""
    copied = ("task_id", "text", "video_path", "video_url", "audio_url", "audio_duration")
    return {"success": True, **{key: done[key] for key in copied}, "elapsed": done["elapsed"]["total"]}


async def _json_body(request: Request) -> Any:
    """Return the decoded body of REQUEST. Raises BadRequest."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadRequest(
                f"요청 본문이 너무 큽니다 (최대 {MAX_BODY >> 10} KiB).",
                f"The body is too large (at most {MAX_BODY >> 10} KiB).",
            )
    try:
        return json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise BadRequest("요청 본문이 올바른 JSON(UTF-8)이 아닙니다.", "The body is not valid JSON in UTF-8.") from None


def exception_handlers() -> dict[Any, ExceptionHandler]:
    """Return what turns errors into answers of the documented shape."""

    async def on_pipeline_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, PipelineError)
        if error.status >= 500:
            logger.warning("%s %s: %s", request.method, request.url.path, error)
        return _error(error, _language(request))

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not request.url.path.startswith(OURS):
            return await http_exception_handler(request, error)
        message = _HTTP_MESSAGES.get(error.status_code, Message(str(error.detail), str(error.detail)))
        body = {"success": False, "error": message.in_language(_language(request))}
        return JSONResponse(body, error.status_code, headers=error.headers)

    async def on_bug(request: Request, error: Exception) -> Response:
        if not request.url.path.startswith(OURS):
            return PlainTextResponse("Internal Server Error", 500)
        return _error(PipelineError("서버 내부 오류가 발생했습니다.", "Internal server error."), _language(request))

    async def on_client_gone(request: Request, error: Exception) -> Response:
        return _error(Cancelled(), _language(request))  # nobody reads it

    return {
        PipelineError: on_pipeline_error,
        HTTPException: on_http_error,
        ClientDisconnect: on_client_gone,
        Exception: on_bug,
    }


_HTTP_MESSAGES = {
    404: Message("그런 주소는 없습니다.", "There is no such address."),
    405: Message("이 주소에서는 사용할 수 없는 HTTP 메서드입니다.", "This address does not take that HTTP method."),
}


def _error(error: PipelineError, language: Language) -> JSONResponse:
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if isinstance(error, QueueFull) else None
    body = {"success": False, "error": error.message.in_language(language)}
    return JSONResponse(body, error.status, headers=headers)


def _language(request: Request) -> Language:
    return language_of(request.headers.get("accept-language"))
