"""ElevenLabs as a speech engine: the most natural voices, with the time of every character; needs an API key.

The SDK is imported on first use, since that takes a second. The engine uses its asynchronous client: a task of an event
loop can be cancelled at any moment, even while the service hangs; a thread that waits for a socket cannot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pipeline import messages
from pipeline.core.ahead import pushed
from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import woken_by
from pipeline.errors import BadRequest, Cancelled, Unavailable
from pipeline.settings import Settings, listed
from pipeline.speech_types import Speech, Voice
from pipeline.text.language import in_cyrillic, in_latin, language_of, speakable
from pipeline.tts.elevenlabs_answer import Answer
from pipeline.tts.elevenlabs_errors import NoCredit, refused_key, service_error, unusable, without_credit
from pipeline.tts.elevenlabs_models import Models, takes_live_text
from pipeline.tts.elevenlabs_socket import CONNECT_TIMEOUT, NoLiveText, SentenceSocket
from pipeline.tts.refusals import nothing_to_say, unknown_voice
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine

if TYPE_CHECKING:
    from elevenlabs.client import AsyncElevenLabs

logger = logging.getLogger(__name__)

DEFAULT_VOICE_ID = "JBFqnCBsd6RMkjVDRZzb"
"""George, the voice of the service's own first example; used when ELEVENLABS_VOICE_ID is not set."""
FORMAT = "pcm_24000"
VOICES_TTL = 300.0
"""Seconds for which the list of voices is cached."""
MAX_VOICES = 1000
INACTIVE = 180
"""Seconds without text after which the service closes a socket; this program closes it sooner."""

