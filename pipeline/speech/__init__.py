"""From speech to the movement of a mouth."""
