"""Stand-ins behind the program's own seams, and a server that runs on them: ``python -m tests.fakes PRECOMPUTED``.

They do what real engines do only when something is wrong: hang, crash, answer nonsense, take very long. Which of
these a request gets is written in its text.
"""

from __future__ import annotations

import logging
import math
import os
import re
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np

from pipeline.avatars.avatar import Avatar, Matte
from pipeline.avatars.pack import save
from pipeline.avatars.points import POINTS
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import LipsyncEngine, Stretch
from pipeline.errors import BadRequest, SpeechFailed, Unavailable
from pipeline.jobs.studio import Studio
from pipeline.messages import Message
from pipeline.preparing.encode_clip import encode
from pipeline.settings import Settings
from pipeline.speech.framed import LEAD_IN, LEAD_OUT
from pipeline.speech_types import Mark, Speech, Voice
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags

logger = logging.getLogger("tests.fakes")

WIDTH, HEIGHT, FPS = 64, 48, 25
CLIP_FRAMES = 5
SECONDS_PER_WORD = 0.4
WARM_UP = "아"
"""What the warm-up says."""
COLD_UNTIL = os.environ.get("FAKE_COLD_UNTIL", "")
"""The warm-up lasts until this file is there."""
PATIENCE = os.environ.get("FAKE_PATIENCE", "")
"""Seconds that the server gives heads and bodies of requests, where it is not the usual."""
UNSEEN = os.environ.get("FAKE_UNSEEN", "")
"""Seconds that a live session goes on without a viewer, where it is not the usual."""
LISTEN = os.environ.get("FAKE_LISTEN", "")
"""Seconds that clients of Gradio's queue may take to listen, where it is not the usual."""
PREPARING = bool(os.environ.get("FAKE_PREPARING"))
"""Whether avatars are tiny packs, made at once."""
WEBHOOK_PAUSES = os.environ.get("FAKE_WEBHOOK_PAUSES", "")
"""Seconds between tries of webhooks, separated by commas, where they are not the usual ones."""
RATE = 16_000


def seconds_of(text: str) -> float:
    """How long TEXT takes, with the silence around it, in whole frames."""
    return math.floor((len(text.split()) * SECONDS_PER_WORD + LEAD_IN + LEAD_OUT) * FPS + 1 + 1e-9) / FPS


class FakeTTS(TTSEngine):
    """Says every word as a tone, a sentence at a time.

    "hang", "crash", "busy" and "dropped" in the text have it fail in that way.
    """

    name = "fake"

    def available(self) -> bool:
        return True

    def voices(self) -> list[Voice]:
        return [Voice("alto", "Alto"), Voice("bass", "Bass")]

    def check_voice(self, voice: str) -> None:
        if voice not in (CUSTOM_VOICE, "alto", "bass"):
            raise BadRequest(Message("tts_voice: Custom, alto, bass", "tts_voice: choose one of: Custom, alto, bass"))

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        words = text.split()
        if "hang" in words:
            time.sleep(3)  # on purpose: an engine that does not look at its token
            logger.info("voice wakes")
        if "crash" in words:
            raise ZeroDivisionError("secret detail")
        if "busy" in words:
            raise Unavailable(Message("음성 엔진이 바쁩니다.", "The speech engine is busy."))
        if "dropped" in words:
            raise SpeechFailed(Message("연결이 끊어졌습니다.", "The line was dropped."))
        for sentence in re.split(r"(?<=\.) ", text.strip()):
            yield self._say(sentence)

    def _say(self, text: str) -> Speech:
        words = text.split()
        seconds = len(words) * SECONDS_PER_WORD
        times = np.arange(round(seconds * RATE)) / RATE
        samples = 0.3 * np.sin(2 * np.pi * (150 + 10 * len(words)) * times)
        marks = (Mark("phoneme", "a", 0.0, seconds),)
        ends = [(number + 1) * SECONDS_PER_WORD for number in range(len(words))]
        spoken = [Mark("word", f"{word} ", end - SECONDS_PER_WORD, end) for word, end in zip(words, ends, strict=True)]
        return Speech(
            samples=samples.astype(np.float32),
            rate=RATE,
            text=text,
            language="en-us",
            marks=marks,
            words=tuple(spoken),
        )


