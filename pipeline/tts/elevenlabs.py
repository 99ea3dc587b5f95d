"""ElevenLabs as a speech engine: the most natural voices, with the time of every character; needs an API key.

The SDK is imported on first use, since that takes a second. The engine uses its asynchronous client: a task of an event
loop can be cancelled at any moment, even while the service hangs; a thread that waits for a socket cannot.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pipeline import messages
from pipeline.core.ahead import pushed
from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import woken_by
from pipeline.errors import BadRequest, Cancelled, PipelineError, SpeechFailed, Unavailable
from pipeline.messages import Message
from pipeline.settings import Settings, listed
from pipeline.speech_types import Mark, Speech, Voice
from pipeline.text.language import language_of, plain, speakable
from pipeline.tts.refusals import nothing_to_say, unknown_voice
from pipeline.tts.speech_engine import BREAK, CUSTOM_VOICE, TTSEngine, with_stops

if TYPE_CHECKING:
    from elevenlabs.client import AsyncElevenLabs

logger = logging.getLogger(__name__)

DEFAULT_VOICE_ID = "JBFqnCBsd6RMkjVDRZzb"
"""George, the voice of the service's own first example; used when ELEVENLABS_VOICE_ID is not set."""
RATE = 24000
"""Hz; the highest rate of raw samples that every plan includes."""
VOICES_TTL = 300.0
"""Seconds for which the list of voices is cached."""
MAX_VOICES = 1000
CONNECT_TIMEOUT = 10.0
SLACK = 0.5
"""Seconds by which the last character may end after the sound; if it is more, sound is missing."""

_LANGUAGE_CODES = {"ko": "ko", "ja": "ja", "cmn": "zh"}
"""Languages that their script identifies; for the others the service's own detection is better than ours."""
_WITHOUT_LANGUAGE_CODE = ("eleven_multilingual_v2", "eleven_multilingual_v1", "eleven_monolingual_v1")

MOST_CHARACTERS = {
    "eleven_v3": 5_000,
    "eleven_multilingual_v2": 10_000,
    "eleven_turbo_v2": 30_000,
    "eleven_flash_v2": 30_000,
    "eleven_turbo_v2_5": 40_000,
    "eleven_flash_v2_5": 40_000,
}
"""Characters that a model speaks in one request, as the service documents."""

T = TypeVar("T")


