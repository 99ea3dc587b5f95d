"""Live sessions over HTTP: opened and controlled by REST or a socket, watched as one endless mp4."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from pipeline import messages
from pipeline.avatars.store import AvatarStore
from pipeline.conversation.conversation import Conversation
from pipeline.conversation.conversation_parser import question_of
from pipeline.errors import BadBody, BadRequest, NotAllowed, PipelineError, SessionNotFound, TokenWrongEndpoint
from pipeline.jobs.request import flag_of
from pipeline.jobs.studio import Studio
from pipeline.live.recorder import Recorder
from pipeline.live.session_events import Problem, to_json
from pipeline.live.session_parser import moment_of, parse_session, tag_of, text_of, words_of
from pipeline.live.voice_input import AHEAD_SECONDS, RATES
from pipeline.live.workers import RemoteSession, Workers
from pipeline.messages import Language
from pipeline.server.access import key_of
from pipeline.server.connections import Stream
from pipeline.server.reply_language import language_of
from pipeline.server.rest import schema
from pipeline.server.rest.bodies import MAX_BODY, json_body
from pipeline.server.rest.conversations import Conversations
from pipeline.server.rest.event_stream import sse_event, sse_response
from pipeline.server.rest.receivers import receiver_of
from pipeline.server.tokens import Grant, Tokens
from pipeline.server.visitors import Visitors
from pipeline.server.webhooks import Webhooks
from pipeline.settings import listed

SESSIONS = "sessions"
"""What a token must be for to open and use sessions."""
ADDRESS = "/api/v2/sessions"
PAGE_ADDRESS = "/page/sessions"
"""Where the page opens sessions: with the page's own access and avatars, which need no key where it is public."""
DEFAULT_RATE = 16_000
"""Samples per second of sound whose rate the client does not send."""
_EVENT_NUMBER = re.compile("[0-9]{1,9}")
_COMMANDS = (
    *("say", "flush", "interrupt", "listen", "idle", "audio", "audio_text", "microphone", "chat", "visitor_said"),
    *("next", "close"),
)


