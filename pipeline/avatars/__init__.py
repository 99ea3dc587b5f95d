"""Avatars: what is known of a person on video, the packs that hold it, and where they lie."""
