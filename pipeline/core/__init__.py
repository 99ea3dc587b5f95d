"""Foundations of every room: cancelling, background threads, growing files, child processes, the graphics card."""
