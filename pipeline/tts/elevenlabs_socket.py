"""Live text for ElevenLabs: sentences are sent over a WebSocket as they arrive, and their sound comes back meanwhile.

One connection speaks the sentences that follow each other, so that the voice knows what it said before, and none of
them waits for a new connection. The SDK's own call for this, ``convert_realtime``, returns no times of characters, does
not know the language, and cannot be stopped while it waits: so the project speaks the protocol itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline import messages
from pipeline.errors import SpeechFailed, Unavailable
from pipeline.speech_types import Speech
from pipeline.tts.elevenlabs_answer import LiveAnswer
from pipeline.tts.elevenlabs_errors import POLICY, service_error, unusable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CONNECT_TIMEOUT = 10.0
IDLE = 15.0
"""Seconds without text after which the connection is given up; the next sentence gets another."""
UNDER_WAY = 2
"""Sentences that the service is sent before their sound is there: what is not sent when the avatar is interrupted costs
nothing."""
GOING_AWAY = 1001
"""The last of the codes with which a socket is closed that say nothing of an error."""
_FORBIDDEN = 403


class NoLiveText(Exception):
    """The service does not take live text for this model or this key.

    Attributes:
        sentence: The sentence that was to be sent.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


@dataclass
class SentenceSocket:
    """Speaks sentences.

    Args:
        address: Of the socket, with all options.
        key: The API key.
        opening: Voice settings and the like, which the first message of a connection has.
        language: Of the sentences.
        sentences: Yields them as they arrive; it may block. It is called in other threads, one at a time.
        timeout: Seconds without a message after which the service is given up; 0 is never.
    """

    address: str
    key: str
    opening: dict[str, Any]
    language: str
    sentences: Iterator[str]
    timeout: float = 0.0
    _next: asyncio.Future[str | None] | None = field(default=None, init=False)

    async def speak(self, push: Callable[[Speech], object]) -> None:
        """Speak all sentences, and push each as soon as its sound is there.

        Raises:
            NoLiveText: Nothing was sent, and nothing can be.
            NoCredit: The plan's characters are used up.
            Unavailable: Refused, busy, unreachable, hanging, no such voice.
            SpeechFailed: The answer cannot be used, or breaks off.
        """
        try:
            first = await self._taken()
            while first is not None:
                async with await self._connected(first) as socket:
                    await self._burst(socket, first, push)
                first = await self._taken()
        finally:
            if self._next is not None:
                self._next.cancel()

    def _more(self) -> asyncio.Future[str | None]:
        """Return the sentence that comes next, when it has arrived; None at the end."""
        if self._next is None:
            self._next = asyncio.get_running_loop().run_in_executor(None, next, self.sentences, None)
        return self._next

    async def _taken(self) -> str | None:
        sentence = await self._more()
        self._next = None
        return sentence

    async def _connected(self, first: str) -> ClientConnection:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

        try:
            return await connect(
                self.address,
                additional_headers={"xi-api-key": self.key},
                open_timeout=min(self.timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT),
                close_timeout=0.5,
                max_size=None,
            )
        except InvalidStatus as error:
            if error.response.status_code == _FORBIDDEN:
                raise NoLiveText(first) from None
            raise service_error(error.response.status_code, _body(error.response.body), self.key) from None
        except TimeoutError as error:
            raise Unavailable(messages.tts.ELEVENLABS_SILENT()) from error
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise Unavailable(messages.tts.ELEVENLABS_NOT_REACHED()) from error

    async def _burst(self, socket: ClientConnection, first: str, push: Callable[[Speech], object]) -> None:
        """Speak sentences over a connection, until there are no more, or none for a while."""
        from websockets.exceptions import ConnectionClosed

        answer = LiveAnswer(self.language)
        heard: asyncio.Future[Any] | None = None
        try:
            await _send(socket, {"text": " ", **self.opening})
            await _send(socket, {"text": answer.expect(first), "flush": True})
            ended = False
            while True:
                heard = heard or asyncio.ensure_future(socket.recv())
                more = self._more() if not ended and answer.waiting < UNDER_WAY else None
                patience = answer.patience
                awaits = answer.unsaid or ended
                wait = patience if patience is not None else (self.timeout or None) if awaits else IDLE
                done, _ = await asyncio.wait(
                    {heard, more} if more else {heard}, timeout=wait, return_when=asyncio.FIRST_COMPLETED
                )
                if heard in done:
                    message = _message(heard.result())
                    heard = None
                    if self._take(message, answer, push):
                        return
                if more in done:
                    sentence = await self._taken()
                    ended = sentence is None
                    text = {"text": ""} if sentence is None else {"text": answer.expect(sentence), "flush": True}
                    await _send(socket, text)
                if not done and patience is not None:
                    push(answer.rest())
                elif not done and awaits:
                    raise Unavailable(messages.tts.ELEVENLABS_SILENT())
                elif not done:
                    ended = True
                    await _send(socket, {"text": ""})
        except ConnectionClosed as closed:
            if not answer.unsaid:
                return  # the next sentence gets another connection
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (0, "")
            if code > GOING_AWAY:
                raise service_error(code, reason, self.key) from None
            raise unusable(messages.tts.ELEVENLABS_CONNECTION_BROKE()) from closed
        finally:
            if heard is not None:
                heard.cancel()

    def _take(self, message: dict[str, Any], answer: LiveAnswer, push: Callable[[Speech], object]) -> bool:
        """Take one message of the service; return whether it is the last."""
        if not message.get("audio") and (message.get("error") or message.get("message")):
            code = message.get("code")
            raise service_error(code if isinstance(code, int) else POLICY, message, self.key)
        answer.add(message.get("audio"), message.get("alignment"))
        while (sentence := answer.sentence()) is not None:
            push(sentence)
        if not message.get("isFinal"):
            if answer.complete and answer.ends_in_silence:
                push(answer.rest())
            return False
        if answer.unsaid:
            push(answer.rest())
        return True


async def _send(socket: ClientConnection, text: dict[str, Any]) -> None:
    """Send a message. Where the service has closed the connection, what arrived before says why: it is read first."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        await socket.send(json.dumps(text))


def _message(data: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(data)
    except ValueError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("audio") or "", str):
        raise _unreadable()
    return message


def _body(data: bytes | bytearray | None) -> Any:
    try:
        return json.loads(data or b"")
    except ValueError:
        return ""


def _unreadable() -> SpeechFailed:
    return unusable(messages.tts.ELEVENLABS_REPLY_PARTLY_READABLE())
