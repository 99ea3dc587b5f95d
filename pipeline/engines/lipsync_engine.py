"""The interface of lipsync engines, from mouth movement to pixels."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from pipeline.avatars.avatar import Avatar
from pipeline.core.cancel import CancelToken
from pipeline.speech.expression_track import ExpressionTrack
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Speech
from pipeline.video.frame import Frame


@dataclass(frozen=True)
class Stretch:
    """A part of the speech, mostly a sentence, and how the mouth moves for it.

    Attributes:
        speech: Begins with the first frame of `mouth` and ends with its last; both begin and end in silence.
        mouth: Movement of the mouth.
        frame_skip: Every n-th frame of `mouth` was solved, the others are interpolated.
        expression: How the face moves beside the mouth, as many frames; None leaves it as it was filmed. An engine that
            cannot draw it leaves it out.
    """

    speech: Speech
    mouth: MouthTrack
    frame_skip: int = 1
    expression: ExpressionTrack | None = None


class LipsyncEngine(Protocol):
    """Turns an avatar, speech and its mouth movement into video frames; independent of transport and files."""

    name: str

    @property
    def concurrency(self) -> int:
        """How many renders may run at a time, each as fast as if it were alone."""
        ...

    @property
    def draws_on_gpu(self) -> bool:
        """Whether a graphics card of this machine draws; one CPU core can then be too slow to encode."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the operator about how the engine runs, in English; may be empty."""
        ...

    def check(self) -> None:
        """Check that the engine can render now.

        Raises:
            Unavailable: Its device or weights are missing; the message says what to do.
        """
        ...

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        """Yield one frame for each row of each mouth, lazily, from the clip, which loops.

        A stretch is taken when its first frame is requested. The engine holds no shared resource before the first frame
        is requested, after the last, or once the generator is closed.

        Args:
            avatar: The person.
            stretches: The speech in order.
            cancel: The task's token.
            first: Number of the clip's first frame.

        Raises:
            RenderFailed: A frame cannot be made.
            Cancelled: `cancel` is set.
        """
        ...