class FakeEngine:
    """Draws plain pictures, one shade of grey per frame. "slow" in the text takes 0.1 s for each, "brisk" a fiftieth.

    "frozen" draws one, and no more until the task is cancelled; "torn" breaks off.
    """

    name = "fake"
    concurrency = int(os.environ.get("FAKE_CARDS", "1"))
    draws_on_gpu = False
    notes = ()

    def check(self) -> None:
        pass

    def shade(self, number: int, opening: float = 0.0) -> int:
        return 16 + number % 200

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        logger.info("render starts")
        frames = ((s.speech.text, opening) for s in stretches for opening in s.mouth.opening)
        try:
            for number, (text, opening) in enumerate(frames, first):
                while text == WARM_UP and COLD_UNTIL and not Path(COLD_UNTIL).exists():
                    cancel.wait(0.05)
                if "slow" in text:
                    cancel.wait(0.1)
                if "brisk" in text:
                    cancel.wait(0.02)
                if "frozen" in text and number:
                    cancel.wait(600)
                cancel.check()
                if "torn" in text and number == 10:
                    raise ZeroDivisionError("secret detail")
                planes = np.full((avatar.height * 3 // 2, avatar.width), 128, np.uint8)
                planes[: avatar.height] = self.shade(number, opening)
                yield Frame(planes)
        finally:
            logger.info("render ends")


class BrightEngine(FakeEngine):
    """Draws as the other does, all in white."""

    name = "bright"

    def shade(self, number: int, opening: float = 0.0) -> int:
        return 235


class MouthEngine(FakeEngine):
    """Draws as the other does, dark while the mouth is shut and bright while it is open: no codec loses that."""

    name = "mouth"

    def shade(self, number: int, opening: float = 0.0) -> int:
        return 200 if opening > 0.1 else 50


class BrokenEngine(FakeEngine):
    """Cannot draw."""

    name = "broken"

    def check(self) -> None:
        raise Unavailable(Message("broken: 고장났습니다.", "broken: it is out of order."))


ENGINES = os.environ.get("FAKE_ENGINES", FakeEngine.name).split(",")
"""Those that there are."""


def make_pack(root: Path, name: str, resolution: str, gender: str = "", matte: bool = False) -> Path:
    """Save a tiny pack in the store at ROOT and return its path; with a matte, the person is on its left."""
    clip = BytesIO()
    with av.open(clip, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for shade in range(CLIP_FRAMES):
            picture = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH), 40 * shade, np.uint8), format="gray")
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    points = np.zeros((CLIP_FRAMES, POINTS, 3), np.float32)
    points[..., 0] = np.linspace(10, 50, POINTS)
    usable = np.ones(CLIP_FRAMES, bool)
    avatar = Avatar(
        name=name,
        resolution=resolution,
        width=WIDTH,
        height=HEIGHT,
        fps=Fraction(FPS),
        video=clip.getvalue(),
        landmarks=points,
        rest=points,
        usable=usable,
        gender=gender,
        matte=_left_half() if matte else None,
    )
    path = root / resolution / f"{name}_{resolution}_precomputed.pkl"
    save(avatar, path)
    return path


def _left_half() -> Matte:
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT, : WIDTH // 2], planes[:HEIGHT, WIDTH // 2 :] = 255, 0
    return Matte(encode([Frame(planes)] * CLIP_FRAMES, WIDTH, HEIGHT, Fraction(FPS), ColorTags()))


def make_fake_studio(settings: Settings) -> Studio:
    """Return a studio of stand-ins."""
    tts, espeak = FakeTTS(), EspeakEngine()
    all_engines: list[FakeEngine] = [FakeEngine(), BrightEngine(), MouthEngine(), BrokenEngine()]
    engines: dict[str, LipsyncEngine] = {engine.name: engine for engine in all_engines if engine.name in ENGINES}
    return Studio(
        settings=settings,
        avatars=AvatarStore(settings.precomputed),
        tts={tts.name: tts},
        espeak=espeak,
        engines=engines,
    )


def main() -> None:
    """Serve with the stand-ins, on the packs in the folder that the command line names."""
    # here, since the processes of live sessions need none of it, and loading it takes most of their start
    from pipeline.jobs import uploads
    from pipeline.jobs.generate import generate
    from pipeline.live import workers
    from pipeline.server import connections, webhooks
    from pipeline.server.gradio import queue, queue_joins
    from pipeline.server.serve import serve

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if PATIENCE:
        connections.HEADER_SECONDS = connections.BODY_SECONDS = float(PATIENCE)
    if UNSEEN:
        workers.UNSEEN_SECONDS = float(UNSEEN)
    if LISTEN:
        queue_joins.LISTEN_SECONDS = float(LISTEN)
    queue.IDLE_SECONDS = 0.05  # a server that waits beside many others leaves them the processor
    uploads.PREPARE = "tests.fake_preparing" if PREPARING else "tests.quick_preparing"
    if WEBHOOK_PAUSES:
        webhooks.PAUSES = tuple(map(float, WEBHOOK_PAUSES.split(",")))
    settings = replace(Settings.from_environment(), precomputed=Path(sys.argv[1]))
    serve(make_fake_studio(settings), generate, "tests.fake_worker")


if __name__ == "__main__":
    main()
