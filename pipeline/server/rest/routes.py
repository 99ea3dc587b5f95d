"""The REST API that API.md documents, with task ids, progress, cancelling and resuming added."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request, Security
from fastapi.exception_handlers import http_exception_handler
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from pipeline import messages
from pipeline.avatars.portrait import Stills
from pipeline.avatars.store import PackInfo
from pipeline.cluster.nodes import Node
from pipeline.core.disk import temporary_folder
from pipeline.core.gpu import Gpu
from pipeline.engines.select import problem_of
from pipeline.errors import (
    BadBody,
    BadRequest,
    Cancelled,
    NotAllowed,
    NotFound,
    PipelineError,
    QueueFull,
    ResultNotFound,
    TaskNotFound,
    WrongMethod,
)
from pipeline.jobs.backdrops import ADDRESS as BACKGROUNDS
from pipeline.jobs.backdrops import FIELD as BACKGROUND
from pipeline.jobs.events import Ended, Failed, to_json
from pipeline.jobs.history import Entry
from pipeline.jobs.request import GenerateRequest, parse
from pipeline.jobs.studio import Studio
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Job, Task, TaskBook, is_task_id
from pipeline.jobs.uploads import Uploads
from pipeline.jobs.voice_download import LICENCE, LICENCE_URL, Progress, VoiceDownload
from pipeline.jobs.voices import VoiceSamples, sample_url, voices_of
from pipeline.messages import Language
from pipeline.server.access import is_ours, key_of, path_of
from pipeline.server.connections import while_there
from pipeline.server.gradio.queue import RenderQueue
from pipeline.server.metrics import Metrics
from pipeline.server.reply_language import language_of
from pipeline.server.rest import schema, socket_schema
from pipeline.server.rest.avatar_api import AvatarApi
from pipeline.server.rest.backgrounds import BackgroundApi
from pipeline.server.rest.bodies import json_body
from pipeline.server.rest.component import SCRIPT, script_response
from pipeline.server.rest.embed_page import embed_page
from pipeline.server.rest.event_stream import event_stream
from pipeline.server.rest.files import (
    bytes_response,
    file_response,
    growing_response,
    subrip_response,
    transparent_response,
    whole_response,
)
from pipeline.server.rest.forms import Form, is_form
from pipeline.server.rest.guide import ADDRESS as GUIDE
from pipeline.server.rest.guide import FaceGuide
from pipeline.server.rest.idempotency import Repeats
from pipeline.server.rest.idle import IdleApi
from pipeline.server.rest.inspector import Inspector
from pipeline.server.rest.receivers import receiver_of
from pipeline.server.rest.recordings import FILE as RECORDING
from pipeline.server.rest.recordings import RecordingForm
from pipeline.server.rest.result_page import gone_page, result_page
from pipeline.server.rest.session_api import SessionApi
from pipeline.server.rest.token_api import TokenApi
from pipeline.server.rest.verifier import Verifier
from pipeline.server.tokens import Tokens, grant_of
from pipeline.server.visitors import Visitors
from pipeline.server.webhooks import Receiver, Webhooks
from pipeline.settings import listed
from pipeline.speech.recording import check_kind
from pipeline.video.credentials import Signer

logger = logging.getLogger(__name__)

RESULT_PAGE = "/v/{task_id}"
CARD = "/assets/card.jpg"
"""Address of the picture for shared links."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""
LIPSYNC = "lipsync"
"""What a token must be for to make videos."""
_EVENT_NUMBER = re.compile("[0-9]{1,9}")

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Api:
    """The endpoints, and what they share."""

    studio: Studio
    queue: RenderQueue
    supervisor: Supervisor
    gpu: Gpu
    metrics: Metrics
    repeats: Repeats
    uploads: Uploads
    visitors: Visitors
    making: AvatarApi
    inspector: Inspector
    stills: Stills
    guide: FaceGuide
    samples: VoiceSamples
    voice_download: VoiceDownload
    sessions: SessionApi
    tokens: Tokens
    webhooks: Webhooks
    token_api: TokenApi
    signer: Signer
    verifier: Verifier
    backgrounds: BackgroundApi
    idle: IdleApi
    clips: Path
    """Folder of the files that were sent."""
    nodes: Callable[[], list[Node]] | None = None
    """Of a cluster."""

    def routes(self) -> list[BaseRoute]:
        """Return the routes of all endpoints.

        All need a key, or what a token can do a token, except results, whose names cannot be guessed, and what the page
        shows of the avatars.
        """
        keys = listed(self.studio.settings.api_keys)

        def has_key(request: Request) -> None:
            if keys and key_of(request.headers, keys) is None:
                raise self.tokens.refused(request)

        def may_read(request: Request) -> None:
            self.tokens.allowed(request)

        def may_make(request: Request) -> None:  # in a thread, as it is no coroutine
            self.tokens.settle(self.tokens.allowed(request, LIPSYNC))

        def locked(check: Callable[[Request], None]) -> APIRouter:
            # the second only describes the first
            locks = [Depends(check), Security(HTTPBearer(auto_error=False))] if keys else []
            return APIRouter(dependencies=locks, responses=schema.problems(*([401] if keys else []), 403))

        reading, lipsync, rest = locked(may_read), locked(may_make), locked(has_key)
        reading.add_api_route(
            "/api/v2/status", self.status, response_model=schema.Status, response_model_exclude_unset=True
        )
        reading.add_api_route("/api/avatars", self.avatars, response_model=schema.Avatars)
        reading.add_api_route("/api/voices", self.voices, response_model=schema.Voices)
        lipsync.add_api_route("/api/v2/lipsync/stream", self.stream, methods=["POST"], **schema.STREAM)
        lipsync.add_api_route("/api/v2/lipsync", self.lipsync, methods=["POST"], **schema.LIPSYNC)
        lipsync.add_api_route("/api/v2/tasks/{task_id}", self.task, **schema.TASK)
        lipsync.add_api_route("/api/v2/tasks/{task_id}/events", self.events, **schema.EVENTS)
        lipsync.add_api_route("/api/v2/tasks/{task_id}/inspect.png", self.inspection, **schema.INSPECTION)
        lipsync.add_api_route("/api/cancel/{task_id}", self.cancel, methods=["POST"], **schema.CANCEL)
        rest.add_api_route("/api/v2/verify", self.verify, methods=["POST"], **schema.VERIFY)
        rest.add_api_route("/api/v2/tokens", self.token_api.make, methods=["POST"], status_code=201, **schema.TOKEN)
        kept = self.backgrounds
        rest.add_api_route(BACKGROUNDS, kept.keep, methods=["POST"], status_code=201, **schema.BACKGROUND)
        one = BACKGROUNDS + "/{background}"
        rest.add_api_route(one, kept.remove, methods=["DELETE"], **schema.REMOVE_BACKGROUND)
        rest.add_api_route("/api/avatars", self.making.make, methods=["POST"], **schema.MAKE_AVATAR)
        rest.add_api_route("/api/avatars/faces", self.making.faces, methods=["POST"], **schema.FACES)
        rest.add_api_route("/api/avatars/{avatar}/consent", self.making.consent, **schema.CONSENT)
        rest.add_api_route("/api/avatars/{avatar}", self.making.delete, methods=["DELETE"], **schema.DELETE_AVATAR)
        fetching = "/api/voices/supertonic"
        rest.add_api_route(fetching, self.fetched_voices, response_model=schema.VoiceDownloadState)
        rest.add_api_route(fetching, self.fetch_voices, methods=["POST"], **schema.VOICE_DOWNLOAD)
        rest.add_api_route(fetching, self.leave_voices, methods=["DELETE"], response_model=schema.VoiceDownloadState)
        rest.add_api_route("/api/queue_status", self.queue_status, response_model=schema.QueueStatus)
        rest.add_api_route("/metrics", self.measured, **schema.METRICS)
        results = APIRouter()
        for path, endpoint, shape in (
            ("/video/{task_id}.mp4", self.video, schema.VIDEO),
            ("/video/{task_id}.vtt", self.captions, schema.CAPTIONS),
            ("/video/{task_id}.srt", self.subrip, schema.SUBRIP),
            ("/video/{task_id}.webm", self.transparent, schema.TRANSPARENT),
            ("/video/{task_id}.mouth.ndjson", self.mouth, schema.MOUTH),
            ("/assets/audio/{task_id}.wav", self.audio, schema.AUDIO),
            ("/assets/idle/{avatar}.mp4", self.idle.clip, schema.IDLE),
            ("/assets/voices/{engine}/{voice}.wav", self.voice_sample, schema.VOICE_SAMPLE),
            ("/assets/idle/{avatar}.jpg", self.idle.first_picture, schema.FIRST_PICTURE),
            ("/assets/label.json", self.label, schema.LABEL),
            ("/assets/idle/{avatar}.json", self.idle.crops, schema.CROPS),
            (CARD, self.card, {"include_in_schema": False}),
            (SCRIPT, script_response, {"include_in_schema": False}),
            (RESULT_PAGE, self.result_page, {"include_in_schema": False}),
        ):
            results.add_api_route(path, endpoint, **shape)
            results.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
        sessions = self.sessions.routes()
        every = [*reading.routes, *lipsync.routes, *rest.routes, *results.routes, *sessions]
        described = cache(lambda: schema.described(every))
        description = locked(has_key)
        for path in ("/api/openapi.json", "/openapi.json"):  # at the latter, FastAPI would describe all routes
            description.add_api_route(path, described, include_in_schema=False)
        description.add_api_route("/api/asyncapi.json", cache(socket_schema.described), include_in_schema=False)
        frames = APIRouter()
        frames.add_api_route(GUIDE, self.guide.look, methods=["POST"], include_in_schema=False)
        frames.add_api_route("/embed/{avatar}", self.framed, include_in_schema=False)
        return [*every, *description.routes, *frames.routes]

    def status(self, request: Request) -> dict[str, Any]:
        """Return whether videos can be made, with which avatars, voices and engines."""
        avatars = [pack.id for pack in self._shown(request)]
        voices = [engine.name for engine in self.studio.tts.values() if engine.available()]
        engine = self.studio.engine
        problem = problem_of(engine)
        nodes = {} if self.nodes is None else {"nodes": [_described(node) for node in self.nodes()]}
        return {
            **nodes,
            "status": "ok",
            "models_loaded": bool(avatars and voices and problem is None),
            "available_avatars": avatars,
            "tts_engines": voices,
            "lipsync": {
                "engine": engine.name,
                "engines": [one.name for one in self.studio.engines.values() if problem_of(one) is None],
                "problem": problem and problem.in_language(_language(request)),
                "notes": list(engine.notes),
                "encoder": self.studio.encoder(engine, 1280, 720).name,
            },
        }

    def avatars(self, request: Request) -> dict[str, Any]:
        """List every avatar in every resolution."""
        ours, seen = self.uploads.names(), self.visitors.for_rest(request)
        return {
            "avatars": [
                {
                    "id": pack.id,
                    "name": pack.id,
                    "path": pack.path,
                    "gender": seen.gender(pack) or None,
                    "uploaded": pack.name in ours,
                    "consent": self.uploads.has_consent(pack.name) if pack.name in ours else None,
                }
                for pack in self._shown(request)
            ]
        }

    def _shown(self, request: Request) -> list[PackInfo]:
        """Return the avatars that a request may see; with a token for one of them, that one."""
        packs, grant = self.visitors.for_rest(request).list(), grant_of(request)
        return [pack for pack in packs if grant is None or grant.avatar in ("", pack.name)]

    def voices(self, request: Request) -> dict[str, Any]:
        """List the voices that can speak now, those of preferred engines first."""
        root = _root(request)
        return {
            "voices": [
                {
                    "engine": engine.name,
                    "id": voice.id,
                    "name": voice.name,
                    "language": voice.language or None,
                    "gender": voice.gender or None,
                    "sample": voice.sample or (None if engine.remote else root + sample_url(engine.name, voice.id)),
                }
                for engine, voice in voices_of(self.studio)
            ]
        }

    def fetched_voices(self, request: Request) -> dict[str, Any]:
        """Tell whether Supertonic's weights are there or can be fetched, and how far that is."""
        return _download_state(self.voice_download.progress(), request)

    def fetch_voices(self, request: Request) -> dict[str, Any]:
        """Begin to fetch Supertonic's weights, 400 MB under a licence of their own; it goes on in the background."""
        return _download_state(self.voice_download.start(), request)

    def leave_voices(self, request: Request) -> dict[str, Any]:
        """Stop fetching them; what came is kept."""
        return _download_state(self.voice_download.cancel(), request)

    def voice_sample(self, engine: str, voice: str, request: Request) -> Response:
        """Send a sentence that a voice of a local engine says, as WAV."""
        return bytes_response(self.samples.of(engine, voice), "audio/wav", request)

    def queue_status(self) -> dict[str, Any]:
        """Return how many tasks wait, whether one runs, and the card's memory in MB (null without an NVIDIA card)."""
        return {
            "queue_size": self.queue.length(),
            "is_processing": self.queue.busy(),
            "gpu_memory": self.gpu.memory().to_json(),
        }

    async def stream(self, request: Request) -> Response:
        """Make a video, telling each stage as a server-sent event."""
        return event_stream(self.supervisor, await self._join(request), 0, request)

    async def lipsync(self, request: Request) -> Response:
        """Make a video and answer when it is done."""
        language = _language(request)
        task = await self._join(request)
        last = await while_there(request, self._end_of(task))
        if not isinstance(last, Failed):
            return JSONResponse(_reply(to_json(last, task.id, language, _root(request))))
        body = {**last.error.to_json(language), "task_id": task.id}
        return JSONResponse(body, last.error.status)

    async def _end_of(self, task: Job) -> Ended:
        """Listen to a task until its end."""
        async with aclosing(self.supervisor.listen(task, 0)) as entries:
            async for entry in entries:
                if entry is not None and isinstance(entry.event, Ended):
                    return entry.event
        raise RuntimeError("a task's history ended without a result")

    def task(self, task_id: str, request: Request) -> dict[str, Any]:
        """Return how far a task is, or how it ended."""
        task = self._known(task_id, request)
        language, root = _language(request), _root(request)
        entries = task.history.entries
        place = self.supervisor.place(task.id)
        last = to_json(entries[-1].event, task.id, language, root) if entries else {}
        stages: dict[str, float] = {}
        for entry in entries:
            event = to_json(entry.event, task.id, language)
            stages.setdefault(event.get("stage", event["type"]), round(entry.at, 3))
        return {
            "success": True,
            "video_url": root + task.video_url if isinstance(task, Task) else None,
            "error": None,
            "message": "",
            **{key: value for key, value in last.items() if key not in ("type", "stage", "success")},
            "task_id": task.id,
            "kind": task.kind,
            "state": "queued" if place else _state(entries),
            "position": place and place.position,
            "eta": place and place.eta and round(place.eta, 3),
            "stages": [{"stage": stage, "at": at} for stage, at in stages.items()],
            "events_url": f"{root}/api/v2/tasks/{task.id}/events",
        }

    def events(self, task_id: str, request: Request) -> Response:
        """Send the events of a task: those after the one that Last-Event-ID names, or all."""
        task = self._known(task_id, request)
        after = request.headers.get("last-event-id", "") or "0"
        if not _EVENT_NUMBER.fullmatch(after):
            raise BadRequest(messages.server.LAST_EVENT_ID_INVALID())
        last = task.history.last
        if task.history.ended and last is not None and int(after) >= last.number:
            return Response(status_code=204)  # stops an EventSource from reconnecting
        return event_stream(self.supervisor, task, int(after), request)

    async def inspection(self, task_id: str, request: Request) -> Response:
        """Draw the speech of a finished video and how its mouth moves: waveform, phonemes, opening, mouths, times."""
        if not self.tokens.owns_task(grant_of(request), task_id):
            raise TaskNotFound(messages.server.TASK_NOT_FINISHED(task_id=task_id))
        return file_response(await while_there(request, self.inspector.picture_of(task_id)), "image/png", request)

    async def cancel(self, task_id: str, request: Request) -> dict[str, Any]:
        """Stop a task that waits or runs: a video, or the making of an avatar."""
        if not self.tokens.owns_task(grant_of(request), task_id):
            raise TaskNotFound(messages.jobs.TASK_ENDED(task_id=task_id))
        return {"success": True, "task_id": task_id, "state": await self.supervisor.cancel(task_id)}

    def measured(self) -> Response:
        """Return what the server measures of itself, in Prometheus' text format."""
        return PlainTextResponse(self.metrics.text(), media_type=METRICS_TYPE)

    async def video(self, task_id: str, request: Request) -> Response:
        """Send a video: finished, with Range; or while it is being made, from its start.

        With ``?download=1`` it comes finished and in one piece, to be kept; with ``?c2pa=1`` that copy is signed.
        """
        task = self._results_of(task_id)
        asked = request.query_params.get("c2pa", "")
        must = _asks_to_sign(request)
        if must or request.query_params.get("download", "0") not in ("", "0"):
            signs = must or (self.signer.configured and asked == "")
            return await whole_response(task, self.supervisor, self.signer if signs else None, must, request)
        return await growing_response(task.video, "video/mp4", task, self.supervisor, request)

    async def captions(self, task_id: str, request: Request) -> Response:
        """Send the captions of a video, which grow as it does; a recording without a text has none."""
        task = self._results_of(task_id)
        return await growing_response(task.captions, "text/vtt", task, self.supervisor, request)

    async def subrip(self, task_id: str, request: Request) -> Response:
        """Send the captions of a video as SubRip (SRT), once they are complete."""
        return await subrip_response(self._results_of(task_id), self.supervisor, request)

    async def transparent(self, task_id: str, request: Request) -> Response:
        """Send a video whose background was requested as transparent, as WebM (VP9 with alpha), once it is complete."""
        _check_not_signed(task_id, request)
        return await transparent_response(self._results_of(task_id), self.supervisor, request)

    async def mouth(self, task_id: str, request: Request) -> Response:
        """Send the phonemes of a video and how far its mouth opens, as lines of JSON that grow as it does."""
        task = self._results_of(task_id)
        return await growing_response(task.mouth, "application/x-ndjson", task, self.supervisor, request)

    async def verify(self, request: Request) -> dict[str, Any]:
        """Tell whether this program made a file, whether it is signed, and whether it is unchanged; nothing is kept."""
        form = await Form.of(request, "file", self.studio.settings.max_upload)
        if form.file is None:
            await form.fields.close()
            raise BadRequest(messages.server.FILE_TO_VERIFY_MISSING())
        with await run_in_threadpool(temporary_folder, self.clips) as folder:
            file = await run_in_threadpool(form.save, Path(folder))
            await form.fields.close()
            found = await while_there(request, self.verifier.verdict(file))
        message = found.pop("message")
        return {"success": True, **found, "message": message[_language(request)]}

    def result_page(self, task_id: str, request: Request) -> Response:
        """Send the page of a finished video, to be shared; and a page for people where there is none any more."""
        try:
            task = self._results_of(task_id)
        except ResultNotFound:
            return gone_page(request)
        return result_page(task, request) if task.video.exists() else gone_page(request)

    def audio(self, task_id: str, request: Request) -> Response:
        """Send the speech of a video."""
        _check_not_signed(task_id, request)
        return file_response(self._results_of(task_id).audio, "audio/wav", request)

    def framed(self, avatar: str, request: Request) -> Response:
        """Send the page with the avatar alone, for frames in other web sites."""
        return embed_page(avatar, request, self.studio.settings.allowed_origins)

    def label(self) -> dict[str, str]:
        """Return the mark that AI_LABEL prescribes for all pictures; "off" for none."""
        return {"label": self.studio.settings.ai_label}

    def card(self, request: Request) -> Response:
        """Send the picture that is shown where the page's address is shared."""
        picture, pack = self.stills.card(self.visitors.shipped())
        return bytes_response(picture, "image/jpeg", request, pack)

    @property
    def _book(self) -> TaskBook:
        return self.supervisor.book

    def _results_of(self, task_id: str) -> Task:
        if not is_task_id(task_id):
            raise ResultNotFound(messages.server.NO_SUCH_RESULT(task_id=task_id))
        task = self._book.get(task_id)
        return task if isinstance(task, Task) else self._book.files_of(task_id)

    def _known(self, task_id: str, request: Request) -> Job:
        task = self._book.find(task_id)
        if task is None or not self.tokens.owns_task(grant_of(request), task_id):
            raise TaskNotFound(messages.server.NO_SUCH_TASK(task_id=task_id))
        return task

    async def _join(self, request: Request) -> Job:
        """Check a request and queue it; an error becomes a plain JSON response."""
        grant = grant_of(request)
        caller = request.headers.get("authorization", "") if grant is None else f"token {grant.id}"
        key = request.headers.get("idempotency-key")
        if not is_form(request):
            body = await json_body(request)
            return await self.repeats.join(caller, key, lambda: body, lambda: self._queued(body, request))
        form = await RecordingForm.of(request, RECORDING, self.studio.settings.max_upload, most_files=2)
        try:
            fields = form.body()
            return await self.repeats.join(caller, key, form.content, lambda: self._queued(fields, request, form))
        finally:
            await form.fields.close()

    async def _queued(self, body: object, request: Request, form: RecordingForm | None = None) -> Job:
        """Check a request and queue it.

        Args:
            body: Its decoded fields.
            request: The request.
            form: What it came with, if that is a form; a recording in it is kept until the task has ended.
        """
        studio = replace(self.studio, avatars=self.visitors.for_rest(request))
        grace = self.studio.settings.resume_seconds if "idempotency-key" in request.headers else 0.0
        url = body.get("webhook_url") if isinstance(body, dict) else None
        receiver = receiver_of(self.webhooks, url, request)
        picture = None if form is None else form.background
        if form is not None and picture is not None and isinstance(body, dict):
            with await run_in_threadpool(temporary_folder, self.clips) as where:
                file = await run_in_threadpool(form.save_background, Path(where))
                assert file is not None, "there is a picture"
                body = {**body, BACKGROUND: await run_in_threadpool(studio.backdrops.keep, file)}
        if form is None or form.file is None:
            return await self._paid(await run_in_threadpool(parse, body, studio), grace, request, receiver)
        folder = await run_in_threadpool(temporary_folder, self.clips)
        try:
            recording = await run_in_threadpool(form.save, Path(folder.name))
            asked = await run_in_threadpool(parse, body, studio, recording)
            await run_in_threadpool(check_kind, recording)
            task = await self._paid(asked, grace, request, receiver)
        except BaseException:
            folder.cleanup()
            raise
        self.supervisor.at_end(task, folder.cleanup)
        return task

    async def _paid(self, asked: GenerateRequest, grace: float, request: Request, receiver: Receiver | None) -> Job:
        """Queue a request; with a token, its speech is counted."""
        grant, text = grant_of(request), "" if asked.recording else asked.text
        self.tokens.check_avatar(grant, asked.avatar.name)
        self.tokens.check(grant, text)
        task = await self.queue.join(asked, grace, request)
        self.webhooks.follow(task, receiver)
        self.tokens.count_task(grant, task, text)
        if grant is not None:  # another server may be asked for it next
            await run_in_threadpool(self.tokens.settle, grant)
        return task


