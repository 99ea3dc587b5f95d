"""Avatar packs: how they are made, stored, found and read."""
