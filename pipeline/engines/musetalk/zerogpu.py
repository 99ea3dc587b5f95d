"""MuseTalk on ZeroGPU: a Space of Hugging Face whose graphics card is lent for the length of a call.

There CUDA is only to be had in functions that ``spaces.GPU`` wraps. They run in processes of their own, forked for the
call, and what goes in and comes out is pickled (huggingface.co/docs/hub/spaces-zerogpu). So the queue, speech, the
encoder and the task's token stay where they are, and a call draws one stretch: long ones would be refused for the time
they ask for, and all of what a call draws may have to be kept until it is encoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.avatars.avatar import Avatar
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.errors import Message, PipelineError, Unavailable
from pipeline.video.frame import Frame

LOADING_SECONDS = 45
"""What a call asks for on top of its pictures: a new process loads the weights, and tries how they draw fastest."""


@dataclass(frozen=True)
class CardLender:
    """How a Space lends its card.

    Attributes:
        lend: wraps a generator function so that it runs where the card is, for as many seconds as its `duration`
            returns for the same arguments (`spaces.GPU`).
        refusal: what a call raises when no card is to be had; its `message` says why.
    """

    lend: Callable[..., Callable[..., Generator[Frame | Message, None, None]]]
    refusal: type[Exception]


def draw(models: Path, avatar: Avatar, stretch: Stretch, first: int) -> Generator[Frame | Message, None, None]:
    """Yield AVATAR's frames from number FIRST on with the mouth of STRETCH, or last of all what went wrong.

    It runs where the card is, with the weights in the folder MODELS. The exceptions of this project do not find the way
    back from there, their sentences do.
    """
    try:
        yield from _engine(models).render(avatar, [stretch], CancelToken(), first)
    except PipelineError as error:
        yield error.message


def seconds_to_draw(models: Path, avatar: Avatar, stretch: Stretch, first: int) -> int:
    """Return how long (s) a card is asked for to ``draw``: as long as its pictures play, and the time to load."""
    return LOADING_SECONDS + math.ceil(len(stretch.mouth.weights) / stretch.mouth.fps)


class ZeroGpuEngine:
    """Lipsync by MuseTalk 1.5 with the weights in MODELS, on the cards of LENDER; see ``LipsyncEngine``.

    It must be made before the page is launched, when the Space tells what wants a card.
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
        """Raise Unavailable, saying what to do, when libraries or weights are missing."""
        MuseTalkEngine(self._models).check()

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        """Yield AVATAR's frames from number FIRST on with the mouths of STRETCHES; see ``LipsyncEngine.render``.

        Raises Unavailable also where no card is to be had: there is none left, or the visitor has used up their time.
        """
        for stretch in stretches:
            cancel.check()
            try:
                with closing(self._draw(self._models, avatar, stretch, first)) as drawn:  # closed early it stops there
                    for one in drawn:
                        cancel.check()
                        if isinstance(one, Message):
                            raise Unavailable(one.ko, one.en)
                        yield one
            except self._refusal as error:
                reason = getattr(error, "message", str(error))
                raise Unavailable(
                    f"musetalk: ZeroGPU에서 그릴 수 없습니다 ({reason}). 잠시 후 다시 시도하거나 engine: mesh로 "
                    "요청하세요.",
                    f"musetalk: ZeroGPU cannot draw ({reason}). Try again later, or ask for engine: mesh.",
                ) from error
            first += len(stretch.mouth.weights)


@cache
def _engine(models: Path) -> MuseTalkEngine:
    """Return the engine of this process, which keeps what it has loaded for the calls that come after."""
    return MuseTalkEngine(models)
