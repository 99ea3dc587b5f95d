"""The mesh engine: moves a mouth by geometry, on any CPU, with no trained weights."""
