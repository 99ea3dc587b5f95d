"""Lipsync engines: an avatar, speech and a mouth track in, frames out."""