@dataclass(frozen=True)
class SessionApi:
    """The endpoints of live sessions."""

    studio: Studio
    workers: Workers
    recorder: Recorder
    visitors: Visitors
    conversations: Conversations
    tokens: Tokens
    webhooks: Webhooks

    def routes(self) -> list[BaseRoute]:
        """Return the routes. Opening a session needs a key; using it needs a key or the session's own token.

        The video needs neither, like other results: its address cannot be guessed.
        """
        rest = APIRouter()
        one = ADDRESS + "/{session_id}"
        rest.add_api_route(ADDRESS, self.open, methods=["POST"], status_code=201, **schema.OPEN_SESSION)
        rest.add_api_route(one, self.state, **schema.SESSION)
        rest.add_api_route(one, self.delete, methods=["DELETE"], **schema.SESSION)
        rest.add_api_route(one + "/say", self.say, methods=["POST"], **schema.SAY)
        rest.add_api_route(one + "/flush", self.flush, methods=["POST"], **schema.SESSION)
        rest.add_api_route(one + "/interrupt", self.interrupt, methods=["POST"], **schema.INTERRUPT)
        rest.add_api_route(one + "/chat", self.chat, methods=["POST"], **schema.CHAT)
        rest.add_api_route(one + "/next", self.next, methods=["POST"], **schema.NEXT)
        rest.add_api_route(one + "/interview", self.interview, **schema.INTERVIEW)
        rest.add_api_route(one + "/interview/{number}.wav", self.answer, **schema.ANSWER)
        rest.add_api_route(one + "/events", self.events, **schema.SESSION_EVENTS)
        rest.add_api_route(one + "/video.mp4", self.video, **schema.SESSION_VIDEO)
        rest.add_api_websocket_route(one + "/socket", self.socket)
        rest.add_api_route(PAGE_ADDRESS, self.open_on_page, methods=["POST"], status_code=201, include_in_schema=False)
        return list(rest.routes)

    async def open(self, request: Request) -> Response:
        """Open a session. Its stream begins as soon as the avatar is loaded."""
        grant = self.tokens.allowed(request, SESSIONS)
        if grant is not None and grant.session:
            raise TokenWrongEndpoint(f"{ADDRESS}/{grant.session}")
        if grant is not None:
            await run_in_threadpool(self.tokens.settle, grant)
        self.tokens.check(grant)
        return await self._opened(request, self.visitors.for_rest(request), grant)

    async def open_on_page(self, request: Request) -> Response:
        """Open a session for a visitor of the page."""
        return await self._opened(request, self.visitors.for_page(request))

    async def _opened(self, request: Request, avatars: AvatarStore, grant: Grant | None = None) -> Response:
        body = await json_body(request)
        studio = replace(self.studio, avatars=avatars)
        asked = await run_in_threadpool(parse_session, body, studio)
        self.tokens.check_avatar(grant, asked.avatar.name)
        plan = self.conversations.check(body, asked)
        receiver = receiver_of(self.webhooks, body.get("webhook_url"), request)
        session = await self.workers.open(asked)
        self.tokens.count_session(grant, session)
        self.webhooks.follow_session(session, receiver)
        self.conversations.open(session, plan)
        if asked.record:
            try:
                self.recorder.record(session, self.workers.delete)
            except PipelineError:
                self.workers.delete(session, "failed")
                raise
        note = {} if asked.note is None else {"note": asked.note.in_language(_language(request))}
        return JSONResponse({**self._description(session, request, addresses=True), **note}, 201)

    async def state(self, session_id: str, request: Request) -> dict[str, Any]:
        """Return the state of a session."""
        return self._description(self._allowed(session_id, request), request)

    async def delete(self, session_id: str, request: Request) -> dict[str, Any]:
        """End a session."""
        session = self._allowed(session_id, request)
        self.workers.delete(session)
        return self._description(session, request)

    async def say(self, session_id: str, request: Request) -> dict[str, Any]:
        """Speak a text; with ``more`` only a piece of one, whose sentences are spoken as they become complete."""
        session = self._allowed(session_id, request)
        fields = await _object(request)
        self.tokens.check_session(session)
        _say(session, fields, self.studio.settings.max_text)
        return self._description(session, request)

    async def flush(self, session_id: str, request: Request) -> dict[str, Any]:
        """End a text of pieces."""
        session = self._allowed(session_id, request)
        session.flush()
        return self._description(session, request)

    async def interrupt(self, session_id: str, request: Request) -> dict[str, Any]:
        """Stop speaking, and return what was said."""
        session = self._allowed(session_id, request)
        fields = await _object(request) if request.headers.get("content-length", "0") != "0" else {}
        entry = await session.interrupt(moment_of(fields, "at"))
        event = entry and {**to_json(entry.event, _language(request)), "id": entry.number}
        return {**self._description(session, request), "interrupted": event}

    async def chat(self, session_id: str, request: Request) -> dict[str, Any]:
        """Let the language model answer a text of the visitor; the avatar speaks while the model writes."""
        session = self._allowed(session_id, request)
        fields = await _object(request)
        self.tokens.check_session(session)
        self.conversations.of(session).chat(text_of(fields, self.studio.settings.max_text))
        return self._description(session, request)

    async def next(self, session_id: str, request: Request) -> dict[str, Any]:
        """Go on to the next question of an interview."""
        session = self._allowed(session_id, request)
        self.conversations.of(session).next()
        return self._description(session, request)

    async def interview(self, session_id: str, request: Request) -> dict[str, Any]:
        """Return the questions and answers of an interview, with their times; also after the session's end."""
        session = self._allowed(session_id, request, ended=True)
        return self.conversations.interview(session, self._address(session, request), self._token(session))

    async def answer(self, session_id: str, number: str, request: Request) -> Response:
        """Send the sound of an answer."""
        session = self._allowed(session_id, request, ended=True)
        return self.conversations.sound(session, number, request)

    async def events(self, session_id: str, request: Request) -> Response:
        """Send the events of a session: those after the one that Last-Event-ID names, or all."""
        session = self._allowed(session_id, request, ended=True)
        after = request.headers.get("last-event-id", "") or "0"
        if not _EVENT_NUMBER.fullmatch(after):
            raise BadRequest(messages.server.LAST_EVENT_ID_INVALID())
        if session.closed is not None and int(after) >= session.last_number:
            return Response(status_code=204)  # stops an EventSource from reconnecting
        language = _language(request)

        async def numbered() -> AsyncIterator[ServerSentEvent]:
            with session.present():
                async with aclosing(session.follow(int(after))) as events:
                    async for entry in events:
                        yield sse_event({**to_json(entry.event, language), "id": entry.number}, entry.number)

        return sse_response(numbered())

    async def video(self, session_id: str) -> Response:
        """Send the stream of a session from now on, without an end: a fragmented mp4."""
        session = self.workers.find(session_id)
        headers = {"Cache-Control": "no-store", "Accept-Ranges": "none", "X-Accel-Buffering": "no"}
        return Stream(session.video(), media_type="video/mp4", headers=headers)

    async def socket(self, websocket: WebSocket) -> None:
        """Exchange messages with a client: commands and sound in; events, and with ``?video=1`` the stream, out."""
        try:
            session = self._allowed(websocket.path_params["session_id"], websocket)
        except PipelineError as error:
            language = _language(websocket)
            await websocket.send_denial_response(JSONResponse(error.to_json(language), error.status))
            return
        await websocket.accept()
        limit, conversation = self.studio.settings.max_text, self.conversations.of(session)
        pays = partial(self.tokens.check_session, session)
        await _Socket(websocket, session, conversation, limit, self.workers.delete, pays).run()

    @property
    def _keys(self) -> tuple[str, ...]:
        return listed(self.studio.settings.api_keys)

    def _allowed(self, session_id: str, connection: HTTPConnection, ended: bool = False) -> RemoteSession:
        """Return a session that the sender of a request may use.

        Args:
            session_id: Its id.
            connection: The request.
            ended: Whether it may have ended.

        Raises:
            NotAllowed, Forbidden: The request has neither a key, nor a token for it, nor the session's own.
            SessionNotFound, SessionClosed: There is no such session.
        """
        session = self.workers.ended(session_id) if ended else None
        if self._keys and key_of(connection.headers, self._keys) is None:
            if self.tokens.granted(connection) is not None:
                return self._granted(session_id, connection, session)
            token = connection.query_params.get("token", "")
            known = session or self.workers.known(session_id)
            if known is None or not hmac.compare_digest(token.encode(), known.token.encode()):
                raise NotAllowed
        return session or self.workers.find(session_id)

    def _granted(self, session_id: str, connection: HTTPConnection, ended: RemoteSession | None) -> RemoteSession:
        """Return the session of a request with a token: its own, or one that it opened."""
        grant = self.tokens.allowed(connection, SESSIONS)
        if not self.tokens.owns_session(grant, session_id):
            raise SessionNotFound(session_id)
        session = ended or self.workers.find(session_id)
        self.tokens.count_session(grant, session)
        return session

    def _description(self, session: RemoteSession, request: Request, addresses: bool = False) -> dict[str, Any]:
        """Return what a client gets to know of a session.

        Args:
            session: The session.
            request: The request.
            addresses: With the addresses, which hold the token.
        """
        description: dict[str, Any] = {"success": True, "session_id": session.id, "state": session.state}
        description |= {"stream": round(session.time, 3), "expires": _moment(session.expires)}
        description["task_id"] = session.id if session.request.record else None
        if addresses:
            base, token = self._address(session, request), self._token(session)
            description |= {"video_url": f"{base}/video.mp4", "socket_url": f"{base}/socket{token}"}
            description |= {"events_url": f"{base}/events{token}", "token": session.token}
        return description

    def _address(self, session: RemoteSession, request: Request) -> str:
        return f"{request.scope.get('root_path', '')}{ADDRESS}/{session.id}"

    def _token(self, session: RemoteSession) -> str:
        """Return what addresses end with, so that they work without a key."""
        return f"?token={session.token}" if self._keys else ""


