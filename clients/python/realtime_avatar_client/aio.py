"""The client for asyncio; each method does what its twin in ``sync`` does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, ExitStack, aclosing, suppress
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from realtime_avatar_client.errors import AvatarError, ConnectionLost, ServerError
from realtime_avatar_client.events import (
    AvatarMade,
    Closed,
    Event,
    Failed,
    Interrupted,
    Other,
    Status,
    VideoDone,
    session_event,
    task_event,
)
from realtime_avatar_client.protocol import (
    PING_SECONDS,
    SESSION_SECONDS,
    File,
    Lines,
    OnProgress,
    Options,
    Upload,
    error_of,
    fields_of,
    may_retry,
    new_key,
    part,
    pause,
)


class AsyncClient:
    """A server of talking avatars. Use it as a context manager, or ``close`` it; tasks of one event loop may share it.

    Args:
        url: The server's address.
        key: An API key or a token, if the server needs one.
        language: Of messages, "ko" or "en".
        timeout: Seconds without a byte after which a request fails.
        retries: How often a request is tried again if the server is away or busy.
    """

    def __init__(
        self,
        url: str = "http://localhost:5000",
        key: str = "",
        *,
        language: str = "en",
        timeout: float = 60.0,
        retries: int = 4,
    ) -> None:
        self.options = Options(url.rstrip("/"), key, language, timeout, retries)
        self._http = httpx.AsyncClient(base_url=self.options.url, headers=self.options.headers(), timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    # --- what there is

    async def status(self) -> dict[str, Any]:
        """Return what the server can do now."""
        return await self._get("/api/v2/status")

    async def avatars(self) -> list[dict[str, Any]]:
        """Return every avatar in every resolution."""
        return list((await self._get("/api/avatars"))["avatars"])

    async def voices(self) -> list[dict[str, Any]]:
        """Return every voice."""
        return list((await self._get("/api/voices"))["voices"])

    async def token(self, **fields: Any) -> dict[str, Any]:
        """Return a token for a browser: ``endpoints``, ``origin``, ``avatar``, ``session_id``, ``seconds``..."""
        return await self._json("POST", "/api/v2/tokens", json=fields)

    # --- videos

    async def events(
        self,
        text: str | None = None,
        *,
        avatar: str | None = None,
        audio: File | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> AsyncGenerator[Event]:
        """Make a video, and yield each stage; the last is `VideoDone` or `Failed`.

        A lost connection is resumed. If you leave the loop before its end, the task is cancelled.

        Args:
            text: What to say; with a recording, what it says, if you know it.
            avatar: Who says it.
            audio: A recording with speech.
            on_progress: Called with the bytes of it that were sent, and all.
            idempotency_key: The same key is the same task; a new one if left out.
            **fields: What else the API takes: ``resolution``, ``tts_voice``, ``webhook_url``...

        Raises:
            ServerError: The request was refused.
            ConnectionLost: The connection was lost for good.
        """
        asked = fields_of(text=text, avatar=avatar, **fields)
        upload = None if audio is None else Upload("audio", audio, asked, on_progress)
        key = idempotency_key or new_key()
        async with aclosing(self._tell("/api/v2/lipsync/stream", asked, upload, key)) as events:
            async for event in events:
                yield event

    async def video(
        self,
        text: str | None = None,
        *,
        avatar: str | None = None,
        audio: File | None = None,
        on_event: Callable[[Event], object] | None = None,
        **fields: Any,
    ) -> VideoDone:
        """Make a video and return when it is done; `on_event` is called with each stage. See ``events``.

        Raises:
            ServerError: The request was refused, or the task has failed.
            ConnectionLost: The connection was lost for good.
        """
        async with aclosing(self.events(text, avatar=avatar, audio=audio, **fields)) as events:
            async for event in events:
                if on_event is not None:
                    on_event(event)
                if isinstance(event, VideoDone):
                    return event
        raise failed(event)

    async def follow(self, task_id: str, after: int = 0) -> AsyncGenerator[Event]:
        """Yield the events of a task after a number."""
        async with aclosing(self._follow(task_id, after)) as events:
            async for event in events:
                yield event

    async def task(self, task_id: str) -> dict[str, Any]:
        """Return how far a task is, or how it ended."""
        return await self._get(f"/api/v2/tasks/{part(task_id)}")

    async def cancel(self, task_id: str) -> None:
        """Stop a task."""
        await self._json("POST", f"/api/cancel/{part(task_id)}")

    async def save(self, url: str, path: str | Path, on_progress: OnProgress | None = None) -> Path:
        """Save a result (``done.video_url``, ``done.audio_url``...) to a file; of a video a copy to keep."""
        target = Path(path)
        query = {"download": "1"} if url.endswith(".mp4") else {}
        async with self._http.stream("GET", url, params=query) as response:
            if response.is_error:
                raise error_of(response.status_code, await response.aread(), response.headers)
            total, done = int(response.headers.get("content-length", 0)), 0
            with target.open("wb") as file:
                async for data in response.aiter_bytes():
                    file.write(data)
                    done += len(data)
                    if on_progress is not None:
                        on_progress(done, total)
        return target

    # --- avatars

    async def make_avatar(
        self,
        name: str,
        file: File,
        *,
        consent: bool,
        on_progress: OnProgress | None = None,
        on_event: Callable[[Event], object] | None = None,
        **fields: Any,
    ) -> AvatarMade:
        """Make an avatar of a clip or photo.

        Args:
            name: Its name.
            file: The clip or photo.
            consent: That the person shown agreed to be made to speak.
            on_progress: Called with the bytes that were sent, and all.
            on_event: Called with each stage.
            **fields: What else the API takes: ``resolutions``, ``face``, ``gender``...

        Raises:
            ServerError: The request was refused, or no avatar can be made of the file.
            ConnectionLost: The connection was lost for good.
        """
        upload = Upload("file", file, {"name": name, "consent": consent, **fields}, on_progress)
        async with aclosing(self._tell("/api/avatars", None, upload, new_key())) as events:
            async for event in events:
                if on_event is not None:
                    on_event(event)
                if isinstance(event, AvatarMade):
                    return event
        raise failed(event)

    async def delete_avatar(self, avatar: str) -> list[str]:
        """Delete an uploaded avatar; return the ids that were deleted."""
        return list((await self._json("DELETE", f"/api/avatars/{part(avatar)}"))["deleted"])

    # --- live sessions

    async def session(self, *, video: bool = False, **fields: Any) -> AsyncSession:
        """Open a live session; use it as a context manager, which also ends it.

        Args:
            video: Whether iterating over the session also yields its mp4, piece by piece.
            **fields: What the API takes: ``avatar``, ``resolution``, ``interview``...
        """
        return AsyncSession(self, await self._json("POST", "/api/v2/sessions", json=fields, repeatable=False), video)

    # --- requests

    async def _get(self, path: str) -> dict[str, Any]:
        return await self._json("GET", path)

    async def _json(self, method: str, path: str, json: Any = None, repeatable: bool = True) -> dict[str, Any]:
        response = await self.request(method, path, json, repeatable)
        reply: dict[str, Any] = response.json()
        return reply

    async def request(self, method: str, path: str, json: Any = None, repeatable: bool = True) -> httpx.Response:
        """Send a request, again if the server is away or busy.

        Args:
            method: The HTTP method.
            path: The path and query.
            json: The body.
            repeatable: Whether the same request twice does the same as once.

        Raises:
            ServerError: The request was refused.
            ConnectionLost: The server cannot be reached.
        """
        for number in range(self.options.retries + 1):
            try:
                response = await self._http.request(method, path, json=json)
                if response.is_error:
                    raise error_of(response.status_code, response.content, response.headers)
                return response
            except (ServerError, httpx.TransportError) as error:
                if number == self.options.retries or not may_retry(error, repeatable):
                    raise lost(error) from error
                await asyncio.sleep(pause(number, error))
        raise AssertionError("the last try returns or raises")

    async def _tell(self, path: str, body: Any, upload: Upload | None, key: str) -> AsyncGenerator[Event]:
        """Send a request for a task, and yield its events to the last one."""
        task_id, after, tries = "", 0, 0
        headers = {"Idempotency-Key": key}
        while True:
            try:
                async with AsyncExitStack() as stack:
                    sent = {"json": body} if upload is None else upload.request(stack.enter_context(ExitStack()))
                    stream = self._http.stream("POST", path, headers=headers, timeout=self._patience(), **sent)
                    async for event in _events(await stack.enter_async_context(stream), after):
                        task_id, after, tries = _task_of(event) or task_id, event.id, 0
                        yield event
                        if not isinstance(event, Status | Other):
                            return
                raise ConnectionLost("The connection was lost.")
            except GeneratorExit:
                if task_id:
                    with suppress(AvatarError):
                        await self.cancel(task_id)
                raise
            except (ServerError, ConnectionLost, httpx.TransportError) as error:
                tries += 1
                if tries > self.options.retries or not (isinstance(error, ConnectionLost) or may_retry(error, True)):
                    raise lost(error) from error
                await asyncio.sleep(pause(tries, error))
            if task_id:
                try:
                    async with aclosing(self._follow(task_id, after)) as events:
                        async for event in events:
                            yield event
                except GeneratorExit:
                    with suppress(AvatarError):
                        await self.cancel(task_id)
                    raise
                return

    async def _follow(self, task_id: str, after: int) -> AsyncGenerator[Event]:
        tries = 0
        while True:
            headers = {"Last-Event-ID": str(after)}
            try:
                path = f"/api/v2/tasks/{part(task_id)}/events"
                async with self._http.stream("GET", path, headers=headers, timeout=self._patience()) as response:
                    async for event in _events(response, after):
                        after, tries = event.id, 0
                        yield event
                        if not isinstance(event, Status | Other):
                            return
                    if response.status_code == httpx.codes.NO_CONTENT:
                        return
                raise ConnectionLost("The connection was lost.")
            except (ServerError, ConnectionLost, httpx.TransportError) as error:
                tries += 1
                if tries > self.options.retries or not (isinstance(error, ConnectionLost) or may_retry(error, True)):
                    raise lost(error) from error
                await asyncio.sleep(pause(tries, error))

    def _patience(self) -> httpx.Timeout:
        return httpx.Timeout(self.options.timeout, read=max(self.options.timeout, PING_SECONDS))


async def _events(response: httpx.Response, after: int) -> AsyncGenerator[Event]:
    """Yield the events of an open stream after a number."""
    if response.is_error:
        raise error_of(response.status_code, await response.aread(), response.headers)
    lines = Lines()
    async for line in response.aiter_lines():
        content = lines.feed(line)
        if content is not None and content.get("id", 0) > after:
            yield task_event(content)


def _task_of(event: Event) -> str:
    return str(event.raw.get("task_id", ""))


def lost(error: Exception) -> AvatarError:
    """Return the error for people: the server's own, or that it cannot be reached."""
    if isinstance(error, AvatarError):
        return error
    return ConnectionLost(f"The server cannot be reached: {error or type(error).__name__}")


