"""Unicode letters that are invisible."""

from __future__ import annotations

BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"
"""Hangul fillers: letters by their category, but blank. Unicode has no other ignorable letters."""
