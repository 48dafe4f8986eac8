"""What each part of an edit contributes, on held-out worlds: ``python -m benchmarks ablations``."""
