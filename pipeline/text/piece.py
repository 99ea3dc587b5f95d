"""A part of a text and what is said for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Characters START to END of a text and what is said for them."""

    start: int
    end: int
    spoken: str


def source_offset(offset: int, pieces: list[Piece]) -> int:
    """Return where in the written text the character at OFFSET of what is said for its PIECES comes from."""
    spoken = 0
    for piece in pieces:
        if offset < spoken + len(piece.spoken):
            return min(piece.start + offset - spoken, max(piece.end - 1, piece.start))
        spoken += len(piece.spoken)
    return pieces[-1].end if pieces else 0
