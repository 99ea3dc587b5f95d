"""What all requests share: the avatars, the voices and the engines."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.core.telemetry import refuse_telemetry
from pipeline.engines.lipsync_engine import LipsyncEngine, Stretch
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.engines.musetalk.zerogpu import CardLender
from pipeline.engines.select import AUTO, lipsync_engines, preferred
from pipeline.errors import PipelineError
from pipeline.jobs.backdrops import Backdrops
from pipeline.jobs.turns import Turns
from pipeline.settings import BUNDLED, Settings
from pipeline.text import pronunciations
from pipeline.text.language import language_of
from pipeline.text.pronunciations import Pronunciations
from pipeline.tts.elevenlabs import ElevenLabsEngine
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.hibari import HibariEngine
from pipeline.tts.kokoro import KokoroEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from pipeline.tts.supertonic import SupertonicEngine
from pipeline.video.encoder import Encoder, check_setting, encoder_for

logger = logging.getLogger(__name__)

MEASURED_AGAIN = 60.0
"""Seconds after which a voice that was too slow for this machine is measured again."""


@dataclass(frozen=True, kw_only=True)
class Studio:
    """Everything that requests share.

    Attributes:
        settings: The settings.
        avatars: The avatars.
        tts: The speech engines by name, preferred ones first.
        pronunciations: What is spoken for words of all requests.
        espeak: Also provides phoneme times for the other engines.
        engines: The lipsync engines by name.
    """

    settings: Settings
    avatars: AvatarStore
    tts: dict[str, TTSEngine]
    espeak: EspeakEngine
    engines: dict[str, LipsyncEngine]
    pronunciations: Pronunciations = field(default_factory=Pronunciations)

    @cached_property
    def backdrops(self) -> Backdrops:
        """What may be behind avatars."""
        return Backdrops(self.settings.backgrounds)

    @cached_property
    def turns(self) -> Turns:
        """Turns at rendering: as many at a time as the engines support."""
        return Turns(max(engine.concurrency for engine in self.engines.values()))

    @property
    def engine(self) -> LipsyncEngine:
        """The lipsync engine of a request that names none."""
        return preferred(self.engines, self.settings.lipsync_engine)

    def encoder(self, engine: LipsyncEngine, width: int, height: int) -> Encoder:
        """Return the encoder for pictures of a size that an engine draws."""
        return encoder_for(self.settings.video_encoder, engine.draws_on_gpu, width, height)


def make_studio(settings: Settings, lender: CardLender | None = None) -> Studio:
    """Create the studio of the settings; nothing heavy is loaded.

    Args:
        settings: The settings.
        lender: Lends cards (ZeroGPU).

    Raises:
        ValueError: There is no such speech engine, lipsync engine or encoder, or the pronunciations cannot be read.
    """
    check_setting(settings.video_encoder)
    refuse_telemetry()
    espeak = EspeakEngine()
    voices: list[TTSEngine] = [ElevenLabsEngine(settings), SupertonicEngine(), HibariEngine(), KokoroEngine(), espeak]
    tts = {engine.name: engine for engine in voices}
    if settings.tts_engine not in (*tts, AUTO):
        raise ValueError(f"TTS_ENGINE={settings.tts_engine!r}: expected {', '.join(tts)} or {AUTO}")
    return Studio(
        settings=settings,
        avatars=AvatarStore(settings.precomputed, BUNDLED, _adopt),
        tts=tts,
        espeak=espeak,
        engines=lipsync_engines(settings, lender),
        pronunciations=pronunciations.read(Path(path)) if (path := settings.pronunciations) else Pronunciations(),
    )


def warm_up(studio: Studio, ended: threading.Event | None = None) -> None:
    """Load what the first request would otherwise wait for: an avatar, compiled code, the encoder, the voices.

    Voices come last: those that some machines are too slow for are measured, with nothing else of this program running.
    Until then, requests that name no voice get another one. A machine that was too slow may have been busy: it is
    measured once more, later.

    Args:
        studio: What is made ready.
        ended: Set when the program ends: nothing more is begun. Without it there is no second measurement.
    """
    started = time.perf_counter()
    packs = studio.avatars.list()
    try:
        if packs and not _is_set(ended):
            _warm_up_pictures(studio, studio.avatars.find(packs[0].name, packs[0].resolution))
    except PipelineError as error:  # the request that needs it will report it
        logger.warning("warm-up: %s", error)
    chosen = studio.settings.tts_engine
    voices = [voice for voice in studio.tts.values() if not voice.optional and chosen in (voice.name, AUTO)]
    _warm_up_voices(voices, ended)
    logger.info("warm after %.1f s", time.perf_counter() - started)
    slow = [voice for voice in voices if voice.pace is not None and voice.slowness()]
    if slow and ended is not None and not ended.wait(MEASURED_AGAIN):
        _warm_up_voices(slow, ended)


def _warm_up_voices(voices: Iterable[TTSEngine], ended: threading.Event | None) -> None:
    for voice in voices:
        if not _is_set(ended):
            try:
                voice.warm_up()
            except PipelineError as error:
                logger.warning("warm-up of %s: %s", voice.name, error)
            if voice.pace is not None:
                logger.info("%s: %.1f s of speech in a second", voice.name, voice.pace)


def _is_set(event: threading.Event | None) -> bool:
    return event is not None and event.is_set()


def _warm_up_pictures(studio: Studio, pack: Path) -> None:
    from pipeline.speech.articulate import articulate  # scipy loads while the page is shown
    from pipeline.speech.phonemes import phonemes_of

    avatar = studio.avatars.load(pack)
    speech = studio.espeak.synthesize("아", CUSTOM_VOICE, CancelToken())
    mouth = articulate(phonemes_of(speech, studio.espeak), speech, 5, float(avatar.fps))
    language_of("the first text in Latin letters loads what tells languages apart")
    if isinstance(studio.engine, MuseTalkEngine) and not studio.engine.draws_on_gpu:
        studio.engine.load()  # without a card five frames would take a minute
    else:
        for _ in studio.engine.render(avatar, [Stretch(speech, mouth)], CancelToken()):
            pass
    studio.encoder(studio.engine, avatar.width, avatar.height)


def _adopt(content: Mapping[str, Any], name: str, resolution: str) -> Avatar:
    from pipeline.preparing.legacy_pack import adopt  # finds faces: heavy, and seldom needed

    return adopt(content, name, resolution)
