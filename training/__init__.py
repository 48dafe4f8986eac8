"""Entry points that generate data and train engines."""