class ElevenLabsEngine(TTSEngine):
    """Speaks through the ElevenLabs service.

    The voice "Custom" is ``elevenlabs_voice_id`` of the settings, or ``DEFAULT_VOICE_ID`` when that is empty.
    """

    name = "elevenlabs"
    optional = remote = True
    speeds = (0.7, 1.2)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._voices: tuple[Voice, ...] = ()
        self._voices_until = 0.0

    def available(self) -> bool:
        """Return whether a key is set; the first call shows whether the service accepts it."""
        return bool(self._settings.elevenlabs_api_key)

    def check(self) -> None:
        """Check that a key is set.

        Raises:
            Unavailable: There is none.
        """
        if not self.available():
            raise Unavailable(messages.tts.ELEVENLABS_WITHOUT_KEY())

    def voices(self) -> list[Voice]:
        """Return the voices of the account; the service is asked every five minutes at most.

        Raises:
            Unavailable: The service refuses the key or cannot be reached.
        """
        with self._lock:
            if time.monotonic() >= self._voices_until:
                self._voices = self._call(self._list_voices, CancelToken())
                self._voices_until = time.monotonic() + VOICES_TTL
            return list(self._voices)

    def check_voice(self, voice: str) -> None:
        """Check that the account has a voice.

        Raises:
            BadRequest: It has not; the message lists the voices.
            Unavailable: There is no key.
        """
        if voice == CUSTOM_VOICE:
            return
        choices = self.voices()
        if voice not in [known.id for known in choices]:
            raise unknown_voice(self.name, voice, [CUSTOM_VOICE, *(f"{v.id} ({v.name})" for v in choices)])

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak a text sentence by sentence, with a mark for every character if the service returns their times.

        Raises:
            NothingToSay: The text has no letter or digit.
            Unavailable: No key, refused, quota, busy, unreachable, hanging, no such voice.
            SpeechFailed: The response cannot be used.
            Cancelled: `cancel` is set.
        """
        if not speakable(text):
            raise nothing_to_say()
        sent, added = with_stops(plain(text))
        model = self._settings.elevenlabs_model
        most = MOST_CHARACTERS.get(model)
        if most is not None and len(sent) > most:
            raise BadRequest(messages.tts.ELEVENLABS_TOO_LONG(model=model, most=f"{most:,}", count=f"{len(sent):,}"))
        spoken = language or language_of(text)
        voice_id = (self._settings.elevenlabs_voice_id or DEFAULT_VOICE_ID) if voice == CUSTOM_VOICE else voice

        async def speak(client: AsyncElevenLabs, push: Callable[[Speech], object]) -> None:
            options: dict[str, Any] = self._options(speed)
            model, code = self._settings.elevenlabs_model, _LANGUAGE_CODES.get(spoken)
            if code and model not in _WITHOUT_LANGUAGE_CODE:
                options["language_code"] = code
            answer = _Answer(text, sent, added, spoken)
            stream = client.text_to_speech.stream_with_timestamps(
                voice_id,
                text=sent,
                model_id=model,
                output_format="pcm_24000",
                request_options={"max_retries": 0},
                **options,
            )
            async for chunk in stream:
                answer.add(chunk.audio_base_64, chunk.alignment)
                while (sentence := answer.sentence()) is not None:
                    push(sentence)
            push(answer.rest())

        def call(push: Callable[[Speech], object], stop: CancelToken) -> None:
            self._call(lambda client: speak(client, push), stop)

        yield from pushed(call, cancel)

    def _options(self, speed: float) -> dict[str, Any]:
        """Return the voice settings and pronunciation dictionaries of a request, as far as any are set."""
        from elevenlabs.types import PronunciationDictionaryVersionLocator, VoiceSettings

        settings, options = self._settings, dict[str, Any]()
        given = {
            "stability": settings.elevenlabs_stability,
            "similarity_boost": settings.elevenlabs_similarity,
            "style": settings.elevenlabs_style,
        }
        voice: dict[str, Any] = {name: value for name, value in given.items() if value >= 0} | (
            {"speed": speed} if speed != 1 else {}
        )
        if voice:
            options["voice_settings"] = VoiceSettings(**voice)
        dictionaries = [one.partition(":") for one in listed(settings.elevenlabs_dictionaries)]
        if dictionaries:
            options["pronunciation_dictionary_locators"] = [
                PronunciationDictionaryVersionLocator(pronunciation_dictionary_id=id, version_id=version or None)
                for id, _, version in dictionaries
            ]
        return options

    def _call(self, work: Callable[[AsyncElevenLabs], Awaitable[T]], cancel: CancelToken) -> T:
        """Call `work` with a client of the service, and turn the service's errors into ours."""
        key = self._settings.elevenlabs_api_key
        if not key:
            raise Unavailable(messages.tts.ELEVENLABS_WITHOUT_KEY())
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise _refused_key()
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(_watched(self._with_client(work), cancel))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _with_client(self, work: Callable[[AsyncElevenLabs], Awaitable[T]]) -> T:
        import httpx
        from elevenlabs.client import AsyncElevenLabs
        from elevenlabs.core.api_error import ApiError

        settings = self._settings
        timeout = settings.elevenlabs_timeout or None
        limits = httpx.Timeout(timeout, connect=min(timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT))
        async with httpx.AsyncClient(timeout=limits, follow_redirects=True) as http:
            client = AsyncElevenLabs(
                api_key=settings.elevenlabs_api_key,
                base_url=settings.elevenlabs_base_url or None,
                timeout=timeout,
                httpx_client=http,
            )
            try:
                return await work(client)
            except ApiError as error:
                if _no_credit(error):
                    raise Unavailable(await _credit(client)) from None
                raise _service_error(error.status_code or 0, error.body, settings.elevenlabs_api_key) from None
            except httpx.TimeoutException as error:
                raise Unavailable(messages.tts.ELEVENLABS_SILENT()) from error
            except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise Unavailable(messages.tts.ELEVENLABS_NOT_REACHED()) from error
            except httpx.HTTPError as error:
                raise _unusable(messages.tts.ELEVENLABS_CONNECTION_BROKE()) from error

    async def _list_voices(self, client: AsyncElevenLabs) -> tuple[Voice, ...]:
        voices: list[Voice] = []
        token: str | None = None
        while len(voices) < MAX_VOICES:
            page = await client.voices.search(page_size=100, next_page_token=token, request_options={"max_retries": 0})
            voices += [_voice(found) for found in page.voices or []]
            token = page.next_page_token
            if not (page.has_more and token):
                break
        return tuple(voices)


