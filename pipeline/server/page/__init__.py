"""The page: texts, recordings, avatars and requests, each on a tab of its own, beside one player."""