def failed(event: Event) -> ServerError:
    """Return the error of a task that has failed."""
    assert isinstance(event, Failed), "the last event is one of three"
    return ServerError(event.code, event.status, event.message)


class AsyncSession:
    """A live session: an avatar that is there. Iterating over it yields its events.

    One thread may iterate while others speak. A lost connection is resumed without missing an event; the video then
    begins again, with its header.

    Attributes:
        id: Its id.
        token: Allows others to use it without a key.
        video_url, events_url, socket_url: Its addresses, which begin with "/".
    """

    def __init__(self, client: AsyncClient, opened: dict[str, Any], video: bool) -> None:
        self.id: str = opened["session_id"]
        self.token: str = opened["token"]
        self.video_url: str = opened["video_url"]
        self.events_url: str = opened["events_url"]
        self.socket_url: str = opened["socket_url"]
        self.task_id: str | None = opened["task_id"]
        self._client = client
        self._address = f"/api/v2/sessions/{self.id}"
        self._video = video
        self._last = 0
        self._socket: ClientConnection | None = None
        self._mode: tuple[str, int] | None = None
        self._closed = False
        self._lock = asyncio.Lock()
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncGenerator[Event | bytes]:
        """Yield events, and with `video` pieces of mp4, until the session has ended."""
        while True:
            socket = await self._connected()
            try:
                async for message in socket:
                    if isinstance(message, bytes):
                        yield message
                        continue
                    event = session_event(json.loads(message))
                    self._last = event.id or self._last
                    yield event
                    if isinstance(event, Closed):
                        self._closed = True
                        return
            except (ConnectionClosed, OSError):
                pass
            if self._closed:
                return
            await self._drop(socket)

    async def events(self) -> AsyncGenerator[Event]:
        """Yield the events until the session has ended."""
        async with aclosing(self.__aiter__()) as events:
            async for one in events:
                if isinstance(one, Event):
                    yield one

    async def state(self) -> dict[str, Any]:
        """Return how the session is."""
        return await self._client._get(self._address)

    async def say(self, text: str, *, more: bool = False, tag: str | None = None) -> None:
        """Speak a text; with `more`, a piece of one, which ``flush`` ends."""
        await self._post("say", fields_of(text=text, more=more or None, tag=tag))

    async def chat(self, text: str) -> None:
        """Let the server's language model answer a text."""
        await self._post("chat", {"text": text})

    async def interrupt(self, at: float | None = None) -> Interrupted | None:
        """Stop speaking; return what was said, None if the session ended meanwhile."""
        event = (await self._post("interrupt", fields_of(at=at)))["interrupted"]
        interrupted = event and session_event(event)
        return interrupted if isinstance(interrupted, Interrupted) else None

    async def flush(self) -> None:
        """End the turn."""
        await self._send({"type": "flush"})

    async def listen(self) -> None:
        """Show that the avatar listens."""
        await self._send({"type": "listen"})

    async def idle(self) -> None:
        """Show that it does nothing in particular."""
        await self._send({"type": "idle"})

    async def push_audio(self, pcm: bytes, rate: int = 16_000) -> None:
        """Have the avatar speak sound: 16-bit little-endian mono PCM. ``flush`` ends the turn."""
        await self._sound("audio", pcm, rate)

    async def push_words(self, words: list[dict[str, Any]], language: str | None = None) -> None:
        """Tell the words of the avatar's sound: ``{"text": "Hello.", "start": 0.1, "end": 0.6}``."""
        await self._send({"type": "audio_text", **fields_of(words=words, language=language)})

    async def hear(self, pcm: bytes, rate: int = 16_000) -> None:
        """Pass on what the visitor's microphone hears, in the same format."""
        await self._sound("microphone", pcm, rate)

    async def visitor_said(self, text: str, question: int | None = None) -> None:
        """Tell what the visitor said, if you recognise speech yourself."""
        await self._send({"type": "visitor_said", **fields_of(text=text, question=question)})

    async def next(self) -> None:
        """Go on to the next question of an interview."""
        await self._post("next")

    async def interview(self) -> dict[str, Any]:
        """Return the record of an interview."""
        return await self._client._get(f"{self._address}/interview")

    async def close(self) -> None:
        """End the session."""
        if not self._closed:
            with suppress(AvatarError):
                await self._client.request("DELETE", self._address)
        self._closed = True
        if self._socket is not None:
            await self._socket.close()

    async def _post(self, what: str, body: Any = None) -> dict[str, Any]:
        return await self._client._json("POST", f"{self._address}/{what}", json=body or {}, repeatable=False)

    async def _sound(self, kind: str, pcm: bytes, rate: int) -> None:
        async with self._lock:
            await self._connected()
            if self._mode != (kind, rate):
                await self._send_now({"type": kind, "rate": rate})
                self._mode = kind, rate
            for begin in range(0, len(pcm), 1 << 16):
                await self._send_now(pcm[begin : begin + (1 << 16)])

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._lock:
            await self._send_now(message)

    async def _send_now(self, message: dict[str, Any] | bytes) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False)
        for last in (False, True):
            socket = await self._connected()
            try:
                if isinstance(message, bytes) and self._mode is None:
                    raise ConnectionLost("The connection was lost while sound was sent.")
                await socket.send(data)
                return
            except (ConnectionClosed, OSError) as error:
                await self._drop(socket)
                if last:
                    raise ConnectionLost("The connection was lost.") from error

    async def _connected(self) -> ClientConnection:
        """Return the socket, connected again if it was lost."""
        async with self._connecting:
            if self._closed:
                raise ServerError("session_closed", 409, "The session has ended.")
            if self._socket is None:
                self._socket = await self._connect()
            return self._socket

    async def _connect(self) -> ClientConnection:
        options = self._client.options
        until, number = time.monotonic() + SESSION_SECONDS, 0
        while True:
            address = options.socket(self.socket_url, self._last, self._video)
            headers = options.headers()
            try:
                return await connect(address, additional_headers=headers, max_size=None, open_timeout=options.timeout)
            except InvalidStatus as error:
                reply = error.response
                raise error_of(reply.status_code, reply.body or b"", dict(reply.headers.raw_items())) from None
            except (WebSocketException, OSError) as error:
                if time.monotonic() > until:
                    raise ConnectionLost(f"The session cannot be reached: {error}") from error
                await asyncio.sleep(pause(number))
                number += 1

    async def _drop(self, socket: ClientConnection) -> None:
        if self._socket is socket:
            self._socket, self._mode = None, None
        await socket.close()