def _asks_to_sign(request: Request) -> bool:
    return request.query_params.get("c2pa", "") not in ("", "0")


def _check_not_signed(task_id: str, request: Request) -> None:
    """Refuse a signed copy of what cannot be signed."""
    if _asks_to_sign(request):
        raise BadRequest(messages.server.ONLY_MP4_SIGNED(task_id=task_id))


def _described(node: Node) -> dict[str, Any]:
    """Return what a client gets to know of a node of the cluster."""
    return {
        "address": node.address,
        "slots": node.slots,
        "cores": node.cores,
        "gpus": node.gpus,
        "engines": list(node.engines),
        "tts_engines": list(node.voices),
        "tasks": node.running,
        "sessions": node.sessions,
    }


def _state(entries: list[Entry]) -> str:
    """Return the state of a task that does not wait."""
    last = entries[-1].event if entries else None
    if isinstance(last, Failed):
        return "cancelled" if isinstance(last.error, Cancelled) else "failed"
    return "done" if isinstance(last, Ended) else "running"


def _reply(done: dict[str, Any]) -> dict[str, Any]:
    """Return the response of the synchronous call, from the last event."""
    copied = ("task_id", "text", "video_path", "video_url", "audio_url", "captions_url", "audio_duration")
    missing: dict[str, Any] = {key: done[key] for key in ("audio_lost", "note") if key in done}
    return {"success": True, **{key: done[key] for key in copied}, "elapsed": done["elapsed"]["total"], **missing}


