"""What several web servers have in common; the only package that imports Redis."""
