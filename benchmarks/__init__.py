"""Measurements: each script prints its machine, its stages, and what it compares with, from one run."""
