"""Fuzz targets, the rules they judge by, seeds to begin with, and what was found. Run by `scripts/fuzz`."""
