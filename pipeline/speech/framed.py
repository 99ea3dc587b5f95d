"""Cuts speech at the beginnings of video frames, so that every piece has its own pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from pipeline.speech_types import Speech, joined, silence

LEAD_IN, LEAD_OUT = 0.1, 0.16
"""Seconds of silence before and after speech, in which the mouth opens from rest and returns to it."""
QUIET = 0.01
"""Samples below this, -40 dBFS, are silence."""


def framed(pieces: Iterable[Speech], fps: Fraction) -> Iterator[Speech]:
    """Yield the pieces again, each a whole number of frames long, with a little silence at both ends of the whole.

    Nothing else is added or lost: the rest after the last whole frame of a piece begins the next one. A piece that ends
    in the middle of sound waits for the next one, since the last piece needs time to close the mouth.

    Args:
        pieces: Speech in order.
        fps: Frames per second.
    """
    done = 0  # samples that were yielded
    left: Speech | None = None
    waits = False

    def whole(speech: Speech, frames: int) -> tuple[Speech, Speech]:
        nonlocal done
        stretch, rest = speech.cut(round(frames * speech.rate / fps) - done)
        done += len(stretch.samples)
        return stretch, rest

    for piece in pieces:
        if left is not None and waits:
            stretch, left = whole(left, math.floor((done + len(left.samples)) * fps / left.rate))
            yield stretch
        left = joined([silence(LEAD_IN, piece) if left is None else left, piece])
        waits = not _ends_in_silence(piece)
        if not waits:
            stretch, left = whole(left, math.floor((done + len(left.samples)) * fps / left.rate))
            yield stretch
    if left is not None:
        left = joined([left, silence(LEAD_OUT + float(1 / fps), left)])
        stretch, _ = whole(left, math.floor((done + len(left.samples)) * fps / left.rate))
        yield stretch


def _ends_in_silence(speech: Speech) -> bool:
    end = speech.samples[-round(LEAD_OUT * speech.rate) :]
    return len(end) >= LEAD_OUT * speech.rate - 1 and bool(np.abs(end).max() < QUIET)
