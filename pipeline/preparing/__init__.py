"""Turns a clip or a photo into an avatar: one step a module."""
