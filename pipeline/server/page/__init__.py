"""The page: texts, recordings, avatars and requests, each on its own tab, beside one player."""
