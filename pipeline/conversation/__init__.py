"""Talking with a visitor in a live session: who speaks when, what was said, what to answer, and interviews."""
