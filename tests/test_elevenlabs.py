"""The ElevenLabs engine against a local server that answers as the service does."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection

from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest, Cancelled, NothingToSay, PipelineError, SpeechFailed, Unavailable
from pipeline.settings import ROOT, Settings
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech_types import Speech
from pipeline.tts.elevenlabs import DEFAULT_VOICE_ID, ElevenLabsEngine
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE
from tests.servers import wait_for
from tests.stub_elevenlabs import KEY, RATE, ElevenLabsStub, Request, spoken

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다."


@pytest.fixture(scope="module")
def server() -> Iterator[ElevenLabsStub]:
    with ElevenLabsStub() as stub:
        yield stub


@pytest.fixture
def stub(server: ElevenLabsStub) -> ElevenLabsStub:
    server.mode = "ok"
    server.models = None
    server.requests.clear()
    server.sent.clear()
    server.connected = 0
    return server


def engine(stub: ElevenLabsStub, **settings: object) -> ElevenLabsEngine:
    given = {"elevenlabs_api_key": KEY, "elevenlabs_base_url": stub.url, "elevenlabs_timeout": 5.0, **settings}
    return ElevenLabsEngine(Settings(**given))  # type: ignore[arg-type]


def asked(stub: ElevenLabsStub) -> list[Request]:
    """Return the requests for speech."""
    return [request for request in stub.requests if "/text-to-speech/" in request.path]


def test_speech_is_the_sound_of_the_service_with_a_mark_for_every_character(stub: ElevenLabsStub) -> None:
    speech = engine(stub).synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    samples, timed = spoken(TEXT)
    assert speech.rate == RATE
    assert speech.duration == pytest.approx(len(samples) / RATE, abs=0.01)
    assert "".join(mark.text for mark in speech.marks) == TEXT
    assert [mark.start for mark in speech.marks] == pytest.approx([start for _, start, _ in timed], abs=0.01)
    assert np.abs(speech.samples).max() <= 1


def test_request_names_voice_model_and_a_format_that_every_plan_may_ask_for(stub: ElevenLabsStub) -> None:
    engine(stub).synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    (request,) = asked(stub)
    assert request.path == f"/v1/text-to-speech/{DEFAULT_VOICE_ID}/stream/with-timestamps"
    assert request.query["output_format"] == ["pcm_24000"]
    assert request.body["text"] == TEXT
    assert request.body["model_id"] == "eleven_multilingual_v2"
    assert "language_code" not in request.body


@pytest.mark.parametrize("end", ["\n", "\n\n", "\u2028"])
def test_lines_are_sent_as_sentences_and_come_back_as_they_are_written(stub: ElevenLabsStub, end: str) -> None:
    lines = ["준비물", "이력서", "자기소개", "끝입니다."]
    pieces = list(engine(stub).stream(end.join(lines), CUSTOM_VOICE, CancelToken()))
    sent = "\n" * len(end)
    assert asked(stub)[0].body["text"] == f"준비물.{sent}이력서.{sent}자기소개.{sent}끝입니다."
    assert [piece.text.strip() for piece in pieces] == lines
    assert "".join(piece.text for piece in pieces) == end.join(lines)
    for piece in pieces:
        assert "".join(mark.text for mark in piece.marks) == piece.text.replace("\u2028", "\n")


def test_models_that_take_a_language_get_it(stub: ElevenLabsStub) -> None:
    engine(stub, elevenlabs_model="eleven_flash_v2_5").synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    assert asked(stub)[0].body["language_code"] == "ko"


def test_custom_voice_comes_from_the_settings(stub: ElevenLabsStub) -> None:
    engine(stub, elevenlabs_voice_id="voice-ben").synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    assert "/voice-ben/" in asked(stub)[0].path


def test_voices_are_those_of_the_account_and_asked_for_once(stub: ElevenLabsStub) -> None:
    speaker = engine(stub)
    assert {"voice-anna", "voice-ben"} <= {voice.id for voice in speaker.voices()}
    speaker.check_voice("voice-anna")
    speaker.check_voice(CUSTOM_VOICE)
    with pytest.raises(BadRequest, match="voice-anna"):
        speaker.check_voice("nobody")
    assert len(stub.requests) == 1


def test_character_times_become_phoneme_times(stub: ElevenLabsStub) -> None:
    espeak, text = EspeakEngine(), "Good morning, and welcome to your first interview."
    truth = [mark for mark in espeak.synthesize(text, "en-us", CancelToken()).marks if mark.text]
    speech = engine(stub).synthesize(text, CUSTOM_VOICE, CancelToken())
    found = [mark for mark in phonemes_of(speech, espeak) if mark.text]
    assert [mark.text for mark in found] == [mark.text for mark in truth]
    assert [mark.start for mark in found] == pytest.approx([mark.start for mark in truth], abs=0.03)


def test_sound_changes_of_korean_reach_the_phonemes(stub: ElevenLabsStub) -> None:
    speech = engine(stub).synthesize("같이 합니다", CUSTOM_VOICE, CancelToken())
    phonemes = "".join(mark.text for mark in phonemes_of(speech, EspeakEngine()))
    assert "tʃh" in phonemes  # 가치
    assert "mn" in phonemes and "pn" not in phonemes  # 함니다


def test_times_that_count_from_each_chunk_are_put_in_order(stub: ElevenLabsStub) -> None:
    stub.mode = "relative"
    speech = engine(stub).synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    assert [mark.start for mark in speech.marks] == pytest.approx([start for _, start, _ in spoken(TEXT)[1]], abs=0.01)


def test_chunks_without_times_leave_the_sound_to_be_aligned(stub: ElevenLabsStub) -> None:
    stub.mode = "no-alignment"
    speech = engine(stub).synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    assert speech.marks == ()
    assert speech.duration == pytest.approx(len(spoken(TEXT)[0]) / RATE, abs=0.01)


@pytest.mark.parametrize(
    ("mode", "error", "advice"),
    [
        ("401", Unavailable, "ELEVENLABS_API_KEY"),
        ("quota", Unavailable, "quota"),
        ("402", Unavailable, "plan"),
        ("404", Unavailable, "ELEVENLABS_VOICE_ID"),
        ("422", SpeechFailed, "field required"),
        ("429", Unavailable, "as many texts at a time"),
        ("500", Unavailable, "later"),
        ("503-html", Unavailable, "later"),
        ("stall", Unavailable, "does not respond"),
        ("hang", Unavailable, "does not respond"),
        ("drop", SpeechFailed, "broke off"),
        ("garbage", SpeechFailed, "no sound"),
        ("garbage-line", SpeechFailed, "cannot be read"),
        ("empty", SpeechFailed, "no sound"),
        ("odd", SpeechFailed, "cut off"),
    ],
)
def test_every_error_of_the_service_states_what_to_do(
    stub: ElevenLabsStub, mode: str, error: type[PipelineError], advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    stub.mode = mode
    with caplog.at_level(logging.DEBUG), pytest.raises(error, match=advice) as raised:
        engine(stub, elevenlabs_timeout=0.5).synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    assert raised.value.status in (500, 503)
    assert KEY not in raised.value.message.en + raised.value.message.ko + caplog.text
    assert raised.value.message.ko != raised.value.message.en
    assert len(asked(stub)) == 1, "a paid call must not be repeated silently"


def test_without_a_key_the_variable_is_named(stub: ElevenLabsStub) -> None:
    speaker = engine(stub, elevenlabs_api_key="")
    assert not speaker.available()
    for call in (lambda: speaker.synthesize(TEXT, CUSTOM_VOICE, CancelToken()), speaker.voices):
        with pytest.raises(Unavailable, match="ELEVENLABS_API_KEY"):
            call()
    assert stub.requests == []


@pytest.mark.parametrize("key", ["wrong-key", "키", "two words"])
def test_wrong_keys_are_refused_and_never_reported(
    stub: ElevenLabsStub, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable, match="ELEVENLABS_API_KEY") as raised:
        engine(stub, elevenlabs_api_key=key).synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    assert key not in raised.value.message.en + caplog.text


def test_no_server_at_the_address(stub: ElevenLabsStub) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        engine(stub, elevenlabs_base_url="http://127.0.0.1:9").synthesize(TEXT, CUSTOM_VOICE, CancelToken())


@pytest.mark.parametrize("mode", ["hang", "stall"])
def test_cancel_works_while_the_service_hangs(stub: ElevenLabsStub, mode: str) -> None:
    stub.mode = mode
    speaker = engine(stub, elevenlabs_timeout=60.0)
    cancel = CancelToken()
    ended = threading.Event()

    def speak() -> None:
        with pytest.raises(Cancelled):
            speaker.synthesize(TEXT, CUSTOM_VOICE, cancel)
        ended.set()

    thread = threading.Thread(target=speak)
    thread.start()
    wait_for(lambda: asked(stub))
    cancel.cancel()
    assert ended.wait(30)  # far below the timeout of the service
    thread.join()


def test_text_with_nothing_to_say_costs_no_call(stub: ElevenLabsStub) -> None:
    with pytest.raises(NothingToSay):
        engine(stub).synthesize("... 😀", CUSTOM_VOICE, CancelToken())
    assert stub.requests == []


def test_text_that_json_cannot_carry_is_spoken_without_it(stub: ElevenLabsStub) -> None:
    engine(stub).synthesize("안녕\ud800하세요\0", CUSTOM_VOICE, CancelToken())
    assert asked(stub)[0].body["text"] == "안녕 하세요 "


def test_sdk_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, pipeline.tts.elevenlabs; sys.exit('elevenlabs' in sys.modules or 'httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_text_beyond_the_credit_is_told_what_is_left(stub: ElevenLabsStub) -> None:
    stub.mode = "quota"
    with pytest.raises(Unavailable, match="50 of 10,000 characters are left") as refused:
        engine(stub).synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    assert "50 / 10,000" in refused.value.message.ko


@pytest.mark.parametrize(("model", "most"), [("eleven_v3", 5_000), ("eleven_multilingual_v2", 10_000)])
def test_a_text_beyond_the_limit_of_a_model_is_refused_before_it_is_sent(
    stub: ElevenLabsStub, model: str, most: int
) -> None:
    with pytest.raises(BadRequest, match=f"{model}.*{most:,}"):
        engine(stub, elevenlabs_model=model).synthesize("a" * (most + 1), CUSTOM_VOICE, CancelToken())
    assert asked(stub) == []


def test_limits_and_languages_are_those_that_the_service_lists(stub: ElevenLabsStub) -> None:
    stub.models = [
        {
            "model_id": "eleven_multilingual_v2",
            "maximum_text_length_per_request": 20,
            "languages": [{"language_id": "en", "name": "English"}, {"language_id": "ja", "name": "Japanese"}],
        },
        {"model_id": "eleven_flash_v2_5"},
    ]
    speaker = engine(stub)
    with pytest.raises(BadRequest, match="up to 20 characters"):
        speaker.synthesize("a" * 21, CUSTOM_VOICE, CancelToken())
    spoken = {language: speaker.speaks(language) for language in ("en-us", "ja", "ko", "cmn", "fr-fr", "ru")}
    assert spoken == {"en-us": True, "ja": True, "ko": False, "cmn": False, "fr-fr": True, "ru": True}
    with pytest.raises(BadRequest, match="language"):
        speaker.check_language("ko")
    assert [request.path for request in stub.requests] == ["/v1/models"], "it is asked once"
    other = engine(stub, elevenlabs_model="eleven_flash_v2_5")  # listed without a limit: as it is documented
    with pytest.raises(BadRequest, match="40,000"):
        other.synthesize("a" * 40_001, CUSTOM_VOICE, CancelToken())
    assert other.speaks("ko") and not other.speaks("km")


@pytest.mark.parametrize(
    ("model", "language", "spoken"),
    [
        ("eleven_flash_v2", "ko", False),
        ("eleven_multilingual_v2", "ko", True),
        ("eleven_multilingual_v2", "th", False),
        ("eleven_v3", "th", True),
        ("one_of_tomorrow", "th", True),
    ],
)
def test_languages_are_those_that_are_documented_where_the_service_lists_none(
    stub: ElevenLabsStub, model: str, language: str, spoken: bool
) -> None:
    assert engine(stub, elevenlabs_model=model).speaks(language) is spoken


@pytest.mark.parametrize("model", ["eleven_v3", "eleven_flash_v2_5"])
def test_new_models_are_told_the_language_and_the_speed(stub: ElevenLabsStub, model: str) -> None:
    engine(stub, elevenlabs_model=model).synthesize(TEXT, CUSTOM_VOICE, CancelToken(), "ko", 0.8)
    body = stub.requests[-1].body
    assert body["model_id"] == model and body["language_code"] == "ko"
    assert body["voice_settings"]["speed"] == 0.8


def test_voice_settings_and_dictionaries_are_sent_only_if_they_are_set(stub: ElevenLabsStub) -> None:
    engine(stub).synthesize(TEXT, CUSTOM_VOICE, CancelToken(), "ko")
    assert not {"voice_settings", "pronunciation_dictionary_locators"} & stub.requests[-1].body.keys()
    named = engine(stub, elevenlabs_stability=0.0, elevenlabs_style=0.3, elevenlabs_dictionaries="abc:v2, def")
    named.synthesize(TEXT, CUSTOM_VOICE, CancelToken(), "ko", 0.9)
    body = stub.requests[-1].body
    sent = {name: value for name, value in body["voice_settings"].items() if value is not None}
    assert sent == {"stability": 0.0, "style": 0.3, "speed": 0.9}
    first, second = body["pronunciation_dictionary_locators"]
    assert first == {"pronunciation_dictionary_id": "abc", "version_id": "v2"}
    assert second["pronunciation_dictionary_id"] == "def" and second.get("version_id") is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ELEVENLABS_STABILITY", "1.5"), ("ELEVENLABS_STYLE", "-0.1"), ("ELEVENLABS_SIMILARITY", "much")],
)
def test_voice_settings_beyond_the_range_are_named(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable):
        Settings.from_environment({variable: value})
    with pytest.raises(ValueError, match="ELEVENLABS_DICTIONARIES"):
        Settings.from_environment({"ELEVENLABS_DICTIONARIES": "a,b,c,d"})


# --- live text, over a socket

LIVE = ("안녕하세요, 면접에 오신 것을 환영합니다. ", "자기소개를 부탁드립니다.\n", "천천히 말씀하세요.")


def live(
    speaker: ElevenLabsEngine, sentences: Iterable[str] = LIVE, cancel: CancelToken | None = None
) -> Iterator[Speech]:
    return speaker.stream_sentences(iter(sentences), CUSTOM_VOICE, cancel or CancelToken(), "ko")


@pytest.mark.parametrize("times", ["message", "sentence", "stream"])
def test_live_sentences_share_a_connection_and_have_their_characters_times(stub: ElevenLabsStub, times: str) -> None:
    stub.mode = times
    pieces = list(live(engine(stub)))
    assert [piece.text for piece in pieces] == list(LIVE)
    assert stub.connected == 1 and len(asked(stub)) == 1
    begins = 0.0
    for piece, text in zip(pieces, LIVE, strict=True):
        assert "".join(mark.text for mark in piece.marks) == text
        truth = [start for _, start, _ in spoken(text)[1]]
        found = [begins + mark.start for mark in piece.marks]
        letters = [number for number, letter in enumerate(text) if letter.isalpha()]
        first = found[0] - truth[0]  # a pause between two sentences is divided among them
        assert [found[n] - first for n in letters] == pytest.approx([truth[n] for n in letters], abs=0.02)
        assert np.abs(piece.samples[-RATE // 5 :]).max() < 0.01, "the mouth must have time to close"


def test_the_socket_is_told_voice_model_language_and_settings(stub: ElevenLabsStub) -> None:
    speaker = engine(
        stub, elevenlabs_model="eleven_flash_v2_5", elevenlabs_stability=0.4, elevenlabs_dictionaries="abc:v2"
    )
    list(speaker.stream_sentences(iter(LIVE[:1]), "voice-ben", CancelToken(), "ko", 0.9))
    (request,) = asked(stub)
    assert request.path == "/v1/text-to-speech/voice-ben/stream-input"
    assert {name: value[0] for name, value in request.query.items()} == {
        "model_id": "eleven_flash_v2_5",
        "output_format": "pcm_24000",
        "auto_mode": "true",
        "sync_alignment": "true",
        "inactivity_timeout": "180",
        "language_code": "ko",
    }
    opening, text, end = stub.sent
    assert opening["voice_settings"] == {"stability": 0.4, "speed": 0.9}
    assert opening["pronunciation_dictionary_locators"] == [{"pronunciation_dictionary_id": "abc", "version_id": "v2"}]
    assert text == {"text": LIVE[0], "flush": True} and end == {"text": ""}


def test_a_live_sentence_is_spoken_before_the_next_is_there(stub: ElevenLabsStub) -> None:
    arrives = threading.Event()

    def sentences() -> Iterator[str]:
        yield LIVE[0]
        assert arrives.wait(30)
        yield LIVE[1]

    pieces = live(engine(stub), sentences())
    assert next(pieces).text == LIVE[0]
    arrives.set()
    assert [piece.text for piece in pieces] == [LIVE[1]]
    assert stub.connected == 1


def test_no_more_than_two_live_sentences_are_under_way(stub: ElevenLabsStub) -> None:
    stub.mode = "hang"
    with pytest.raises(Unavailable, match="does not respond"):
        list(live(engine(stub, elevenlabs_timeout=0.5), ("하나. ", "둘. ", "셋. ", "넷. ")))
    assert [message["text"] for message in stub.sent] == [" ", "하나. ", "둘. "], "what is not sent costs nothing"


@pytest.mark.parametrize("mode", ["no-alignment", "restarts"])
def test_live_sentences_without_usable_times_are_left_to_be_aligned(stub: ElevenLabsStub, mode: str) -> None:
    stub.mode = mode
    pieces = list(live(engine(stub)))
    assert "".join(piece.text for piece in pieces) == "".join(LIVE)
    assert pieces[0].marks == ()
    expected = sum(len(spoken(text)[0]) for text in LIVE) / RATE
    assert sum(piece.duration for piece in pieces) == pytest.approx(expected, abs=0.45)


@pytest.mark.parametrize(
    ("mode", "error", "advice"),
    [
        ("401", Unavailable, "ELEVENLABS_API_KEY"),
        ("quota", Unavailable, "50 of 10,000 characters are left"),
        ("closed", Unavailable, "quota"),
        ("402", Unavailable, "plan"),
        ("404", Unavailable, "ELEVENLABS_VOICE_ID"),
        ("422", SpeechFailed, "field required"),
        ("429", Unavailable, "as many texts at a time"),
        ("500", Unavailable, "later"),
        ("1011", Unavailable, "later"),
        ("stall", Unavailable, "does not respond"),
        ("hang", Unavailable, "does not respond"),
        ("drop", SpeechFailed, "broke off"),
        ("garbage", SpeechFailed, "cannot be read"),
        ("empty", SpeechFailed, "no sound"),
        ("odd", SpeechFailed, "cut off"),
    ],
)
def test_every_error_of_the_socket_states_what_to_do(
    stub: ElevenLabsStub, mode: str, error: type[PipelineError], advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    stub.mode = mode
    with caplog.at_level(logging.DEBUG, "pipeline"), pytest.raises(error, match=advice) as raised:
        list(live(engine(stub, elevenlabs_timeout=0.5), LIVE[:1]))
    assert raised.value.message.ko != raised.value.message.en
    assert KEY not in raised.value.message.en + raised.value.message.ko + caplog.text
    assert stub.connected == 1, "a paid call must not be repeated silently"
    wait_for(lambda: not stub.open)


@pytest.mark.parametrize(("mode", "advice"), [("500", "later"), ("429", "as many texts"), ("closed", "quota")])
def test_a_refusal_is_read_though_the_socket_was_closed_before_the_next_sentence(
    stub: ElevenLabsStub, mode: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = ClientConnection.send
    sent: list[Any] = []

    async def late(self: ClientConnection, message: Any) -> None:
        if sent:
            await self.wait_closed()
        sent.append(message)
        await send(self, message)

    monkeypatch.setattr(ClientConnection, "send", late)
    stub.mode = mode
    with pytest.raises(Unavailable, match=advice):
        list(live(engine(stub, elevenlabs_timeout=5), LIVE[:1]))
    assert len(sent) == 2


def test_no_socket_at_the_address(stub: ElevenLabsStub) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        list(live(engine(stub, elevenlabs_base_url="http://127.0.0.1:9")))


def test_a_model_without_live_text_speaks_sentence_by_sentence(stub: ElevenLabsStub) -> None:
    assert not engine(stub, elevenlabs_model="eleven_v3").takes_sentences
    speaker = engine(stub)
    assert speaker.takes_sentences
    stub.mode = "403"
    assert [piece.text for piece in live(speaker)] == list(LIVE)
    assert [request.path.rsplit("/", 1)[1] for request in asked(stub)] == ["stream-input", *["with-timestamps"] * 3]
    assert not speaker.takes_sentences, "the next turn does not try it again"


@pytest.mark.parametrize("mode", ["ok", "hang", "stall"])
def test_cancelling_closes_the_socket(stub: ElevenLabsStub, mode: str) -> None:
    stub.mode = mode
    cancel, ended = CancelToken(), threading.Event()

    def sentences() -> Iterator[str]:
        yield LIVE[0]
        with cancel.calling(ended.set):  # as a turn of which more is to come
            ended.wait(60)
        cancel.check()

    def speak() -> None:
        with pytest.raises(Cancelled):
            list(live(engine(stub, elevenlabs_timeout=60.0), sentences(), cancel))

    thread = threading.Thread(target=speak)
    thread.start()
    wait_for(lambda: len(stub.sent) == 2)
    cancel.cancel()
    thread.join(30)
    assert not thread.is_alive()
    wait_for(lambda: not stub.open)
