"""How written Korean is read aloud."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Characters START to END of a text and what is said for them."""

    start: int
    end: int
    spoken: str


def reading(text: str) -> list[Piece]:
    """Return TEXT in pieces, in order and without gaps, each with what a Korean would say for it."""
    return [Piece(0, len(text), text)]


def read_aloud(text: str) -> str:
    """Return TEXT in the letters that say it."""
    return "".join(piece.spoken for piece in reading(text))
