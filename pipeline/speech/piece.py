"""A part of a text and what is said for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Characters START to END of a text and what is said for them."""

    start: int
    end: int
    spoken: str
