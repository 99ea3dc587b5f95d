"""The face: its 478 points, the networks that find them, and how face units move them."""
