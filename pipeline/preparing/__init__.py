"""A clip or a photo becomes an avatar: one step a module."""
