"""What all requests share: the avatars, the voices and the engines."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import LipsyncEngine, Stretch
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.engines.musetalk.zerogpu import CardLender
from pipeline.engines.select import lipsync_engines, preferred
from pipeline.errors import PipelineError
from pipeline.jobs.turns import Turns
from pipeline.settings import BUNDLED, Settings
from pipeline.text.language import language_of
from pipeline.tts.elevenlabs import ElevenLabsEngine
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from pipeline.tts.supertonic import SupertonicEngine
from pipeline.video.encoder import Encoder, check_setting, encoder_for

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Studio:
    """Everything that requests need and share.

    tts: the speech engines by name, the preferred one first; espeak: also the source of phoneme times for the others;
    engines: the lipsync engines by name.
    """

    settings: Settings
    avatars: AvatarStore
    tts: dict[str, TTSEngine]
    espeak: EspeakEngine
    engines: dict[str, LipsyncEngine]

    @cached_property
    def turns(self) -> Turns:
        """Who draws now: as many tasks at a time as the engines can take."""
        return Turns(max(engine.concurrency for engine in self.engines.values()))

    @property
    def engine(self) -> LipsyncEngine:
        """The lipsync engine of a request that names none."""
        return preferred(self.engines, self.settings.lipsync_engine)

    def encoder(self, engine: LipsyncEngine, width: int, height: int) -> Encoder:
        """Return what encodes pictures of WIDTH x HEIGHT that ENGINE draws."""
        return encoder_for(self.settings.video_encoder, engine.draws_on_gpu, width, height)


def make_studio(settings: Settings, lender: CardLender | None = None) -> Studio:
    """Put together what SETTINGS ask for, with the cards of LENDER (ZeroGPU); nothing heavy is loaded.

    Raises ValueError where they name a lipsync engine or an encoder that is none.
    """
    check_setting(settings.video_encoder)
    espeak = EspeakEngine()
    voices: list[TTSEngine] = [ElevenLabsEngine(settings), SupertonicEngine(), espeak]
    tts = {engine.name: engine for engine in voices}
    return Studio(
        settings, AvatarStore(settings.precomputed, BUNDLED, _adopt), tts, espeak, lipsync_engines(settings, lender)
    )


def warm_up(studio: Studio) -> None:
    """Load what the first request would otherwise wait for: an avatar, compiled code, the encoder, the voice."""
    from pipeline.speech.articulate import articulate  # scipy and what it brings are loaded while the page is there
    from pipeline.speech.phonemes import phonemes_of

    started = time.perf_counter()
    packs = studio.avatars.list()
    if not packs:
        return
    try:
        avatar = studio.avatars.load(studio.avatars.find(packs[0].name, packs[0].resolution))
        speech = studio.espeak.synthesize("아", CUSTOM_VOICE, CancelToken())
        mouth = articulate(phonemes_of(speech, studio.espeak), speech, 5, float(avatar.fps))
        language_of("the first text in Latin letters loads what tells languages apart")
        if isinstance(studio.engine, MuseTalkEngine) and not studio.engine.draws_on_gpu:
            studio.engine.load()  # without a card five frames would take a minute
        else:
            for _ in studio.engine.render(avatar, [Stretch(speech, mouth)], CancelToken()):
                pass
        studio.encoder(studio.engine, avatar.width, avatar.height)
    except PipelineError as error:  # the request that needs it will say so itself
        logger.warning("warm-up: %s", error)
    logger.info("warm after %.1f s", time.perf_counter() - started)


def _adopt(content: Mapping[str, Any], name: str, resolution: str) -> Avatar:
    from pipeline.preparing.legacy_pack import adopt  # finds faces: heavy, and seldom needed

    return adopt(content, name, resolution)
