"""Live sessions: a person on video who idles, listens, speaks when asked to, and can be interrupted."""
