"""A part of a text and how it is spoken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Characters `start` to `end` of a text and what is spoken for them."""

    start: int
    end: int
    spoken: str


def source_offset(offset: int, pieces: list[Piece]) -> int:
    """Return the offset in the written text that a character of the spoken text comes from.

    Args:
        offset: Offset in the spoken text.
        pieces: The pieces of the text.
    """
    spoken = 0
    for piece in pieces:
        if offset < spoken + len(piece.spoken):
            return min(piece.start + offset - spoken, max(piece.end - 1, piece.start))
        spoken += len(piece.spoken)
    return pieces[-1].end if pieces else 0