def exception_handlers() -> dict[Any, ExceptionHandler]:
    """Return handlers that turn errors into responses of the documented shape."""

    async def on_pipeline_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, PipelineError)
        if error.status >= 500:
            logger.warning("%s %s: %s", request.method, request.url.path, error)
        language = _language(request)
        if is_ours(path_of(request.scope)):
            return _error(error, language)
        return _error(error, language, detail=error.message.in_language(language))  # which Gradio's clients show

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not is_ours(path_of(request.scope)):
            return await http_exception_handler(request, error)
        body = _framework_error(error).to_json(_language(request))
        return JSONResponse(body, error.status_code, headers=error.headers)

    async def on_bug(request: Request, error: Exception) -> Response:
        if not is_ours(path_of(request.scope)):
            return PlainTextResponse("Internal Server Error", 500)
        return _error(PipelineError(messages.server.INTERNAL_SERVER_ERROR()), _language(request))

    async def on_client_gone(request: Request, error: Exception) -> Response:
        return _error(Cancelled(), _language(request))  # the client is gone

    return {
        PipelineError: on_pipeline_error,
        HTTPException: on_http_error,
        ClientDisconnect: on_client_gone,
        Exception: on_bug,
    }


def _framework_error(error: HTTPException) -> PipelineError:
    match error.status_code:
        case 404:
            return NotFound(messages.server.NO_SUCH_ADDRESS())
        case 405:
            return WrongMethod()
        case status:
            kind = BadBody if status < 500 else PipelineError
            return kind(messages.server.HTTP_ERROR(detail=error.detail))


def _error(error: PipelineError, language: Language, **more: str) -> JSONResponse:
    headers = {}
    if isinstance(error, QueueFull):
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, NotAllowed):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({**error.to_json(language), **more}, error.status, headers=headers)


def _root(request: Request) -> str:
    """Return the public path of the server; "" if that is its root."""
    root: str = request.scope.get("root_path", "")
    return root


def _language(request: Request) -> Language:
    return language_of(request.headers.get("accept-language"))


def _download_state(progress: Progress, request: Request) -> dict[str, Any]:
    return {
        "state": progress.state,
        "bytes_done": progress.done,
        "bytes_total": progress.total,
        "message": progress.message and progress.message.in_language(_language(request)),
        "licence": LICENCE,
        "licence_url": LICENCE_URL,
    }
