"""What the quality and diversity of the data do to a model: ``python -m benchmarks data``."""
