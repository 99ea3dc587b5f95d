"""What Unicode says of letters that people cannot see."""

from __future__ import annotations

BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"
"""Hangul fillers: letters by their category, and blank. Unicode has no other letter that is to be ignored."""