def _voice(found: Any) -> Voice:
    """Return a voice as the service describes it."""
    labels = found.labels or {}
    return Voice(
        id=found.voice_id,
        name=found.name or found.voice_id,
        language=str(labels.get("language") or ""),
        gender=str(labels.get("gender") or "") if labels.get("gender") in ("female", "male") else "",
        sample=found.preview_url or "",
    )


class _Answer:
    """The response of the service so far: 16-bit samples, and characters with their times.

    Args:
        text: The text of the request.
        sent: What the service speaks: the same text, letter by letter, plus the stops in `added`.
        added: Offsets in `sent` of full stops that are not in `text`.
        language: Language of the text.
    """

    def __init__(self, text: str, sent: str, added: frozenset[int], language: str) -> None:
        self._text = text
        self._sent = sent
        self._added = added
        self._place = 0  # offset in `sent` of the next character
        self._language = language
        self._pcm = bytearray()
        self._marks: list[Mark] = []
        self._timed = True
        self._given = (0, 0)  # bytes (no longer in _pcm) and marks

    def add(self, audio: str | None, alignment: Any) -> None:
        """Take one chunk of the response.

        Raises:
            SpeechFailed: Its sound cannot be decoded.
        """
        before = self._received / 2 / RATE
        try:
            self._pcm += base64.b64decode(audio or "", validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise _unusable(messages.tts.ELEVENLABS_REPLY_NOT_DECODABLE()) from error
        if alignment is None:
            self._timed = self._timed and not audio
            return
        try:
            starts = [float(s) for s in alignment.character_start_times_seconds]
            ends = [float(s) for s in alignment.character_end_times_seconds]
            chunk = [(str(c), s, e) for c, s, e in zip(alignment.characters, starts, ends, strict=True)]
        except (AttributeError, TypeError, ValueError):
            self._timed = False
            return
        if not all(math.isfinite(time) for _, *span in chunk for time in span):
            self._timed = False
            return
        # times count from the beginning of the stream; if they start over, they count from the chunk
        last = self._marks[-1].end if self._marks else 0.0
        offset = before if chunk and self._marks and chunk[0][1] < last - SLACK / 2 else 0.0
        for character, start, end in chunk:
            place, self._place = self._place, self._place + len(character)
            if place in self._added and character == ".":
                continue
            begin = max(start + offset, self._marks[-1].end if self._marks else 0.0)
            self._marks.append(Mark("character", character, begin, max(end + offset, begin)))

    @property
    def _received(self) -> int:
        """Bytes of sound received so far."""
        return self._given[0] + len(self._pcm)

    def sentence(self) -> Speech | None:
        """Return the next sentence as soon as the one after it has begun; the cut is in the middle of the pause."""
        before = None
        for index in range(self._given[1], len(self._marks) if self._timed else 0):
            mark = self._marks[index]
            if not speakable(mark.text):
                continue
            if before is not None and mark.start - before.end >= BREAK:
                until = 2 * round((before.end + mark.start) / 2 * RATE)
                return self._take(until, index) if until <= self._received else None
            before = mark
        return None

    def rest(self) -> Speech:
        """Return everything that was not returned yet; without marks if some are missing.

        Raises:
            SpeechFailed: Sound is missing.
        """
        if not self._received:
            raise _unusable(messages.tts.ELEVENLABS_REPLY_EMPTY())
        if self._received % 2:
            raise _unusable(messages.tts.ELEVENLABS_REPLY_CUT_OFF())
        if self._timed and self._marks:
            # the SDK skips lines that it cannot parse; then characters or sound are missing
            expected = sum(map(speakable, self._sent))
            timed = sum(speakable(mark.text) for mark in self._marks)
            if timed < 0.9 * expected or self._marks[-1].end > self._received / 2 / RATE + SLACK:
                raise _unusable(messages.tts.ELEVENLABS_REPLY_PARTLY_READABLE())
        else:
            logger.info("ElevenLabs gave no complete character times; the sound will be aligned instead")
        return self._take(self._received, len(self._marks))

    def _take(self, until: int, count: int) -> Speech:
        """Return what was not returned yet, up to a byte of sound and a number of marks."""
        since, first = self._given
        self._given = until, count
        pcm, self._pcm = self._pcm[: until - since], self._pcm[until - since :]
        samples = np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / 32768
        begin, duration = since / 2 / RATE, len(samples) / RATE
        marks = tuple(
            Mark("character", m.text, *(min(max(time - begin, 0.0), duration) for time in (m.start, m.end)))
            for m in self._marks[first:count]
        )
        # the marks are the characters of the text, one by one
        start = sum(len(mark.text) for mark in self._marks[:first])
        end = sum(len(mark.text) for mark in self._marks[:count]) if self._pcm else len(self._text)
        return Speech(
            samples=samples,
            rate=RATE,
            text=self._text[start:end],
            language=self._language,
            marks=marks if self._timed else (),
        )


async def _watched(work: Awaitable[T], cancel: CancelToken) -> T:
    """Await `work`; cancel it as soon as the token is set."""
    task = asyncio.ensure_future(work)
    with woken_by(cancel) as woken:
        task.add_done_callback(lambda _: woken.set())
        await woken.wait()
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        raise Cancelled
    return task.result()


def _no_credit(error: Any) -> bool:
    """Return whether the service refuses because the plan's characters are used up."""
    detail = error.body.get("detail") if isinstance(error.body, dict) else None
    return isinstance(detail, dict) and "quota" in str(detail.get("status") or detail.get("code") or "")


async def _credit(client: AsyncElevenLabs) -> Message:
    """Return the sentence for a text beyond the credit, with what is left of it if the service says."""
    with suppress(Exception):  # the refusal is told, whatever becomes of this
        plan = await client.user.subscription.get(request_options={"max_retries": 0})
        left, limit = max(plan.character_limit - plan.character_count, 0), plan.character_limit
        credit = messages.tts.ELEVENLABS_CREDIT(left=f"{left:,}", limit=f"{limit:,}")
        return messages.tts.ELEVENLABS_QUOTA_LEFT(why=messages.tts.ELEVENLABS_QUOTA(), credit=credit)
    return messages.tts.ELEVENLABS_QUOTA()


def _service_error(status: int, body: Any, key: str) -> PipelineError:
    """Return our error for an error response of the service.

    Args:
        status: HTTP status.
        body: Parsed body.
        key: The API key, which the message must not contain.
    """
    detail = body.get("detail", body) if isinstance(body, dict) else body
    code = str(detail.get("status") or detail.get("code") or "") if isinstance(detail, dict) else ""
    reason = str(detail.get("message") or detail) if isinstance(detail, dict) else str(detail or "")
    reason = " ".join(reason.replace(key, "***").split())[:200]
    logger.warning("ElevenLabs answered %d %s: %s", status, code, reason)
    if "quota" in code or status == 402:
        return Unavailable(messages.tts.ELEVENLABS_QUOTA())
    if status in (401, 403):
        return _refused_key()
    if status == 404:
        return Unavailable(messages.tts.ELEVENLABS_VOICE_UNKNOWN())
    if status == 429:
        return Unavailable(messages.tts.ELEVENLABS_BUSY())
    if status >= 500:
        return Unavailable(messages.tts.ELEVENLABS_ERROR(status=status))
    return SpeechFailed(messages.tts.ELEVENLABS_REJECTED(status=status, reason=reason))


def _refused_key() -> Unavailable:
    return Unavailable(messages.tts.ELEVENLABS_KEY_REFUSED())


def _unusable(why: Message) -> SpeechFailed:
    return SpeechFailed(messages.tts.ELEVENLABS_REPLY_UNUSABLE(why=why))