_LANGUAGE_CODES = {"ko": "ko", "ja": "ja", "cmn": "zh"}
"""Languages that their script identifies; for the others the service's own detection is better than ours."""
_WITHOUT_LANGUAGE_CODE = ("eleven_multilingual_v2", "eleven_multilingual_v1", "eleven_monolingual_v1")

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
        self._models = Models(self._list_models)
        self._without_live_text: set[str] = set()

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

    def speaks(self, language: str) -> bool:
        """Return whether the model speaks a language.

        Those that share the Latin or the Cyrillic alphabet are hard to tell apart in a short text: there the service
        decides by itself.
        """
        unsure = in_latin(language) or in_cyrillic(language) or not self.available()
        return unsure or self._models.speaks(self._settings.elevenlabs_model, language)

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
        spoken = language or language_of(text)
        answer = Answer(spoken)
        sent = answer.expect(text)
        model = self._settings.elevenlabs_model
        most = self._models.longest(model)
        if most is not None and len(sent) > most:
            raise BadRequest(messages.tts.ELEVENLABS_TOO_LONG(model=model, most=f"{most:,}", count=f"{len(sent):,}"))

        async def speak(client: AsyncElevenLabs, push: Callable[[Speech], object]) -> None:
            from elevenlabs.types import PronunciationDictionaryVersionLocator, VoiceSettings

            options, code = self._options(speed), self._language_code(spoken)
            if "voice_settings" in options:
                options["voice_settings"] = VoiceSettings(**options["voice_settings"])
            if (named := "pronunciation_dictionary_locators") in options:
                options[named] = [PronunciationDictionaryVersionLocator(**one) for one in options[named]]
            if code:
                options["language_code"] = code
            stream = client.text_to_speech.stream_with_timestamps(
                self._voice_id(voice),
                text=sent,
                model_id=model,
                output_format=FORMAT,
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

    @property
    def takes_sentences(self) -> bool:
        """Whether the model speaks sentences over a socket while they arrive."""
        model = self._settings.elevenlabs_model
        return takes_live_text(model) and model not in self._without_live_text

    def stream_sentences(
        self, sentences: Iterator[str], voice: str, cancel: CancelToken, language: str, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak sentences over one connection, each as soon as it arrives.

        Raises:
            Unavailable: No key, refused, quota, busy, unreachable, hanging, no such voice.
            SpeechFailed: The response cannot be used.
            Cancelled: `cancel` is set; the connection is closed.
        """
        socket = SentenceSocket(
            address=self._address(voice, language),
            key=self._settings.elevenlabs_api_key,
            opening=self._options(speed),
            language=language,
            sentences=sentences,
            timeout=self._settings.elevenlabs_timeout,
        )

        def call(push: Callable[[Speech], object], stop: CancelToken) -> None:
            self._call(lambda _: socket.speak(push), stop)

        try:
            yield from pushed(call, cancel)
        except NoLiveText as refused:  # the usual requests show what the matter is, or work
            self._without_live_text.add(self._settings.elevenlabs_model)
            for sentence in chain([refused.sentence], sentences):
                yield from self.stream(sentence, voice, cancel, language, speed)

    def _address(self, voice: str, language: str) -> str:
        """Return the address of the socket that speaks live text."""
        from elevenlabs.environment import ElevenLabsEnvironment

        base = urlsplit(self._settings.elevenlabs_base_url or ElevenLabsEnvironment.PRODUCTION.value)
        path = f"{base.path.rstrip('/')}/v1/text-to-speech/{quote(self._voice_id(voice), safe='')}/stream-input"
        options = {
            "model_id": self._settings.elevenlabs_model,
            "output_format": FORMAT,
            "auto_mode": "true",  # what is sent are whole sentences
            "sync_alignment": "true",
            "inactivity_timeout": str(INACTIVE),
        }
        if code := self._language_code(language):
            options["language_code"] = code
        return urlunsplit(("ws" if base.scheme == "http" else "wss", base.netloc, path, urlencode(options), ""))

    def _voice_id(self, voice: str) -> str:
        return (self._settings.elevenlabs_voice_id or DEFAULT_VOICE_ID) if voice == CUSTOM_VOICE else voice

    def _language_code(self, language: str) -> str | None:
        """Return the language that the service gets; None lets it detect the language."""
        told = self._settings.elevenlabs_model not in _WITHOUT_LANGUAGE_CODE
        return _LANGUAGE_CODES.get(language) if told else None

    def _options(self, speed: float) -> dict[str, Any]:
        """Return the voice settings and pronunciation dictionaries of a request, as far as any are set."""
        settings = self._settings
        given = {
            "stability": settings.elevenlabs_stability,
            "similarity_boost": settings.elevenlabs_similarity,
            "style": settings.elevenlabs_style,
        }
        voice = {name: value for name, value in given.items() if value >= 0} | ({"speed": speed} if speed != 1 else {})
        named = [one.partition(":") for one in listed(settings.elevenlabs_dictionaries)]
        dictionaries = [
            {"pronunciation_dictionary_id": id, **({"version_id": version} if version else {})}
            for id, _, version in named
        ]
        options = {"voice_settings": voice, "pronunciation_dictionary_locators": dictionaries}
        return {name: value for name, value in options.items() if value}

    def _call(self, work: Callable[[AsyncElevenLabs], Awaitable[T]], cancel: CancelToken) -> T:
        """Call `work` with a client of the service, and turn the service's errors into ours."""
        key = self._settings.elevenlabs_api_key
        if not key:
            raise Unavailable(messages.tts.ELEVENLABS_WITHOUT_KEY())
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise refused_key()
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
                try:
                    return await work(client)
                except ApiError as error:
                    raise service_error(error.status_code or 0, error.body, settings.elevenlabs_api_key) from None
            except NoCredit:
                raise await without_credit(client) from None
            except httpx.TimeoutException as error:
                raise Unavailable(messages.tts.ELEVENLABS_SILENT()) from error
            except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise Unavailable(messages.tts.ELEVENLABS_NOT_REACHED()) from error
            except httpx.HTTPError as error:
                raise unusable(messages.tts.ELEVENLABS_CONNECTION_BROKE()) from error

    def _list_models(self) -> list[Any]:
        """Return the models that the service lists."""

        async def models(client: AsyncElevenLabs) -> list[Any]:
            return list(await client.models.list(request_options={"max_retries": 0, "timeout_in_seconds": 5}))

        return self._call(models, CancelToken())

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
