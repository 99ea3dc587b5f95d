"""Rendering on many machines with Ray; the only package that imports it."""
