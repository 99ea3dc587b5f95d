"""The interface of lipsync engines, from mouth movement to pixels."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

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


@dataclass(frozen=True, kw_only=True)
class LiveFrames:
    """Consecutive frames of a live session, with what came before them and what is known of what follows.

    Attributes:
        avatar: The person.
        first: Number of the first frame in the clip, which loops.
        lead: Frames before the first that `mouth` and `sound` begin with.
        mouth: (lead + frames, units) in 0..1.
        sound: (n,) float32 mono; begins with the first frame of `lead`, and may go on after the last frame.
        rate: Samples per second.
        looks: (frames, units) weights of the expression; None leaves the face as it was filmed. An engine that cannot
            draw it leaves it out.
    """

    avatar: Avatar
    first: int
    lead: int
    mouth: np.ndarray
    sound: np.ndarray
    rate: int
    looks: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Frames to be drawn."""
        return len(self.mouth) - self.lead


@runtime_checkable
class LiveEngine(Protocol):
    """A lipsync engine that draws frames of several live sessions at a time, faster than one after another.

    It hears the sound around the frames. Other engines render each group of frames for itself, by its mouths alone.
    """

    together: int
    """Most sessions that are drawn at a time."""

    def get_ready(self, avatar: Avatar) -> None:
        """Load all that frames of an avatar need; may take long.

        Raises:
            Unavailable: The engine cannot work.
        """
        ...

    def changes(self, frames: LiveFrames) -> bool:
        """Return whether anything must be drawn; otherwise the clip's own frames are shown."""
        ...

    def draw(self, sessions: Sequence[LiveFrames]) -> list[list[Frame]]:
        """Return the frames of each session.

        Raises:
            Unavailable: The device has no memory left.
        """
        ...