class _Socket:
    """One client's socket."""

    def __init__(
        self,
        websocket: WebSocket,
        session: RemoteSession,
        conversation: Conversation,
        max_text: int,
        delete: Callable[[RemoteSession], object],
        check: Callable[[], None],
    ) -> None:
        self._websocket = websocket
        self._session = session
        self._conversation = conversation
        self._max_text = max_text
        self._delete = delete
        self._check = check
        """Raises what keeps the avatar from speaking."""
        self._rate = DEFAULT_RATE
        self._from_visitor = False
        """Whether the sound that comes is the visitor's, not the avatar's."""
        self._language = _language(websocket)
        self._speed_reported = False

    async def run(self) -> None:
        """Serve the client until it leaves or the session ends."""
        jobs = [self._take(), self._tell()]
        if self._websocket.query_params.get("video", "0") not in ("", "0"):
            jobs.append(self._show())
        with self._session.present():
            tasks = [asyncio.ensure_future(job) for job in jobs]
            try:
                await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the client has left
                await self._websocket.close(1000)

    async def _take(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                await self._handle(message.get("text"), message.get("bytes"))
            except PipelineError as error:
                if self._session.closed is not None:
                    return
                await self._send(to_json(Problem.of(error), self._language))

    async def _handle(self, text: str | None, data: bytes | None) -> None:
        size = len(text.encode("utf-8", "surrogatepass")) if text is not None else len(data or b"")
        if size > MAX_BODY:
            raise BadBody(messages.live.MESSAGE_TOO_LARGE(size=size, limit=MAX_BODY))
        if text is None:
            sound = data or b""
            await (self._conversation.take_sound(sound, self._rate) if self._from_visitor else self._push(sound))
            return
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise BadBody(messages.live.MESSAGE_NOT_JSON())
        kind = fields.get("type")
        match kind:
            case "say":
                self._check()
                _say(self._session, fields, self._max_text)
            case "flush":
                self._session.flush()
            case "interrupt":
                self._session.interrupt_soon(moment_of(fields, "at"))
            case "listen":
                self._session.listen()
            case "idle":
                self._session.idle()
            case "audio" | "microphone":
                self._rate = _rate(fields)
                self._from_visitor = kind == "microphone"
            case "audio_text":
                self._session.push_words(*words_of(fields, self._max_text))
            case "chat":
                self._check()
                self._conversation.chat(text_of(fields, self._max_text))
            case "visitor_said":
                self._conversation.visitor_said(text_of(fields, self._max_text), question_of(fields))
            case "next":
                self._conversation.next()
            case "close":
                self._delete(self._session)
            case _:
                raise BadBody(messages.live.MESSAGE_UNKNOWN(value=repr(kind)[:60], choices=", ".join(_COMMANDS)))

    async def _push(self, data: bytes) -> None:
        """Pass on sound; a client that is far ahead gets one event, and is then slowed down."""
        self._check()
        seconds = len(data) / 2 / self._rate
        if self._session.sound_ahead + seconds > AHEAD_SECONDS >= seconds:
            if not self._speed_reported:
                self._speed_reported = True
                slow = BadRequest(messages.live.SOUND_AHEAD(limit=AHEAD_SECONDS))
                await self._send(to_json(Problem.of(slow), self._language))
        else:
            self._speed_reported = False
        await self._session.push_audio(data, self._rate)

    async def _tell(self) -> None:
        async with aclosing(self._session.follow(self._after())) as events:
            async for entry in events:
                await self._send({**to_json(entry.event, self._language), "id": entry.number})

    def _after(self) -> int:
        """Return the number of the last event that the client has; only later ones are new to a new client."""
        given = self._websocket.query_params.get("after", "")
        return int(given) if _EVENT_NUMBER.fullmatch(given) else self._session.last_number

    async def _show(self) -> None:
        async with aclosing(self._session.video()) as stream:
            async for data in stream:
                await self._websocket.send_bytes(data)

    async def _send(self, content: dict[str, Any]) -> None:
        await self._websocket.send_text(json.dumps(content, ensure_ascii=False))


def _say(session: RemoteSession, fields: dict[str, Any], max_text: int) -> None:
    text, more, tag = text_of(fields, max_text), flag_of(fields, "more"), tag_of(fields)
    session.say(text, tag)
    if not more:
        session.flush()


def _rate(fields: dict[str, Any]) -> int:
    """Return the rate that a client sends.

    Raises:
        BadRequest: It is none.
    """
    rate = fields.get("rate", DEFAULT_RATE)
    lowest, highest = RATES
    if isinstance(rate, bool) or not isinstance(rate, int) or not lowest <= rate <= highest:
        raise BadRequest(messages.live.RATE_INVALID(rate=repr(rate)[:60], lowest=lowest, highest=highest))
    return rate


def _language(connection: HTTPConnection) -> Language:
    return language_of(connection.headers.get("accept-language"))


async def _object(request: Request) -> dict[str, Any]:
    body = await json_body(request)
    if not isinstance(body, dict):
        raise BadBody(messages.live.MESSAGE_NOT_JSON())
    return body


def _moment(seconds: float) -> str | None:
    """Return a time as clients get it (ISO 8601, UTC); None if it never comes."""
    return None if seconds == float("inf") else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
