"""MuseTalk on ZeroGPU: a Hugging Face Space that gets a graphics card for the length of a call.

CUDA is available only in functions that ``spaces.GPU`` wraps. They run in child processes, forked for the call, and
their arguments and results are pickled (huggingface.co/docs/hub/spaces-zerogpu). So the queue, speech, the encoder and
the task's token stay in the parent, and a call draws one stretch: longer calls would be refused for the time that they
request, and all their pictures may have to be kept until they are encoded. Libraries are imported in the parent: a call
would spend seconds of its time on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.engines.musetalk.weights import import_models
from pipeline.errors import PipelineError, Unavailable
from pipeline.messages import Message
from pipeline.video.frame import Frame

LOADING_SECONDS = 45
"""Seconds that a call requests besides its pictures: a new process loads the weights, and tries the optimisations."""


@dataclass(frozen=True)
class CardLender:
    """How a Space lends its card.

    Attributes:
        lend: Wraps a generator function so that it runs with the card, for as many seconds as its `duration` returns
            for the same arguments (`spaces.GPU`).
        refusal: What a call raises if no card is available; its `message` says why.
    """

    lend: Callable[..., Callable[..., Generator[Frame | Message, None, None]]]
    refusal: type[Exception]


def draw(models: Path, avatar: Avatar, stretch: Stretch, first: int) -> Generator[Frame | Message, None, None]:
    """Yield the avatar's frames with the mouth of a stretch; at an error, yield its message last.

    It runs in the process with the card. The exceptions of this project cannot be returned from there, their messages
    can.

    Args:
        models: Folder of the weights.
        avatar: The person.
        stretch: The speech.
        first: Number of the clip's first frame.
    """
    try:
        yield from _engine(models).render(avatar, [stretch], CancelToken(), first)
    except PipelineError as error:
        yield error.message


def seconds_to_draw(models: Path, avatar: Avatar, stretch: Stretch, first: int) -> int:
    """Return for how many seconds ``draw`` requests a card: the length of its pictures, and the time to load."""
    return LOADING_SECONDS + math.ceil(len(stretch.mouth.weights) / stretch.mouth.fps)


class ZeroGpuEngine:
    """Lipsync by MuseTalk 1.5 on cards that a Space lends; see ``LipsyncEngine``.

    Create it before the page is launched, when the Space registers functions that need a card.

    Args:
        models: Folder of the weights.
        lender: Lends the card.
    """

    name = MuseTalkEngine.name
    concurrency = 1
    draws_on_gpu = False
    notes = ("drawn on ZeroGPU, a card lent for each sentence",)

    def __init__(self, models: Path, lender: CardLender) -> None:
        self._models = models
        self._draw = lender.lend(draw, duration=seconds_to_draw)
        self._refusal = lender.refusal

    def check(self) -> None:
        """Check that libraries and weights are there.

        Raises:
            Unavailable: They are not; the message says what to do.
        """
        MuseTalkEngine(self._models).check()

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        """Yield the avatar's frames with the mouths of the stretches; see ``LipsyncEngine.render``.

        Raises:
            Unavailable: Also if no card is available: none is left, or the visitor has used up their time.
        """
        with suppress(ImportError):  # whose message is that of the call
            import_models()
        for stretch in stretches:
            cancel.check()
            try:
                with closing(self._draw(self._models, avatar, stretch, first)) as drawn:  # closing it stops the call
                    for one in drawn:
                        cancel.check()
                        if isinstance(one, Message):
                            raise Unavailable(one)
                        yield one
            except self._refusal as error:
                reason = getattr(error, "message", str(error))
                raise Unavailable(messages.engines.ZEROGPU_CANNOT_DRAW(reason=reason)) from error
            first += len(stretch.mouth.weights)


@cache
def _engine(models: Path) -> MuseTalkEngine:
    """Return the engine of this process, which keeps its models for later calls."""
    return MuseTalkEngine(models)
