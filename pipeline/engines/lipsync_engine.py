"""The seam between mouth movement and pixels: what a lipsync engine takes and gives."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from pipeline.avatars.avatar import Avatar
from pipeline.core.cancel import CancelToken
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Speech
from pipeline.video.frame import Frame


@dataclass(frozen=True)
class Stretch:
    """Some of what is said, as a rule a sentence, and how the mouth moves for it.

    speech begins with the first frame of mouth and ends with its last; both begin and end in silence. Every
    FRAME_SKIP-th frame of mouth was solved, the others lie between.
    """

    speech: Speech
    mouth: MouthTrack
    frame_skip: int = 1


class LipsyncEngine(Protocol):
    """Turns an avatar, speech and its mouth movement into video frames; knows no transport and no files."""

    name: str

    @property
    def concurrency(self) -> int:
        """How many renders may go on at a time, each as fast as if it were alone."""
        ...

    @property
    def draws_on_gpu(self) -> bool:
        """Whether pictures come from a graphics card of this machine: then one CPU core can be too slow to encode."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever runs it should know of how it runs, in English; may be empty."""
        ...

    def check(self) -> None:
        """Raise Unavailable, saying what to do, when it cannot render now (its device or weights are missing)."""
        ...

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        """Yield one frame per row of each mouth, lazily, from the clip's frame number FIRST on, looping over it.

        A stretch is taken when its first frame is asked for. Nothing that others may want is held before the first
        frame is asked for, nor after the last, or once it is closed. Raises RenderFailed and Cancelled.
        """
        ...
