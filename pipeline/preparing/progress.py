"""How far the work is, for a bar that moves evenly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Progress = Callable[[float, str], None]
"""Called with the share that is done (0..1) and the current stage."""

_CLIP = {"reading": 0.010, "faces": 0.018, "measuring": 0.003, "mouth": 0.006, "matte": 0.030}
_PHOTO = {**_CLIP, "reading": 0.033}
"""Seconds that stages take for a frame, on two cores. Photos are animated while they are read."""
LENDING = 0.010
"""The same for the mouth of somebody who talks: it is closed in each frame."""
_WRITING = 0.018
"""The same for writing a pack of 720p."""
BOTH_WAYS = 2.0
"""Length of a clip that is played forwards and backwards, as most are: their end does not meet their start."""


class Stages:
    """Turns the progress of each stage into that of the work, by the time that stages take.

    The stages come one after the other. If one turns out to be longer or is left out, those that follow share what is
    left: the bar never goes back.
    """

    def __init__(self, seconds: Mapping[str, float], progress: Progress) -> None:
        """Take the stages in their order, with the time that each takes in relation to the others."""
        self._left, self._progress = dict(seconds), progress
        self._stage, self._begin, self._length = "", 0.0, 0.0

    def __call__(self, share: float, stage: str) -> None:
        """Report a share (0..1) of a stage."""
        if stage != self._stage:
            self._begin += self._length
            seconds = self._left.pop(stage, 0.0)
            everything = seconds + sum(self._left.values())
            self._stage, self._length = stage, (1 - self._begin) * seconds / everything if everything else 0.0
        self._progress(self._begin + self._length * min(max(share, 0.0), 1.0), stage)

    def expect(self, stage: str, seconds: float) -> None:
        """Change the time of a stage that has not begun."""
        self._left[stage] = seconds


def expected(photo: bool, resolutions: Sequence[str]) -> dict[str, float]:
    """Return the stages of preparing packs, with the seconds that each takes for a frame."""
    length = 1.0 if photo else BOTH_WAYS
    writing = {writing_of(resolution): length * writing_seconds(resolution) for resolution in resolutions}
    return {**(_PHOTO if photo else _CLIP), **writing}


def writing_of(resolution: str) -> str:
    """Return the name of the stage that writes a pack."""
    return f"writing {resolution}"


def writing_seconds(resolution: str) -> float:
    """Return the seconds for a frame of a pack, as its pixels are many."""
    return _WRITING * (int(resolution[:-1]) / 720) ** 2
