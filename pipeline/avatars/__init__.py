"""Avatars: the type, the packs that store them, and the store of packs."""
