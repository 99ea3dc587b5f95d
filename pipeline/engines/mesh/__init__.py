"""The mesh engine: moves a mouth by geometry, on any CPU, without trained weights."""
